"""What a customer's share of a job comes to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from shared.domain.events import Event, Outgoing
from shared.domain.jobs import Run
from shared.ports.jobs import JobWork, Signal


@dataclass(frozen=True, slots=True)
class Share:
    """One customer's share of a run. event: the message that asks for it. data: its content, which we wrote."""

    run: Run
    event: Event
    data: Mapping[str, Any]
    work: JobWork
    now: datetime


@dataclass(frozen=True, slots=True)
class Done:
    """counts: for the run's history. signals: what the network is told."""

    counts: Mapping[str, int]
    outgoing: tuple[Outgoing, ...] = ()
    signals: tuple[Signal, ...] = field(default=())
