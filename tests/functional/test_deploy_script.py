"""How `terraform/deploy.sh` installs, and moves traffic.

gcloud and terraform are stand-ins that keep what they were told: neither does anything without an account.
"""

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLACEMENTS = ["apply-rules us-central1", "receive-webhook us-central1", "receive-webhook us-east4"]
REGIONS = {
    "us-central1": {
        "pushes": {"apply-rules": {"endpoint": "https://a.us-central1", "identity": "push-a@p"}},
        "jobs": ["measure-backlog", "release-actions"],
        "warm": {"apply-rules": 1},
    }
}
SETTINGS = """\
project_id     = "p" # a remark
region         = "us-central1"
standby_region = null
project_number = "1"
database_instance = "upstream-restored"
"""
STATE = {
    "resources": [
        {"mode": "managed", "type": kind, "name": name, "module": "module.app", "instances": instances}
        for kind, name, instances in (
            ("google_sql_database_instance", "this", [{"attributes": {"name": "upstream"}}]),
            (
                "google_sql_database_instance",
                "standby",
                [{"index_key": 0, "attributes": {"name": "upstream-standby"}}],
            ),
            ("google_sql_database", "this", [{"attributes": {"name": "upstream"}}]),
            (
                "google_sql_user",
                "function",
                [{"index_key": "notify", "attributes": {"name": "notify@p.iam"}}],
            ),
            ("google_pubsub_topic", "this", [{"index_key": "x", "attributes": {"name": "x"}}]),
        )
    ]
}
TERRAFORM = f"""#!{sys.executable} -IS
import json, pathlib, sys
folder = pathlib.Path(__file__).parent
with open(folder / "terraform.log", "a") as log:
    print(" ".join(sys.argv[2:]), file=log)
applied = folder / "applied"
if "output" in sys.argv:
    if not applied.exists():
        sys.exit("Output not found")
    print(json.dumps({{"placements": {PLACEMENTS!r}, "regions": {REGIONS!r}, "canary_secret": "connection-c"}}))
elif sys.argv[2:4] == ["state", "pull"]:
    print((folder / "state.json").read_text())
elif "import" in sys.argv and "function" in sys.argv[3]:
    sys.exit("Cannot import non-existent remote object")
elif "apply" in sys.argv:
    refusal = folder / "refusal"
    if refusal.exists():
        print(refusal.read_text(), file=sys.stderr)
        refusal.unlink()
        sys.exit(1)
    if not any(word.startswith("-target=") for word in sys.argv):
        applied.touch()
"""
OLD = [{"old-a": 100}, {"r": 100}, {"old-r": 100}]
NEW = [{"new-a": 100}, {"r": 100}, {"new-r": 100}]
DOCKER = f"""#!{sys.executable} -IS
import pathlib, sys
folder = pathlib.Path(__file__).parent
image = folder / "image"
if sys.argv[1] == "push":
    assert not image.exists(), "tags cannot be moved"
    image.touch()
if sys.argv[1] == "inspect":
    print("us-docker.pkg.dev/p/upstream/upstream@sha256:d")
"""
GCLOUD = f"""#!{sys.executable} -IS
import json, pathlib, sys
folder = pathlib.Path(__file__).parent
state = folder / "traffic.json"
with open(folder / "gcloud.log", "a") as log:
    print(" ".join(sys.argv[1:]), file=log)
if sys.argv[1:5] == ["artifacts", "docker", "images", "describe"]:
    if not (folder / "image").exists():
        sys.exit(1)
    print("sha256:d")
    sys.exit()
if sys.argv[1:4] == ["scheduler", "jobs", "describe"]:
    print("ENABLED" if sys.argv[4] == "release-actions" else "PAUSED")
if sys.argv[1:4] == ["run", "services", "update"] or sys.argv[1] in ("pubsub", "scheduler"):
    sys.exit()
if sys.argv[1] in ("services", "storage", "beta", "auth") or sys.argv[1:5] == ["run", "jobs", "execute", "migrate"]:
    sys.exit()
secret = folder / "secret"
if sys.argv[1:3] == ["secrets", "versions"]:
    assert sys.argv[4] == "connection-c", sys.argv
    if sys.argv[3] == "list":
        print("1" if secret.exists() else "")
    else:
        assert sys.argv[3] == "add" and "--data-file=-" in sys.argv, sys.argv
        secret.write_text(sys.stdin.read())
    sys.exit()
if sys.argv[1:5] == ["run", "jobs", "execute", "smoke"]:
    assert "--wait" in sys.argv and "--region=us-central1" in sys.argv, sys.argv
    sys.exit(1 if (folder / "broken").exists() else 0)
if sys.argv[1:3] == ["logging", "read"]:
    print("apply_rules: accepted, and stopped")
    sys.exit()
services = json.loads(state.read_text())
_, _, action, service = sys.argv[1:5]
(region,) = [word.split("=", 1)[1] for word in sys.argv if word.startswith("--region=")]
service = service + " " + region
if action == "describe":
    one = services[service]
    shares = [{{"revisionName": name, "percent": share}} for name, share in one["traffic"].items()]
    print(json.dumps({{"status": {{"latestReadyRevisionName": one["newest"], "traffic": shares}}}}))
else:
    assert action == "update-traffic", sys.argv
    (told,) = [word.split("=", 1)[1] for word in sys.argv if word.startswith("--to-revisions=")]
    services[service]["traffic"] = {{name: int(share) for name, share in (one.split("=") for one in told.split(","))}}
    state.write_text(json.dumps(services))
"""


