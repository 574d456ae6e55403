"""`upstream portals`: the flows by which payers' portals are worked, checked and tried."""

import json
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.options import AsJson
from cli.output import Failure, show_json, show_table, tell
from shared.runtime.errors import UpstreamError

if TYPE_CHECKING:
    from shared.portals.portals import BrowserPortals
    from shared.ports.portal import Credentials, Flow, FlowId, PortalFile

app = typer.Typer(help="How payers' portals are worked.", no_args_is_help=True)

FLOW: Final = re.compile(r"(?P<portal>[a-z0-9_]+)/(?P<action>[a-z_]+)(?:@(?P<version>[0-9]+))?")
NOBODY: Final = "UPSTREAM-CANARY"  # a number that no payer has given to anything

FlowName = Annotated[
    str, typer.Option("--flow", help="Such as aetna/submit_appeal, or aetna/submit_appeal@1.")
]
Secret = Annotated[
    str,
    typer.Option(help="The secret that holds the user name and password, such as aetna-portal-credentials."),
]
Simulator = Annotated[bool, typer.Option(help="Try it on the simulated portals, which this starts and ends.")]


@app.command()
def lint(
    lock: Annotated[bool, typer.Option("--lock", help="Put new versions in force.")] = False,
) -> None:
    """Check every flow: its shape, its one commit, its lookup, and that no version in force was changed."""
    from shared.portals import loader
    from shared.portals.lint import check_book

    book = loader.read_book()
    if lock:
        for name in loader.lock(book):
            typer.echo(f"{name}: in force")
    problems = check_book(book, loader.locked())
    for problem in problems:
        tell(problem)
    if problems:
        raise Failure(f"{len(problems)} problems")
    typer.echo(f"{len(book.versions)} versions, nothing wrong")


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """Show the flows, and what each wants to know."""
    from shared.portals.loader import read_book
    from shared.portals.session import described

    flows = [(spec, described(spec)) for spec in read_book().flows]
    if as_json:
        show_json([_as_dict(flow) for _, flow in flows])
        return
    show_table(
        ["flow", "payers", "commits", "echoes our reference", "needs"],
        [
            (
                *(str(flow.id), " ".join(sorted(spec.portal.payer_keys))),
                *("yes" if flow.commits else "no", "yes" if flow.echoes_reference else "no"),
                ", ".join((*sorted(flow.required), *sorted(f"file {name}" for name in flow.required_files))),
            )
            for spec, flow in flows
        ],
    )


@app.command()
def run(
    flow: FlowName,
    dry_run: Annotated[bool, typer.Option(help="Stop before the commit, and picture the page.")] = False,
    fields: Annotated[
        list[str] | None, typer.Option("--field", help="name=value, as often as needed.")
    ] = None,
    files: Annotated[list[str] | None, typer.Option("--file", help="name=path, as often as needed.")] = None,
    credentials: Secret = "",
    simulator: Simulator = False,
    out: Annotated[Path, typer.Option(help="Where the picture goes.", file_okay=False)] = Path(
        ".upstream/portals"
    ),
    record: Annotated[Path | None, typer.Option(help="Keep the pages here, without what was typed.")] = None,
) -> None:
    """Do a flow by hand. A submission is only ever made by the worker, which keeps it from being made twice."""
    with _bench(credentials, simulator=simulator, record=record) as bench:
        wanted = bench.flow(flow)
        if wanted.commits and not dry_run:
            raise Failure("submissions go through the ledger, by a rule or a task; here: --dry-run")
        given = _pairs(fields or [])
        documents = [_document(name, Path(path)) for name, path in _pairs(files or []).items()]
        if simulator:
            given, documents = _made_up(wanted) | given, documents or _made_up_files(wanted)
        with bench.portals.session(wanted.id, credentials=bench.credentials(wanted.id.portal)) as visit:
            try:
                visit.sign_in()
                if wanted.commits:
                    visit.prepare(given, documents)
                    typer.echo(f"{wanted.id}: ready to submit, and not submitted")
                else:
                    show_json(asdict(visit.read(given)))
            finally:
                evidence = visit.evidence()
                for step in evidence.steps:
                    typer.echo(f"{step.duration_ms:8.0f} ms  {step.outcome:20} {step.name}")
                if evidence.screenshot_png:
                    typer.echo(f"Picture: {_kept(evidence.screenshot_png, out, wanted.id)}")


