"""Does a flow's steps on a page, one after the other, and keeps a log of them without a value in it."""

import hashlib
import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from shared.portals.hooks import OneTimeCodes, choose_in_listbox, upload_by_chooser
from shared.portals.language import (
    Choose,
    Click,
    Conversion,
    Expect,
    Extract,
    Fill,
    Goto,
    StepSpec,
    Target,
    Upload,
)
from shared.portals.locate import locate, scope_of
from shared.portals.recording import Recorder
from shared.portals.watch import Watch
from shared.ports.clock import Clock
from shared.ports.portal import Credentials, PortalFile, PortalStopError, Step
from shared.runtime.errors import AmbiguousOutcomeError, PermanentError, TransientError, UpstreamError

if TYPE_CHECKING:
    from playwright.async_api import FilePayload, Locator, Page

US_DATE: Final = "%m/%d/%Y"
NAME_FIELDS: Final = ("patient_name",)
# What names no patient; every other field is kept out of pictures, whether it is typed or the page shows it by itself.
NO_PATIENTS: Final = frozenset(
    {
        "client_reference",
        "provider_npi",
        "provider_name",
        "reason",
        "carc",
        "level",
        "amount",
        "charge",
        "units",
    }
)


@dataclass(slots=True)
class Typed:
    """What an attempt brings: typed into forms, and kept out of everything that is shown of it.

    shown: each value as it was typed.
    """

    fields: Mapping[str, str] = field(default_factory=dict)
    files: Sequence[PortalFile] = ()
    shown: set[str] = field(default_factory=set)

    @property
    def hidden(self) -> set[str]:
        """Return what no picture shows: what was typed or is known of the patient, days as portals write them."""
        known = {value for name, value in self.fields.items() if name not in NO_PATIENTS}
        return self.shown | known | {text for value in known for text in _days(value)}

    @property
    def names(self) -> list[str]:
        """Return people's names among the fields."""
        return [self.fields[name] for name in NAME_FIELDS if name in self.fields]

    def files_named(self, name: str) -> "list[FilePayload]":
        """Return the files of a name as Playwright takes them."""
        return [
            {"name": file.filename, "mimeType": file.content_type, "buffer": file.content}
            for file in self.files
            if file.name == name
        ]

    def files_sha256(self) -> dict[str, str]:
        """Return what each file hashes to; of several with one name, the second is `name[1]`."""
        found: dict[str, str] = {}
        for file in self.files:
            count = sum(name.partition("[")[0] == file.name for name in found)
            found[f"{file.name}[{count}]" if count else file.name] = hashlib.sha256(file.content).hexdigest()
        return found


