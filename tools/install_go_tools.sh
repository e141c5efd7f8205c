#!/usr/bin/env bash
# Builds grpcurl and grpc-health-probe (tools/versions.sh: which) into .deps/go-tools/bin, for tests/integration/test_grpc_tools.py. Idempotent. Needs Go 1.19 or later, Debian's golang-go: GO, else
# go on PATH, else where Debian's and Go's own packages put it. Go checks what it fetches against its checksum database.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/versions.sh
deps=${ATTUNE_DEPS_DIR:-$PWD/.deps}
stamp=$(printf '%s' "$GO_TOOLS" | sha256sum | cut -c1-16)
[ "$(cat "$deps/go-tools/stamp" 2>/dev/null)" = "$stamp" ] && exit
go=${GO:-$(command -v go || ls /usr/lib/go/bin/go /usr/local/go/bin/go 2>/dev/null | head -1 || true)}
if [ -z "$go" ]; then
  echo "install_go_tools: no Go here: install golang-go, or set GO to its program" >&2
  exit 1
fi
mkdir -p "$deps"
scratch=$(mktemp -d "$deps/fetch.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
for tool in $GO_TOOLS; do
  GOBIN=$scratch/bin GOPATH=$scratch/path GOCACHE=$scratch/cache GOFLAGS=-modcacherw GOTOOLCHAIN=local CGO_ENABLED=0 "$go" install "$tool"
done
echo "$stamp" > "$scratch/stamp"
rm -rf "$deps/go-tools"
mkdir "$deps/go-tools"
mv "$scratch/bin" "$scratch/stamp" "$deps/go-tools/"
