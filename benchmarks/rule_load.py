"""Rules and events such as practices have, made by a seeded generator: the load of the rule benchmarks.

60 in 100 rules ask for a payer, a procedure or a reason code and compare an amount or a day; 25 compare amounts and
days only; 15 nest `any` and `not`. A rule is narrow, as real ones are: an event fires a handful of thousands.
"""

from collections.abc import Mapping
from random import Random
from typing import Any, Final

PAYERS: Final = tuple(f"payer-{n}" for n in range(60))
PROCEDURES: Final = tuple(str(90_000 + 37 * n) for n in range(260))
REASONS: Final = tuple(str(n) for n in range(1, 260))
GROUPS: Final = ("CO", "OA", "PI", "PR")
RANGES: Final[Mapping[str, int]] = {
    "denial.amount_cents": 500_000,
    "claim.charge_cents": 1_000_000,
    "claim.days_since_service": 365,
}

Condition = dict[str, Any]


def rule_documents(random: Random, count: int) -> list[dict[str, Any]]:
    """Return rules of `claim.denied`."""
    return [
        {
            "id": f"rule-{nth}",
            "version": 1,
            "name": f"Rule {nth}",
            "trigger": "claim.denied",
            "when": condition(random),
            "then": [{"action": "notify", "params": {"title": "A rule fired"}}],
            "mode": "live",
        }
        for nth in range(count)
    ]


def condition(random: Random) -> Condition:
    """Return one rule's condition."""
    kind = random.random()
    if kind < 0.6:  # noqa: PLR2004 - the shares that the module's docstring tells
        return {"all": [_named(random), *(_compared(random) for _ in range(random.randint(1, 2)))]}
    if kind < 0.85:  # noqa: PLR2004 - as above
        return {"all": [_compared(random) for _ in range(3)]}
    either = {"any": [_named(random), {"all": [_named(random), _compared(random)]}]}
    return {"all": [either, {"not": _named(random)}, _compared(random)]}


def _named(random: Random) -> Condition:
    fact, op, values = random.choice(
        [
            ("claim.payer_id", "eq", PAYERS),
            ("claim.procedures", "contains", PROCEDURES),
            ("denial.carc", "eq", REASONS),
        ]
    )
    return {"fact": fact, "op": op, "value": random.choice(values)}


def _compared(random: Random) -> Condition:
    """Return a comparison that one event in ten or twenty meets."""
    fact, most = random.choice(list(RANGES.items()))
    low = random.randint(0, most - most // 20)
    return random.choice(
        [
            {"fact": fact, "op": "gte", "value": most - random.randint(0, most // 10)},
            {"fact": fact, "op": "lt", "value": random.randint(1, most // 10)},
            {"fact": fact, "op": "between", "value": [low, low + most // 20]},
        ]
    )


def facts(random: Random) -> dict[str, Any]:
    """Return an event's facts by name."""
    return {
        "claim.payer_id": random.choice(PAYERS),
        "claim.procedures": tuple(random.sample(PROCEDURES, random.randint(1, 4))),
        "denial.carc": random.choice(REASONS),
        "denial.group": random.choice(GROUPS),
        **{fact: random.randint(0, most) for fact, most in RANGES.items()},
    }


def claim_event(random: Random) -> dict[str, Any]:
    """Return the data of a `claim.denied` event, as it is stored."""
    said = facts(random)
    return {
        "claim": {
            "id": f"{random.getrandbits(128):032x}",
            "number": f"C{random.getrandbits(30)}",
            "payer_id": said["claim.payer_id"],
            "payer_name": said["claim.payer_id"].upper(),
            "charge_cents": said["claim.charge_cents"],
            "paid_cents": 0,
            "patient_cents": 0,
            "status": "denied",
            "procedures": list(said["claim.procedures"]),
            "modifiers": [],
            "diagnoses": ["M545"],
            "service_on": f"2025-{random.randint(1, 12):02}-{random.randint(1, 28):02}",
            "lines": [
                {"procedure": code, "charge_cents": 100, "units": "1"} for code in said["claim.procedures"]
            ],
        },
        "denial": {
            "carc": said["denial.carc"],
            "carcs": [said["denial.carc"]],
            "group": said["denial.group"],
            "amount_cents": said["denial.amount_cents"],
            "remarks": [],
        },
    }