class Deployment:
    """A tree with the script in it, and two services in two regions, of which some have a new revision."""

    def __init__(self, folder: Path) -> None:
        self.tree = folder / "tree"
        environment = self.tree / "terraform" / "environments" / "dev"
        environment.mkdir(parents=True)
        (environment / "terraform.tfvars").write_text(SETTINGS)
        shutil.copy(ROOT / "terraform" / "deploy.sh", self.tree / "terraform")
        self.archive = self.tree / "build" / "upstream-abc.zip"
        self.archive.parent.mkdir()
        self.archive.touch()
        self.bin = folder / "bin"
        self.bin.mkdir()
        for name, text in (("terraform", TERRAFORM), ("gcloud", GCLOUD), ("docker", DOCKER)):
            (self.bin / name).write_text(text)
            (self.bin / name).chmod(0o755)
        (self.bin / "applied").touch()
        self.serve(OLD, newest=("new-a", "r", "new-r"))

    def serve(self, traffic: Sequence[Mapping[str, int]], *, newest: tuple[str, ...]) -> None:
        state = {
            name: {"newest": revision, "traffic": shares}
            for name, revision, shares in zip(PLACEMENTS, newest, traffic, strict=True)
        }
        (self.bin / "traffic.json").write_text(json.dumps(state))

    def told(self, program: str) -> list[str]:
        return (self.bin / f"{program}.log").read_text().splitlines()

    def run(self, *words: str, code: int = 0) -> str:
        """Return what the script said of itself."""
        return self.ran(*words, code=code).stderr

    def output(self, *words: str) -> str:
        return self.ran(*words).stdout

    def ran(self, *words: str, code: int = 0) -> "subprocess.CompletedProcess[str]":
        environment = {
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "RELEASE": "abc",
            "METRIC_WAIT_S": "0",
        }
        ran = subprocess.run(
            ["/bin/bash", str(self.tree / "terraform" / "deploy.sh"), *words],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert ran.returncode == code, ran.stderr
        return ran

    @property
    def traffic(self) -> list[dict[str, int]]:
        state = json.loads((self.bin / "traffic.json").read_text())
        return [state[name]["traffic"] for name in PLACEMENTS]


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return Deployment(tmp_path)


def test_a_tenth_goes_to_the_new_revision_by_name_in_every_region(deployment: Deployment) -> None:
    deployment.run("canary", "dev", "10")
    assert deployment.traffic == [{"new-a": 10, "old-a": 90}, {"r": 100}, {"new-r": 10, "old-r": 90}]


def test_then_all_of_it(deployment: Deployment) -> None:
    deployment.run("canary", "dev", "10")
    deployment.run("promote", "dev")
    assert deployment.traffic == NEW


def test_a_rollback_gives_it_back_to_what_served(deployment: Deployment) -> None:
    deployment.run("canary", "dev", "10")
    deployment.run("rollback", "dev")
    assert deployment.traffic == OLD


def test_a_release_that_failed_after_all_of_the_traffic_goes_back_as_well(deployment: Deployment) -> None:
    deployment.run("canary", "dev", "10")
    deployment.run("promote", "dev")
    deployment.run("rollback", "dev")
    assert deployment.traffic == OLD


def test_all_of_the_traffic_goes_to_what_is_newest_now(deployment: Deployment) -> None:
    """Not to what was the newest when something was shifted from here last."""
    deployment.run("canary", "dev", "10")
    deployment.serve(OLD, newest=("newer-a", "r", "new-r"))
    deployment.run("promote", "dev")
    assert deployment.traffic[0] == {"newer-a": 100}


def test_a_first_deployment_serves_at_once(deployment: Deployment) -> None:
    deployment.serve([{}, {}, {}], newest=("first-a", "first-r", "first-r2"))
    deployment.run("promote", "dev")
    assert deployment.traffic == [{"first-a": 100}, {"first-r": 100}, {"first-r2": 100}]


def test_nothing_is_rolled_back_that_was_not_shifted_from_here(deployment: Deployment) -> None:
    assert "nothing was shifted" in deployment.run("rollback", "dev", code=1)
    assert deployment.traffic == OLD


def test_an_installation_goes_through_from_nothing(deployment: Deployment) -> None:
    """No output exists before everything is applied."""
    (deployment.bin / "applied").unlink()
    deployment.run("install", "dev")
    assert deployment.traffic == NEW
    gcloud = deployment.told("gcloud")
    assert gcloud[0].startswith("services enable cloudresourcemanager.googleapis.com ")
    assert "storage service-agent --project=p" in gcloud
    assert "run jobs execute migrate --wait --project=p --region=us-central1" in gcloud
    applies = [words for words in deployment.told("terraform") if words.startswith("apply")]
    assert "google_logging_metric" in applies[1]
    assert "-target" not in applies[-1]


def test_alerts_wait_until_monitoring_knows_their_metrics(deployment: Deployment) -> None:
    (deployment.bin / "refusal").write_text('Error 404: Cannot find metric that matches type = "x".')
    deployment.run("apply", "dev")
    assert sum(words.startswith("apply") for words in deployment.told("terraform")) == 2


def test_what_fails_otherwise_is_not_tried_again(deployment: Deployment) -> None:
    (deployment.bin / "refusal").write_text("Error 403: Permission denied")
    deployment.run("apply", "dev", code=1)
    assert sum(words.startswith("apply") for words in deployment.told("terraform")) == 1


def test_a_release_that_is_tried_again_takes_the_image_that_it_made(deployment: Deployment) -> None:
    first = deployment.output("image", "dev")
    assert first == "us-docker.pkg.dev/p/upstream/upstream@sha256:d\n"
    assert deployment.output("image", "dev") == first


def test_terraform_takes_the_recovered_database_for_the_one_that_it_made(deployment: Deployment) -> None:
    (deployment.bin / "state.json").write_text(json.dumps(STATE))
    deployment.run("adopt", "dev")
    told = [words for words in deployment.told("terraform") if words.startswith(("state rm", "import"))]
    assert told == [
        "state rm module.app.google_sql_database_instance.this",
        "import module.app.google_sql_database_instance.this projects/p/instances/upstream-restored",
        "state rm module.app.google_sql_database_instance.standby[0]",
        "state rm module.app.google_sql_database.this",
        "import module.app.google_sql_database.this projects/p/instances/upstream-restored/databases/upstream",
        'state rm module.app.google_sql_user.function["notify"]',
        'import module.app.google_sql_user.function["notify"] p/upstream-restored/notify@p.iam',
    ]


def test_a_failover_moves_what_the_state_names_and_asks_terraform_for_nothing_else(
    deployment: Deployment,
) -> None:
    deployment.run("failover", "dev")
    assert {words.split()[0] for words in deployment.told("terraform")} == {"init", "output"}
    assert [words for words in deployment.told("gcloud") if "describe" not in words] == [
        "run services update apply-rules --min=1 --project=p --region=us-central1",
        (
            "pubsub subscriptions modify-push-config apply-rules --project=p --push-endpoint=https://a.us-central1 "
            "--push-auth-service-account=push-a@p --push-auth-token-audience=https://a.us-central1 "
            "--push-no-wrapper --push-no-wrapper-write-metadata"
        ),
        "scheduler jobs resume measure-backlog --project=p --location=us-central1",
    ]


def test_a_setting_is_what_terraform_reads(deployment: Deployment) -> None:
    assert deployment.output("setting", "dev", "project_id") == "p\n"
    assert deployment.output("setting", "dev", "standby_region") == ""


def test_the_canarys_secret_is_made_once(deployment: Deployment) -> None:
    deployment.run("smoke", "dev")
    secret = (deployment.bin / "secret").read_text()
    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) == 32
    deployment.run("smoke", "dev")
    assert (deployment.bin / "secret").read_text() == secret


def test_a_smoke_test_that_fails_fails_the_release_and_says_why(deployment: Deployment) -> None:
    (deployment.bin / "broken").touch()
    assert "apply_rules: accepted, and stopped" in deployment.run("smoke", "dev", code=1)
