"""Actions, appeals and disabled portals as tables and JSON. None of it is patient data."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from cli.output import console, show_json, show_table
from shared.domain.money import dollars
from shared.ports.action_desk import ActionEntry, Breaker, VisitEntry
from shared.ports.appeal_desk import AppealStat
from shared.ports.evidence import EvidenceStore


def show_list(entries: Sequence[ActionEntry], *, as_json: bool) -> None:
    """Print actions, one a line."""
    if as_json:
        show_json([asdict(entry) | {"needs_a_person": entry.needs_a_person} for entry in entries])
        return
    show_table(
        ["id", "action", "payer", "state", "why", "person?", "asked for", "confirmation", "customer"],
        [
            (
                *(str(e.id)[:8], e.type, e.payer_key or "-", e.state, _why(e) or "-"),
                *("yes" if e.needs_a_person else "-", _when(e.created_at), e.reference or "-", e.customer),
            )
            for e in entries
        ],
    )


def show_one(
    entry: ActionEntry, params: Mapping[str, object], visits: Sequence[VisitEntry], *, as_json: bool
) -> None:
    """Print one action with its visits."""
    if as_json:
        show_json(
            {**asdict(entry), "needs_a_person": entry.needs_a_person, "params": params}
            | {"visits": [asdict(visit) for visit in visits]}
        )
        return
    rows = [
        ("action", f"{entry.type} {dict(params) or ''}"),
        ("state", f"{entry.state}{' (' + _why(entry) + ')' if _why(entry) else ''}"),
        ("needs a person", "yes" if entry.needs_a_person else "no"),
        ("about", entry.subject),
        ("customer, payer", f"{entry.customer}, {entry.payer_key or '-'}"),
        ("rule", entry.rule_id),
        ("our reference", entry.client_reference or "-"),
        ("confirmation", entry.reference or "-"),
        ("flow", entry.flow or "-"),
        ("asked for, ended", f"{_when(entry.created_at)}, {_when(entry.ended_at)}"),
        ("next try", _next_try(entry)),
        ("Submit pressed", f"{entry.submissions} times at most"),
    ]
    if entry.resolved_by:
        rows.append(("resolved", f"by {entry.resolved_by}: {entry.resolved_note}"))
    show_table(["", ""], rows, title=str(entry.id))
    for visit in visits:
        _show_visit(visit)


def save_evidence(visits: Sequence[VisitEntry], store: EvidenceStore, folder: Path) -> None:
    """Copy every piece of every visit into a folder that only its owner can read."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for visit in visits:
        for name, address in visit.evidence.items():
            target = folder / f"{visit.attempt}-{name}"
            target.touch(mode=0o600)
            target.write_bytes(store.get(address))
            console().print(f"{target}")


def show_breakers(found: Sequence[Breaker], *, as_json: bool) -> None:
    """Print which portals are disabled for whom, and who enabled one last."""
    if as_json:
        show_json([asdict(breaker) for breaker in found])
        return
    show_table(
        ["portal", "state", "why", "since", "customer", "enabled by"],
        [
            (
                *(b.portal, "disabled" if b.state == "open" else "enabled", b.code, _when(b.opened_at)),
                *(b.customer, f"{b.closed_by}: {b.closed_why}" if b.closed_by else "-"),
            )
            for b in found
        ],
    )


def show_stats(stats: Sequence[AppealStat], *, as_json: bool) -> None:
    """Print how appeals went."""
    if as_json:
        show_json([asdict(stat) | {"overturn_rate": stat.overturn_rate} for stat in stats])
        return
    show_table(
        [
            "payer",
            "reason",
            "letter",
            ">filed",
            ">pending",
            ">won",
            ">partly",
            ">lost",
            ">rate",
            ">asked",
            ">got",
            ">days",
        ],
        [
            (
                *(
                    s.payer_key,
                    s.carc or "-",
                    s.template,
                    s.submitted,
                    s.pending,
                    s.overturned,
                    s.partly,
                    s.upheld,
                ),
                "-" if s.overturn_rate is None else f"{s.overturn_rate:.0%}",
                *(dollars(s.asked_cents), dollars(s.recovered_cents)),
                "-" if s.days is None else f"{s.days:.0f}",
            )
            for s in stats
        ],
        title="Appeals: what was asked for, and what it brought",
    )


def _show_visit(visit: VisitEntry) -> None:
    what = "looking for the submission" if visit.reconciling else "visit"
    ended = visit.outcome or "its worker was lost"
    title = f"\n{what} {visit.attempt}, {_when(visit.began_at)}, {visit.flow}: {ended} {visit.code}".rstrip()
    show_table(
        ["step", ">ms", "outcome"],
        [(step["name"], round(float(str(step["duration_ms"]))), step["outcome"]) for step in visit.steps],
        title=title,
    )
    for name, address in visit.evidence.items():
        console().print(f"  {name}: {address}")
    for name, digest in visit.files.items():
        console().print(f"  uploaded {name}: sha256 {digest}")


def _why(entry: ActionEntry) -> str:
    return "switched_off" if entry.switched_off else entry.code


def _next_try(entry: ActionEntry) -> str:
    if entry.switched_off:
        return "when the customer's rules are resumed"
    return "when the portal is enabled" if entry.disabled else _when(entry.due_at)


def _when(at: datetime | None) -> str:
    return "-" if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M}"
