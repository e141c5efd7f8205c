#!/usr/bin/env bash
# Builds the wheel of attune-client, with the generated stubs inside, and leaves the checkout as it is.
#
#   client/python/build_wheel.sh [OUT_DIR]        default: build/python-wheel. PYTHON chooses the interpreter; it needs setuptools and grpcio-tools. The default is the one that tools/setup made
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
python=${PYTHON:-${ATTUNE_DEPS_DIR:-$root/.deps}/testenv/bin/python}
out=${1:-$root/build/python-wheel}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$scratch/client" "$out"
cp -r "$root/client/python" "$scratch/client/"
cp -r "$root/proto" "$scratch/"
rm -rf "$scratch"/client/python/{build,*.egg-info,attune_client/_generated}
"$python" -m pip --disable-pip-version-check wheel -q --no-deps --no-build-isolation --no-index -w "$out" "$scratch/client/python"
ls "$out"/attune_client-*.whl
