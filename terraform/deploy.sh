#!/usr/bin/env bash
# Deploys this commit. Run by people the first time (`install`), by .github/workflows/deploy.yml from then on.
#
#   terraform/deploy.sh install ENV     everything, on an empty project: state, registry, record, image, migrations, the rest
#   terraform/deploy.sh image ENV       build the image and push it; prints its digest
#   terraform/deploy.sh migrate ENV     bring the record up to date: before the code that needs it
#   terraform/deploy.sh apply ENV [ARG…]      apply; new revisions take no traffic yet
#   terraform/deploy.sh canary ENV PERCENT    that share of traffic to the newest revisions
#   terraform/deploy.sh smoke ENV       one event of a synthetic customer through every function, and away again
#   terraform/deploy.sh promote ENV     all of it
#   terraform/deploy.sh rollback ENV    all of it back to what served before
#
#   terraform/deploy.sh failover ENV    push to and run jobs in `region`, with nothing asked of the other one
#   terraform/deploy.sh adopt ENV       after a recovery: Terraform takes `database_instance` for the one that it made
#   terraform/deploy.sh setting ENV NAME      what its terraform.tfvars says
#   terraform/deploy.sh budget ENV BILLING_ACCOUNT USD    a monthly budget, by a person who may see the bills
#
# ENV is dev or prod, with its terraform.tfvars. Needs terraform, gcloud, docker, git.
set -euo pipefail
cd "$(dirname "$0")/.."

command=${1:?install, image, migrate, apply, canary, smoke, promote, rollback, failover, adopt, setting or budget}
environment=${2:?dev or prod}
shift 2
folder=terraform/environments/$environment
[ -d "$folder" ] || { echo "no environment $environment" >&2; exit 2; }

release=${RELEASE:-$(git rev-parse --short=12 HEAD)}
archive=$PWD/build/upstream-$release.zip
kept=build/serving-$environment-$release
export TF_VAR_release=$release TF_VAR_source_archive=$archive TF_INPUT=0

say() { echo "=== $*" >&2; }

# A text of terraform.tfvars; empty if it is null or not there.
setting() { sed -nE "s/^$1 *= *\"([^\"]*)\".*$/\1/p" "$folder/terraform.tfvars"; }

[ -f "$folder/terraform.tfvars" ] || { echo "no settings: copy $folder/terraform.tfvars.example" >&2; exit 2; }
project=$(setting project_id)
region=$(setting region)
if [ -z "$project" ] || [ -z "$region" ]; then
  echo "project_id or region is not in $folder/terraform.tfvars" >&2
  exit 2
fi

tf() { terraform -chdir="$folder" "$@"; }

init() {
  tf init -reconfigure -backend-config="bucket=$project-terraform" >/dev/null
}

# What the functions import, and nothing else of the tree.
pack() {
  mkdir -p build
  [ -f "$archive" ] || git archive --format=zip --output="$archive" HEAD main.py requirements.txt functions shared schemas
}

# Monitoring knows a metric minutes after it is made, and refuses alerts on it until then: that alone is tried again.
apply() {
  local tries=${METRIC_TRIES:-10} said
  pack
  init
  said=$(mktemp)
  until tf apply -auto-approve "$@" 2>&1 | tee "$said" >&2; do
    if [ "$((tries -= 1))" -le 0 ] || ! grep -qiE 'cannot find metric|metric was created recently' "$said"; then
      rm "$said"
      return 1
    fi
    say "a new metric is not known yet; again in a minute"
    sleep "${METRIC_WAIT_S:-60}"
  done
  rm "$said"
}

output() {
  tf output -json app | python3 -c "import json, sys; value = json.load(sys.stdin)['$1']; print(*value if isinstance(value, list) else [value], sep='\n')"
}

