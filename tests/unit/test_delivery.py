"""A deployment from GitHub knows all that a deployment by hand does."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = ROOT / "terraform" / "environments"
WORKFLOW = (ROOT / ".github" / "workflows" / "release.yml").read_text()
SET_BY_THE_SCRIPT = {"release", "source_archive"}


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_no_variable_of_an_environment_can_be_left_out(environment: str) -> None:
    """One with a default would silently take back what was applied by hand: a domain, a fail-over."""
    variables = (ENVIRONMENTS / environment / "variables.tf").read_text()
    declared = set(re.findall(r'^variable "(\w+)"', variables, re.MULTILINE))
    assert len(declared) > 10
    assert "default" not in re.findall(r"^  (\w+) +=", variables, re.MULTILINE)
    example = (ENVIRONMENTS / environment / "terraform.tfvars.example").read_text()
    assert set(re.findall(r"^(\w+) +=", example, re.MULTILINE)) == declared - SET_BY_THE_SCRIPT


def test_the_workflow_takes_its_settings_from_that_file_alone() -> None:
    assert "TF_VAR_" not in WORKFLOW
    assert set(re.findall(r"vars\.(\w+)", WORKFLOW)) == {"TERRAFORM_TFVARS"}
