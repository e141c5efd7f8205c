"""Who may call a real server over TLS: tokens, JWTs, TLS versions, client certificates, and what attackers try with them."""
import hashlib
import hmac
import json
import os
import re
import socket
import ssl
import subprocess
import time

import grpc
import pytest

import harness
import secure
from harness import dataset_pb, job_pb, pb, rpc, system_pb, upload_pb

admin_pb = pb["admin"]


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return secure.Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def issuer(tmp_path_factory):
    return secure.Issuer(tmp_path_factory.mktemp("issuer"))


@pytest.fixture(scope="module")
def server(tmp_path_factory, authority, issuer):
    flags = ("--jwt-issuer", issuer.url, "--jwt-audience", "attune", "--jwt-jwks", issuer.jwks)
    with secure.SecureServer(tmp_path_factory.mktemp("server") / "data", authority, *flags) as running:
        yield running
        running.as_caller(running.admin_token)


def refusal(server, token, call=None):
    """The error of a call with this token; None where it was answered."""
    server.as_caller(token)
    try:
        (call or (lambda: server.jobs.ListFineTuningJobs(job_pb.ListFineTuningJobsRequest(), timeout=30)))()
    except grpc.RpcError as error:
        return error
    return None


def test_strangers_are_refused_and_health_is_open(server):
    error = refusal(server, None)
    assert error.code() == grpc.StatusCode.UNAUTHENTICATED and "API token" in error.details()
    from grpc_health.v1 import health_pb2, health_pb2_grpc
    answer = health_pb2_grpc.HealthStub(server.channel).Check(health_pb2.HealthCheckRequest(), timeout=30)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_scopes(server):
    reader, writer = server.token("team-a", "read"), server.token("team-a", "write")
    upload = lambda: server.uploads.CreateUpload(upload_pb.CreateUploadRequest(filename="a.csv", size_bytes=1))
    assert refusal(server, reader) is None
    assert refusal(server, reader, upload).code() == grpc.StatusCode.PERMISSION_DENIED
    assert refusal(server, writer, upload) is None
    tokens = lambda: server.admin.ListTokens(admin_pb.ListTokensRequest())
    assert refusal(server, writer, tokens).code() == grpc.StatusCode.PERMISSION_DENIED
    assert refusal(server, server.token("team-a", "admin"), tokens).code() == grpc.StatusCode.PERMISSION_DENIED, "an administrator of one project"
    assert refusal(server, server.admin_token, tokens) is None


def test_tokens_that_are_no_longer_or_never_were(server):
    good = server.token("team-a", "read")
    assert refusal(server, good) is None
    identifier = good.split("_")[1]
    for bad in (good[:-1], good + "0", good[:-1] + ("0" if good[-1] != "0" else "1"), f"attune_{identifier}_{'0' * 64}", "attune_", good.upper(), identifier):
        assert refusal(server, bad).code() == grpc.StatusCode.UNAUTHENTICATED, bad
    brief = server.token("team-a", "read", expire_seconds=2)
    assert refusal(server, brief) is None
    harness.wait_until(lambda: refusal(server, brief) is not None, "the token to expire")
    assert "expired" in refusal(server, brief).details()
    server.as_caller(server.admin_token).admin.RevokeToken(admin_pb.RevokeTokenRequest(name=f"tokens/{identifier}"))
    assert "revoked" in refusal(server, good).details()


def test_a_revoked_token_stays_so_after_a_kill(tmp_path, authority):
    server = secure.SecureServer(tmp_path / "data", authority)
    server.start()
    kept, revoked = server.token("team-a", "read"), server.token("team-a", "read")
    server.admin.RevokeToken(admin_pb.RevokeTokenRequest(name=f"tokens/{revoked.split('_')[1]}"))
    server.kill()
    server.start()
    assert refusal(server, kept) is None
    assert refusal(server, revoked).code() == grpc.StatusCode.UNAUTHENTICATED
    server.as_caller(server.admin_token)
    assert server.stop() == 0
    with open(os.path.join(server.data_dir, "attune.db"), "rb") as file:
        database = file.read()
    assert revoked.split("_")[1].encode() in database
    for secret in server.secrets:
        assert secret.split("_")[2].encode() not in database, "a secret at rest"


