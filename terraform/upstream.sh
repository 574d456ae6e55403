#!/usr/bin/env bash
# The `upstream` command on a deployed environment, for people outside its network:
#
#   terraform/upstream.sh ENV WORDS…      such as: terraform/upstream.sh prod dead-letters list --since 2h
#
# It runs as the job `operate`, recorded under your login. Files that are named are sent along; what the command prints and
# writes comes back here, through a bucket of its own: it may be patients' data, and stands in no log. Needs gcloud.
set -euo pipefail
deploy=$(cd "$(dirname "$0")" && pwd)/deploy.sh

environment=${1:?dev or prod}
shift
project=$("$deploy" setting "$environment" project_id)
region=$("$deploy" setting "$environment" region)
run=$(python3 -c 'import uuid; print(uuid.uuid4())')
desk=gs://$project-desk/$run

trap 'gcloud storage rm --recursive --quiet "$desk" >/dev/null 2>&1 || true' EXIT

words="^|@|^desk|@|$run"
for word in "$@"; do
  [[ $word != *"|@|"* ]] || { echo "no |@| in a word" >&2; exit 2; }
  if [ -f "$word" ]; then
    [[ $word != /* && /$word/ != */../* ]] || { echo "$word: name a file below this folder" >&2; exit 2; }
    gcloud storage cp --quiet "$word" "$desk/in/$word" >/dev/null 2>&1 || { echo "$word could not be sent" >&2; exit 1; }
  fi
  words+="|@|$word"
done

back=$(mktemp -d)
ended=0
gcloud run jobs execute operate --wait --project="$project" --region="$region" --args="$words" \
  --update-env-vars="LOGNAME=$(gcloud config get account)" >"$back/said" 2>&1 || ended=$?

if gcloud storage cp --recursive --quiet "$desk/out" "$back" >/dev/null 2>&1; then
  cat "$back/out/.stdout"
  cat "$back/out/.stderr" >&2
  rm "$back/out/.stdout" "$back/out/.stderr"
  cp -R "$back/out/." .
else
  cat "$back/said" >&2
  echo "the job gave nothing back: gcloud run jobs executions list --job=operate --project=$project --region=$region" >&2
  ended=1
fi
rm -r "$back"
exit "$ended"
