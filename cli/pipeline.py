"""Starts the pipeline of a folder, with somebody to receive its notifications, so that other commands find it."""

import errno
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from cli.output import Failure
from cli.workspace import announce, make_way, withdraw
from local.broker import Faults
from local.runtime import LocalRuntime
from local.sinks import Sinks
from shared.adapters.embedded.secrets import FileSecretStore
from shared.runtime.settings import Settings, from_environment, to_environment

LOG_FILE: Final = "functions.log"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to start. port: 0 picks a free one. retry_scale: shortens the declared back-off.

    portal_sites, chromium: as the settings have them; empty leaves the environment's.
    """

    home: Path
    runtime: Literal["embedded", "emulators"] = "embedded"
    port: int = 0
    hosts: int = 2
    faults: Faults | None = None
    retry_scale: float = 1.0
    portal_sites: str = ""
    chromium: str = ""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """What was started."""

    runtime: LocalRuntime
    sinks: Sinks

    @property
    def settings(self) -> Settings:
        """Return what reaches its parts."""
        return self.runtime.settings

    def announce(self, *, ready: bool) -> None:
        """Let other commands find it: to leave it alone, and once it is ready, to use it."""
        announce(
            self.settings.home,
            url=self.runtime.url,
            host_pids=self.runtime.host_pids(),
            environment=to_environment(self.settings) | _emulators(),
            ready=ready,
        )


@asynccontextmanager
async def started(wanted: Wanted) -> AsyncIterator[Pipeline]:
    """Run the pipeline; all of it is gone on leaving.

    Raises:
        Failure: one runs on this folder already, or something did not start.
    """
    make_way(wanted.home)
    wanted.home.mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        sinks = await stack.enter_async_context(_receiving(wanted.home))
        try:
            runtime = await stack.enter_async_context(_runtime(wanted, sinks))
        except (OSError, RuntimeError) as exc:
            raise Failure(_why(exc, wanted)) from exc
        stack.callback(withdraw, wanted.home)
        pipeline = Pipeline(runtime, sinks)
        pipeline.announce(ready=False)
        yield pipeline


@asynccontextmanager
async def _receiving(home: Path) -> AsyncIterator[Sinks]:
    sinks = Sinks(home, secrets=FileSecretStore(home / "secrets").versions)
    try:
        await sinks.__aenter__()
    except OSError as exc:
        raise Failure(
            f"where notifications are received: {exc.strerror}; {home}/sinks.json names the ports"
        ) from exc
    try:
        yield sinks
    finally:
        await sinks.__aexit__(None, None, None)


def _runtime(wanted: Wanted, sinks: Sinks) -> LocalRuntime:
    return _runtime_class(wanted)(
        _settings(wanted, sinks),
        port=wanted.port,
        hosts=wanted.hosts,
        retry_scale=wanted.retry_scale,
        faults=wanted.faults,
        log_file=wanted.home / LOG_FILE,
    )


def _runtime_class(wanted: Wanted) -> type[LocalRuntime]:
    if wanted.runtime == "embedded":
        return LocalRuntime
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # it remarks on every process that we start
    from local.emulated import EmulatedRuntime  # slow to import: Google's clients

    return EmulatedRuntime


def _settings(wanted: Wanted, sinks: Sinks) -> Settings:
    """Return the environment's settings for this folder; mail goes to the sink unless they name a relay."""
    settings = replace(from_environment(), home=wanted.home.absolute(), runtime=wanted.runtime)
    if wanted.portal_sites:
        settings = replace(settings, portal_sites=wanted.portal_sites, chromium=wanted.chromium)
    if "UPSTREAM_SMTP_HOST" in os.environ:
        return settings
    return replace(settings, smtp_host="127.0.0.1", smtp_port=sinks.smtp_port)


def _emulators() -> dict[str, str]:
    """Return the variables by which Google's clients find the emulators, where they are in use."""
    return {name: value for name, value in os.environ.items() if name.endswith("_EMULATOR_HOST")}


def _why(error: Exception, wanted: Wanted) -> str:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return f"port {wanted.port} is in use; choose another with --port (0 picks a free one)"
    if type(error) is RuntimeError:  # a function process; what the emulators' own error says is enough
        return f"{error}: {wanted.home / LOG_FILE}"
    return str(error)
