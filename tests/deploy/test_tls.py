"""A server with TLS and credentials: what the pod mounts and is told, how it is asked whether it is well, and what the chart refuses as the server would."""
import re

import pytest
import yaml

import chart
import option_table

ASKS = ["auth", "client-certificates", "every-option", "tls"]
ENCRYPTS = ["client-certificates", "every-option", "tls"]
everywhere = pytest.mark.parametrize("name", chart.VALUE_SETS)

BOTH = {"allow_insecure_network": False, "auth": "required"}
JWT = {"jwt_issuer": "https://issuer.example", "jwt_audience": "attune", "jwt_jwks": "https://issuer.example/jwks.json"}
REFUSED = {
    "allow_insecure_network is false, and the server neither encrypts (tls.secretName) nor asks who calls": {"config": {"allow_insecure_network": False}},
    "allow_insecure_network is false, and the server does not encrypt": {"config": BOTH},
    "allow_insecure_network is false, and the server does not ask": {"tls": {"secretName": "t"}, "config": {"allow_insecure_network": False}},
    "config.metrics_listen must be set with TLS": {"tls": {"secretName": "t"}, "config": {"metrics_listen": ""}},
    'tls.secretName must be the name of a Secret, of a-z, 0-9, - and .; got "My Secret"': {"tls": {"secretName": "My Secret"}},
    "tls.clientCertificates is request, and the server has no certificate": {"tls": {"clientCertificates": "request"}},
    "config.tls_key_file is set by tls": {"tls": {"secretName": "t"}, "config": {"tls_key_file": "/vault/key"}},
    "config.tls_client_certificates is set by tls": {"tls": {"secretName": "t"}, "config": {"tls_client_certificates": "none"}},
    "config.tls_certificate_file and config.tls_key_file belong together": {"config": {"tls_certificate_file": "/vault/crt"}},
    "config.tls_client_certificates needs TLS": {"config": {"tls_client_certificates": "require", "tls_client_ca_file": "/vault/ca"}},
    "config.tls_client_ca_file is missing": {"config": {"tls_certificate_file": "/vault/crt", "tls_key_file": "/vault/key", "tls_client_certificates": "request"}},
    "config.certificate_rules_file has no effect while config.auth is none": {"tls": {"secretName": "t", "clientCertificates": "require"}, "config": {"certificate_rules_file": "/vault/rules"}},
    "config.jwt_issuer has no effect while config.auth is none": {"config": JWT},
    "config.certificate_rules_file needs tls.clientCertificates": {"tls": {"secretName": "t"}, "config": {**BOTH, "certificate_rules_file": "/vault/rules"}},
    "config.jwt_audience is missing": {"config": {"auth": "required", **JWT, "jwt_audience": ""}},
    "config.jwt_jwks is missing": {"config": {"auth": "required", **JWT, "jwt_jwks": ""}},
    "config.jwt_issuer is missing": {"config": {"auth": "required", **JWT, "jwt_issuer": ""}},
    'config.jwt_jwks must be a file or an https URL without a user\'s name; got "http://issuer.example/keys"': {"config": {"auth": "required", **JWT, "jwt_jwks": "http://issuer.example/keys"}},
    "without a user's name; got \"https://ann:secret@issuer.example/keys\"": {"config": {"auth": "required", **JWT, "jwt_jwks": "https://ann:secret@issuer.example/keys"}},
    "config.quotas_file is /etc/attune/files/quotas.yaml, and files has no quotas.yaml": {"config": {"quotas_file": "/etc/attune/files/quotas.yaml"}, "files": {"quota.yaml": "{}"}},
    'files: "a/b" is no name': {"files": {"a/b": ""}},
    'files: "..data" is no name': {"files": {"..data": ""}},
    "test.tokenSecretName needs TLS": {"config": {"auth": "required"}, "test": {"tokenSecretName": "t"}},
}


@pytest.mark.parametrize("words", REFUSED)
def test_chart_refuses_what_the_server_would(words):
    assert words in chart.fails(**REFUSED[words])


def test_all_faults_at_once():
    message = chart.fails(tls={"clientCertificates": "require"}, config={"allow_insecure_network": False, "jwt_audience": "x"}, files={"a b": ""})
    assert all(part in message for part in ("tls.clientCertificates", "allow_insecure_network", "jwt_issuer is missing", 'files: "a b"')), message


