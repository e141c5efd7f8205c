"""Wrong values are refused with the path of the key; every option of the server is one of config's."""
import json
import re

import pytest
import yaml

import chart
import option_table

SCHEMA = json.loads((chart.CHART / "values.schema.json").read_text())
CONFIG = SCHEMA["properties"]["config"]["properties"]
OPTIONS = {o.name: o for o in option_table.read_options()}

# Values, and what the message must name.
WRONG = [
    ({"config": {"job_slots": 0}}, ["config.job_slots", "1"]),
    ({"config": {"job_slots": 65}}, ["config.job_slots", "64"]),
    ({"config": {"job_slots": "two"}}, ["config.job_slots", "integer"]),
    ({"config": {"job_slots": 1.5}}, ["config.job_slots", "integer"]),
    ({"config": {"job_slot": 2}}, ["config", "job_slot"]),
    ({"config": {"log_level": "verbose"}}, ["config.log_level", "warning"]),
    ({"config": {"share_devices_by": "luck"}}, ["config.share_devices_by", "slots"]),
    ({"config": {"drain_grace_seconds": 3601}}, ["config.drain_grace_seconds", "3600"]),
    ({"config": {"drain_grace_seconds": None}}, ["config", "drain_grace_seconds"]),
    ({"config": {"upload_expiry_hours": 0}}, ["config.upload_expiry_hours", "1"]),
    ({"config": {"allow_insecure_network": "yes"}}, ["config.allow_insecure_network", "boolean"]),
    ({"replicas": 3}, ["replicas"]),
    ({"image": {"pullPolicy": "Sometimes"}}, ["image.pullPolicy", "IfNotPresent"]),
    ({"image": {"repository": ""}}, ["image.repository"]),
    ({"gpu": {"count": 0}}, ["gpu.count", "1"]),
    ({"service": {"port": 70000}}, ["service.port", "65535"]),
    ({"persistence": {"accessModes": ["ReadWriteMany"]}}, ["persistence.accessModes.0", "ReadWriteOnce"]),
    ({"persistence": {"whenDeleted": "Forget"}}, ["persistence.whenDeleted", "Retain"]),
    ({"podDisruptionBudget": {"maxUnavailable": 2}}, ["podDisruptionBudget.maxUnavailable", "1"]),
    ({"security": {"runAsUser": 0}}, ["security.runAsUser", "1"]),
    ({"drain": {"marginSeconds": 5}}, ["drain.marginSeconds", "15"]),
    ({"networkPolicy": {"clientLabels": {"attune-client": None}}}, ["networkPolicy.clientLabels"]),
    ({"networkPolicy": {"clientNamespaces": "ml"}}, ["networkPolicy.clientNamespaces", "array"]),
    ({"topologySpread": {"whenUnsatisfiable": "Never"}}, ["topologySpread.whenUnsatisfiable", "ScheduleAnyway"]),
    ({"extraEnv": [{"value": "x"}]}, ["extraEnv.0", "name"]),
    ({"tls": {"enabled": True}}, ["tls", "enabled"]),
    ({"tls": {"secretName": True}}, ["tls.secretName", "string"]),
    ({"tls": {"clientCertificates": "optional"}}, ["tls.clientCertificates", "request"]),
    ({"tls": None}, ["tls"]),
    ({"files": {"quotas.yaml": {"default": {}}}}, ["files.quotas.yaml", "string"]),
    ({"networkPolicy": {"issuer": "10.0.0.0/8"}}, ["networkPolicy.issuer", "array"]),
    ({"test": {"tokenSecretName": 1}}, ["test.tokenSecretName", "string"]),
]
# What a schema can't say so that a person understands; all faults at once.
WRONG_TOGETHER = [
    ({"config": {"listen": "127.0.0.1:50051"}}, ["config.listen must be 0.0.0.0:PORT"]),
    ({"config": {"listen": "unix:/tmp/attune.sock"}}, ["config.listen must be 0.0.0.0:PORT"]),
    ({"config": {"listen": "0.0.0.0:0"}}, ["config.listen must be 0.0.0.0:PORT"]),
    ({"config": {"listen": "0.0.0.0:70000"}}, ["config.listen: ports end at 65535"]),
    ({"config": {"metrics_listen": "localhost:9464"}}, ["config.metrics_listen must be"]),
    ({"config": {"metrics_listen": "0.0.0.0:50051"}}, ["config.metrics_listen and config.listen have the same port"]),
    ({"config": {"data_dir": "data"}}, ["config.data_dir must be an absolute path"]),
    ({"config": {"data_dir": "/usr/local/bin"}}, ["config.data_dir: /usr/local/bin is a place of the system"]),
    ({"config": {"worker_memory_bytes": 1000}}, ["config.worker_memory_bytes: 1000 bytes hold no worker"]),
    ({"monitoring": {"serviceMonitor": {"enabled": True}}, "config": {"metrics_listen": ""}}, ["monitoring.serviceMonitor.enabled needs metrics"]),
    ({"monitoring": {"serviceMonitor": {"interval": "often"}}}, ["monitoring.serviceMonitor.interval must be a time"]),
    ({"persistence": {"enabled": False, "existingClaim": "x"}}, ["persistence.existingClaim is set and persistence.enabled is false"]),
    ({"persistence": {"size": "lots"}}, ["persistence.size must be a quantity"]),
    ({"temporary": {"sizeLimit": "1 GB"}}, ["temporary.sizeLimit must be a quantity"]),
    ({"resources": {"limits": {"cpu": "two"}}}, ["resources.limits.cpu must be a quantity"]),
    ({"image": {"digest": "sha256:12"}}, ["image.digest must be sha256:"]),
    ({"gpu": {"resourceName": "nvidia"}}, ["gpu.resourceName must be"]),
    ({"fullnameOverride": "My_Server"}, ["fullnameOverride must begin with a letter"]),
    ({"image": {"digest": "x"}, "config": {"listen": "here", "data_dir": "/tmp/x"}}, ["image.digest", "config.listen", "config.data_dir"]),
]


