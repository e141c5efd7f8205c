"""What a pod may do, who may reach it, and how it ends."""
import os
import re
import shutil
import subprocess

import pytest
import yaml

import chart
import option_table

everywhere = pytest.mark.parametrize("name", chart.VALUE_SETS)


@everywhere
def test_pods_are_restricted(name):
    for pod, _, spec in chart.pods(chart.render(name)):
        context, container = spec["securityContext"], spec["containers"][0]["securityContext"]
        assert context["runAsNonRoot"] is True and context["runAsUser"] > 0 and context["runAsGroup"] > 0, pod
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}, pod
        assert container["readOnlyRootFilesystem"] is True and container["allowPrivilegeEscalation"] is False and container["privileged"] is False, pod
        assert container["capabilities"] == {"drop": ["ALL"]}, pod
        assert not any(spec.get(key) for key in ("hostNetwork", "hostPID", "hostIPC", "initContainers")), pod
        assert not any("hostPath" in volume for volume in spec["volumes"]), pod


@everywhere
def test_no_pod_has_a_token(name):
    objects = chart.render(name)
    for _, _, spec in chart.pods(objects):
        assert spec["automountServiceAccountToken"] is False
    assert all(o["automountServiceAccountToken"] is False for o in objects if o["kind"] == "ServiceAccount")
    assert not any(o["kind"] in ("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding", "Secret") for o in objects)


@everywhere
def test_what_is_written_to_has_a_volume(name):
    """The root file system is read-only: the data directory, /tmp and nothing else, each with a bound."""
    for pod, _, spec in chart.pods(chart.render(name)):
        writable = {m["mountPath"]: m["name"] for m in spec["containers"][0]["volumeMounts"] if not m.get("readOnly")}
        data = chart.config_file(chart.render(name))["data_dir"].rstrip("/")
        assert set(writable) == ({data, "/tmp"} if pod == "server" else {"/tmp"})
        assert all(v["emptyDir"]["sizeLimit"] for v in spec["volumes"] if "emptyDir" in v)
        home = next(e["value"] for e in spec["containers"][0]["env"] if e["name"] == "HOME")
        assert home in writable


@everywhere
def test_one_replica_and_nothing_that_scales(name):
    objects = chart.render(name)
    spec = chart.one(objects, "StatefulSet")["spec"]
    # With OrderedReady a pod that never starts keeps a mended one from replacing it.
    assert spec["replicas"] == 1 and spec["podManagementPolicy"] == "Parallel"
    assert not any(o["kind"] in ("HorizontalPodAutoscaler", "ScaledObject") for o in objects)


@everywhere
def test_services_are_of_the_cluster(name):
    assert all(o["spec"]["type"] == "ClusterIP" for o in chart.render(name) if o["kind"] == "Service")


def policy(name):
    return chart.one([o for o in chart.render(name) if not o["metadata"]["name"].endswith("-test")], "NetworkPolicy")["spec"]


