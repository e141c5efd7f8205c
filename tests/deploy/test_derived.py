"""What is written by a script is what it would write today; versions agree; rules and dashboards find their way into the chart."""
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys

import pytest
import yaml

import chart
import option_table

DEPLOY = chart.SOURCE / "deploy"
RULES = """groups:
  - name: attune
    rules:
      - alert: AttuneQueueLong
        expr: attune_jobs_queued > 10
        annotations: {summary: "{{ $value }} jobs wait on {{ $labels.instance }}"}
  - name: attune-recorded
    rules: [{record: "attune:rpc:rate5m", expr: "sum(rate(attune_rpc_total[5m]))"}]
"""
DASHBOARD = json.dumps({"title": "Attune", "panels": [{"title": "{{ not a template }}"}]}, indent=2) + "\n"


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def render_script(*args):
    environment = {**os.environ, "HELM": chart.helm_program()}
    return subprocess.run([sys.executable, "-B", DEPLOY / "render.py", *args], capture_output=True, text=True, timeout=chart.DEADLINE, env=environment)


@pytest.fixture
def copy(tmp_path):
    """deploy/ to write in, without rules and dashboards but those that the test makes."""
    root = tmp_path / "deploy"
    shutil.copytree(DEPLOY, root)
    for folder in ("prometheus", "grafana", "helm/attune/files/rules", "helm/attune/files/dashboards"):
        shutil.rmtree(root / folder, ignore_errors=True)
    (root / "prometheus").mkdir()
    (root / "grafana" / "dashboards").mkdir(parents=True)
    return root


def monitoring(root):
    return chart.template("-f", chart.VALUES / "monitoring.yaml", chart=root / "helm" / "attune")


def test_what_is_derived_is_up_to_date():
    done = render_script("--check")
    assert done.returncode == 0, done.stdout + done.stderr


def test_check_finds_what_is_not(copy):
    stateful = copy / "k8s" / "statefulset.yaml"
    stateful.write_text(stateful.read_text().replace("replicas: 1", "replicas: 2"))
    (copy / "k8s" / "left-over.yaml").write_text("{}\n")
    (copy / "prometheus" / "alerts.yaml").write_text(RULES)
    done = render_script("--check", "--root", copy)
    assert done.returncode == 1
    assert all(name in done.stdout for name in ("statefulset.yaml: not up to date", "left-over.yaml: has no source", "rules/alerts.yaml: not up to date"))
    assert render_script("--root", copy).returncode == 0
    assert render_script("--check", "--root", copy).returncode == 0
    assert "replicas: 1" in stateful.read_text() and not (copy / "k8s" / "left-over.yaml").exists()


@pytest.mark.parametrize("folder, name", [("k8s", "defaults"), ("k8s/tls", "tls")])
def test_plain_manifests_are_the_charts_objects(folder, name):
    """Read back, they say the same but for what only Helm needs, and the tests."""
    def plain(o):
        labels = {k: v for k, v in o["metadata"]["labels"].items() if k not in ("helm.sh/chart", "app.kubernetes.io/managed-by")}
        return {**o, "metadata": {**o["metadata"], "labels": labels}}

    rendered = {(o["kind"], o["metadata"]["name"]): plain(o) for o in chart.render(name) if "helm.sh/hook" not in o["metadata"].get("annotations", {})}
    written = {}
    listed = yaml.safe_load((DEPLOY / folder / "kustomization.yaml").read_text())["resources"]
    assert sorted(listed) == sorted(p.name for p in (DEPLOY / folder).glob("*.yaml") if p.name != "kustomization.yaml")
    for file in listed:
        o = yaml.safe_load((DEPLOY / folder / file).read_text())
        written[o["kind"], o["metadata"]["name"]] = o
    assert written == rendered
    assert "helm" not in json.dumps(list(written.values())).lower()


def test_without_rules_and_dashboards_nothing_is_rendered(copy):
    objects = monitoring(copy)
    assert not any(o["kind"] == "PrometheusRule" or o["metadata"]["name"].endswith("-dashboards") for o in objects)


