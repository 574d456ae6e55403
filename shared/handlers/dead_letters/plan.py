"""What a replay would do with each letter, and why not with some. Changes nothing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from shared.domain.events import Topic
from shared.ports.dead_letters import Asked, DeadLetterDesk, Facts, Letter, Wanted
from shared.runtime.dead_letters import original
from shared.runtime.envelope import acting_id, from_headers
from shared.runtime.errors import PoisonError

PAGE: Final = 500

Refusal = Literal[
    "not_an_event",
    "no_route",
    "unknown_customer",
    "outcome_unknown",
    "held",
    "in_flight",
    "settled",
    "purged",
    "gone",
]
REFUSALS: Final[Mapping[Refusal, str]] = {
    "not_an_event": "not one of our events: no consumer could read it",
    "no_route": "no subscription leads to its consumer",
    "unknown_customer": "its customer does not exist",
    "outcome_unknown": "an action that it led to may have happened: a person has to find out first",
    "held": "another run is about to publish it",
    "in_flight": "it was published again within the hour and has no outcome yet",
    "settled": "its consumer has taken the event since; to act on it again takes a replay id",
    "purged": "it was purged: there is nothing left to publish",
    "gone": "it changed while the run was under way",
}


@dataclass(frozen=True, slots=True)
class Planned:
    """One letter: published to `topic`, or refused. unfinished: it will publish what its consumer had committed."""

    letter: Letter
    topic: Topic | None
    asked: Asked | None
    refusal: Refusal | None
    unfinished: bool = False


def plan_replay(
    wanted: Wanted, *, desk: DeadLetterDesk, routes: Mapping[str, Topic], replay_id: str = ""
) -> Iterator[Sequence[Planned]]:
    """Return what a replay would do, in pages, the oldest letter first. Each letter is looked at once.

    routes: topics by consumer. replay_id: asks consumers to act again on what they settled.
    Raises:
        TransientError: the database is away or busy.
    """
    after = None
    while letters := desk.letters(wanted, limit=PAGE, after=after, oldest_first=True):
        yield _plan_page(letters, desk, routes, replay_id)
        after = letters[-1].place


def _plan_page(
    letters: Sequence[Letter], desk: DeadLetterDesk, routes: Mapping[str, Topic], replay_id: str
) -> Sequence[Planned]:
    asked = {letter.id: found for letter in letters if (found := identify(letter, replay_id))}
    facts = desk.facts(list(asked.values())) if asked else {}
    return [
        decide(letter, asked.get(letter.id), facts.get(letter.id), routes.get(letter.consumer))
        for letter in letters
    ]


def identify(letter: Letter, replay_id: str = "") -> Asked | None:
    """Return the letter with its event as the consumer would take it; None for what is not one of our events."""
    headers = {name.lower(): value for name, value in original(letter.attributes).items()}
    try:
        event = from_headers(headers, b"").event
    except PoisonError:
        return None
    return Asked(letter, acting_id(event.id, letter.consumer, replay_id), event.customer_id)


def decide(letter: Letter, asked: Asked | None, facts: Facts | None, topic: Topic | None) -> Planned:
    """Return what to do with a letter. facts: None for one that is gone."""
    if asked is None:
        return Planned(letter, topic, None, "not_an_event")
    if facts is None:
        return Planned(letter, topic, asked, "gone")
    return Planned(letter, topic, asked, _refusal(facts, topic), facts.taken and facts.unfinished)


def _refusal(facts: Facts, topic: Topic | None) -> Refusal | None:
    if topic is None:
        return "no_route"
    if facts.purged or not facts.has_customer:
        return "purged" if facts.purged else "unknown_customer"
    if facts.outcome_unknown:
        return "outcome_unknown"
    if facts.held_until is not None:
        return "held"
    if facts.taken and not facts.unfinished:
        return "settled"
    return "in_flight" if facts.in_flight_since is not None else None
