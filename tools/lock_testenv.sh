#!/usr/bin/env bash
# Renews tools/testenv-requirements.txt: resolves the direct requirements below and writes every package with its SHA-256. What is locked already stays as it is;
# UPGRADE=1 resolves everything anew.
set -euo pipefail
cd "$(dirname "$0")/.."
report=$(mktemp)
locked=$(mktemp)
trap 'rm -f "$report" "$locked" "${beside_torch:-}"' EXIT
[ -n "${UPGRADE:-}" ] || sed -n 's/ --hash=.*//p' tools/testenv-requirements.txt > "$locked"
/usr/bin/python3 -m pip --disable-pip-version-check install -q --dry-run --ignore-installed --report "$report" -c "$locked" \
  transformers==5.23.0 numpy pillow safetensors scikit-learn grpcio grpcio-tools grpcio-health-checking grpcio-status pytest psutil pyyaml \
  buf-bin==1.75.0 kubernetes-validate==1.37.0 'grafana-foundation-sdk==1769699379!11.6.0' matplotlib clang-format sympy networkx jinja2 fsspec filelock typing_extensions setuptools \
  mypy types-grpcio types-protobuf pandas pandas-stubs tqdm types-tqdm nbclient ipykernel
# These two require torch itself, which LibTorch's wheel provides; torchvision's version goes with torch's.
beside_torch=$(mktemp)
/usr/bin/python3 -m pip --disable-pip-version-check install -q --dry-run --ignore-installed --no-deps --report "$beside_torch" \
  accelerate==1.15.0 torchvision==0.26.0
/usr/bin/python3 - "$report" "$beside_torch" > tools/testenv-requirements.txt <<'PY'
import json, sys
print("# The Python reference that goldens, cross-checks and benchmarks run against. Exact versions with their SHA-256; made by\n"
      "# `tools/lock_testenv.sh`. torch itself comes from LibTorch's wheel (tools/versions.sh).")
items = [i for path in sys.argv[1:] for i in json.load(open(path))["install"]]
for item in sorted(items, key=lambda i: i["metadata"]["name"].lower()):
    meta = item["metadata"]
    print(f"{meta['name']}=={meta['version']} --hash=sha256:{item['download_info']['archive_info']['hashes']['sha256']}")
PY
