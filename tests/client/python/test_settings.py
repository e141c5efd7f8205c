import asyncio
import subprocess

import grpc
import pytest

from attune_client import AsyncClient, Client, RetryPolicy, UnavailableError, v1
from attune_client.settings import connection_settings, is_local
from fake_server import FakeServer

ONCE = RetryPolicy(max_attempts=1)


@pytest.mark.parametrize("address", ["localhost:50051", "LOCALHOST:1", "127.0.0.1:50051", "127.8.9.1", "[::1]:50051", "::1", "unix:/run/attune.sock", "unix:///run/attune.sock",
                                     "unix-abstract:attune", "dns:///localhost:1", "dns:127.0.0.1:1", "ipv4:127.0.0.1:1,127.0.0.2:1", "ipv6:[::1]:1", "passthrough:///127.0.0.1:1"])
def test_addresses_of_this_machine(address):
    assert is_local(address)


@pytest.mark.parametrize("address", ["attune.example:50051", "10.0.0.1:50051", "0.0.0.0:1", "localhost.example:50051", "127.0.0.1.example:50051", "127.example:1",
                                     "ipv4:127.0.0.1:1,10.0.0.1:1", "dns://127.0.0.1/attune.example:1", "dns://10.0.0.1/localhost:1", "[2001:db8::1]:1", "xds:///localhost", ":1", ""])
def test_addresses_that_may_be_elsewhere(address):
    assert not is_local(address)


def test_the_environment_fills_in_and_arguments_win(tmp_path):
    (tmp_path / "token").write_text("from-file\n")
    settings = connection_settings(environment={"ATTUNE_SERVER": "127.0.0.1:1", "ATTUNE_TOKEN": "secret"})
    assert (settings.address, settings.token) == ("127.0.0.1:1", "secret")
    assert connection_settings(environment={"ATTUNE_SERVER": "127.0.0.1:2"}).address == "127.0.0.1:2"
    assert connection_settings(environment={}).address == "127.0.0.1:50051"
    assert connection_settings(environment={"ATTUNE_TOKEN_FILE": str(tmp_path / "token"), "ATTUNE_TOKEN": "secret"}).token == "from-file"
    assert connection_settings("127.0.0.1:3", token="mine", environment={"ATTUNE_SERVER": "a:1", "ATTUNE_TOKEN": "secret"}).token == "mine"
    assert connection_settings(token="", environment={"ATTUNE_TOKEN": "secret"}).token == ""
    assert "secret" not in repr(settings)


@pytest.mark.parametrize("arguments, words", [
    (dict(address="attune.example:1", token="secret"), "in plain text"),
    (dict(address="attune.example:1", token="secret", tls=False), "in plain text"),
    (dict(token="two words"), "a blank"), (dict(token="line\nend"), "a blank"), (dict(token="caf\u00e9"), "a blank"),
    (dict(client_certificate=b"x"), "belong together"), (dict(client_key=b"x"), "belong together"),
    (dict(tls=False, ca_certificate=b"x"), "tls=False and a certificate")])
def test_settings_that_do_not_fit_together(arguments, words):
    with pytest.raises(ValueError, match=words) as caught:
        connection_settings(environment={}, **arguments)
    assert "secret" not in str(caught.value)
    with pytest.raises(ValueError, match=words):
        Client(**arguments)


def test_a_token_leaves_the_machine_only_encrypted_or_when_told_so():
    assert connection_settings("attune.example:1", token="secret", tls=True, environment={}).credentials is not None
    assert connection_settings("attune.example:1", token="secret", allow_plaintext_token=True, environment={}).credentials is None
    assert connection_settings("attune.example:1", environment={}).token == ""


def test_a_proxy_of_the_environment_does_not_see_what_stays_here():
    assert ("grpc.enable_http_proxy", 0) in connection_settings("127.0.0.1:1", environment={}).channel_options()
    assert "grpc.enable_http_proxy" not in dict(connection_settings("attune.example:1", environment={}).channel_options())


def test_certificates_that_are_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        Client("attune.example:1", ca_certificate=tmp_path / "none.pem")


