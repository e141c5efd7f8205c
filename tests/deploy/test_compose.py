"""deploy/compose: versions are pinned, what is mounted is there, and the parts find each other."""
import re

import yaml

import chart
import option_table

FOLDER = chart.SOURCE / "deploy" / "compose"
PROMETHEUS = chart.SOURCE / "deploy" / "prometheus"
GRAFANA = chart.SOURCE / "deploy" / "grafana"
COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
SECURE = yaml.safe_load((FOLDER / "compose.tls.yaml").read_text())["services"]


def mounts(service):
    """Path in the container -> path here, of what comes from the tree."""
    parts = [volume.split(":") for volume in SERVICES[service]["volumes"]]
    return {target: (FOLDER / source).resolve() for source, target, *_ in parts if source.startswith(".")}


def host_of(address):
    return re.fullmatch(r"(?:http://)?([\w-]+):(\d+)", address).groups()


def test_images_are_pinned():
    for name, service in SERVICES.items():
        assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+(@sha256:[0-9a-f]{64})?", service["image"]), name
    version = re.search(r"project\(attune VERSION (\S+)", (chart.SOURCE / "CMakeLists.txt").read_text()).group(1)
    assert SERVICES["attune"]["image"] == f"attune:{version}" and (FOLDER / SERVICES["attune"]["build"] / "Dockerfile").exists()
    assert re.search(r"@\d+\.\d+\.\d+$", SERVICES["grafana"]["environment"]["GF_PLUGINS_PREINSTALL_SYNC"])


def test_mounts_are_there_and_read_only():
    count = 0
    for name, service in SERVICES.items():
        for volume in service["volumes"]:
            source, _, *mode = volume.split(":")
            if source.startswith("."):
                assert (FOLDER / source).exists(), volume
                assert mode == ["ro"], volume
                count += 1
            else:
                assert source in COMPOSE["volumes"], volume
    assert count >= 7


def test_nothing_is_published_beyond_this_machine():
    for name, service in SERVICES.items():
        for port in service["ports"]:
            assert port.startswith("127.0.0.1:"), name


def test_prometheus_scrapes_the_server_and_sends_alerts():
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    jobs = {job["job_name"]: job["static_configs"][0]["targets"] for job in config["scrape_configs"]}
    host, port = host_of(jobs["attune"][0])
    assert host in SERVICES
    command = SERVICES["attune"]["command"]
    assert command[command.index("--metrics-listen") + 1].endswith(f":{port}")
    assert host_of(config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"][0])[0] == "alertmanager"
    mounted = mounts("prometheus")
    assert mounted["/etc/prometheus/prometheus.yml"] == PROMETHEUS / "prometheus.yml"
    # Rules are read from beside the configuration.
    assert {mounted[f"/etc/prometheus/{name}"] for name in config["rule_files"]} == set(PROMETHEUS.glob("*.yaml"))
    assert config["global"]["external_labels"]["attune_grafana"] == SERVICES["grafana"]["environment"]["GF_SERVER_ROOT_URL"]
    dropped, = config["alerting"]["alert_relabel_configs"]
    assert set(dropped["regex"].split("|")) == config["global"]["external_labels"].keys()


def test_grafana_is_provisioned():
    environment = SERVICES["grafana"]["environment"]
    text = "".join(path.read_text() for path in (GRAFANA / "provisioning").rglob("*.yaml"))
    asked = set(re.findall(r"\$(ATTUNE_\w+)", text))
    assert asked == {name for name in environment if name.startswith("ATTUNE_")}
    for name in asked:
        host, port = host_of(environment[name])
        assert host in SERVICES, name
    mounted = mounts("grafana")
    for kind in ("datasources", "dashboards"):
        assert mounted[f"/etc/grafana/provisioning/{kind}"] == GRAFANA / "provisioning" / kind
    provider, = yaml.safe_load((GRAFANA / "provisioning" / "dashboards" / "attune.yaml").read_text())["providers"]
    folder = provider["options"]["path"]
    assert mounted[folder] == GRAFANA / "dashboards"
    home = environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home.startswith(folder) and (GRAFANA / "dashboards" / home.rsplit("/", 1)[1]).exists()
    plugins = {source["type"] for source in yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "attune.yaml").read_text())["datasources"]}
    assert environment["GF_PLUGINS_PREINSTALL_SYNC"].split("@")[0] in plugins


def test_the_server_may_drain():
    keys = (chart.SOURCE / "server" / "main" / "option_keys.cc").read_text()
    grace = int(re.search(r"last checkpoint\. Default (\d+)", keys).group(1))
    assert int(SERVICES["attune"]["stop_grace_period"].removesuffix("s")) >= grace + 20


def test_with_tls_the_server_does_both():
    """The second file takes the place of entry point and command, and adds to the rest."""
    assert SECURE.keys() == {"attune"}
    server = SECURE["attune"]
    image = re.search(r'^ENTRYPOINT (\[.*\])', option_table.read("Dockerfile"), re.M).group(1)
    assert sorted(yaml.safe_load(image)) == sorted([*server["entrypoint"], "--allow-insecure-network"])
    plain, command = SERVICES["attune"]["command"], server["command"]
    assert command[:len(plain)] == plain
    flags = dict(zip(command[::2], command[1::2]))
    assert flags["--auth"] == "required" and len(flags) * 2 == len(command)
    assert {flag[2:].replace("-", "_") for flag in flags} <= {option.name for option in option_table.read_options()}
    volume, = server["volumes"]
    source, target, mode = re.fullmatch(r"(\$\{ATTUNE_TLS_DIR:\?[^}]+\}):(.+):(ro)", volume).groups()
    assert all(flags[f"--tls-{name}-file"].startswith(f"{target}/") for name in ("certificate", "key"))
    # The image's health check reads these.
    assert server["environment"] == {"ATTUNE_SERVER": f"localhost:{server['entrypoint'][2].rsplit(':')[1]}", "ATTUNE_CA_FILE": f"{target}/ca.crt"}
    known = option_table.read("client/cli/app.cc") + option_table.read("client/cli/attune.cc")
    assert all(f'"{name}"' in known for name in server["environment"])
