#!/usr/bin/env bash
# Renews tools/testenv-requirements.txt: resolves the direct requirements below and writes every package with its SHA-256.
set -euo pipefail
cd "$(dirname "$0")/.."
report=$(mktemp)
trap 'rm -f "$report"' EXIT
/usr/bin/python3 -m pip --disable-pip-version-check install -q --dry-run --ignore-installed --report "$report" \
  transformers==5.23.0 numpy safetensors scikit-learn grpcio grpcio-tools grpcio-health-checking grpcio-status pytest psutil pyyaml \
  buf-bin==1.75.0 clang-format sympy networkx jinja2 fsspec filelock typing_extensions setuptools
accelerate=$(mktemp)
/usr/bin/python3 -m pip --disable-pip-version-check install -q --dry-run --ignore-installed --no-deps --report "$accelerate" accelerate==1.15.0
/usr/bin/python3 - "$report" "$accelerate" > tools/testenv-requirements.txt <<'PY'
import json, sys
print("# The Python reference that goldens, cross-checks and benchmarks run against. Exact versions with their SHA-256; made by\n"
      "# `tools/lock_testenv.sh`. torch itself comes from LibTorch's wheel (tools/versions.sh).")
items = [i for path in sys.argv[1:] for i in json.load(open(path))["install"]]
for item in sorted(items, key=lambda i: i["metadata"]["name"].lower()):
    meta = item["metadata"]
    print(f"{meta['name']}=={meta['version']} --hash=sha256:{item['download_info']['archive_info']['hashes']['sha256']}")
PY
rm -f "$accelerate"
