"""What the chart renders is what Kubernetes accepts, and its parts fit each other, for every set of values in values/."""
import functools
import shutil

import kubernetes_validate
import kubernetes_validate.utils
import pytest
import yaml

import chart

# The schemas' files are large, and each object would read them again.
kubernetes_validate.utils.schema_contents = functools.cache(kubernetes_validate.utils.schema_contents)
OLDEST, NEWEST = "1.27", "1.37"  # Chart.yaml's kubeVersion, and the newest that the validator knows
OPERATORS_KINDS = {"ServiceMonitor", "PrometheusRule"}


def matches(selector, labels):
    return selector.items() <= labels.items()


def test_there_are_enough_sets():
    assert len(chart.VALUE_SETS) >= 12


def test_lint():
    for name in chart.VALUE_SETS:
        done = chart.helm("lint", "--strict", chart.CHART, "-f", chart.VALUES / f"{name}.yaml")
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("name", chart.VALUE_SETS)
def test_objects_are_valid(name, version):
    for o in chart.render(name):
        if o["kind"] not in OPERATORS_KINDS:
            kubernetes_validate.validate(o, version, strict=True)


def test_oldest_version_is_the_charts():
    assert yaml.safe_load((chart.CHART / "Chart.yaml").read_text())["kubeVersion"] == f">={OLDEST}.0-0"


@pytest.mark.parametrize("name", chart.VALUE_SETS)
def test_names_are_unique_and_not_too_long(name):
    seen = set()
    for o in chart.render(name):
        key = (o["kind"], o["metadata"]["name"])
        assert key not in seen and len(key[1]) <= 63, key
        seen.add(key)
    # The label that the StatefulSet's controller gives the pod is its name, a dash and a digest of ten characters.
    assert len(chart.one(chart.render(name), "StatefulSet")["metadata"]["name"]) <= 52


@pytest.mark.parametrize("name", chart.VALUE_SETS)
def test_selectors_find_the_server_and_nothing_else(name):
    objects = chart.render(name)
    labels = {pod: metadata["labels"] for pod, metadata, _ in chart.pods(objects)}
    stateful = chart.one(objects, "StatefulSet")
    selectors = [stateful["spec"]["selector"]["matchLabels"]]
    selectors += [o["spec"]["selector"] for o in objects if o["kind"] == "Service"]
    selectors += [o["spec"]["selector"]["matchLabels"] for o in objects if o["kind"] == "PodDisruptionBudget"]
    selectors += [o["spec"]["podSelector"]["matchLabels"] for o in objects if o["kind"] == "NetworkPolicy" and not o["metadata"]["name"].endswith("-test")]
    for selector in selectors:
        assert matches(selector, labels["server"]) and not matches(selector, labels["test"]), selector
    for constraint in stateful["spec"]["template"]["spec"].get("topologySpreadConstraints", []):
        assert matches(constraint["labelSelector"]["matchLabels"], labels["server"])


@pytest.mark.parametrize("name", chart.VALUE_SETS)
def test_references_lead_somewhere(name):
    objects = chart.render(name)
    stateful = chart.one(objects, "StatefulSet")
    claims = {c["metadata"]["name"] for c in stateful["spec"].get("volumeClaimTemplates", [])}
    maps = {o["metadata"]["name"]: o for o in objects if o["kind"] == "ConfigMap"}
    accounts = {o["metadata"]["name"] for o in objects if o["kind"] == "ServiceAccount"}
    services = {o["metadata"]["name"] for o in objects if o["kind"] == "Service"}
    assert stateful["spec"]["serviceName"] in services
    for pod, _, spec in chart.pods(objects):
        container, = spec["containers"]
        mounted = {m["name"] for m in container["volumeMounts"]}
        assert mounted == {v["name"] for v in spec["volumes"]} | (claims if pod == "server" else set()), pod
        assert spec["serviceAccountName"] in accounts or (name == "shared-account" and spec["serviceAccountName"] == "default")
        for volume in spec["volumes"]:
            for source in (s for kind, s in chart.sources(volume) if kind == "configMap"):
                found = maps[source["name"]]
                for item in source.get("items", []):
                    assert item["key"] in {**found["data"], **found.get("binaryData", {})}
    server = stateful["spec"]["template"]["spec"]["containers"][0]
    config = chart.config_file(objects)
    ports = {p["name"]: p["containerPort"] for p in server["ports"]}
    assert str(ports["grpc"]) == config["listen"].rsplit(":", 1)[1]
    assert str(ports.get("metrics", "")) == config["metrics_listen"].rpartition(":")[2]
    assert {p["targetPort"] for o in objects if o["kind"] == "Service" for p in o["spec"]["ports"]} == ports.keys()
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert server[probe]["httpGet"]["port"] in ports if "httpGet" in server[probe] else server[probe]["grpc"]["port"] == ports["grpc"]
    test = chart.one(objects, "Pod")["spec"]["containers"][0]
    address = next(e["value"] for e in test["env"] if e["name"] == "ATTUNE_SERVER")
    service = next(o for o in objects if o["kind"] == "Service" and o["spec"].get("clusterIP") != "None")
    assert address == f"{service['metadata']['name']}.ml.svc:{service['spec']['ports'][0]['port']}"


