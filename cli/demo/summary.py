"""What the demo tells a newcomer: tables for people, the same as JSON for programs."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import quantiles
from typing import Any

from cli.demo.checks import Check
from cli.demo.found import Found
from cli.demo.posting import Reply
from cli.output import console, show_table
from shared.domain.money import dollars

HOPS: Mapping[str, str] = {
    "receive_webhook": "POST to reply, seen by the sender",
    "process_webhook": "accepted to stored, its events on their way",
    "apply_rules": "event to decision in the audit trail",
    "notify": "rule fired to told on every channel",
    "end_to_end": "accepted to last decision in the audit trail",
}


@dataclass(frozen=True, slots=True)
class Story:
    """Everything there is to tell. seconds: posting, and all of it from start to stop of the pipeline.

    no_portals: why portal actions did not run; empty if they did.
    """

    days: str
    replies: Sequence[Reply]
    found: Found
    checks: Sequence[Check]
    posting_s: float
    total_s: float
    try_next: Sequence[str]
    no_portals: str = ""

    @property
    def kept(self) -> bool:
        """Whether every count came out as the data implies."""
        return all(check.kept for check in self.checks)


def as_json(story: Story) -> dict[str, Any]:
    """Return the story as plain values."""
    found = story.found
    return {
        "ok": story.kept,
        "days": story.days,
        "deliveries": dict(Counter(reply.code for reply in story.replies)),
        **{name: rows for name, rows in found.facts.items() if name != "hops"},
        "portal_actions_ran": not story.no_portals,
        "no_portals": story.no_portals,
        "events_decided": found.decided,
        "latency_ms": {hop: {"n": n, "p50": p50, "p95": p95} for hop, n, p50, p95 in latencies(story)},
        "checks": [{**asdict(check), "kept": check.kept} for check in story.checks],
        "posting_s": round(story.posting_s, 2),
        "total_s": round(story.total_s, 2),
        "try_next": list(story.try_next),
    }


def show(story: Story) -> None:
    """Print the story."""
    _show_deliveries(story)
    _show_claims(story.found)
    _show_rules(story.found)
    _show_work(story.found)
    _show_jobs(story.found)
    _show_portals(story)
    _show_dead_letters(story.found)
    _show_latencies(story)
    show_checks(story.checks)
    out = console()
    out.print(
        f"\n{story.total_s:.1f} s in all, {story.posting_s:.1f} s of it from first POST to last decision."
    )
    out.print("\nTry next\n", style="bold")
    for line in story.try_next:
        out.print(f"  {line}")


def show_checks(checks: Sequence[Check]) -> None:
    """Print which counts differ from what the data implies, if any."""
    broken = [check for check in checks if not check.kept]
    if not broken:
        console().print(f"\nAll {len(checks)} counts are what the data implies.", style="green")
        return
    rows = [(c.name, c.how, c.expected, c.found) for c in broken]
    _table("These counts are not what the data implies", ["count", "", ">implied", ">found"], rows)


def latencies(story: Story) -> list[tuple[str, int, float, float]]:
    """Return hop, how many, median and 95th percentile in milliseconds."""
    seen = [reply.ms for reply in story.replies]
    cuts = quantiles(seen, n=20, method="inclusive") if len(seen) > 1 else [0.0] * 19
    hops = {
        row["hop"]: (row["n"], float(row["p50_ms"]), float(row["p95_ms"]))
        for row in story.found.facts["hops"]
    }
    hops["receive_webhook"] = (len(seen), cuts[9], cuts[18])
    return [
        (hop, n, round(p50, 1), round(p95, 1))
        for hop in HOPS
        for n, p50, p95 in [hops.get(hop, (0, 0.0, 0.0))]
    ]


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    console().print()
    show_table(columns, rows, title=title)


def _show_deliveries(story: Story) -> None:
    codes = Counter((reply.status, reply.code) for reply in story.replies)
    meaning = {200: "seen before: answered, not taken twice", 202: "taken, and durable"}
    rows = [(n, status, code, meaning.get(status, "refused")) for (status, code), n in sorted(codes.items())]
    _table(f"Deliveries, {story.days}", [">n", ">status", "reply", ""], rows)


def _show_claims(found: Found) -> None:
    rows = []
    for status, column, label in (
        ("paid", "paid_cents", "paid in full"),
        ("partially_paid", "paid_cents", "paid, a part of it denied"),
        ("denied", "charge_cents", "denied"),
        ("reversed", "paid_cents", "reversed: taken back"),
    ):
        rows.append(
            (
                label,
                f"{found.sum('payments', status=status):,}",
                dollars(found.sum("payments", column, status=status)),
            )
        )
    transferred = found.sum("remittances", "paid_cents")
    rows.append(("payment advices, transferred", f"{found.sum('remittances'):,}", dollars(transferred)))
    rows.append(("claims not decided yet", f"{found.sum('claims', status='submitted'):,}", ""))
    _table("What payers decided", ["", ">n", ">dollars"], rows)


def _show_rules(found: Found) -> None:
    counted: Counter[tuple[str, str]] = Counter()
    for row in found.facts["rules"]:
        counted[row["rule_id"], row["decision"]] += row["n"]
    rows = [(rule_id, decision, n) for (rule_id, decision), n in sorted(counted.items())]
    _table(f"Rules, asked about {found.decided:,} events", ["rule", "decision", ">n"], rows)


def _show_work(found: Found) -> None:
    meaning = {
        ("create_task", "open"): "tasks for a person",
        ("escalate", "open"): "a person has to look",
        ("hold_claim", "settled"): "claims held before they go out",
        ("submit_appeal", "open"): "appeals for a person: the practice gave no portal credentials",
        ("submit_appeal", "settled"): "appeals filed in the payer's portal",
        ("submit_reauth_request", "settled"): "renewals filed in the payer's portal",
        ("submit_reauth_request", "open"): "renewals for a person: the practice gave no portal credentials",
        ("check_authorization_status", "settled"): "answers read in the payer's portal",
        ("notify", "settled"): "notifications requested",
    }
    rows = [
        (row["type"], row["state"], row["n"], meaning.get((row["type"], row["state"]), "a person decides"))
        for row in found.facts["actions"]
    ]
    rows += [("alert", row["severity"], row["n"], row["title"]) for row in found.facts["alerts"]]
    rows += [
        ("notification", row["outcome"], row["n"], f"by {_BY[row['kind']]}")
        for row in found.facts["notifications"]
    ]
    _table("What followed", ["", "state", ">n", ""], rows)


def _show_jobs(found: Found) -> None:
    rows = [(row["job"], row["state"], row["n"]) for row in found.facts["jobs"]]
    states: Counter[str] = Counter()
    for row in found.facts["authorizations"]:
        states[row["state"]] += row["n"]
    rows += [("authorizations", state.lower().replace("_", " "), n) for state, n in sorted(states.items())]
    rows += [
        (
            f"{row['payer_key']}: {row['kind']} {row['subject']}",
            f"{row['baseline']:.3f} to {row['current']:.3f}",
            1,
        )
        for row in found.facts["findings"]
    ]
    rows += [] if found.facts["findings"] else [("changes of payers", "none: they do as before", 0)]
    _table("Scheduled jobs, and what they found", ["", "", ">n"], rows)


def _show_portals(story: Story) -> None:
    if story.no_portals:
        console().print(f"\nPortal actions did not run: {story.no_portals}", style="yellow")
        return
    rows = [
        (
            *(row["type"], row["payer_key"], row["state"], row["reference"] or row["code"], row["seconds"]),
            row["screenshot"] or "-",
        )
        for row in story.found.facts["portals"]
    ]
    columns = ["action", "payer", "state", "confirmation", ">seconds", "screenshot, masked"]
    _table("In payers' portals, by Chromium", columns, rows)


_BY: Mapping[str, str] = {
    "email": "mail, over SMTP",
    "slack": "chat",
    "webhook": "webhook, signature checked by its receiver",
}


def _show_dead_letters(found: Found) -> None:
    rows = [(row["code"], row["consumer"], row["reason"]) for row in found.facts["dead_letters"]]
    _table("Dead letters: what could not be read, kept whole", ["code", "found by", "where and why"], rows)


def _show_latencies(story: Story) -> None:
    rows = [(hop, n, f"{p50:,.1f}", f"{p95:,.1f}", HOPS[hop]) for hop, n, p50, p95 in latencies(story)]
    _table("Time, a day's deliveries all at once", ["hop", ">n", ">p50 ms", ">p95 ms", ""], rows)
