"""`upstream` for people outside the network: `terraform/upstream.sh` at one end, `upstream desk` at the other.

gcloud is a stand-in: its bucket is a folder, and its job runs the inner end here.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cli.desk import serve

ROOT = Path(__file__).parents[2]
GCLOUD = f"""#!{sys.executable}
import os, pathlib, shutil, subprocess, sys
sys.path.insert(0, {str(ROOT)!r})
words = sys.argv[1:]
bucket = pathlib.Path(__file__).parent / "bucket"
def place(name):
    return bucket / name.removeprefix("gs://p-desk/") if name.startswith("gs://") else pathlib.Path(name)
if words[:2] == ["storage", "cp"]:
    source, target = (place(word) for word in words[2:] if not word.startswith("--"))
    if "--recursive" in words:
        sys.exit(0 if source.exists() and shutil.copytree(source, target / source.name) else 1)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)
elif words[:2] == ["storage", "rm"]:
    shutil.rmtree(place(words[-1]))
elif words[:3] == ["config", "get", "account"]:
    print("me@example.org")
elif words[:4] == ["run", "jobs", "execute", "operate"]:
    assert "--region=us-east4" in words and "--project=p" in words, words
    (told,) = [word.removeprefix("--args=") for word in words if word.startswith("--args=")]
    (login,) = [word.rpartition("=")[2] for word in words if word.startswith("--update-env-vars=LOGNAME=")]
    desk, run, *command = told.removeprefix("^|@|^").split("|@|")
    assert desk == "desk"
    os.environ["LOGNAME"] = login
    from cli.desk import serve
    class Folder:
        def fetch(self, folder):
            if (bucket / run / "in").exists():
                shutil.copytree(bucket / run / "in", folder, dirs_exist_ok=True)
        def keep(self, name, path):
            target = bucket / run / "out" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    sys.exit(serve(["/bin/sh", "-c", '"$@"', "sh", *command], desk=Folder()))
"""
SETTINGS = 'project_id = "p"\nregion = "us-east4"\n'


class Outside:
    """A checkout, and the folder that an engineer works in."""

    def __init__(self, folder: Path) -> None:
        self.here = folder / "here"
        self.here.mkdir()
        self.bin = folder / "bin"
        (self.bin / "bucket").mkdir(parents=True)
        (self.bin / "gcloud").write_text(GCLOUD)
        (self.bin / "gcloud").chmod(0o755)
        self.tree = folder / "tree" / "terraform"
        environment = self.tree / "environments" / "dev"
        environment.mkdir(parents=True)
        (environment / "terraform.tfvars").write_text(SETTINGS)
        for name in ("deploy.sh", "upstream.sh"):
            shutil.copy(ROOT / "terraform" / name, self.tree)

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["/bin/bash", str(self.tree / "upstream.sh"), "dev", *words],
            cwd=self.here,
            env={"PATH": f"{self.bin}:{os.environ['PATH']}", "RELEASE": "abc"},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )


@pytest.fixture
def outside(tmp_path: Path) -> Outside:
    return Outside(tmp_path)


def test_what_a_command_prints_comes_back_and_nothing_stays_behind(outside: Outside) -> None:
    ran = outside.run("printf", "%s|", "two words", "--flag", "a,b")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "two words|--flag|a,b|", "")
    assert list((outside.bin / "bucket").iterdir()) == []


def test_a_file_that_is_named_is_sent_along_and_one_that_is_written_comes_back(outside: Outside) -> None:
    (outside.here / "fixed.edi").write_text("ISA*1~")
    ran = outside.run("cp", "fixed.edi", "copy.edi")
    assert ran.returncode == 0
    assert (outside.here / "copy.edi").read_text() == "ISA*1~"
    assert sorted(path.name for path in outside.here.iterdir()) == ["copy.edi", "fixed.edi"]


def test_it_is_recorded_under_the_engineers_login(outside: Outside) -> None:
    ran = outside.run("printenv", "LOGNAME")  # as getpass reads it
    assert ran.stdout == "me@example.org\n"


def test_a_command_that_fails_says_why_and_fails(outside: Outside) -> None:
    ran = outside.run("ls", "nothing-here")
    assert ran.returncode != 0
    assert "nothing-here" in ran.stderr


def test_a_file_elsewhere_is_not_sent(outside: Outside) -> None:
    ran = outside.run("cat", str(outside.tree / "deploy.sh"))
    assert (ran.returncode, ran.stdout) == (2, "")


class Lost:
    """A desk that gives nothing and takes nothing."""

    def fetch(self, folder: Path) -> None:
        """Nothing was sent along."""

    def keep(self, name: str, path: Path) -> None:
        raise OSError(name, path)


def test_a_command_whose_output_cannot_be_given_back_has_not_succeeded() -> None:
    with pytest.raises(OSError, match="stderr"):
        serve(["true"], desk=Lost())