@app.command("record-check")
def record_check(
    flow: FlowName,
    recording: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="What `run --record` kept.")
    ],
) -> None:
    """Hold a flow against recorded pages: each element that it acts on must be there, once. Needs no portal."""
    from shared.portals.recording import missing_from

    with _bench("", simulator=False) as bench:
        wanted = bench.flow(flow)
        missing = missing_from(bench.portals.spec(wanted.id), recording, bench.host)
    for target in missing:
        tell(f"{wanted.id}: on no page, or more than once: {target}")
    if missing:
        raise Failure(f"{len(missing)} elements are not as the flow knows them")
    typer.echo(f"{wanted.id}: fits")


@app.command()
def canary(
    portal: Annotated[str, typer.Argument(help="Such as aetna.")],
    credentials: Secret = "",
    simulator: Simulator = False,
    as_json: AsJson = False,
) -> None:
    """Sign in and look for what is not there, with every flow of a portal. Submits nothing; fit for a schedule."""
    from shared.portals.loader import read_book
    from shared.portals.session import described

    flows = [described(spec) for spec in read_book().flows if spec.portal.portal == portal]
    if not flows:
        raise Failure(f"no flows for {portal}")
    with _bench(credentials, simulator=simulator) as bench:
        sung = [_sing(bench, flow) for flow in flows]
    if as_json:
        show_json([asdict(one) for one in sung])
    else:
        show_table(
            ["flow", "outcome", ">seconds"], [(one.flow, one.outcome, f"{one.seconds:.1f}") for one in sung]
        )
    if any(one.outcome != "ok" for one in sung):
        raise Failure("the portal is not as its flows know it, or away")


@dataclass(frozen=True, slots=True)
class _Sung:
    flow: str
    outcome: str
    seconds: float


class _Bench:
    """A browser to try flows with, and whose credentials they are tried with."""

    def __init__(self, portals: "BrowserPortals", secret: str, *, simulator: bool) -> None:
        self.portals, self.host = portals, portals.host
        self._secret, self._simulator = secret, simulator

    def flow(self, name: str) -> "Flow":
        """Return the flow of a name; without a version the newest.

        Raises:
            Failure: that is no flow's name, or there is none.
        """
        from shared.portals.loader import ACTIONS
        from shared.ports.portal import FlowId

        match = FLOW.fullmatch(name)
        action = next((one for one in ACTIONS if match and one == match["action"]), None)
        if match is None or action is None:
            raise Failure(f"{name} is no flow: {', '.join(ACTIONS)} of a portal, such as aetna/submit_appeal")
        if match["version"]:
            return self.portals.pinned(FlowId(match["portal"], action, int(match["version"])))
        return self.portals.newest(match["portal"], action)

    def credentials(self, portal: str) -> "Credentials":
        """Return who signs in.

        Raises:
            Failure: no secret is named, or it does not hold credentials.
        """
        from shared.ports.portal import Credentials

        if self._simulator:
            return Credentials("clinic", DEMO_PASSWORD, DEMO_SECRET if portal == "uhc" else "")
        if not self._secret:
            raise Failure("--credentials names the secret to sign in with; or try --simulator")
        try:
            return Credentials(**json.loads(_secret_value(self._secret)))
        except (ValueError, TypeError) as exc:
            raise Failure(f"{self._secret} holds no user name and password in JSON") from exc


DEMO_PASSWORD: Final = "portal-demo"  # noqa: S105 - of the simulator
DEMO_SECRET: Final = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"  # noqa: S105 - ditto


