"""`upstream serve`: the whole pipeline on one port, until it is told to stop."""

from enum import StrEnum
from typing import Annotated, Any

import typer

from cli.options import DEFAULT_HOME, AsJson, Home


class RuntimeName(StrEnum):
    """What this machine can be."""

    EMBEDDED = "embedded"
    EMULATORS = "emulators"


def _share(of: str) -> Any:  # noqa: ANN401 - as typer.Option
    return typer.Option(min=0.0, max=1.0, help=f"Fault: this share of {of}.")


def serve(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 picks a free one.")] = 8080,
    hosts: Annotated[int, typer.Option(min=1, max=64, help="Function processes.")] = 2,
    runtime: Annotated[RuntimeName, typer.Option(help="Who carries the messages.")] = RuntimeName.EMBEDDED,
    duplicate: Annotated[float, _share("messages is delivered twice")] = 0.0,
    reorder: Annotated[float, _share("batches is out of order")] = 0.0,
    drop_ack: Annotated[float, _share("acknowledgements is lost")] = 0.0,
    delay: Annotated[float, _share("messages is held back for a while")] = 0.0,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Run the whole pipeline on one port until Ctrl-C. What was stored stays."""
    import asyncio

    from cli.pipeline import Wanted
    from cli.serving import run
    from local.broker import Faults

    faults = Faults(duplicate=duplicate, reorder=reorder, drop_ack=drop_ack, delay=delay)
    wanted = Wanted(home, runtime.value, port, hosts, faults)
    asyncio.run(run(wanted, as_json=as_json))