def test_jwts(server, issuer, tmp_path):
    good = issuer.sign()
    server.secrets.append(good)
    assert refusal(server, good) is None
    foreign = secure.Issuer(tmp_path, kid="k1")  # another key of the same name
    claims = issuer.claims()
    text = issuer.unsigned({"alg": "HS256", "typ": "JWT", "kid": "k1"}, claims)
    confused = f"{text}.{secure.base64url(hmac.new(issuer.public, text.encode(), hashlib.sha256).digest())}"
    bad = {
        "alg none": issuer.unsigned({"alg": "none"}, claims) + ".",
        "alg none, signed": issuer.sign(header={"alg": "none", "kid": "k1"}),
        "alg nOnE": issuer.unsigned({"alg": "nOnE", "kid": "k1"}, claims) + ".",
        "HS256 with the public key as the secret": confused,
        "another algorithm than the key's": issuer.sign(header={"alg": "ES256", "kid": "k1"}),
        "signed by another": foreign.sign(),
        "key of another name": issuer.sign(header={"alg": "RS256", "kid": "k2"}),
        "key in the header": issuer.sign(header={"alg": "RS256", "kid": "k1", "jwk": {"kty": "RSA"}}, key=foreign.key),
        "wrong audience": issuer.sign(aud="other"),
        "wrong issuer": issuer.sign(iss="https://issuer.test/"),
        "expired": issuer.sign(exp=int(time.time()) - 60),
        "not yet": issuer.sign(nbf=int(time.time()) + 300),
        "without an end": issuer.sign(exp=None),
        "changed after signing": ".".join([good.split(".")[0], secure.base64url(json.dumps(issuer.claims(sub="root")).encode()), good.split(".")[2]]),
        "cut": good[:-10],
        "without signature": good.rsplit(".", 1)[0] + ".",
    }
    for what, token in bad.items():
        error = refusal(server, token)
        assert error is not None, what
        assert error.code() == grpc.StatusCode.UNAUTHENTICATED or (what == "key of another name" and error.code() == grpc.StatusCode.UNAVAILABLE), (what, error.code())
    upload = lambda: server.uploads.CreateUpload(upload_pb.CreateUploadRequest(filename="a.csv", size_bytes=1))
    assert refusal(server, issuer.sign(scope="read"), upload).code() == grpc.StatusCode.PERMISSION_DENIED
    assert refusal(server, issuer.sign(attune_projects=None)) is not None or not server.jobs.ListFineTuningJobs(job_pb.ListFineTuningJobsRequest()).fine_tuning_jobs


def handshake(address, **limits):
    host, port = address.rsplit(":", 1)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    context.set_ciphers("ALL:@SECLEVEL=0")
    for name, value in limits.items():
        setattr(context, name, value)
    with socket.create_connection((host, int(port)), timeout=30) as connection, context.wrap_socket(connection) as wrapped:
        return wrapped.version(), wrapped.getpeercert(binary_form=True)


def test_tls_is_not_talked_down(server):
    assert handshake(server.address)[0] == "TLSv1.3"
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_1):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            handshake(server.address, minimum_version=ssl.TLSVersion.TLSv1, maximum_version=version)
    channel = grpc.insecure_channel(server.address)
    with pytest.raises(grpc.RpcError) as plain:
        rpc["system"].SystemServiceStub(channel).GetServerInfo(system_pb.GetServerInfoRequest(), timeout=10)
    assert plain.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
    channel.close()


