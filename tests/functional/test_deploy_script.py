"""How `terraform/deploy.sh` moves traffic.

gcloud and terraform are stand-ins that keep what they were told: neither does anything without an account.
"""

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVICES = ["apply-rules", "receive-webhook"]
TERRAFORM = f"""#!{sys.executable} -IS
import json, sys
if "output" in sys.argv:
    print(json.dumps({{"services": {SERVICES!r}, "serving_region": "us-central1", "canary_secret": "connection-c"}}))
"""
GCLOUD = f"""#!{sys.executable} -IS
import json, pathlib, sys
folder = pathlib.Path(__file__).parent
state = folder / "traffic.json"
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
    """A tree with the script in it, and two services of which one has a new revision."""

    def __init__(self, folder: Path) -> None:
        self.tree = folder / "tree"
        (self.tree / "terraform" / "environments" / "dev").mkdir(parents=True)
        shutil.copy(ROOT / "terraform" / "deploy.sh", self.tree / "terraform")
        self.bin = folder / "bin"
        self.bin.mkdir()
        for name, text in (("terraform", TERRAFORM), ("gcloud", GCLOUD)):
            (self.bin / name).write_text(text)
            (self.bin / name).chmod(0o755)
        self.serve({"apply-rules": {"old-a": 100}, "receive-webhook": {"r": 100}}, newest=("new-a", "r"))

    def serve(self, traffic: Mapping[str, Mapping[str, int]], *, newest: tuple[str, str]) -> None:
        state = {
            name: {"newest": revision, "traffic": traffic[name]}
            for name, revision in zip(SERVICES, newest, strict=True)
        }
        (self.bin / "traffic.json").write_text(json.dumps(state))

    def run(self, *words: str, code: int = 0) -> str:
        environment = {
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "TF_VAR_project_id": "p",
            "RELEASE": "abc",
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
        return ran.stderr

    @property
    def traffic(self) -> dict[str, dict[str, int]]:
        state = json.loads((self.bin / "traffic.json").read_text())
        return {name: one["traffic"] for name, one in state.items()}


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return Deployment(tmp_path)


def test_a_tenth_goes_to_the_new_revision_by_name(deployment: Deployment) -> None:
    deployment.run("canary", "dev", "10")
    assert deployment.traffic == {"apply-rules": {"new-a": 10, "old-a": 90}, "receive-webhook": {"r": 100}}


def test_then_all_of_it(deployment: Deployment) -> None:
    deployment.run("canary", "dev", "10")
    deployment.run("promote", "dev")
    assert deployment.traffic == {"apply-rules": {"new-a": 100}, "receive-webhook": {"r": 100}}


def test_a_rollback_gives_it_back_to_what_served(deployment: Deployment) -> None:
    deployment.run("canary", "dev", "10")
    deployment.run("rollback", "dev")
    assert deployment.traffic == {"apply-rules": {"old-a": 100}, "receive-webhook": {"r": 100}}


def test_a_release_that_failed_after_all_of_the_traffic_goes_back_as_well(deployment: Deployment) -> None:
    deployment.run("canary", "dev", "10")
    deployment.run("promote", "dev")
    deployment.run("rollback", "dev")
    assert deployment.traffic["apply-rules"] == {"old-a": 100}


def test_a_first_deployment_serves_at_once(deployment: Deployment) -> None:
    deployment.serve({"apply-rules": {}, "receive-webhook": {}}, newest=("first-a", "first-r"))
    deployment.run("promote", "dev")
    assert deployment.traffic == {"apply-rules": {"first-a": 100}, "receive-webhook": {"first-r": 100}}


def test_nothing_is_rolled_back_that_was_not_shifted_from_here(deployment: Deployment) -> None:
    assert "nothing was shifted" in deployment.run("rollback", "dev", code=1)
    assert deployment.traffic["apply-rules"] == {"old-a": 100}


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