def test_rules_and_dashboards_come_from_their_folders(copy):
    (copy / "prometheus" / "alerts.yaml").write_text(RULES)
    (copy / "prometheus" / "prometheus.yaml").write_text("scrape_configs: []\n")
    (copy / "grafana" / "dashboards" / "jobs.json").write_text(DASHBOARD)
    assert render_script("--root", copy).returncode == 0
    assert sorted(p.name for p in (copy / "helm" / "attune" / "files" / "rules").iterdir()) == ["alerts.yaml"]
    objects = monitoring(copy)
    rule = chart.one(objects, "PrometheusRule")
    assert rule["apiVersion"] == "monitoring.coreos.com/v1" and rule["metadata"]["labels"]["release"] == "prometheus"
    assert rule["spec"]["groups"] == yaml.safe_load(RULES)["groups"]
    dashboards = chart.one(objects, "ConfigMap", "-dashboards")
    assert dashboards["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(dashboards["data"]["jobs.json"]) == json.loads(DASHBOARD)
    # Off by default, and gone with their sources.
    assert not any(o["kind"] == "PrometheusRule" or o["metadata"]["name"].endswith("-dashboards") for o in chart.template(chart=copy / "helm" / "attune"))
    for path in (copy / "prometheus" / "alerts.yaml", copy / "grafana" / "dashboards" / "jobs.json"):
        path.unlink()
    assert render_script("--root", copy).returncode == 0
    assert not any(o["kind"] == "PrometheusRule" for o in monitoring(copy))


def test_rules_in_the_chart_have_the_operators_structure():
    """Of PrometheusRule and ServiceMonitor no schema is at hand."""
    objects = chart.render("monitoring")
    for o in objects:
        if o["kind"] == "PrometheusRule":
            names = [group["name"] for group in o["spec"]["groups"]]
            assert len(set(names)) == len(names) and names
            for rule in (r for group in o["spec"]["groups"] for r in group["rules"]):
                assert ("alert" in rule) != ("record" in rule) and str(rule["expr"]).strip()


def test_service_monitor_finds_the_metrics_port():
    objects = chart.render("monitoring")
    monitor = chart.one(objects, "ServiceMonitor")
    assert monitor["apiVersion"] == "monitoring.coreos.com/v1" and monitor["metadata"]["labels"]["release"] == "prometheus"
    endpoint, = monitor["spec"]["endpoints"]
    assert endpoint == {"port": "metrics", "path": "/metrics", "interval": "15s"}
    found = [o for o in objects if o["kind"] == "Service" and monitor["spec"]["selector"]["matchLabels"].items() <= o["metadata"]["labels"].items()]
    assert len(found) == 1 and "metrics" in [p["name"] for p in found[0]["spec"]["ports"]]


def test_app_version_is_the_servers():
    version = re.search(r"project\(attune VERSION (\S+)", option_table.read("CMakeLists.txt")).group(1)
    assert yaml.safe_load((chart.CHART / "Chart.yaml").read_text())["appVersion"] == version
    image = chart.server_pod(chart.render("defaults"))["spec"]["containers"][0]["image"]
    assert image == f"attune:{version}"
    assert chart.server_pod(chart.render("names-and-image"))["spec"]["containers"][0]["image"].startswith("registry.example.com:5000/ml/attune@sha256:")


def test_programs_and_user_are_those_of_the_image():
    image = option_table.read("Dockerfile")
    programs = re.findall(r"build/full/\S+/(attune[\w-]*)(?= )", image)
    pod = chart.server_pod(chart.render("defaults"))["spec"]
    assert pod["containers"][0]["command"][0].rsplit("/", 1) == ["/usr/local/bin", "attune-server"] and {"attune-server", "attune-worker", "attune"} <= set(programs)
    assert f"USER {pod['securityContext']['runAsUser']}:" in image
    assert f"VOLUME {chart.config_file(chart.render('defaults'))['data_dir']}\n" in image


def test_the_tests_model_is_what_its_script_makes(tmp_path):
    made = load(DEPLOY / "helm" / "make_test_model.py").files()
    folder = chart.CHART / "files" / "test"
    assert {p.name for p in folder.iterdir()} == made.keys() | {"run.sh"}
    for name, content in made.items():
        assert (folder / name).read_bytes() == content, name
    assert sum(p.stat().st_size for p in folder.iterdir()) < 100_000


def test_the_tests_script_is_shell():
    script = chart.CHART / "files" / "test" / "run.sh"
    assert subprocess.run(["sh", "-n", script]).returncode == 0
    assert chart.one(chart.render("defaults"), "ConfigMap", "-test")["data"]["run.sh"].strip() == script.read_text().strip()
