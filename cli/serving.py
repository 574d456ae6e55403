"""What `upstream serve` does: start, say where, wait, stop."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from cli.connections import path_of
from cli.hints import EXAMPLE, command
from cli.output import console, show_json
from cli.pipeline import LOG_FILE, Pipeline, Wanted, started
from cli.seed import add_samples
from cli.workspace import Workspace
from local.scheduler import LocalScheduler
from shared.ports.connections import Connection


async def run(wanted: Wanted, *, as_json: bool) -> None:
    """Serve until SIGINT or SIGTERM.

    Raises:
        Failure: a pipeline runs here already, or something did not start.
    """
    told_to_stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told_to_stop.set)
    async with started(wanted) as pipeline:
        samples = await asyncio.to_thread(_seeded, pipeline)
        say = _say_json if as_json else _say
        pipeline.announce(ready=True)
        say(wanted, pipeline, samples)
        async with _kept(LocalScheduler(wanted.home.absolute(), pipeline.runtime.url)):
            await told_to_stop.wait()
    if not as_json:
        console().print("Stopped. Nothing is left running.")


@asynccontextmanager
async def _kept(scheduler: LocalScheduler) -> AsyncIterator[None]:
    """Fire jobs when they are due, until leaving."""
    keeping = asyncio.create_task(scheduler.keep())
    try:
        yield
    finally:
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping


def _seeded(pipeline: Pipeline) -> Connection:
    workspace = Workspace(pipeline.settings, None)
    try:
        return add_samples(workspace, pipeline.sinks)
    finally:
        workspace.close()


def _say(wanted: Wanted, pipeline: Pipeline, samples: Connection) -> None:
    home, url = wanted.home, pipeline.runtime.url
    out = console()
    out.print(f"Upstream is running ({wanted.runtime}). Ctrl-C stops it; what was stored stays in {home}.\n")
    out.print(f"  payers post to   {url}/v1/webhooks/{{provider}}/{{connection}}")
    out.print(f"  such as          {url}{path_of(samples)}")
    out.print(f"  health           {url}/_health/ready")
    out.print(f"  metrics          {url}/metrics")
    out.print(f"  logs             {home / LOG_FILE}")
    out.print(f"  notifications    {home / 'notifications.jsonl'}\n")
    out.print("Try, in another terminal:\n")
    for words in (("send", EXAMPLE), ("connections", "list"), ("rules", "list")):
        out.print(f"  {command(*words, home=home)}")


def _say_json(wanted: Wanted, pipeline: Pipeline, samples: Connection) -> None:
    runtime = pipeline.runtime
    show_json(
        {
            "url": runtime.url,
            "runtime": wanted.runtime,
            "home": wanted.home,
            "host_pids": runtime.host_pids(),
            "samples_connection": samples.id,
            "smtp_port": pipeline.sinks.smtp_port,
            "http_port": pipeline.sinks.http_port,
        }
    )