@pytest.mark.parametrize("values, named", WRONG, ids=[json.dumps(v) for v, _ in WRONG])
def test_schema_refuses(values, named):
    # Helm 4 writes /config/job_slots and 3,600 where Helm 3 writes config.job_slots and 3600.
    message = re.sub(r"(?<=\d),(?=\d)", "", chart.fails(**values)).replace("/", ".")
    assert "schema" in message and all(name in message for name in named), message


@pytest.mark.parametrize("values, named", WRONG_TOGETHER, ids=[json.dumps(v) for v, _ in WRONG_TOGETHER])
def test_chart_refuses(values, named):
    message = chart.fails(**values)
    assert all(name in message for name in named), message


def test_every_option_is_a_key_of_config():
    assert sorted(OPTIONS) == sorted(CONFIG), "server/main/option_keys.cc and config in values.schema.json name different options"
    assert SCHEMA["properties"]["config"]["additionalProperties"] is False


@pytest.mark.parametrize("name", OPTIONS)
def test_option_is_described_as_the_server_does(name):
    option, key = OPTIONS[name], CONFIG[name]
    assert key["description"] == option.help
    assert key["type"] == {"int64_t": "integer", "bool": "boolean", "std::string": "string"}[option.type]
    assert (key.get("minimum"), key.get("maximum")) == (option.least, option.most)
    assert key.get("enum") == option.choices


def test_every_option_can_be_set():
    values = yaml.safe_load((chart.VALUES / "every-option.yaml").read_text())["config"]
    assert sorted(values) == sorted(OPTIONS)
    assert chart.config_file(chart.render("every-option")) == values


def test_every_option_is_named_in_the_values_file():
    text = (chart.CHART / "values.yaml").read_text()
    assert all(f"  {name}:" in text or f"  # {name}:" in text for name in OPTIONS)


def test_values_have_a_schema_everywhere():
    """Every key of values.yaml is described, and no object takes keys that are not."""
    def walk(values, schema, path):
        assert schema.get("description") or path == "", path
        if schema["type"] == "object" and "properties" in schema:
            assert schema["additionalProperties"] is False, path
            for key, value in values.items():
                walk(value, schema["properties"][key], f"{path}.{key}".lstrip("."))

    walk(yaml.safe_load((chart.CHART / "values.yaml").read_text()), SCHEMA, "")


def test_numbers_stay_whole():
    """Helm holds numbers as floating point; 2^50 must not become 1.1259e+15."""
    done = chart.with_values(config={"max_upload_bytes": 1 << 50})
    assert f"max_upload_bytes: {1 << 50}\n" in done.stdout, done.stderr


def test_text_cannot_become_another_key():
    injected = '/data"\njob_slots: 64 #'
    done = chart.with_values(config={"worker_binary": injected})
    config = chart.config_file([o for o in yaml.safe_load_all(done.stdout) if o])
    assert config["worker_binary"] == injected and "job_slots" not in config
