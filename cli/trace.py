"""`upstream trace`: everything that one delivery led to."""

from dataclasses import asdict
from typing import Annotated
from uuid import UUID

import typer

from cli.options import DEFAULT_HOME, AsJson, Home
from cli.output import Failure, console, show_json


def trace(
    event_id: Annotated[UUID, typer.Argument(help="Any event of the story; `upstream send` prints one.")],
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Show every hop of an event's story: when, what, with which outcome."""
    from cli.trace_tree import since_start_ms, tree
    from cli.workspace import opened

    with opened(home) as workspace:
        hops = list(workspace.history.story(event_id))
    if not hops:
        raise Failure(f"nothing is known of event {event_id}: not accepted, or not processed yet")
    if as_json:
        timed = [{**asdict(hop), "ms": since_start_ms(hop, hops)} for hop in hops]
        show_json({"event_id": event_id, "started_at": hops[0].at, "hops": timed})
    else:
        console().print(tree(hops, asked=event_id))
