"""Reads a plan as `terraform show -json` prints it, and the tables of docs/security.md."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

SERVICE_AGENTS: Final = re.compile(r"service-\d+@(?:gcp-sa-)?(?P<name>[a-z-]+)\.iam\.gserviceaccount\.com")
KEY: Final = re.compile(r'"([a-z]+)')  # the last index of an address: agent["sql@us-central1"]
NAMED: Final[Mapping[str, tuple[str, str]]] = {
    "google_pubsub_topic_iam_member": ("topic", "topic"),
    "google_pubsub_subscription_iam_member": ("subscription", "subscription"),
    "google_secret_manager_secret_iam_member": ("secret", "secret_id"),
    "google_cloud_run_v2_service_iam_member": ("function", "name"),
    "google_cloud_run_v2_job_iam_member": ("job", "name"),
    "google_artifact_registry_repository_iam_member": ("repository", "repository"),
}
PATHS: Final = re.compile(r".*/(serviceAccounts|roles)/")


class Grant(NamedTuple):
    """Who may do what, and where."""

    who: str
    role: str
    where: str


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource of a plan. values: what is known before anything is applied. unknown: set, and known only then."""

    address: str
    type: str
    values: Mapping[str, Any]
    unknown: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """One environment's plan from an empty state."""

    environment: str
    resources: tuple[Resource, ...]

    def of(self, kind: str) -> list[Resource]:
        """Return the resources of a type, which has to occur."""
        found = [resource for resource in self.resources if resource.type == kind]
        assert found, f"no {kind} in {self.environment}"
        return found

    def grants(self) -> set[Grant]:
        """Return every grant, with identities and places under their own short names."""
        return {
            Grant(_who(resource), _role(resource.values["role"]), _where(resource))
            for resource in self.resources
            if resource.type.endswith("_iam_member")
        }


def read_plan(environment: str, document: Mapping[str, Any]) -> Plan:
    """Return a plan out of its JSON."""
    unknown = {
        change["address"]: change["change"]["after_unknown"] for change in document["resource_changes"]
    }
    return Plan(environment, tuple(_walk(document["planned_values"]["root_module"], unknown)))


def _walk(module: Mapping[str, Any], unknown: Mapping[str, Mapping[str, Any]]) -> Iterator[Resource]:
    for resource in module.get("resources", []):
        address = resource["address"]
        yield Resource(address, resource["type"], resource["values"], unknown[address])
    for child in module.get("child_modules", []):
        yield from _walk(child, unknown)


def _who(resource: Resource) -> str:
    member: str = resource.values["member"]
    if agent := SERVICE_AGENTS.search(member):
        return f"agent of {agent['name']}"
    if member.startswith("principal://"):
        assert re.search(r"/subject/repo:example/upstream:environment:(dev|prod)$", member), member
        return "repo: protected environment"
    if member.startswith("user:"):
        return "incident leads" if ".incident_lead[" in resource.address else "operators"
    return member.removeprefix("serviceAccount:").split("@")[0]


def _role(role: str) -> str:
    return PATHS.sub("", role).removeprefix("roles/")


def _where(resource: Resource) -> str:
    values = resource.values
    match resource.type:
        case "google_service_account_iam_member":
            place = f"identity {PATHS.sub('', values['service_account_id']).split('@')[0]}"
        case "google_storage_bucket_iam_member":
            place = f"bucket {values['bucket'].rsplit('-', 1)[1]}"
        case "google_kms_crypto_key_iam_member":
            place = f"key {KEY.findall(resource.address)[-1]}"
        case "google_project_iam_member":
            place = str(values["condition"][0]["title"]) if values["condition"] else "project"
        case kind:
            word, name = NAMED[kind]
            place = f"{word} {values[name]}"
    return place


def table(document: str, heading: str) -> list[dict[str, str]]:
    """Return the rows of the first table below a heading, by the names of its columns, without code marks."""
    section = document.split(f"\n{heading}\n", 1)[1]
    lines = [line for line in re.split(r"\n##+ ", section)[0].splitlines() if line.startswith("|")]
    names, _, *rows = (
        [cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in lines
    )
    return [dict(zip(names, row, strict=True)) for row in rows]