install() {
  say "state"
  # What Terraform reads the project, its services and its state through, it cannot enable.
  gcloud services enable cloudresourcemanager.googleapis.com serviceusage.googleapis.com storage.googleapis.com --project="$project"
  gcloud storage buckets describe "gs://$project-terraform" >/dev/null 2>&1 ||
    gcloud storage buckets create "gs://$project-terraform" --project="$project" --location=us \
      --uniform-bucket-level-access --public-access-prevention
  gcloud storage buckets update "gs://$project-terraform" --versioning
  say "what the rest stands on"
  apply -target=module.app.google_project_service.this
  for api in pubsub secretmanager sqladmin; do
    # Service agents are made with the first use of a service; grants come before that. Storage's is made by asking for it.
    gcloud beta services identity create --service="$api.googleapis.com" --project="$project" >/dev/null
  done
  gcloud storage service-agent --project="$project" >/dev/null
  # Grants and metrics take minutes to be known everywhere: made now, they are by the time that functions are built and
  # alerts are made.
  apply -target=module.app.google_artifact_registry_repository.images \
    -target=module.app.google_artifact_registry_repository_iam_member.builder \
    -target=module.app.google_project_iam_member.builder_sources \
    -target=module.app.google_storage_bucket_iam_member.builder \
    -target=module.app.google_logging_metric.this
  image
  migrate
  say "all of it"
  apply
  promote
}

# Tags cannot be moved: a release that is tried again takes the image that it made.
image() {
  local name digest
  say "image"
  name=us-docker.pkg.dev/$project/upstream/upstream # images_location
  digest=$(gcloud artifacts docker images describe "$name:$release" --project="$project" \
    --format='value(image_summary.digest)' 2>/dev/null) || digest=
  if [ -z "$digest" ]; then
    gcloud auth configure-docker "${name%%/*}" --quiet >&2
    docker build --pull --tag "$name:$release" . >&2
    docker push --quiet "$name:$release" >&2
    digest=$(docker inspect --format='{{index .RepoDigests 0}}' "$name:$release")
    digest=${digest#*@}
  fi
  echo "$name@$digest"
}

migrate() {
  say "migrations"
  apply -target=module.app.google_cloud_run_v2_job.migrate
  gcloud run jobs execute migrate --wait --project="$project" --region="$region" >&2
}

# Of each service: what serves now. Kept, so that a rollback knows where to.
serving() {
  gcloud run services describe "$1" --project="$project" --region="$2" --format=json | python3 -c '
import json, sys
status = json.load(sys.stdin)["status"]
newest = status["latestReadyRevisionName"]
shares = {one.get("revisionName", newest): one.get("percent", 0) for one in status.get("traffic", [])}
print(newest, max(shares, key=shares.__getitem__) if shares else newest)'
}

# In every region: payers' deliveries reach the nearest one.
remember() {
  local placements service region newest current
  mkdir -p build
  placements=$(output placements)
  : >"$kept"
  while read -r service region; do
    read -r newest current < <(serving "$service" "$region")
    echo "$service $region $newest $current" >>"$kept"
  done <<<"$placements"
}

shift_traffic() {
  gcloud run services update-traffic "$1" --project="$project" --region="$2" --to-revisions="$3" >/dev/null
  say "$1 in $2: $3"
}

canary() {
  local percent=${1:?percent} service region newest current
  remember
  while read -r service region newest current; do
    # By name, never by LATEST: the next deployment's revision must not get traffic by itself.
    if [ "$newest" = "$current" ]; then
      shift_traffic "$service" "$region" "$newest=100"
    else
      shift_traffic "$service" "$region" "$newest=$percent,$current=$((100 - percent))"
    fi
  done <"$kept"
}

# What the smoke test signs with: made here when there is none, by an identity that may add it and not read it.
canary_secret() {
  local name
  name=$(output canary_secret)
  [ -z "$(gcloud secrets versions list "$name" --project="$project" --filter=state=enabled --limit=1 --format='value(name)')" ] ||
    return 0
  say "a secret for the canary"
  head -c 32 /dev/urandom | base64 | sed 's/^/whsec_/' | tr -d '\n' |
    gcloud secrets versions add "$name" --project="$project" --data-file=- >/dev/null
}

smoke() {
  init
  canary_secret
  say "smoke test"
  gcloud run jobs execute smoke --wait --project="$project" --region="$region" >&2 && return
  say "it failed; its last words:"
  gcloud logging read 'resource.type="cloud_run_job" AND resource.labels.job_name="smoke"' --project="$project" \
    --freshness=5m --limit=100 --order=asc --format='value(textPayload)' >&2
  exit 1
}

promote() {
  local service region newest
  [ -f "$kept" ] || remember
  while read -r service region _; do
    read -r newest _ < <(serving "$service" "$region")
    shift_traffic "$service" "$region" "$newest=100"
  done <"$kept"
}

rollback() {
  local service region current
  [ -f "$kept" ] || { echo "nothing was shifted from here; see the runbook, 10" >&2; exit 1; }
  while read -r service region _ current; do
    shift_traffic "$service" "$region" "$current=100"
  done <"$kept"
  rm "$kept"
}

# What makes `region` the one that serves, a move a line, as it was applied when all was well.
moves() {
  tf output -json app | python3 -c '
import json, sys
regions = json.load(sys.stdin)["regions"]
here = regions.get(sys.argv[1]) or sys.exit(f"{sys.argv[1]} is none of {sorted(regions)}")
for name, count in here["warm"].items():
    print("warm", name, count)
for name, push in here["pushes"].items():
    print("push", name, push["endpoint"], push["identity"])
for name in here["jobs"]:
    print("job", name)' "$region"
}

# Without Terraform, which would ask the lost region first. Can be run again.
failover() {
  local found what name where identity
  init
  found=$(moves)
  while read -r what name where identity <&3; do
    say "$what $name"
    case $what in
      warm) gcloud run services update "$name" --min="$where" --project="$project" --region="$region" >/dev/null ;;
      push)
        gcloud pubsub subscriptions modify-push-config "$name" --project="$project" --push-endpoint="$where" \
          --push-auth-service-account="$identity" --push-auth-token-audience="$where" \
          --push-no-wrapper --push-no-wrapper-write-metadata
        ;;
      job)
        [ "$(gcloud scheduler jobs describe "$name" --project="$project" --location="$region" --format='value(state)')" = ENABLED ] ||
          gcloud scheduler jobs resume "$name" --project="$project" --location="$region" >/dev/null
        ;;
    esac
  done 3<<<"$found"
}

