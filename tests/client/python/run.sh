#!/usr/bin/env bash
# Copies attune_client into SCRATCH, generates its stubs there, and runs the tests of this folder against it.
#
#   run.sh SOURCE_DIR SCRATCH
set -euo pipefail
source_dir=$1 scratch=$2
python=${ATTUNE_DEPS_DIR:-$source_dir/.deps}/testenv/bin/python
rm -rf "$scratch" && mkdir -p "$scratch"
cp -r "$source_dir/client/python/attune_client" "$scratch/"
PYTHON=$python "$source_dir/client/python/generate.sh" "$scratch/attune_client/_generated"
ATTUNE_SOURCE_DIR=$source_dir PYTHONPATH=$scratch exec "$python" -B -m pytest -q -p no:cacheprovider "$source_dir/tests/client/python"