class Performer:
    """One page's steps."""

    def __init__(
        self,
        page: "Page",
        watch: Watch,
        *,
        site: str,
        credentials: Credentials,
        portal: str,
        codes: OneTimeCodes,
        clock: Clock,
        recorder: Recorder | None = None,
    ) -> None:
        """site: where the portal is; secrets are typed nowhere else. recorder: keeps the pages that are seen."""
        self.page, self.watch = page, watch
        self.typed = Typed()
        self.log: list[Step] = []
        self._site, self._credentials, self._portal = site, credentials, portal
        self._codes, self._clock, self._recorder = codes, clock, recorder

    async def perform(self, steps: Iterable[StepSpec]) -> dict[str, str] | None:
        """Do the steps; return what they extracted, or None where an `expect` says that there is nothing.

        Raises:
            TransientError, PortalStopError, PermanentError: as the port's methods.
        """
        extracted: dict[str, str] = {}
        for step in steps:
            if self._is_skipped(step):
                continue
            async with self.logged(_name(step), acts=isinstance(step, Goto | Click)):
                if isinstance(step, Expect) and not await self._expect(step):
                    return None
                if isinstance(step, Extract):
                    extracted[step.into] = await self._extract(step)
                elif not isinstance(step, Expect):
                    await self._act(step)
        await self._record()
        return extracted

    @asynccontextmanager
    async def logged(self, name: str, *, acts: bool = False) -> AsyncIterator[None]:
        """Log what happens in the block as one step; Playwright's errors become ours here.

        acts: it may send requests.

        Raises:
            TransientError, PortalStopError, AmbiguousOutcomeError: instead of Playwright's.
        """
        from playwright.async_api import Error
        from playwright.async_api import TimeoutError as Late

        started, outcome = self._clock(), "done"
        self.watch.begin(name, acts=acts)
        try:
            try:
                yield
            except Late as exc:
                await self.watch.look()
                raise self.watch.gave_up() from exc
            except Error as exc:
                raise self._broken(name) from exc
        except UpstreamError as exc:
            outcome = exc.code
            raise
        finally:
            self.log.append(Step(name, started, _ms_since(started, self._clock()), outcome))

    async def ready(self, step: Click) -> None:
        """Return once the element can be pressed, without pressing it, on a page that is no failure page."""
        async with self.logged(f"ready {step.target}"):
            at = locate(self.page, step.target)
            await self.watch.arrive([at])
            await at.click(trial=True, timeout=self.watch.timeout_ms)
            await self.watch.look()
            await self._record()

    async def _record(self) -> None:
        if self._recorder is not None:
            values = self.typed.hidden | {self._credentials.username}
            await self._recorder.keep(self.page, values=values, names=self.typed.names)

    def _broken(self, name: str) -> UpstreamError:
        if self.watch.phase == "committed":
            return AmbiguousOutcomeError("commit_unclear", f"{name}: the browser lost the page")
        if self.page.is_closed():
            return TransientError("browser_unavailable", f"{name}: the browser is gone")
        return TransientError("portal_unavailable", f"{name}: the page could not be used")

    def _is_skipped(self, step: StepSpec) -> bool:
        """Whether an optional step has nothing to do.

        Raises:
            PermanentError: `missing_field`; one that is not optional has nothing.
        """
        if isinstance(step, Click | Expect) and step.with_file:
            return not self.typed.files_named(step.with_file)
        match step:
            case Fill(source=name, optional=optional) | Choose(source=name, optional=optional) if name:
                missing = not self.typed.fields.get(name)
            case Upload(file=name, optional=optional):
                missing = not self.typed.files_named(name)
            case _:
                return False
        if missing and not optional:
            raise PermanentError("missing_field", name)
        return missing

    async def _act(self, step: StepSpec) -> None:
        match step:
            case Goto(path=path):
                await self._goto(path)
            case Fill():
                await self._fill(step)
            case Choose():
                await self._choose(step)
            case Upload():
                await self._upload(step)
            case Click(target=target):
                await self._click(target)
            case _:
                raise AssertionError(step)

    async def _goto(self, path: str) -> None:
        await self.page.goto(self._site + path, wait_until="domcontentloaded", timeout=self.watch.timeout_ms)

    async def _fill(self, step: Fill) -> None:
        at = await self._arrived(step.target)
        if step.secret or step.hook:
            await self._check_origin()
        if step.hook:
            await at.fill(
                await self._codes.code(self._portal, self._credentials), timeout=self.watch.timeout_ms
            )
            return
        if step.secret:
            value = getattr(self._credentials, step.secret)
        else:
            value = self._shown(step.source, self.typed.fields[step.source], us=step.form == "us_date")
        await at.fill(value, timeout=self.watch.timeout_ms)

    async def _choose(self, step: Choose) -> None:
        value = self.typed.fields[step.source]
        option = step.values.get(value)
        if option is None:
            raise PermanentError("missing_field", f"{step.source}: not one of the flow's values")
        at = await self._arrived(step.target)
        if step.hook == "listbox":
            scope = scope_of(self.page, step.target)
            await choose_in_listbox(scope, at, option, timeout_ms=self.watch.timeout_ms)
        else:
            await at.select_option(label=option, timeout=self.watch.timeout_ms)

    async def _upload(self, step: Upload) -> None:
        chooser = step.hook == "file_chooser"
        at = await self._arrived(step.target, attached=not chooser)
        files = self.typed.files_named(step.file)
        if chooser:
            await upload_by_chooser(self.page, at, files, timeout_ms=self.watch.timeout_ms)
        else:
            await at.set_input_files(files, timeout=self.watch.timeout_ms)

    async def _click(self, target: Target) -> None:
        at = await self._arrived(target)
        await self._record()
        await at.click(timeout=self.watch.timeout_ms)

    async def _expect(self, step: Expect) -> bool:
        wanted = [locate(self.page, one) for one in (step.target, step.absent) if one]
        return await self.watch.arrive(wanted) == 0

    async def _extract(self, step: Extract) -> str:
        at = await self._arrived(step.target, attached=True)
        text = await text_of(at, timeout_ms=self.watch.timeout_ms)
        if not text:
            return ""
        try:
            return step.values[text] if step.values else _converted(text, step.conversion)
        except (KeyError, ValueError, InvalidOperation) as exc:
            raise PortalStopError(
                "unknown_page", f"{self.watch.place}: says what the flow does not know"
            ) from exc

    async def _arrived(self, target: Target, *, attached: bool = False) -> "Locator":
        at = locate(self.page, target)
        await self.watch.arrive([at], attached=attached)
        return at

    async def _check_origin(self) -> None:
        """Return if the page is the portal's own: a password goes nowhere else.

        Raises:
            PortalStopError: `unknown_page`.
        """
        if _origin(self.page.url) != _origin(self._site):
            raise PortalStopError("unknown_page", f"{self.watch.place}: on another site")

    def _shown(self, name: str, value: str, *, us: bool) -> str:
        try:
            text = f"{date.fromisoformat(value):{US_DATE}}" if us else value
        except ValueError as exc:
            raise PermanentError("missing_field", f"{name}: not a date") from exc
        if name != "client_reference":
            self.typed.shown |= {text, value}
        return text


async def text_of(at: "Locator", *, timeout_ms: float) -> str:
    """Return an element's own text, its white space folded."""
    return " ".join((await at.text_content(timeout=timeout_ms) or "").split())


def _days(value: str) -> tuple[str, ...]:
    """Return an ISO date as portals write it, with and without leading zeros; nothing of any other text."""
    try:
        day = date.fromisoformat(value)
    except ValueError:
        return ()
    return f"{day:{US_DATE}}", f"{day.month}/{day.day}/{day.year}"


def _converted(text: str, conversion: Conversion | None) -> str:
    match conversion:
        case None:
            return text
        case "us_date":
            return datetime.strptime(text, US_DATE).date().isoformat()  # noqa: DTZ007 - a date has no zone
        case "money":
            return str(int(Decimal(re.sub(r"[$,\s]", "", text)) * 100))
        case "integer":
            return str(int(text.replace(",", "")))


def _name(step: StepSpec) -> str:
    kind = type(step).__name__.lower()
    match step:
        case Goto(path=path):
            return f"{kind} {path}"
        case Extract(target=target, into=into):
            return f"{kind} {into} {target}"
        case _:
            return f"{kind} {step.target}"


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _ms_since(started: datetime, now: datetime) -> float:
    return round((now - started).total_seconds() * 1000, 1)
