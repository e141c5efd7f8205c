#!/bin/sh
# Fine-tunes a tiny model on a few rows through the server that ATTUNE_SERVER names, asks it for predictions, and removes what it made.
#
#   run.sh DIR      DIR has reviews.csv and model/; attune is on the PATH. Exit code 0 when all of it worked.
#
# Credentials are in the other variables that attune knows. ATTUNE_CA_FILE may name a file that is not there: then the server's certificate is from a public authority.
set -eu
[ -z "${ATTUNE_CA_FILE:-}" ] || [ -s "$ATTUNE_CA_FILE" ] || export ATTUNE_CA_FILE=/etc/ssl/certs/ca-certificates.crt
dir=$1
run=chart-test-$(date +%s)-$$
job=
clean() {
  # In this order, because a job holds its dataset and its model.
  [ -z "$job" ] || { attune -q jobs cancel "$job" || true; attune -q jobs delete "$job" || true; } >/dev/null 2>&1
  attune -q datasets delete "$run" >/dev/null 2>&1 || true
  attune -q models delete "$run" >/dev/null 2>&1 || true
}
trap clean EXIT
trap 'exit 143' TERM INT

step() { printf '\n== %s\n' "$*"; }
step "The server at $ATTUNE_SERVER"
attune server info
step "Import a model"
attune -q models import "$dir/model" --id "$run"
step "Upload a dataset"
attune -q datasets upload "$dir/reviews.csv" --id "$run" --validation-fraction 0.25
step "Create a job"
created=$(attune -q --output json jobs create --base-model "$run" --dataset "$run" --n-epochs 2 --display-name "$run")
job=$(printf '%s\n' "$created" | sed -n 's|.*"name": *"\(fineTuningJobs/[^"/]*\)".*|\1|p' | head -n 1)
[ -n "$job" ] || { echo "no job in the answer: $created" >&2; exit 1; }
step "Watch $job"
# In the background, because a shell does not hear SIGTERM while a command runs before it.
attune jobs watch "$job" &
wait $!
step "Predict"
attune predict "$job" "a good film" "the food was awful"
step "All of it worked"
