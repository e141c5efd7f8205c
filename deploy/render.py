#!/usr/bin/env python3
"""Brings what is derived in deploy/ up to date:

- helm/attune/files/{rules,dashboards} from prometheus/*.yaml (those with rule groups) and grafana/dashboards/*.json: a chart can only read files of its own;
- k8s/ from the chart with its default values, and k8s/tls/ with TLS and auth.

    deploy/render.py [--check] [--root DIR]      --check writes nothing; exit code 1 and a line for each file that is not what it would be

helm is $HELM, else .deps/helm/helm (tools/setup puts it there), else the one on the PATH.
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys

HEAD = "# Rendered from deploy/helm/attune by deploy/render.py: change the chart, not this file.\n"
# What is only true of an installation by Helm.
HELM_ONLY = re.compile(r"^ *(helm\.sh/chart|app\.kubernetes\.io/managed-by): .*\n", re.M)
# Folder -> values.
VARIANTS = {"k8s": [], "k8s/tls": ["tls.secretName=attune-tls", "config.auth=required", "config.allow_insecure_network=false"]}
SOURCE = re.compile(r"^# Source: attune/templates/(\S+)\.yaml\n", re.M)


def find_helm(root):
    installed = pathlib.Path(os.environ.get("ATTUNE_DEPS_DIR", root.parent / ".deps")) / "helm" / "helm"
    helm = os.environ.get("HELM") or (str(installed) if installed.exists() else shutil.which("helm"))
    if not helm:
        sys.exit("render.py: no helm: run `make setup`, or name one in HELM")
    return helm


def copies(root):
    """Path in the chart -> content."""
    files = root / "helm" / "attune" / "files"
    rules = {files / "rules" / p.name: p.read_text() for p in (root / "prometheus").glob("*.yaml")}
    found = {path: text for path, text in rules.items() if re.search(r"^groups:", text, re.M)}
    found.update({files / "dashboards" / p.name: p.read_text() for p in (root / "grafana" / "dashboards").glob("*.json")})
    return found


def manifests(root, folder, values):
    """Path in `folder` -> content: a file for each template, and a kustomization of them all."""
    settings = [argument for value in values for argument in ("--set", value)]
    done = subprocess.run([find_helm(root), "template", "attune", str(root / "helm" / "attune"), "--skip-tests", *settings], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr)
    found = {}
    for document in re.split(r"^---\n", done.stdout, flags=re.M):
        if not document.strip():
            continue
        name = SOURCE.match(document).group(1)
        found[root / folder / f"{name}.yaml"] = HEAD + HELM_ONLY.sub("", SOURCE.sub("", document)).rstrip("\n") + "\n"
    names = "".join(f"  - {path.name}\n" for path in sorted(found))
    found[root / folder / "kustomization.yaml"] = (
        f"{HEAD}# kubectl apply -k deploy/{folder}\napiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n{names}")
    return found


def settle(expected, folders, check):
    """Writes what differs and removes what is too much; with `check` only says so."""
    faults = []
    present = {path for folder, pattern in folders for path in folder.glob(pattern)}
    for path in sorted(present | expected.keys()):
        if path in expected and path in present and path.read_text() == expected[path]:
            continue
        faults.append(f"{path}: {'not up to date' if path in expected else 'has no source'}; run deploy/render.py")
        if check:
            continue
        if path in expected:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(expected[path])
        else:
            path.unlink()
    return faults


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent)
    args = parser.parse_args()
    files = args.root / "helm" / "attune" / "files"
    # Copies first: what is rendered may hold them.
    faults = settle(copies(args.root), [(files / "rules", "*.yaml"), (files / "dashboards", "*.json")], args.check)
    for folder, values in VARIANTS.items():
        faults += settle(manifests(args.root, folder, values), [(args.root / folder, "*.yaml")], args.check)
    for fault in faults:
        print(fault if args.check else f"wrote {fault.split(':')[0]}" if "not up to date" in fault else f"removed {fault.split(':')[0]}")
    return 1 if args.check and faults else 0


if __name__ == "__main__":
    sys.exit(main())