def test_network_policy_lets_clients_in_and_nothing_out():
    spec = policy("defaults")
    assert spec["policyTypes"] == ["Ingress", "Egress"] and spec["egress"] == []
    assert spec["ingress"] == [
        {"from": [{"podSelector": {"matchLabels": {"attune-client": "true"}}}], "ports": [{"port": "grpc", "protocol": "TCP"}]},
        {"from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}], "ports": [{"port": "metrics", "protocol": "TCP"}]}]


def test_network_policy_with_clients_of_the_users():
    grpc, metrics = policy("clients")["ingress"]
    assert grpc["from"] == [
        {"podSelector": {"matchLabels": {"team": "ml", "tier": "batch"}}},
        {"namespaceSelector": {"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["notebooks", "pipelines"]}]}},
        {"namespaceSelector": {"matchLabels": {"trusted": "yes"}}, "podSelector": {"matchLabels": {"app": "gateway"}}}]
    assert metrics["from"] == [{"namespaceSelector": {"matchLabels": {"purpose": "observability"}},
                                "podSelector": {"matchLabels": {"app.kubernetes.io/name": "prometheus"}}}]


@everywhere
def test_every_rule_names_who_may_come(name):
    """An empty `from`, or an empty selector in it, would let in everybody."""
    for o in chart.render(name):
        if o["kind"] == "NetworkPolicy":
            for rule in o["spec"]["ingress"]:
                assert rule["from"] and all(any(selector.values()) for peer in rule["from"] for selector in peer.values()), o["metadata"]["name"]


def test_without_a_policy_the_notes_warn():
    assert not any(o["kind"] == "NetworkPolicy" for o in chart.render("open-network"))
    notes = {name: chart.helm("install", "attune", chart.CHART, "--dry-run=client", "-f", chart.VALUES / f"{name}.yaml").stdout.split("NOTES:")[1]
             for name in ("defaults", "open-network", "ephemeral")}
    assert "WARNING" not in notes["defaults"] and "attune-client=true" in notes["defaults"]
    assert "The server does not encrypt (tls.secretName) and does not ask who calls (config.auth)." in notes["defaults"]
    assert "WARNING: networkPolicy.enabled is false and the server does not encrypt" in notes["open-network"]
    assert "WARNING: persistence.enabled is false" in notes["ephemeral"]


@everywhere
def test_the_tests_pod_is_a_client(name):
    objects = chart.render(name)
    policies = {o["metadata"]["name"].endswith("-test"): o["spec"] for o in objects if o["kind"] == "NetworkPolicy"}
    if not policies:
        return
    labels = {pod: metadata["labels"] for pod, metadata, _ in chart.pods(objects)}
    assert policies[False]["ingress"][0]["from"][0]["podSelector"]["matchLabels"].items() <= labels["test"].items()
    assert policies[True]["podSelector"]["matchLabels"].items() <= labels["test"].items()
    assert not policies[True]["podSelector"]["matchLabels"].items() <= labels["server"].items()
    to_server = policies[True]["egress"][0]
    assert to_server["to"][0]["podSelector"]["matchLabels"].items() <= labels["server"].items()
    assert to_server["ports"][0]["port"] == int(chart.config_file(objects)["listen"].rsplit(":", 1)[1])


@everywhere
def test_grace_period_is_longer_than_the_drain(name):
    objects = chart.render(name)
    spec = chart.server_pod(objects)["spec"]
    pre_stop = spec["containers"][0].get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", ["/bin/sleep", "0"])
    server = option_table.read("server/main/server.cc")
    after = [int(s) for s in re.findall(r"constexpr absl::Duration k(?:Call|Worker)Grace = absl::Seconds\((\d+)\);", server)]
    assert len(after) == 2, "server.cc no longer says in these words what it takes after the drain"
    least = int(pre_stop[1]) + chart.config_file(objects)["drain_grace_seconds"] + sum(after)
    # A few seconds on top, for a slow disk.
    assert spec["terminationGracePeriodSeconds"] >= least + 5


def test_defaults_of_the_drain_are_the_servers():
    drain, = (o for o in option_table.read_options() if o.name == "drain_grace_seconds")
    assert chart.config_file(chart.render("defaults"))["drain_grace_seconds"] == int(drain.default)


def test_probes_ask_a_service_that_the_server_has():
    container = chart.server_pod(chart.render("defaults"))["spec"]["containers"][0]
    # The server as a whole goes to NOT_SERVING when it drains; that must not look like a server that hangs.
    assert "service" not in container["readinessProbe"]["grpc"]
    package, service = container["livenessProbe"]["grpc"]["service"].rsplit(".", 1)
    proto = option_table.read("proto/attune/v1/system.proto")
    assert f"package {package};" in proto and f"service {service} {{" in proto
    assert f"v1::{service}::service_full_name()" in option_table.read("server/api/api_server.cc")


def test_kube_score():
    program = os.environ.get("KUBE_SCORE") or shutil.which("kube-score")
    if not program:
        pytest.skip("no kube-score on the PATH or in KUBE_SCORE (go install github.com/zegl/kube-score/cmd/kube-score@v1.20.0)")
    # What these sets switch off on purpose.
    switched_off = {"open-network": "NetworkPolicy", "ephemeral": "PodDisruptionBudget", "no-limits": "limit is not set"}
    for name in chart.VALUE_SETS:
        done = subprocess.run([program, "score", "--kubernetes-version", "v1.32", "--output-format", "ci", "-"], input=yaml.safe_dump_all(chart.render(name)),
                              capture_output=True, text=True, timeout=chart.DEADLINE)
        assert "apps/v1/StatefulSet" in done.stdout, done.stderr
        found = [line for line in done.stdout.splitlines() if line.startswith("[CRITICAL]") and switched_off.get(name, "\n") not in line]
        assert not found, f"{name}: {found}"
