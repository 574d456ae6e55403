"""What a flow says: values, one type a kind of step. Pure. `schemas/portals/flow.schema.json` is its grammar."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from shared.ports.portal import PortalAction, StopCode

LocatorKind = Literal["role", "label", "placeholder", "test_id", "text", "css"]
Secret = Literal["username", "password"]
Form = Literal["us_date"]
Conversion = Literal["us_date", "money", "integer"]
Meaning = StopCode | Literal["portal_unavailable", "session_lost"]


@dataclass(frozen=True, slots=True)
class Target:
    """One element, strictly: two that fit are none. frame: CSS of the frames it is in, from the outside."""

    kind: LocatorKind
    value: str
    name: str = ""
    frame: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return how step logs name it."""
        return f"{self.kind}={self.value}" + (f"[{self.name}]" if self.name else "")


@dataclass(frozen=True, slots=True)
class Goto:
    """Open a path of the portal's site."""

    path: str


@dataclass(frozen=True, slots=True)
class Fill:
    """Type a field of the action, a secret, or what a hook makes. Exactly one of the three is named."""

    target: Target
    source: str = ""
    secret: Secret | None = None
    hook: Literal["totp"] | None = None
    form: Form | None = None
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Choose:
    """Pick from a list. values: from what the field holds to what the list says."""

    target: Target
    source: str
    values: Mapping[str, str]
    hook: Literal["listbox"] | None = None
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Upload:
    """Hand over the files of a name."""

    target: Target
    file: str
    hook: Literal["file_chooser"] | None = None
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Click:
    """Press. commit: the one step of a flow that cannot be undone. with_file: only where such a file was given."""

    target: Target
    commit: bool = False
    with_file: str = ""


@dataclass(frozen=True, slots=True)
class Expect:
    """Wait until it shows. absent: shows instead where there is nothing to find. with_file: as a click's."""

    target: Target
    absent: Target | None = None
    with_file: str = ""


@dataclass(frozen=True, slots=True)
class Extract:
    """Read an element's own text. values: from what the portal says to what we call it."""

    target: Target
    into: str
    conversion: Conversion | None = None
    values: Mapping[str, str] = field(default_factory=dict)


StepSpec = Goto | Fill | Choose | Upload | Click | Expect | Extract


@dataclass(frozen=True, slots=True)
class Detector:
    """A page that means something went wrong. Looked for in every frame, as the page is: never waited for."""

    see: Target
    means: Meaning


@dataclass(frozen=True, slots=True)
class LookupSpec:
    """How to find a submission again. reference, client_reference, status: within one of the rows."""

    steps: tuple[StepSpec, ...]
    rows: Target
    reference: Target
    client_reference: Target | None = None
    status: Target | None = None


@dataclass(frozen=True, slots=True)
class PortalSpec:
    """One version of what a portal's flows share. site: where it is, without a slash at the end."""

    portal: str
    version: int
    payer_keys: frozenset[str]
    site: str
    sign_in: tuple[StepSpec, ...]
    detect: tuple[Detector, ...]
    mask: tuple[Target, ...] = ()
    step_s: float = 15.0
    commit_s: float = 45.0


@dataclass(frozen=True, slots=True)
class FlowSpec:
    """One version of a flow, with the portal's version that it was written against."""

    portal: PortalSpec
    action: PortalAction
    version: int
    steps: tuple[StepSpec, ...]
    echoes_reference: bool = False
    visible_after_s: float = 0.0
    lookup: LookupSpec | None = None

    @property
    def commit_at(self) -> int | None:
        """Where the commit step is, if the flow has one."""
        return next(
            (at for at, step in enumerate(self.steps) if isinstance(step, Click) and step.commit), None
        )

    def all_steps(self) -> Iterator[StepSpec]:
        """Yield the steps of the flow and of its lookup."""
        yield from self.steps
        yield from self.lookup.steps if self.lookup else ()
