"""Runs helm on the chart and reads what it renders.

    objects = render("gpu")                        values/gpu.yaml
    fails(config={"job_slots": 0})                 the message
"""
import functools
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import yaml

SOURCE = pathlib.Path(os.environ.get("ATTUNE_SOURCE_DIR", pathlib.Path(__file__).parents[2]))
DEPS = pathlib.Path(os.environ.get("ATTUNE_DEPS_DIR", SOURCE / ".deps"))
CHART = SOURCE / "deploy" / "helm" / "attune"
VALUES = pathlib.Path(__file__).parent / "values"
VALUE_SETS = sorted(path.stem for path in VALUES.glob("*.yaml"))
# Longer than helm takes on a busy machine.
DEADLINE = 120


@functools.cache
def helm_program():
    installed = DEPS / "helm" / "helm"
    found = os.environ.get("HELM") or (str(installed) if installed.exists() else shutil.which("helm"))
    assert found, f"no helm in {installed}: run `make setup`, or name one in HELM"
    return found


def helm(*args):
    # Nothing of the user's own Helm is read or written, and no cluster is asked.
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, **{f"HELM_{kind}_HOME": home for kind in ("CACHE", "CONFIG", "DATA")}, "KUBECONFIG": os.devnull}
        return subprocess.run([helm_program(), *map(str, args)], capture_output=True, text=True, timeout=DEADLINE, env=environment)


def template(*args, chart=CHART, release="attune"):
    """Every object, and NOTES aside: tests' hooks too."""
    done = helm("template", release, chart, "--namespace", "ml", *args)
    assert done.returncode == 0, done.stderr
    return [o for o in yaml.safe_load_all(done.stdout) if o]


@functools.cache
def render(name):
    return template("-f", VALUES / f"{name}.yaml")


def with_values(chart=CHART, **values):
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(values, file)
        file.flush()
        return helm("template", "attune", chart, "--namespace", "ml", "-f", file.name)


def fails(**values):
    """What helm says of values that it must refuse."""
    done = with_values(**values)
    assert done.returncode != 0, f"helm accepts {values}"
    return done.stderr


def one(objects, kind, name=None):
    found = [o for o in objects if o["kind"] == kind and (name is None or o["metadata"]["name"].endswith(name))]
    assert len(found) == 1, f"{len(found)} objects of kind {kind} called *{name}"
    return found[0]


def server_pod(objects):
    return one(objects, "StatefulSet")["spec"]["template"]


def pods(objects):
    """(name, metadata, spec) of the server's pod and the test's."""
    pod, template_ = one(objects, "Pod"), server_pod(objects)
    return [("server", template_["metadata"], template_["spec"]), ("test", pod["metadata"], pod["spec"])]


def config_file(objects):
    """The server's configuration as its ConfigMap has it."""
    pod = server_pod(objects)
    return yaml.safe_load(mounted_texts(objects, pod["spec"], "config")["attune.yaml"])


def sources(volume):
    """ConfigMaps and Secrets of a volume: (kind, what it says of one)."""
    parts = volume.get("projected", {}).get("sources", [volume])
    return [(kind, part[kind]) for part in parts for kind in ("configMap", "secret") if kind in part]


def mounted_texts(objects, spec, volume):
    """Path in the volume -> text, of its ConfigMaps."""
    found, maps = {}, {o["metadata"]["name"]: o["data"] for o in objects if o["kind"] == "ConfigMap"}
    for kind, source in sources(next(v for v in spec["volumes"] if v["name"] == volume)):
        if kind == "configMap":
            data = maps[source["name"]]
            found.update({item["path"]: data[item["key"]] for item in source.get("items", [{"key": key, "path": key} for key in data])})
    return found