def test_client_certificates(tmp_path, authority):
    rules = tmp_path / "rules"
    rules.write_text("dns:ci.example  team-a  read,write\n")
    flags = ("--tls-client-certificates", "request", "--tls-client-ca-file", authority.certificate, "--certificate-rules-file", str(rules))
    stranger = secure.Authority(tmp_path, "other")

    def call(server, pair):
        with open(pair[0], "rb") as certificate, open(pair[1], "rb") as key:
            credentials = grpc.ssl_channel_credentials(authority.pem(), key.read(), certificate.read())
        with grpc.secure_channel(server.address, credentials, options=harness.CHANNEL_OPTIONS) as channel:
            upload = rpc["upload"].UploadServiceStub(channel).CreateUpload(upload_pb.CreateUploadRequest(filename="a.csv", size_bytes=1), timeout=30)
            return upload.project

    with secure.SecureServer(tmp_path / "data", authority, *flags) as server:
        assert call(server, authority.sign("ci", "DNS:ci.example")) == "team-a"
        with pytest.raises(grpc.RpcError) as unknown:
            call(server, authority.sign("someone", "DNS:someone.example"))
        assert unknown.value.code() == grpc.StatusCode.UNAUTHENTICATED
        with pytest.raises(grpc.RpcError) as foreign:
            call(server, stranger.sign("ci2", "DNS:ci.example"))
        assert foreign.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNAUTHENTICATED)


def test_a_certificate_is_replaced_under_open_watches(tmp_path, authority, tiny_bert):
    """Measure 5 of issue 5: 50 watches, none dropped, new connections see the new certificate."""
    with secure.SecureServer(tmp_path / "data", authority) as server:
        model, data = server.import_model(tiny_bert, "tiny").name, server.import_dataset(harness.sentiment_csv(200), test_fraction=0.2).name
        job = server.create_job(model, data, hyperparameters=harness.spec_pb.Hyperparameters(n_epochs=1000, batch_size=4))
        channels = [server.open_channel(harness.CHANNEL_OPTIONS, server.admin_token) for _ in range(50)]
        watches = [rpc["fine_tuning_job"].FineTuningJobServiceStub(channel).WatchFineTuningJob(job_pb.WatchFineTuningJobRequest(name=job.name), timeout=harness.DEADLINE)
                   for channel in channels]
        for watch in watches:
            next(watch)
        before = handshake(server.address)[1]
        certificate, key = authority.sign("next", serial=2)
        # As cert-manager does: the key first, so that for a moment both do not fit each other.
        os.replace(key, server.key)
        os.replace(certificate, server.certificate)
        harness.wait_until(lambda: handshake(server.address)[1] != before, "the new certificate")
        server.jobs.CancelFineTuningJob(job_pb.CancelFineTuningJobRequest(name=job.name))
        for watch in watches:
            last = None
            for last in watch:
                pass
            assert last.event.state_changed.to == "CANCELLED"
        for channel in channels:
            channel.close()


def test_a_watch_ends_with_its_token(server, tiny_bert):
    server.as_caller(server.admin_token)
    model, data = server.import_model(tiny_bert, "tiny").name, server.import_dataset(harness.sentiment_csv(200), test_fraction=0.2).name
    job = server.create_job(model, data, hyperparameters=harness.spec_pb.Hyperparameters(n_epochs=1000, batch_size=4))
    reader = server.token("*", "read")
    with server.open_channel(harness.CHANNEL_OPTIONS, reader) as channel:
        stub = rpc["fine_tuning_job"].FineTuningJobServiceStub(channel)
        watch = stub.WatchFineTuningJob(job_pb.WatchFineTuningJobRequest(name=job.name), timeout=harness.DEADLINE)
        next(watch)
        server.as_caller(server.admin_token)
        server.admin.RevokeToken(admin_pb.RevokeTokenRequest(name=f"tokens/{reader.split('_')[1]}"))
        with pytest.raises(grpc.RpcError) as ended:
            for _ in watch:
                pass
        assert ended.value.code() == grpc.StatusCode.UNAUTHENTICATED and "was revoked" in ended.value.details()
        with pytest.raises(grpc.RpcError) as refused:
            next(stub.WatchFineTuningJob(job_pb.WatchFineTuningJobRequest(name=job.name), timeout=harness.DEADLINE))
        assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
    server.jobs.CancelFineTuningJob(job_pb.CancelFineTuningJobRequest(name=job.name))


