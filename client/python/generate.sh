#!/usr/bin/env bash
# Generates the message classes and stubs that attune_client uses, from proto/. They are not committed: run this in a checkout; `pip install` runs it
# by itself (setup.py). Needs grpcio-tools.
#
#   client/python/generate.sh [OUT_DIR]        PYTHON chooses the interpreter; the default is the one that tools/setup made
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
python=${PYTHON:-${ATTUNE_DEPS_DIR:-$root/.deps}/testenv/bin/python}
out=${1:-$here/attune_client/_generated}

if ! "$python" -c 'import grpc_tools' 2>/dev/null; then
  echo "generate.sh: $python lacks grpcio-tools: run 'make setup', or set PYTHON to an interpreter that has it" >&2
  exit 1
fi
# Made beside and moved into place: another process may be importing the old ones.
scratch=$(mktemp -d "$(dirname "$out")/generate.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
(cd "$root/proto" && "$python" -m grpc_tools.protoc -I . --python_out="$scratch" --pyi_out="$scratch" --grpc_python_out="$scratch" attune/v1/*.proto)
# The package lives inside another one, so its files import each other relatively.
sed -i 's/^from attune\.v1 import /from . import /' "$scratch"/attune/v1/*.py "$scratch"/attune/v1/*.pyi
touch "$scratch/__init__.py" "$scratch/attune/__init__.py" "$scratch/attune/v1/__init__.py"
chmod 755 "$scratch"
rm -rf "$out"
mv -T "$scratch" "$out"