@contextmanager
def _bench(secret: str, *, simulator: bool, record: Path | None = None) -> Iterator[_Bench]:
    from shared.adapters.memory_codes import InMemoryCodeWindows
    from shared.portals.browser import BrowserHost
    from shared.portals.chromium import find_headless_shell
    from shared.portals.manners import read_manners, shell_will_do
    from shared.portals.portals import BrowserPortals, Lighter
    from shared.portals.recording import Recorder
    from shared.ports.clock import system_clock
    from shared.runtime.settings import from_environment

    settings, shell = from_environment(), find_headless_shell()
    will_do = shell_will_do(read_manners(settings.portal_manners))
    with ExitStack() as stack:
        sites = _simulated(stack) if simulator else settings.portal_sites
        portals = BrowserPortals(
            BrowserHost(settings.chromium),
            clock=system_clock,
            windows=InMemoryCodeWindows(),
            sites=sites,
            recorder=Recorder(record) if record else None,
            lighter=Lighter(BrowserHost(shell), will_do) if shell else None,
        )
        stack.callback(portals.close)
        yield _Bench(portals, secret, simulator=simulator)


def _simulated(stack: ExitStack) -> str:
    from local.portal_site.site import SKINS, portal_site
    from local.portal_site.store import Account, AuthorizationFile, ClaimFile

    site = stack.enter_context(portal_site())
    for portal in SKINS:
        site.open_account(Account(portal, "clinic", DEMO_PASSWORD, DEMO_SECRET if portal == "uhc" else ""))
        approved = AuthorizationFile("Approved", "DEMO-NEW", "2026-07-01", "2026-12-31", 24)
        site.decide_authorization(portal, "DEMO-AUTHORIZATION_NUMBER", approved)
        site.decide_claim(
            portal, "DEMO-CLAIM_NUMBER", ClaimFile("Denied", "DEMO-ICN", 0, "2026-06-15", "197")
        )
    return site.template


def _sing(bench: _Bench, flow: "Flow") -> _Sung:
    from shared.ports.portal import Absent, AuthorizationReading, ClaimReading

    started, fields = time.monotonic(), dict.fromkeys(flow.required, NOBODY)
    try:
        with bench.portals.session(flow.id, credentials=bench.credentials(flow.id.portal)) as visit:
            visit.sign_in()
            answer = visit.lookup(fields) if flow.commits else visit.read(fields)
    except UpstreamError as exc:
        outcome = f"{exc.code}: {exc.detail}"
    else:
        nothing = (Absent(), AuthorizationReading("not_found"), ClaimReading("not_found"))
        outcome = "ok" if answer in nothing else "found what is not there"
    return _Sung(str(flow.id), outcome, round(time.monotonic() - started, 1))


def _secret_value(name: str) -> str:
    from shared.runtime.bootstrap import App
    from shared.runtime.settings import from_environment

    versions = App(from_environment()).secret_store.versions(name)
    if not versions:
        raise Failure(f"no secret is called {name}")
    return versions[0]


def _pairs(given: Sequence[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in given]
    if any(not separator for _, separator, _ in pairs):
        raise Failure("fields and files are given as name=value")
    return {name: value for name, _, value in pairs}


def _document(name: str, path: Path) -> "PortalFile":
    from shared.ports.portal import PortalFile

    return PortalFile(name, path.name, path.read_bytes())


def _made_up(flow: "Flow") -> dict[str, str]:
    """Return values for a simulator, which takes any: dates where the form wants dates."""
    dates = dict.fromkeys(("born_on", "service_from", "service_to"), "2026-07-01")
    chosen = {"reason": "medical_necessity", "amount": "1250.00", "units": "24", "patient_name": "Dana Demo"}
    wanted = flow.required | flow.optional
    return {name: (dates | chosen).get(name, f"DEMO-{name.upper()}") for name in wanted}


def _made_up_files(flow: "Flow") -> "list[PortalFile]":
    from shared.ports.portal import PortalFile

    return [PortalFile(name, f"{name}.pdf", b"%PDF-1.7\n%%EOF\n") for name in sorted(flow.required_files)]


def _kept(screenshot_png: bytes, out: Path, flow: "FlowId") -> Path:
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{flow.portal}-{flow.action}-{datetime.now(UTC):%Y%m%dT%H%M%S}.png"
    path.write_bytes(screenshot_png)
    return path


def _as_dict(flow: "Flow") -> dict[str, object]:
    return {
        "flow": str(flow.id),
        "commits": flow.commits,
        "echoes_reference": flow.echoes_reference,
        "visible_after_s": flow.visible_after_s,
        "required": sorted(flow.required),
        "optional": sorted(flow.optional),
        "required_files": sorted(flow.required_files),
        "optional_files": sorted(flow.optional_files),
    }