@pytest.mark.parametrize("values", [
    {"tls": {"secretName": "t"}},
    {"tls": {"secretName": "t", "clientCertificates": "request"}},
    {"tls": {"secretName": "a.b-c"}, "config": {**BOTH, **JWT}},
    {"config": {"auth": "required", **JWT, "jwt_jwks": "/etc/attune/files/jwks.json"}, "files": {"jwks.json": "{}"}},
    {"config": {"auth": "required", **JWT, "jwt_jwks": "https://issuer.example?keys"}},
])
def test_chart_takes_what_the_server_takes(values):
    done = chart.with_values(**values)
    assert done.returncode == 0, done.stderr


def test_the_chart_knows_every_rule_of_the_server():
    """Who adds a rule to CheckSecurityOptions, or changes one, comes by here."""
    text = option_table.read("server/main/security/security.cc")
    body = text[text.index("absl::Status CheckSecurityOptions("):text.index("absl::StatusOr<std::unique_ptr<Security>> Security::Create")]
    assert (body.count("return fail("), body.count("return Annotate(")) == (7, 2)
    assert "!address.loopback && !options.listen.allow_insecure_network && !(encrypts && asks)" in option_table.read("server/main/option_keys.cc")


@everywhere
def test_the_file_says_what_the_values_say(name):
    config = chart.config_file(chart.render(name))
    assert (config.get("auth") == "required") == (name in ASKS) and bool(config.get("tls_certificate_file")) == (name in ENCRYPTS)


@pytest.mark.parametrize("name", ["tls", "client-certificates"])
def test_the_secret_is_where_the_file_says(name):
    objects = chart.render(name)
    config, pod = chart.config_file(objects), chart.server_pod(objects)["spec"]
    mount = next(m for m in pod["containers"][0]["volumeMounts"] if m["name"] == "config")
    assert mount == {"name": "config", "mountPath": "/etc/attune", "readOnly": True}
    (_, secret), = [(kind, s) for volume in pod["volumes"] for kind, s in chart.sources(volume) if kind == "secret"]
    assert secret["name"] == "attune-tls"
    there = {f"/etc/attune/{item['path']}": item for item in secret["items"]}
    named = [config[key] for key in ("tls_certificate_file", "tls_key_file", "tls_client_ca_file") if key in config]
    assert set(there) == set(named) and len(named) == (3 if name == "client-certificates" else 2)
    # Not for everybody; the group is fsGroup.
    assert there[config["tls_key_file"]]["mode"] == 0o440 and pod["securityContext"]["fsGroup"]
    assert config["tls_client_certificates"] == ("require" if name == "client-certificates" else "none")


def test_files_are_where_the_configuration_names_them():
    objects = chart.render("client-certificates")
    config = chart.config_file(objects)
    texts = chart.mounted_texts(objects, chart.server_pod(objects)["spec"], "config")
    values = yaml.safe_load((chart.VALUES / "client-certificates.yaml").read_text())["files"]
    assert texts[config["certificate_rules_file"].removeprefix("/etc/attune/")] == values["certificate-rules"]
    assert texts[config["quotas_file"].removeprefix("/etc/attune/")] == values["quotas.yaml"]
    assert not any(o["metadata"]["name"].endswith("-files") for o in chart.render("defaults"))


def test_text_of_files_stays_as_it_is():
    texts = {"true": "a: {{ b }}\n  <&>\n", "1.0": "", "x": "'\"\\\u00e9 \t\n\n"}
    done = chart.with_values(files=texts)
    objects = [o for o in yaml.safe_load_all(done.stdout) if o]
    mounted = chart.mounted_texts(objects, chart.server_pod(objects)["spec"], "config")
    assert {name: mounted[f"files/{name}"] for name in texts} == texts


def test_changed_files_roll_the_pod():
    def annotations(text):
        done = chart.with_values(files={"rules": text})
        return chart.server_pod([o for o in yaml.safe_load_all(done.stdout) if o])["metadata"]["annotations"]

    assert annotations("a") == annotations("a") != annotations("b")


