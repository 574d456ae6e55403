"""Hops as a tree: an event, what became of it, and below it the events that it caused. Pure."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from rich.text import Text
from rich.tree import Tree

from shared.ports.record import Hop

BAD = frozenset({"waiting", "refused", "FAILED", "failed", "unknown"})
DETAILS: Mapping[str, str] = {
    "process_webhook": "attempt {attempt}",
    "apply_rules": "attempt {attempt}",
    "notify": "attempt {attempt}",
    "record_dead_letter": "attempt {attempt}",
    "event": "to {topic}",
    "decision": "{rule_id} version {rule_version}, {result}, {execution_time_ms:.1f} ms",
    "action": "{type}, by {rule_id}",
    "alert": "{severity}: {title}",
    "notification": "by {channel_id} {code}",
    "dead letter": "{reason} (attempts: {attempts}, {state})",
}
GOOD = frozenset({"accepted", "fired", "delivered", "settled"})


def tree(hops: Sequence[Hop], *, asked: UUID) -> Tree:
    """Return the story. hops: all of one trace, oldest first. asked: the event to point out."""
    by_event: dict[UUID, list[Hop]] = {}
    for hop in hops:
        by_event.setdefault(hop.event_id, []).append(hop)
    parents = {event_id: _parent(found, by_event) for event_id, found in by_event.items()}
    root = Tree(_title(hops), guide_style="dim")
    branches: dict[UUID, Tree] = {}
    for event_id, found in by_event.items():  # by their first hops, so parents come before what they caused
        above = branches.get(parents[event_id] or event_id, root)
        branches[event_id] = _branch(above, found, hops, asked=asked)
    return root


def since_start_ms(hop: Hop, hops: Sequence[Hop]) -> float:
    """Return when a hop was, in milliseconds since the first."""
    return round((hop.at - hops[0].at).total_seconds() * 1000, 1)


def _parent(found: Sequence[Hop], known: Mapping[UUID, object]) -> UUID | None:
    """Return the event that caused this one, if it is part of the story."""
    parent_id = found[0].parent_id
    return parent_id if parent_id in known and parent_id != found[0].event_id else None


def _title(hops: Sequence[Hop]) -> Text:
    first = hops[0]
    title = Text(f"{first.at:%Y-%m-%d %H:%M:%S.%f}"[:-3] + " UTC", style="bold")
    for name in ("trace_id", "customer_id"):
        if name in first.detail:
            title.append(f"  {name.removesuffix('_id')} {first.detail[name]}", style="dim")
    return title


def _branch(above: Tree, found: Sequence[Hop], hops: Sequence[Hop], *, asked: UUID) -> Tree:
    first = found[0]
    label = Text(first.event_type or "event", style="bold cyan")
    label.append(f"  {first.event_id}", style="bold" if first.event_id == asked else "dim")
    branch = above.add(label)
    for hop in found:
        branch.add(_line(hop, since_start_ms(hop, hops)))
    return branch


def _line(hop: Hop, ms: float) -> Text:
    what = "published" if hop.what == "event" else hop.what
    outcome = _outcome(hop)
    line = Text(f"{ms:+9.1f} ms  ", style="dim")
    line.append(f"{what:<18}", style="default not dim")
    style = (
        "red"
        if hop.outcome in BAD or hop.what == "dead letter"
        else "green"
        if hop.outcome in GOOD
        else "default"
    )
    line.append(f"{outcome:<11}", style=f"{style} not dim")
    return line.append(f" {_detail(hop)}".rstrip(), style="default not dim")


def _outcome(hop: Hop) -> str:
    return "yes" if hop.what == "event" and hop.outcome == "published" else hop.outcome


def _detail(hop: Hop) -> str:
    """Return what a reader wants to know of a hop besides its outcome."""
    template = DETAILS.get(hop.what, "")
    if hop.what == "decision" and not hop.detail["rule_id"]:
        template = "no rule, {execution_time_ms:.1f} ms"
    return template.format_map(hop.detail).strip()
