"""What a stranger points at a server first: grpcurl, which asks reflection, and grpc-health-probe, which Kubernetes runs. In plain text, and over TLS with a token."""
import json
import os
import re
import shlex
import shutil
import subprocess

import pytest

import harness
import secure

BIN = os.path.join(harness.DEPS, "go-tools", "bin")
SERVICES = ["Admin", "Checkpoint", "Dataset", "FineTuningJob", "Model", "Prediction", "System", "Upload"]


@pytest.fixture(scope="module", autouse=True)
def tools():
    installed = os.path.exists(os.path.join(BIN, "grpcurl"))
    go = os.environ.get("GO") or shutil.which("go") or next((path for path in ("/usr/lib/go/bin/go", "/usr/local/go/bin/go") if os.path.exists(path)), None)
    if not installed and go is None:
        pytest.skip("no Go to build grpcurl and grpc-health-probe with: install golang-go, then tools/install_go_tools.sh")
    subprocess.run([os.path.join(harness.SOURCE, "tools", "install_go_tools.sh")], check=True, timeout=2 * harness.DEADLINE, env={**os.environ, "ATTUNE_DEPS_DIR": harness.DEPS})


def run(program, *arguments):
    return subprocess.run([os.path.join(BIN, program), *arguments], capture_output=True, text=True, timeout=harness.DEADLINE)


def output_of(program, *arguments):
    done = run(program, *arguments)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def test_grpcurl_lists_describes_and_calls(server):
    listed = output_of("grpcurl", "-plaintext", server.address, "list").split()
    assert [name for name in listed if name.startswith("attune.v1.")] == [f"attune.v1.{name}Service" for name in SERVICES]
    assert "grpc.health.v1.Health" in listed
    described = output_of("grpcurl", "-plaintext", server.address, "describe", "attune.v1.FineTuningSpec")
    assert "string base_model = 1;" in described
    info = json.loads(output_of("grpcurl", "-plaintext", server.address, "attune.v1.SystemService/GetServerInfo"))
    assert info["version"]
    upload = json.loads(output_of("grpcurl", "-plaintext", "-d", '{"filename": "a.csv", "size_bytes": 11}', server.address, "attune.v1.UploadService/CreateUpload"))
    messages = json.dumps({"name": upload["name"], "data": "dGV4dCxsYWI="}) + json.dumps({"data": "ZWwK"})
    written = json.loads(output_of("grpcurl", "-plaintext", "-d", messages, server.address, "attune.v1.UploadService/WriteUpload"))
    assert written["state"] == "STATE_COMPLETE" and written["committed_bytes"] == "11"


def test_grpcurl_shows_what_is_wrong(server):
    done = run("grpcurl", "-plaintext", "-d", '{"name": "fineTuningJobs/j7"}', server.address, "attune.v1.FineTuningJobService/GetFineTuningJob")
    assert done.returncode != 0 and "Code: NotFound" in done.stderr and "fineTuningJobs/j7" in done.stderr and "RESOURCE_NOT_FOUND" in done.stderr


def test_the_references_commands_work(server):
    with open(os.path.join(harness.SOURCE, "docs", "api", "README.md")) as file:
        commands = re.findall(r"^    grpcurl (.*)$", file.read(), re.M)
    assert len(commands) == 3
    for command in commands:
        done = run("grpcurl", *shlex.split(command.replace("127.0.0.1:50051", server.address)))
        assert done.returncode == 0 or "Code: NotFound" in done.stderr, f"{command}\n{done.stderr}"


def test_health_probe(server):
    assert "status: SERVING" in run("grpc-health-probe", f"-addr={server.address}").stderr
    assert run("grpc-health-probe", f"-addr={server.address}").returncode == 0
    assert run("grpc-health-probe", f"-addr={server.address}", "-service=attune.v1.Nothing").returncode != 0


def test_health_probe_of_a_server_that_is_gone(own_server):
    own_server.stop()
    assert run("grpc-health-probe", f"-addr={own_server.address}", "-connect-timeout=2s").returncode != 0


@pytest.fixture(scope="module")
def secure_server(tmp_path_factory):
    directory = tmp_path_factory.mktemp("secure")
    with secure.SecureServer(directory / "data", secure.Authority(directory)) as running:
        yield running


def test_over_tls_with_a_token(secure_server):
    trusting = ["-cacert", secure_server.authority.certificate]
    bearer = ["-H", f"authorization: Bearer {secure_server.token('team-a', 'read')}"]
    assert "attune.v1.FineTuningJobService" in output_of("grpcurl", *trusting, *bearer, secure_server.address, "list")
    assert output_of("grpcurl", *trusting, *bearer, secure_server.address, "attune.v1.FineTuningJobService/ListFineTuningJobs").split() == ["{", "}"]
    refused = run("grpcurl", *trusting, secure_server.address, "attune.v1.FineTuningJobService/ListFineTuningJobs")
    assert refused.returncode != 0 and "Code: Unauthenticated" in refused.stderr
    denied = run("grpcurl", *trusting, *bearer, "-d", '{"filename": "a.csv", "size_bytes": 1}', secure_server.address, "attune.v1.UploadService/CreateUpload")
    assert denied.returncode != 0 and "Code: PermissionDenied" in denied.stderr


def test_nothing_is_said_to_who_speaks_plain_text_or_believes_another_authority(secure_server, tmp_path):
    assert run("grpcurl", "-plaintext", "-connect-timeout", "2", secure_server.address, "list").returncode != 0
    stranger = secure.Authority(tmp_path, "stranger").certificate
    assert run("grpcurl", "-cacert", stranger, "-connect-timeout", "2", secure_server.address, "list").returncode != 0


def test_health_probe_over_tls_needs_no_token(secure_server):
    probe = ["grpc-health-probe", f"-addr={secure_server.address}", "-tls", "-tls-ca-cert", secure_server.authority.certificate]
    done = run(*probe)
    assert done.returncode == 0 and "status: SERVING" in done.stderr, done.stderr