def test_default_objects_are_all_there():
    kinds = sorted(o["kind"] for o in chart.render("defaults"))
    hooks = ["ConfigMap", "NetworkPolicy", "Pod"]
    assert kinds == sorted(["ConfigMap", "NetworkPolicy", "PodDisruptionBudget", "Service", "Service", "ServiceAccount", "StatefulSet", *hooks])


def test_the_budget_lets_nodes_be_drained_unless_told():
    assert chart.one(chart.render("defaults"), "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
    assert chart.one(chart.render("never-evicted"), "PodDisruptionBudget")["spec"]["maxUnavailable"] == 0
    assert not any(o["kind"] == "PodDisruptionBudget" for o in chart.render("ephemeral"))


def data_volume(name):
    spec = chart.one(chart.render(name), "StatefulSet")["spec"]
    volumes = [v for v in spec["template"]["spec"]["volumes"] if v["name"] == "data"]
    return volumes, spec.get("volumeClaimTemplates"), spec.get("persistentVolumeClaimRetentionPolicy")


def test_where_data_is():
    volumes, (claim,), retention = data_volume("defaults")
    assert volumes == [] and claim["spec"] == {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "50Gi"}}}
    assert retention == {"whenDeleted": "Retain", "whenScaled": "Retain"}
    volumes, (claim,), retention = data_volume("storage")
    assert claim["spec"] == {"storageClassName": "fast-ssd", "accessModes": ["ReadWriteOncePod"], "resources": {"requests": {"storage": "1.5Ti"}}}
    assert claim["metadata"]["annotations"] == {"backup": "daily"} and retention["whenDeleted"] == "Delete"
    assert data_volume("existing-claim") == ([{"name": "data", "persistentVolumeClaim": {"claimName": "attune-old-data"}}], None, None)
    assert data_volume("ephemeral") == ([{"name": "data", "emptyDir": {"sizeLimit": "10Gi"}}], None, None)


def test_scheduling():
    template = chart.server_pod(chart.render("scheduling"))
    spec = template["spec"]
    assert spec["priorityClassName"] == "training" and "nodeAffinity" in spec["affinity"] and spec["tolerations"][0]["key"] == "spot"
    constraint, = spec["topologySpreadConstraints"]
    assert (constraint["topologyKey"], constraint["maxSkew"], constraint["whenUnsatisfiable"]) == ("topology.kubernetes.io/zone", 2, "DoNotSchedule")
    assert template["metadata"]["labels"]["cost-centre"] == "ml" and template["metadata"]["annotations"]["sidecar.istio.io/inject"] == "false"
    assert "topologySpreadConstraints" not in chart.server_pod(chart.render("shared-account"))["spec"]


def test_probes_and_drain_follow_the_values():
    container = chart.server_pod(chart.render("long-drain"))["spec"]["containers"][0]
    assert container["startupProbe"]["failureThreshold"] == 360 and container["livenessProbe"]["initialDelaySeconds"] == 60
    assert "lifecycle" not in container
    assert chart.server_pod(chart.render("defaults"))["spec"]["containers"][0]["lifecycle"]["preStop"]["exec"]["command"] == ["/bin/sleep", "5"]


def test_every_value_is_used():
    text = "".join(path.read_text() for path in (chart.CHART / "templates").rglob("*") if path.is_file())
    for key, value in yaml.safe_load((chart.CHART / "values.yaml").read_text()).items():
        assert f".Values.{key}" in text or f'"{key}"' in text, key
        for inner in value if isinstance(value, dict) and key not in ("config", "resources") else ():
            assert f".{inner}" in text, f"{key}.{inner}"


def test_gpus():
    pod = chart.server_pod(chart.render("gpu-slice"))["spec"]
    assert pod["containers"][0]["resources"]["limits"]["nvidia.com/mig-3g.40gb"] == 1
    assert pod["runtimeClassName"] == "nvidia"
    assert pod["nodeSelector"] == {"nvidia.com/gpu.product": "H200", "topology.kubernetes.io/zone": "a"}
    assert [t["key"] for t in pod["tolerations"]] == ["spot", "dedicated"]
    assert chart.server_pod(chart.render("gpu"))["spec"]["containers"][0]["resources"]["limits"] == {
        "cpu": "8", "memory": "64Gi", "ephemeral-storage": "2Gi", "nvidia.com/gpu": 2}
    assert "nvidia.com/gpu" not in str(chart.render("defaults"))


@pytest.mark.parametrize("name, threads", [("defaults", 2), ("gpu", 4), ("every-option", 4), ("fractions-of-cores", 1), ("no-limits", 4)])
def test_threads_are_the_pods_cores(name, threads):
    """3500m with two slots is one core each; what is said wins; without limits the requests count."""
    assert chart.config_file(chart.render(name))["worker_threads"] == threads


def test_a_changed_option_rolls_the_pod_and_a_new_chart_does_not(tmp_path):
    def pod(*args, path=chart.CHART):
        return chart.server_pod(chart.template(*args, chart=path))["metadata"]

    assert pod() == pod()
    assert pod() != pod("--set", "config.job_slots=3")
    copy = tmp_path / "attune"
    shutil.copytree(chart.CHART, copy)
    text = (copy / "Chart.yaml").read_text()
    assert "\nversion: 0." in text
    (copy / "Chart.yaml").write_text(text.replace("\nversion: 0.", "\nversion: 99."))
    assert pod(path=copy) == pod()