@everywhere
def test_probes_speak_what_the_kubelet_speaks(name):
    """Its gRPC probes know no TLS, and an open port alone says nothing."""
    container = chart.server_pod(chart.render(name))["spec"]["containers"][0]
    kinds = [{kind for kind in ("grpc", "httpGet", "tcpSocket", "exec") if kind in container[probe]} for probe in ("startupProbe", "readinessProbe", "livenessProbe")]
    assert kinds == [{"httpGet" if name in ENCRYPTS else "grpc"}] * 3
    if name in ENCRYPTS:
        paths = [container[probe]["httpGet"]["path"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")]
        assert paths == ["/readyz", "/readyz", "/healthz"] and all("scheme" not in container[probe]["httpGet"] for probe in ("readinessProbe", "livenessProbe"))
        server = option_table.read("server/main/server.cc")
        assert all(f'{{"{path}",' in server for path in paths)


@everywhere
def test_services_say_what_is_spoken(name):
    spoken = {p["name"]: p["appProtocol"] for o in chart.render(name) if o["kind"] == "Service" for p in o["spec"]["ports"]}
    assert spoken["grpc"] == ("https" if name in ENCRYPTS else "kubernetes.io/h2c") and spoken.get("metrics", "http") == "http"


@pytest.mark.parametrize("name", ["tls", "client-certificates"])
def test_the_tests_pod_has_credentials_and_no_key_of_the_server(name):
    objects = chart.render(name)
    spec = chart.one(objects, "Pod")["spec"]
    container, = spec["containers"]
    mount = next(m for m in container["volumeMounts"] if m["name"] == "credentials")
    secrets = {s["name"]: s for kind, s in chart.sources(next(v for v in spec["volumes"] if v["name"] == "credentials"))}
    there = {f"{mount['mountPath']}/{item['path']}" for s in secrets.values() for item in s["items"]}
    named = {e["value"] for e in container["env"] if e["name"].endswith("_FILE")}
    assert mount["readOnly"] and there == named
    assert [item["key"] for item in secrets["attune-tls"]["items"]] == ["ca.crt"] and secrets["attune-tls"]["optional"]
    variables = {e["name"] for e in container["env"]} - {"ATTUNE_SERVER", "HOME", "ATTUNE_CA_FILE"}
    assert variables == ({"ATTUNE_TOKEN_FILE"} if name == "tls" else {"ATTUNE_CLIENT_CERTIFICATE_FILE", "ATTUNE_CLIENT_KEY_FILE"})
    known = option_table.read("client/cli/app.cc")
    assert all(f'->envname("{variable}")' in known for variable in {*variables, "ATTUNE_CA_FILE"})


def test_the_tests_script_falls_back_to_authorities_that_the_image_has():
    bundle = re.search(r"export ATTUNE_CA_FILE=/(\S+)", (chart.CHART / "files" / "test" / "run.sh").read_text()).group(1)
    assert f'"{bundle}"' in option_table.read("deploy/image/image_root.py")


def egress(name=None, **values):
    objects = chart.render(name) if name else [o for o in yaml.safe_load_all(chart.with_values(**values).stdout) if o]
    return next(o["spec"]["egress"] for o in objects if o["kind"] == "NetworkPolicy" and not o["metadata"]["name"].endswith("-test"))


def test_the_issuers_keys_are_all_that_is_fetched():
    issuer, names = egress("auth")
    assert issuer == {"ports": [{"port": 8443, "protocol": "TCP"}], "to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]}
    assert sorted((p["port"], p["protocol"]) for p in names["ports"]) == [(53, "TCP"), (53, "UDP")]
    assert egress(config={"auth": "required", **JWT})[0] == {"ports": [{"port": 443, "protocol": "TCP"}]}
    assert egress(config={"auth": "required", **JWT, "jwt_jwks": "/vault/jwks.json"}) == []
    assert egress("tls") == []


def notes(name):
    return chart.helm("install", "attune", chart.CHART, "--namespace", "ml", "--dry-run=client", "-f", chart.VALUES / f"{name}.yaml").stdout.split("NOTES:")[1]


def test_notes_lead_to_the_first_token():
    text = notes("tls")
    token = f"{chart.config_file(chart.render('tls'))['data_dir']}/admin.token"
    assert f"exec statefulset/attune -- cat {token} > admin.token" in text and f"-- rm {token}" in text and "attune tokens create" in text
    assert '"/admin.token"' in option_table.read("server/main/security/security.cc")
    # What the image has to run in the pod.
    applets = re.search(r'APPLETS = """(.*?)"""', option_table.read("deploy/image/image_root.py"), re.S).group(1).split()
    assert {"cat", "rm"} <= set(applets)
    assert "admin.token" not in notes("defaults")


def test_notes_say_what_guards_the_server():
    assert "network policy is a second guard" in notes("tls") and "does not" not in notes("tls")
    assert "The server does not encrypt (tls.secretName). The network policy is its guard" in notes("auth")
    assert "--client-certificate-file" in notes("client-certificates") and "--client-certificate-file" not in notes("tls")
    assert "test.tokenSecretName" in notes("auth") and "test.tokenSecretName" not in notes("tls")


def test_flags_in_the_notes_exist():
    known = "".join(path.read_text() for path in (chart.SOURCE / "client" / "cli").glob("*.cc"))
    flags = {flag for line in notes("client-certificates").splitlines() if "attune " in line and "kubectl" not in line and "helm" not in line for flag in re.findall(r"--[a-z-]+", line)}
    assert len(flags) >= 5
    assert all(f'"{flag}"' in known for flag in flags), flags
