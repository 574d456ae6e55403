"""Publishes dead letters again: their original bytes and attributes, under the event id that they had.

The order is claim → publish → mark. The claim is a compare-and-set in the database, so two runs never publish the same
letter. Killed before the publish, the letter is still open, and its claim ends after `LEASE_S`. Killed between the
publish and the mark, it is still open, too: the next run finds that its consumer has taken it, or publishes a copy,
which the consumer's inbox drops. Nothing is lost in either.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from shared.domain.events import PAYLOAD_REF, PAYLOAD_SHA256, Message, Topic
from shared.handlers.dead_letters.plan import Planned, plan_replay
from shared.ports.dead_letters import Asked, Claimed, DeadLetterDesk, Run, Tally, Wanted
from shared.ports.publisher import Publisher
from shared.runtime.dead_letters import LETTER, REPLAY, original
from shared.runtime.envelope import REPLAY_FOR, REPLAY_ID
from shared.runtime.errors import PoisonError
from shared.runtime.settings import MAX_EDITED_BYTES, PUBLISH_TIMEOUT_S

POLL_S: Final = 0.2
MAX_CHUNK: Final = 25
MAX_CHUNK_BYTES: Final = 8 * 1024 * 1024
MAX_REPLAY_ID: Final = 64
APART: Final = (f"ce-{PAYLOAD_REF}", f"ce-{PAYLOAD_SHA256}")

Ended = Literal[
    "done",
    "interrupted",  # it was told to stop
    "failing",  # too many of its letters failed again
    "no_outcome",  # its consumers take nothing: they are away, or far behind
]


@dataclass(frozen=True, slots=True)
class Limits:
    """When a run waits, and when it stops.

    max_failed_share: of the letters whose outcome is known, once they are `min_samples`. max_waiting: letters without
    an outcome before the run waits for some. patience_s: how long it waits while none gets one.
    """

    rate_per_s: float = 50.0
    max_failed_share: float = 0.10
    min_samples: int = 20
    max_waiting: int = 100
    patience_s: float = 60.0

    def failing(self, tally: Tally) -> bool:
        """Return whether too many have failed again."""
        known = tally.processed + tally.failed
        return known >= self.min_samples and tally.failed > known * self.max_failed_share

    @property
    def chunk(self) -> int:
        """Return how many letters to claim at a time: few enough that a claim is published at once."""
        return max(1, min(MAX_CHUNK, int(self.rate_per_s / 4)))


@dataclass(frozen=True, slots=True)
class Bench:
    """What replaying needs of the world. routes: topics by consumer. monotonic_s: a clock that never steps."""

    desk: DeadLetterDesk
    publisher: Publisher
    routes: Mapping[str, Topic]
    monotonic_s: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is. looked_at: letters decided on; refused: of them; gone: another run took them meanwhile."""

    looked_at: int = 0
    refused: int = 0
    gone: int = 0
    published: int = 0
    tally: Tally = field(default_factory=Tally)


@dataclass(frozen=True, slots=True)
class Report:
    """What a run did, and why it ended."""

    ended: Ended
    progress: Progress


async def replay_dead_letters(
    wanted: Wanted,
    run: Run,
    *,
    bench: Bench,
    limits: Limits = Limits(),
    told_to_stop: asyncio.Event | None = None,
    tell: Callable[[Progress], None] = lambda _: None,
) -> Report:
    """Publish the wanted letters again, and return once their outcomes are known, as far as patience goes.

    told_to_stop: ends the run between two letters; the same run again goes on where it ended. tell: hears of progress.
    Raises:
        PoisonError: the run names nobody, no reason or an unusable replay id, or its correction fits no letter or is
            too large (`bad_request`, `payload_too_large`). Nothing was done.
        TransientError: the database or the broker is away. Run again: what was published is known.
    """
    check_run(wanted, run, limits)
    await asyncio.to_thread(bench.desk.settle)
    until = await asyncio.to_thread(bench.desk.now)
    if not wanted.ids and (wanted.until is None or wanted.until > until):
        wanted = replace(
            wanted, until=until
        )  # what fails from now on, this run's own letters included, is not meant
    session = _Session(run, bench, limits, told_to_stop or asyncio.Event(), tell)
    ended = await session.publish(wanted)
    return Report(await session.wait_for_outcomes(ended), session.progress)


def check_run(wanted: Wanted, run: Run, limits: Limits) -> None:
    """Return if the run may begin.

    Raises:
        PoisonError: as `replay_dead_letters` says.
    """
    if not (run.by.strip() and run.why.strip()):
        raise PoisonError("bad_request", "say who replays them, and why")
    if run.edited is not None and len(wanted.ids) != 1:
        raise PoisonError("bad_request", "a corrected body is for one letter: name its id")
    if run.edited is not None and len(run.edited) > MAX_EDITED_BYTES:
        raise PoisonError("payload_too_large", f"the corrected body is over {MAX_EDITED_BYTES} bytes")
    if len(run.replay_id) > MAX_REPLAY_ID or not all(c.isalnum() or c in "-_.:" for c in run.replay_id):
        raise PoisonError(
            "bad_request", f"a replay id is up to {MAX_REPLAY_ID} letters, digits and any of - _ . :"
        )
    if limits.rate_per_s <= 0:
        raise PoisonError("bad_request", "a rate is above zero")