def test_what_happened_is_in_the_audit_log(server):
    writer = server.token("team-a", "write")
    server.as_caller(writer)
    upload = server.uploads.CreateUpload(upload_pb.CreateUploadRequest(filename="a.csv", size_bytes=1))
    with pytest.raises(grpc.RpcError):
        server.uploads.DeleteUpload(upload_pb.DeleteUploadRequest(name="uploads/unknown"))
    with pytest.raises(grpc.RpcError):
        server.admin.ListTokens(admin_pb.ListTokensRequest())

    def lines():
        with open(os.path.join(server.data_dir, "audit", "audit.jsonl")) as file:
            return [line for line in map(json.loads, file) if line["credential"] == writer.split("_")[1]]

    harness.wait_until(lambda: len(lines()) >= 3, "the lines of the calls: a call's is written when it is over, which its caller knows first")
    of_writer = sorted(lines(), key=lambda line: ["OK", "NOT_FOUND", "PERMISSION_DENIED"].index(line["code"]))  # a refusal's is there at once
    assert [(line["method"].split("/")[1], line["resource"], line["code"]) for line in of_writer] == \
        [("CreateUpload", upload.name, "OK"), ("DeleteUpload", "uploads/unknown", "NOT_FOUND"), ("ListTokens", "", "PERMISSION_DENIED")]
    assert all(line["subject"] == "of team-a" for line in of_writer) and all(line["peer"].startswith("ipv4:127.0.0.1:") for line in of_writer[:2])


def test_the_command_line_speaks_it(server):
    def attune(*arguments, token=None, status=0):
        environment = {"PATH": os.environ["PATH"], "ATTUNE_SERVER": server.address, "ATTUNE_CA_FILE": server.authority.certificate}
        if token:
            environment["ATTUNE_TOKEN"] = token
        done = subprocess.run([harness.CLI, *arguments], env=environment, capture_output=True, text=True, timeout=harness.DEADLINE)
        assert done.returncode == status, done.stderr
        return done.stdout + done.stderr

    assert "attune tokens create" in attune("jobs", "list", status=4)
    made = attune("tokens", "create", "team b's ci", "--project", "team-b", "--scope", "read", "--days", "7", token=server.admin_token)
    secret = re.search(r"attune_[a-z0-9]+_[0-9a-f]{64}", made).group()
    server.secrets.append(secret)
    assert "No jobs" in attune("jobs", "list", token=secret)
    shown = attune("tokens", "list", token=server.admin_token)
    assert "team b's ci" in shown and "team-b" in shown and secret.split("_")[2] not in shown
    attune("tokens", "revoke", secret.split("_")[1], token=server.admin_token)
    assert "revoked" in attune("jobs", "list", token=secret, status=4)


def test_no_secret_is_anywhere(server):
    """Measure 6: last in this module, so that all the secrets of the tests above were used."""
    server.as_caller(server.admin_token)
    assert len(server.secrets) > 8
    places = [server.log_path]
    for directory, _, files in os.walk(server.data_dir):
        places += [path for path in (os.path.join(directory, name) for name in files) if os.path.isfile(path) and not path.endswith("admin.token")]
    with open(f"/proc/{server.process.pid}/environ", "rb") as file:
        contents = {"environment": file.read()}
    with open(f"/proc/{server.process.pid}/cmdline", "rb") as file:
        contents["command line"] = file.read()
    for place in places:
        with open(place, "rb") as file:
            contents[place] = file.read()
    with open(server.key, "rb") as file:
        key_body = b"".join(file.read().splitlines()[1:-1])
    needles = [secret.split("_")[-1].encode() for secret in server.secrets] + [key_body[:60]]
    assert any(b"READY" in content for content in contents.values()), "the log is among them"
    for needle in needles:
        for place, content in contents.items():
            assert needle not in content, f"a secret in {place}"
    # A killed server leaves no core with its memory.
    with open(f"/proc/{server.process.pid}/limits") as file:
        core = next(line for line in file if line.startswith("Max core file size"))
    assert core.split()[4] == "0", core
