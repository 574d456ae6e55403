#!/usr/bin/env bash
# Checks everything under terraform/, without an account: types, a plan from nothing for each environment, assertions on
# it, known misconfigurations, and the linters of what deploys it.
#
#   terraform/check.sh [TFCHECK]
#
# TFCHECK: a checker that stands in for the registry where that is out of reach: `python TFCHECK validate|plan|test DIR`.
# Without it, terraform downloads the provider. TOOLS: where checkov, actionlint and zizmor are.
set -euo pipefail
cd "$(dirname "$0")/.."
tfcheck=${1:-}
tools=${TOOLS:-.venv-terraform/bin}
out=$PWD/build/terraform
export TF_IN_AUTOMATION=1 TF_INPUT=0 CHECKPOINT_DISABLE=1

# Beside the examples' values. Nothing is read from them: a plan from an empty state calls nobody.
variables=(
  -var-file=terraform.tfvars.example
  -var project_id=upstream-check
  -var release=0000000 -var source_archive=source.zip
  -var runbook_url=https://example.org/docs/runbook.md
  -var github_repository=example/upstream
  -var smtp=null
  -var connection_secrets=[] -var channel_secrets=[] -var portal_credentials=[]
)

say() { echo "=== $*"; }

# Where `terraform init` reaches the registry.
online() {
  local command=$1 folder=$2
  shift 2
  (
    cd "$folder"
    printf 'terraform {\n  backend "local" {}\n}\n' >zz_check_override.tf
    terraform init -no-color >/dev/null
    case $command in
      validate) terraform validate ;;
      test) terraform test ;;
      plan)
        GOOGLE_OAUTH_ACCESS_TOKEN=none terraform plan -refresh=false -out=tfplan "${@:2}" >/dev/null
        terraform show -json tfplan >"$1"
        ;;
    esac
  )
}

# The checker copies what it checks, with everything beside it: a tree of its own keeps that small.
tree=$out/tree
rm -rf "$out"
mkdir -p "$tree"
cp -r terraform schemas "$tree"
touch "$tree/.git"

say "terraform fmt"
TF_CLI_CONFIG_FILE=/dev/null terraform fmt -check -recursive terraform

cd "$tree"
if [ -n "$tfcheck" ]; then
  python=$OLDPWD/$tools/python
  say "terraform validate"
  "$python" "$tfcheck" validate terraform
  for environment in dev prod; do
    say "terraform plan: $environment"
    "$python" "$tfcheck" plan "terraform/environments/$environment" --json "$out/$environment.json" \
      -- -no-color "${variables[@]}" >"$out/$environment.log" || { cat "$out/$environment.log"; exit 1; }
    grep '^Plan:' "$out/$environment.log"
  done
  for folder in modules/app environments/prod; do
    say "terraform test: $folder"
    "$python" "$tfcheck" test "terraform/$folder" -- -no-color
  done
else
  for folder in modules/function modules/app budget environments/dev environments/prod; do
    say "terraform validate: $folder"
    online validate "terraform/$folder"
  done
  for environment in dev prod; do
    say "terraform plan: $environment"
    online plan "terraform/environments/$environment" "$out/$environment.json" "${variables[@]}"
  done
  for folder in modules/app environments/prod; do
    say "terraform test: $folder"
    online test "terraform/$folder"
  done
fi
cd "$OLDPWD"

for environment in dev prod; do
  say "checkov: $environment"
  "$tools/checkov" --config-file terraform/checkov.yaml -f "$out/$environment.json"
done

if [ -d .github/workflows ]; then
  say "actionlint, zizmor"
  "$tools/actionlint"
  "$tools/zizmor" --offline --quiet --min-severity=medium .github
fi