# Over the wire ----------------------------------------------------------------------------------------------------------------
def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    """Files of an authority (ca), of a server's and of a client's certificate that it signed, and of a stranger's authority."""
    directory = tmp_path_factory.mktemp("pki")
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    for name in ("ca", "stranger"):
        openssl("req", "-x509", *key, "-days", "2", "-subj", f"/CN={name}", "-keyout", f"{directory}/{name}.key", "-out", f"{directory}/{name}.crt")
    (directory / "san").write_text("subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
    for name in ("server", "caller"):
        openssl("req", *key, "-subj", f"/CN={name}", "-keyout", f"{directory}/{name}.key", "-out", f"{directory}/{name}.csr")
        openssl("x509", "-req", "-in", f"{directory}/{name}.csr", "-CA", f"{directory}/ca.crt", "-CAkey", f"{directory}/ca.key", "-set_serial", "2", "-days", "1", "-extfile",
                f"{directory}/san", "-out", f"{directory}/{name}.crt")
    return directory


def secure_server(pki, client_certificates=False):
    pair = [((pki / "server.key").read_bytes(), (pki / "server.crt").read_bytes())]
    return FakeServer(grpc.ssl_server_credentials(pair, (pki / "ca.crt").read_bytes() if client_certificates else None, client_certificates))


def use_every_kind_of_call(client, file):
    client.upload(file)
    client.get_job("j1")
    list(client.watch("j1"))


async def use_every_kind_of_call_async(address, file, **arguments):
    async with AsyncClient(address, **arguments) as client:
        await client.upload(file)
        await client.get_job("j1")
        assert [e.sequence async for e in client.watch("j1")] == [1]


END = v1.WatchFineTuningJobResponse(event=v1.JobEvent(sequence=1, state_changed=v1.StateChanged(terminal=True)))


@pytest.mark.parametrize("tls", [False, True])
def test_the_token_goes_with_every_call(pki, tmp_path, tls):
    (tmp_path / "data.csv").write_text("text,label\n")
    server = secure_server(pki) if tls else FakeServer()
    server.jobs.streams = [[END], [END]]
    arguments = {"token": "attune_secret", **({"ca_certificate": pki / "ca.crt"} if tls else {})}
    try:
        with Client(server.address, **arguments) as client:
            use_every_kind_of_call(client, tmp_path / "data.csv")
        first = list(server.calls)
        server.calls.clear()
        server.uploads.uploads.clear()
        asyncio.run(use_every_kind_of_call_async(server.address, tmp_path / "data.csv", **arguments))
    finally:
        server.stop()
    assert [method for method, _ in first] == ["CreateUpload", "WriteUpload", "GetFineTuningJob", "WatchFineTuningJob"]
    assert server.calls == first and {token for _, token in first} == {"Bearer attune_secret"}


def test_without_a_token_none_is_sent(server, client):
    client.get_job("j1")
    assert server.calls == [("GetFineTuningJob", None)]


def test_a_server_of_a_strange_authority_is_not_spoken_to(pki):
    server = secure_server(pki)
    try:
        for trusted in (pki / "stranger.crt", (pki / "stranger.crt").read_bytes()):
            with Client(server.address, token="secret", ca_certificate=trusted, retry=ONCE) as client, pytest.raises(UnavailableError):
                client.get_job("j1")
        assert server.calls == []
    finally:
        server.stop()


def test_a_client_certificate(pki):
    server = secure_server(pki, client_certificates=True)
    try:
        with Client(server.address, ca_certificate=pki / "ca.crt", retry=ONCE) as client, pytest.raises(UnavailableError):
            client.get_job("j1")
        with Client(server.address, ca_certificate=pki / "ca.crt", client_certificate=pki / "caller.crt", client_key=pki / "caller.key") as client:
            assert client.get_job("j1").name == "fineTuningJobs/j1"
    finally:
        server.stop()


def test_all_from_the_environment(pki, monkeypatch):
    server = secure_server(pki)
    try:
        for name, value in {"SERVER": server.address, "TOKEN": "attune_env", "CA_FILE": str(pki / "ca.crt")}.items():
            monkeypatch.setenv(f"ATTUNE_{name}", value)
        with Client() as client:
            client.get_job("j1")
        assert server.calls == [("GetFineTuningJob", "Bearer attune_env")]
    finally:
        server.stop()