# What stands in the state of the instance before, with the id that it has in the recovered one. Read from what the state was
# at first: run again after an interruption, it begins anew.
recovered() {
  python3 - "$1" "$project" "$2" <<'PYTHON'
import json, sys
state, project, instance = sys.argv[1:]
ids = {
    "google_sql_database_instance": "projects/{project}/instances/{instance}",
    "google_sql_database": "projects/{project}/instances/{instance}/databases/{name}",
    "google_sql_user": "{project}/{instance}/{name}",
}
for resource in json.load(open(state))["resources"]:
    if resource["mode"] != "managed" or resource["type"] not in ids:
        continue
    for one in resource["instances"]:
        index = f"[{json.dumps(one['index_key'])}]" if "index_key" in one else ""
        address = f"{resource['module']}.{resource['type']}.{resource['name']}{index}"
        made = ids[resource["type"]].format(project=project, instance=instance, name=one["attributes"]["name"])
        print(address, "-" if resource["name"] == "standby" else made)
PYTHON
}

adopt() {
  local instance before found address id
  instance=$(setting database_instance)
  before=build/before-$environment-$instance.json
  pack
  init
  [ -s "$before" ] || tf state pull >"$before"
  found=$(recovered "$before" "$instance")
  while read -r address id <&3; do
    say "$address"
    tf state rm "$address" >/dev/null 2>&1 || true
    # A replica follows the instance before: `apply` makes another. So it does with what the recovered one lacks.
    if [ "$id" != - ]; then
      tf import "$address" "$id" >&2 || [[ $address != *instance.this ]] || exit 1
    fi
  done 3<<<"$found"
}

# In a state of its own: deployments have no rights on a billing account.
budget() {
  local account=${1:?billing account} usd=${2:?dollars} channels
  init
  channels=$(tf output -json app | python3 -c 'import json, sys; print(json.dumps(json.load(sys.stdin)["email_channels"]))')
  terraform -chdir=terraform/budget init -reconfigure -backend-config="bucket=$project-terraform" >/dev/null
  terraform -chdir=terraform/budget apply -auto-approve -var "environment=$environment" -var "project_id=$project" \
    -var "project_number=$(setting project_number)" -var "billing_account=$account" -var "monthly_budget_usd=$usd" \
    -var "channels=$channels" >&2
}

case $command in
  install | image | migrate | apply | smoke | promote | rollback | failover | adopt | setting | budget) "$command" "$@" ;;
  canary) init && canary "$@" ;;
  *) echo "no command $command" >&2; exit 2 ;;
esac
