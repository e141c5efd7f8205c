# What the demos share: showing steps and commands, and a server of their own. Sourced by tools/demo and tools/demo_vision from the project's root, after
# demo=DIRECTORY is set (everything that a demo makes lies there; what was in it before is removed).
root=$PWD
deps=${ATTUNE_DEPS_DIR:-$root/.deps}
build=${ATTUNE_BUILD_DIR:-$root/build/full}
attune=$build/client/cli/attune
python=$deps/testenv/bin/python
what=$(basename "$0")

step() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
[ -t 1 ] || step() { printf '\n== %s\n' "$*"; }
show() { printf '$ %s\n' "$*"; }
fail() { printf '%s: %s\n' "$what" "$*" >&2; exit 1; }
# Shows a command as one would type it, then runs it.
run() {
  local word line=attune
  for word in "$@"; do
    [[ $word == *" "* ]] && line+=" \"$word\"" || line+=" $word"
  done
  show "$line"
  "$attune" "$@"
}

stop_server() {
  kill "$server" 2>/dev/null || true
  wait "$server" 2>/dev/null || true
}

# Empties $demo and starts a server on it; ATTUNE_SERVER is its address. It stops when the script ends.
start_server() {
  local program
  for program in "$build/server/main/attune-server" "$build/server/main/attune-worker" "$attune"; do
    [ -x "$program" ] || fail "$program is not built; run 'make ${what//_/-}', which builds it"
  done
  rm -rf "$demo"
  mkdir -p "$demo"
  "$build/server/main/attune-server" --listen 127.0.0.1:0 --data-dir "$demo/data" --port-file "$demo/port" 2> "$demo/server.log" &
  server=$!
  trap stop_server EXIT
  for _ in $(seq 300); do
    [ -s "$demo/port" ] && break
    kill -0 "$server" 2>/dev/null || { tail -20 "$demo/server.log" >&2; fail "the server did not start; its log is above"; }
    sleep 0.1
  done
  [ -s "$demo/port" ] || fail "the server did not open its port within 30 s; see $demo/server.log"
  ATTUNE_SERVER=127.0.0.1:$(cat "$demo/port")
  export ATTUNE_SERVER
  echo "listening on $ATTUNE_SERVER, log in ${demo#"$root"/}/server.log"
}

# The name of the newest job.
newest_job() {
  "$attune" --output json jobs list | /usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)["fineTuningJobs"][0]["name"])'
}

# write_report JOB [NAME]: the job as a web page, NAME.html in $demo.
write_report() { run jobs report "$1" --output "${demo#"$root"/}/${2:-report}.html"; }
