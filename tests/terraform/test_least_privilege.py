"""Who may do what: the plan and docs/security.md say the same, grant for grant."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.terraform.plans import Grant, table

if TYPE_CHECKING:
    from tests.terraform.plans import Plan

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "security.md").read_text()
TOPICS: dict[str, Any] = json.loads((ROOT / "schemas" / "topics.json").read_text())
PUSHED = {one["function"].replace("_", "-"): name for name, one in TOPICS["subscriptions"].items()}
NONE = "\N{EN DASH}"
BUCKET_ROLES = {"adds": "storage.objectCreator", "reads": "storage.objectViewer"}
READER = "upstreamSecretReader"


def listed(cell: str) -> list[str]:
    return [] if cell == NONE else [name.strip() for name in cell.split(",")]


def of_functions() -> set[Grant]:
    grants = set()
    for row in table(DOCUMENT, "### What each function may do"):
        who = row["function"].replace("_", "-")
        grants |= {Grant(who, "pubsub.publisher", f"topic {topic}") for topic in listed(row["publishes to"])}
        for secret in listed(row["reads secrets"]):
            where = f"secrets named {secret}" if "*" in secret else f"secret {secret}"
            grants.add(Grant(who, READER, where))
        if row["record"] == "yes":
            grants |= {
                Grant(who, "cloudsql.client", "project"),
                Grant(who, "cloudsql.instanceUser", "project"),
            }
        if row["connections and keys"] == "yes":
            grants.add(Grant(who, "datastore.user", "the (default) database"))
        if row["buckets"] != NONE:
            verb, bucket = row["buckets"].split()[0], row["buckets"].split()[-1]
            grants.add(Grant(who, BUCKET_ROLES[verb], f"bucket {bucket}"))
        grants.add(Grant(who, "telemetry.tracesWriter", "project"))
        grants.add(Grant(row["called by"], "run.invoker", f"function {who}"))
    return grants


def of_others(identities: set[str]) -> set[Grant]:
    return {
        Grant(row["identity"], role, place)
        for row in table(DOCUMENT, "### What others may do")
        for role in listed(row["role"])
        for place in places(row["on"], identities)
    }


def places(cell: str, identities: set[str]) -> list[str]:
    """Return the places of one cell. "every …" stands for what schemas/ and the plan have of them."""
    kind, separator, names = cell.partition(": ")
    every = {
        "topic: every declared": set(TOPICS["topics"]),
        "subscription: every one with a dead letter": {
            name for name, one in TOPICS["subscriptions"].items() if one["dead_letter_topic"]
        },
        "identity: every push": {f"push-{function}" for function in PUSHED},
        "identity: every other": identities - {"deployer"},
    }
    if not separator:
        return [cell]
    return [f"{kind} {name}" for name in every.get(cell, listed(names))]


def test_the_plan_grants_what_the_document_says_and_nothing_else(prod: "Plan") -> None:
    identities = {account.values["account_id"] for account in prod.of("google_service_account")}
    documented = of_functions() | of_others(identities)
    granted = prod.grants()
    assert len(granted) > 100
    assert sorted(granted - documented) == [], "granted, and not in docs/security.md"
    assert sorted(documented - granted) == [], "in docs/security.md, and not granted"


def test_dev_grants_nothing_that_production_does_not(plan: "Plan", prod: "Plan") -> None:
    assert plan.grants() <= prod.grants(), sorted(plan.grants() - prod.grants())
