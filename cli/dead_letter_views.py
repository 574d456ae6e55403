"""Dead letters as tables and JSON, without what their bodies hold."""

import re
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

import typer

from cli.hints import command
from cli.output import console, show_json, show_table
from shared.handlers.dead_letters.listing import Listing, Shown
from shared.ports.dead_letters import Letter, Place, Replay
from shared.runtime.dead_letters import original

SPAN: Final = re.compile(r"(\d{1,6})([smhd])")
UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def moment(text: str, now: datetime) -> datetime:
    """Return a time: ISO 8601, in UTC unless it says otherwise, or so long ago (`30m`, `2h`, `3d`).

    Raises:
        ValueError: neither of these.
    """
    if span := SPAN.fullmatch(text):
        return now - timedelta(**{UNITS[span[2]]: int(span[1])})
    try:
        found = datetime.fromisoformat(text)
    except ValueError as exc:
        raise ValueError(f"{text!r} is neither a time like 2026-02-03T14:00 nor a span like 2h") from exc
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def place(text: str) -> Place:
    """Return where a page ended, as `show_listing` wrote it."""
    at, _, letter_id = text.partition("~")
    try:
        return Place(datetime.fromisoformat(at), UUID(letter_id))
    except ValueError as exc:
        raise typer.BadParameter("not what a listing said", param_hint="--after") from exc


def show_listing(listing: Listing, state: str, *, as_json: bool, home: Path) -> None:
    """Print causes, and below them letters."""
    after = listing.after and f"{listing.after.first_at.isoformat()}~{listing.after.id}"
    if as_json:
        letters = [asdict(letter) for letter in listing.letters]
        causes = [asdict(cause) for cause in listing.causes]
        show_json({"total": listing.total, "causes": causes, "letters": letters, "after": after})
        return
    out = console()
    kind = "" if state == "all" else f"{state} "
    out.print(f"{listing.total} {kind}dead {'letter' if listing.total == 1 else 'letters'}")
    if not listing.causes:
        return
    show_table(
        [">count", "function", "code", ">customers", "first", "last", "reason"],
        [
            (c.count, c.consumer or "-", c.code, c.customers, _when(c.first_at), _when(c.last_at), c.reason)
            for c in listing.causes
        ],
        title="\nBy cause",
    )
    if listing.letters:
        show_letters(listing.letters, title="\nOne by one")
    if after and len(listing.letters) < listing.total:
        out.print(f"\nThe next page:  --after {after}")
    _suggest(listing, state, home)


def _suggest(listing: Listing, state: str, home: Path) -> None:
    """Print what to try next with the most frequent cause."""
    worst = listing.causes[0]
    filters = ("--function", worst.consumer, "--code", worst.code)
    out = console()
    out.print(f"\nOne of the most frequent:   {command('dead-letters', 'show', worst.newest_id, home=home)}")
    if worst.consumer and state == "open":
        out.print(f"What a replay would do:     {command('dead-letters', 'replay', *filters, home=home)}")


def show_letters(letters: Sequence[Letter], *, title: str = "") -> None:
    """Print letters, a line each."""
    show_table(
        ["id", "function", "code", "customer", ">attempts", "failed last", "state", "reason"],
        [
            (
                *(letter.id, letter.consumer or "-", letter.code, letter.customer, letter.attempts),
                *(_when(letter.last_at), letter.state, letter.reason),
            )
            for letter in letters
        ],
        title=title,
    )


def show_letter(shown: Shown, *, as_json: bool, home: Path) -> None:
    """Print one letter and its replays."""
    letter = shown.letter
    if as_json:
        show_json({**asdict(letter), "replays": [asdict(replay) for replay in shown.replays]})
        return
    out = console()
    for name, value in _lines(letter):
        out.print(f"{name:<14}{value}", markup=False)
    out.print("\nAttributes")
    for name, value in sorted(original(letter.attributes).items()):
        out.print(f"  {name:<38}{value}", markup=False)
    if shown.replays:
        _show_replays(shown.replays)
    if letter.event_id is not None:
        out.print(f"\nIts story:  {command('trace', letter.event_id, home=home)}")


def show_discard(count: int, *, done: bool, as_json: bool) -> None:
    """Print how many letters were put aside, or would be."""
    if as_json:
        show_json({"dry_run": not done, "discarded" if done else "would_discard": count})
    elif done:
        console().print(f"Discarded {count}. They are kept, and `list --state discarded` shows them.")
    else:
        console().print(f"Would discard {count}. Nothing was changed; --yes and --why do it.")


def _lines(letter: Letter) -> list[tuple[str, object]]:
    lines: list[tuple[str, object]] = [
        ("dead letter", letter.id),
        ("state", letter.state),
        ("function", letter.consumer or "-"),
        ("code", letter.code),
        ("reason", letter.reason),
        ("attempts", letter.attempts),
        ("first failed", _when(letter.first_at)),
        ("last failed", _when(letter.last_at)),
        ("customer", f"{letter.customer} ({letter.customer_id})"),
        ("connection", letter.connection_id or "-"),
        ("event", f"{letter.event_id or '-'} {letter.event_type}"),
        ("trace", letter.trace_id or "-"),
        ("subscription", letter.subscription or "-"),
        ("body", f"{letter.body_bytes} bytes; `show {letter.id} --body` writes them"),
    ]
    if letter.discarded_at is not None:
        discarded = f"{_when(letter.discarded_at)} by {letter.discarded_by}: {letter.discarded_why}"
        lines.insert(2, ("discarded", discarded))
    return lines


def _show_replays(replays: Sequence[Replay]) -> None:
    show_table(
        ["when", "by", "outcome", "body", "replay id", "why", "failed with"],
        [
            (
                *(_when(r.claimed_at), r.replayed_by, r.outcome, "corrected" if r.edited else "original"),
                *(r.replay_id or "-", r.why, f"{r.code} {r.reason}".strip() or "-"),
            )
            for r in replays
        ],
        title="\nReplays",
    )


def _when(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
