#!/bin/bash
# Builds the Rust tokenizers library behind its C ABI (server/tokenizers/capi) into .deps/tokenizers/libattune_tokenizers.a.
# Does nothing when the library was built from the same sources by the same compiler. tools/setup calls it; run it by hand after a change in capi/.
#
#   tools/build_tokenizers.sh            needs cargo-web and rustc-web of Debian 12 (1.96), or any Rust from 1.82 on
#   CARGO=... RUSTC=... tools/build_tokenizers.sh    another toolchain
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
deps=${ATTUNE_DEPS_DIR:-$root/.deps}
capi=$root/server/tokenizers/capi
library=$deps/tokenizers/libattune_tokenizers.a
stamp=$deps/tokenizers/stamp

# Debian's, where there is one: another cargo that comes first in PATH would bring another rustc along.
if [ -z "${CARGO:-}" ]; then CARGO=cargo; [ -x /usr/bin/cargo ] && CARGO=/usr/bin/cargo; fi
if [ -z "${RUSTC:-}" ]; then RUSTC=rustc; [ -x /usr/bin/rustc ] && RUSTC=/usr/bin/rustc; fi
export CARGO RUSTC
for tool in "$CARGO" "$RUSTC"; do
  if ! command -v "$tool" >/dev/null; then
    echo "build_tokenizers: $tool is missing: apt-get install cargo-web rustc-web (or 'make setup'), or set CARGO and RUSTC" >&2
    exit 1
  fi
done

mkdir -p "$deps/tokenizers"
exec 9>"$deps/tokenizers/lock"
flock 9

sources_hash() {
  cd "$capi"
  { "$RUSTC" --version; sha256sum Cargo.toml Cargo.lock attune_tokenizers.h src/*.rs; } | sha256sum | cut -d' ' -f1
}
want=$(sources_hash)
if [ -f "$library" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$want" ]; then
  echo "build_tokenizers: $library is up to date"
  exit 0
fi

export CARGO_TARGET_DIR=$deps/cargo-target
cd "$capi"
"$CARGO" build --release --locked
cp "$CARGO_TARGET_DIR/release/libattune_tokenizers.a" "$library.new"
mv "$library.new" "$library"
echo "$want" > "$stamp"
echo "build_tokenizers: built $library"