def message(claimed: Claimed, topic: Topic, run: Run) -> Message:
    """Return the letter as it was first published, with what lets a failure find its way back to it.

    A corrected body is in its message: a payload that was kept apart is not to be read instead.
    """
    attributes = original(claimed.attributes)
    if run.edited is not None:
        attributes = {name: value for name, value in attributes.items() if name not in APART}
    attributes |= {LETTER: str(claimed.letter_id), REPLAY: str(claimed.id)}
    if run.replay_id:
        attributes |= {REPLAY_ID: run.replay_id, REPLAY_FOR: claimed.consumer}
    return Message(topic, claimed.body, attributes)


class _Session:
    """A run under way."""

    def __init__(
        self,
        run: Run,
        bench: Bench,
        limits: Limits,
        told_to_stop: asyncio.Event,
        tell: Callable[[Progress], None],
    ) -> None:
        self.progress = Progress()
        self._run = run
        self._bench = bench
        self._limits = limits
        self._told_to_stop = told_to_stop
        self._tell = tell
        self._started_s = bench.monotonic_s()

    async def publish(self, wanted: Wanted) -> Ended:
        """Publish letter after letter until none is left or something says to stop."""
        pages = plan_replay(
            wanted, desk=self._bench.desk, routes=self._bench.routes, replay_id=self._run.replay_id
        )
        while page := await asyncio.to_thread(next, pages, None):
            for chunk in _chunks(page, self._limits.chunk):
                ended = await self._room(len(chunk))
                if ended is not None:
                    return ended
                await self._publish(chunk)
            refused = sum(planned.refusal is not None for planned in page)
            self._advance(looked_at=refused, refused=refused)
        return "done"

    async def wait_for_outcomes(self, ended: Ended) -> Ended:
        """Wait until every published letter has an outcome, unless the run was stopped."""
        waiting_since_s = self._bench.monotonic_s()
        known = self.progress.tally
        while True:
            tally = await self._outcomes()
            if tally != known:
                known, waiting_since_s = tally, self._bench.monotonic_s()
            waited_s = self._bench.monotonic_s() - waiting_since_s
            if not tally.waiting or ended != "done" or waited_s >= self._limits.patience_s:
                return ended
            if await self._stopped_within(POLL_S):
                return ended

    async def _room(self, wanted: int) -> Ended | None:
        """Return once there is room for more letters, or why to end."""
        waiting_since_s = self._bench.monotonic_s()
        known = self.progress.tally
        while True:
            if self._told_to_stop.is_set():
                return "interrupted"
            tally = await self._outcomes()
            if self._limits.failing(tally):
                return "failing"
            if tally.waiting + wanted <= max(self._limits.max_waiting, wanted):
                return None
            if tally != known:
                known, waiting_since_s = tally, self._bench.monotonic_s()
            if self._bench.monotonic_s() - waiting_since_s >= self._limits.patience_s:
                return "no_outcome"
            await self._stopped_within(POLL_S)

    async def _publish(self, chunk: Sequence[Asked]) -> None:
        """Claim, publish, mark; then wait as long as the rate asks."""
        claimed = await asyncio.to_thread(self._bench.desk.claim, chunk, self._run)
        messages = [message(one, self._bench.routes[one.consumer], self._run) for one in claimed]
        if claimed:
            await self._bench.publisher.publish(messages, timeout_s=PUBLISH_TIMEOUT_S)
            await asyncio.to_thread(self._bench.desk.mark_published, claimed)
        self._advance(looked_at=len(chunk), gone=len(chunk) - len(claimed), published=len(claimed))
        due_s = self._started_s + self.progress.published / self._limits.rate_per_s
        await self._stopped_within(due_s - self._bench.monotonic_s())

    async def _outcomes(self) -> Tally:
        tally = await asyncio.to_thread(self._bench.desk.settle, self._run.batch_id)
        if tally != self.progress.tally:
            self.progress = replace(self.progress, tally=tally)
            self._tell(self.progress)
        return tally

    async def _stopped_within(self, seconds: float) -> bool:
        """Wait, but not once told to stop; return whether that is so."""
        try:
            async with asyncio.timeout(max(seconds, 0)):
                await self._told_to_stop.wait()
        except TimeoutError:
            return False
        return True

    def _advance(self, *, looked_at: int, refused: int = 0, gone: int = 0, published: int = 0) -> None:
        self.progress = replace(
            self.progress,
            looked_at=self.progress.looked_at + looked_at,
            refused=self.progress.refused + refused,
            gone=self.progress.gone + gone,
            published=self.progress.published + published,
        )
        self._tell(self.progress)


def _chunks(page: Sequence[Planned], size: int) -> Iterator[Sequence[Asked]]:
    """Return the letters that may be published, so many at a time, and not too many bytes of them."""
    chunk: list[Asked] = []
    held_bytes = 0
    for planned in page:
        if planned.refusal is not None or planned.asked is None:
            continue
        if chunk and (len(chunk) == size or held_bytes + planned.letter.body_bytes > MAX_CHUNK_BYTES):
            yield chunk
            chunk, held_bytes = [], 0
        chunk.append(planned.asked)
        held_bytes += planned.letter.body_bytes
    if chunk:
        yield chunk
