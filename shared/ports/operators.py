"""What engineers change and look up across customers: customers, their rules, their contracts.

Like the record it writes to, this port has no in-memory fake (docs/adr/0003).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, Protocol
from uuid import UUID

from shared.domain.spending import Controls, Window
from shared.ports.notifier import Channel

RuleDocument = Mapping[str, object]
Change = Literal[
    "added",  # a version nobody had stored
    "restored",  # a stored version that was no longer in force
    "retired",  # a version that the new documents no longer name
    "unchanged",
]


@dataclass(frozen=True, slots=True)
class Customer:
    """A practice, and where it wants to be told."""

    id: UUID
    name: str
    channels: tuple[Channel, ...] = ()
    rules_version: int = 0


@dataclass(frozen=True, slots=True)
class RuleChange:
    """What applying documents did, or would do, to one version of a rule."""

    rule_id: str
    version: int
    change: Change


@dataclass(frozen=True, slots=True)
class RuleChanged:
    """A change that was made, by whom and when."""

    rule_id: str
    version: int
    change: Change
    changed_by: str
    changed_at: datetime


class CheckSet(Protocol):
    """Looks at a customer's rules as they would be."""

    def __call__(self, before: Sequence[RuleDocument], after: Sequence[RuleDocument]) -> None:
        """Return if the documents may be in force together. before: those that are now."""
        ...


@dataclass(frozen=True, slots=True)
class StoredRule:
    """One version of a customer's rule. active: in force, if its mode and dates say so too."""

    customer_id: UUID
    customer: str
    rule_id: str
    version: int
    name: str
    trigger: str
    mode: str
    active: bool
    applied_by: str
    applied_at: datetime


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """What one version of a rule says. active: in force."""

    rule_id: str
    version: int
    active: bool
    document: RuleDocument


@dataclass(frozen=True, slots=True)
class Switch:
    """Whether rules may do something of a kind (empty: anything), and who said so last."""

    action_type: str
    off: bool
    changed_by: str
    why: str
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class ContractedFee:
    """What a customer's contract with a payer says that a procedure is worth, from a day on."""

    payer_key: str
    procedure: str
    effective_from: date
    contracted_cents: int


class OperatorDesk(Protocol):
    """Reads and writes as `upstream_operator`, which sees every customer. Blocks."""

    def ensure_customer(self, name: str, *, new_id: UUID) -> Customer:
        """Return the customer of this name, made with `new_id` if there was none.

        Raises:
            TransientError: the database is away or busy.
        """
        ...

    def customer(self, name: str) -> Customer | None:
        """Return the customer of this name, or None.

        Raises:
            TransientError: the database is away or busy.
        """
        ...

    def customers(self) -> Sequence[Customer]:
        """Return all customers by name, without the one that stands for nobody.

        Raises:
            TransientError: the database is away or busy.
        """
        ...

    def set_channels(self, customer_id: UUID, channels: Sequence[Channel]) -> None:
        """Tell the customer on these channels from now on, and on no other.

        Raises:
            TransientError: the database is away or busy.
        """
        ...

    def apply_rules(
        self,
        customer_id: UUID,
        documents: Sequence[RuleDocument],
        *,
        applied_by: str,
        dry_run: bool = False,
        check: CheckSet | None = None,
    ) -> Sequence[RuleChange]:
        """Put exactly these versions of the rules that they name in force; other rules stay as they are.

        documents: checked ones; all versions of a rule together. A stored version never changes. Who changed what is
        kept. check: looks at the whole set, and nobody changes it meanwhile; what it raises is raised, and nothing was
        changed.
        Raises:
            PoisonError: a stored version of the same number says something else (`invalid_rule`); or there is no
                such customer (`unknown_customer`). Nothing was changed.
            TransientError: the database is away or busy.
        """
        ...

    def rule_history(
        self, customer_id: UUID, *, rule_id: str | None = None, limit: int = 50
    ) -> Sequence[RuleChanged]:
        """Return who put which versions in and out of force, the newest first.

        Raises:
            TransientError: the database is away or busy.
        """
        ...

    def rules(self, customer_id: UUID | None = None, *, retired: bool = False) -> Sequence[StoredRule]:
        """Return stored rules by customer, rule and version. retired: versions no longer in force, too.

        Raises:
            TransientError: the database is away or busy.
        """
        ...

    def documents(self, customer_id: UUID, *, rule_id: str | None = None) -> Sequence[StoredDocument]:
        """Return the customer's stored documents by rule and version, retired ones too. rule_id: of this rule alone.

        Raises:
            TransientError: the database is away or busy.
        """
        ...

    def switch(self, customer_id: UUID, action_type: str, *, off: bool, by: str, why: str) -> None:
        """Stop what the customer's rules do of this kind (empty: of any), or let it go on, from the next event on.

        Raises:
            PoisonError: there is no such customer (`unknown_customer`). Nothing was changed.
            TransientError: the database is away or busy.
        """
        ...

    def switches(self, customer_id: UUID) -> Sequence[Switch]:
        """Return what was ever switched off, by kind of action.

        Raises:
            TransientError: the database is away or busy.
        """
        ...

    def limit(self, customer_id: UUID, window: Window, *, by: str) -> None:
        """Let all rules of the customer together do at most this much in any so many days; no limit takes it away.

        Raises:
            PoisonError: there is no such customer (`unknown_customer`). Nothing was changed.
            TransientError: the database is away or busy.
        """
        ...

    def controls(self, customer_id: UUID) -> Controls:
        """Return what stops the customer's rules, and what all of them together may do.

        Raises:
            TransientError: the database is away or busy.
        """
        ...

    def load_fees(self, customer_id: UUID, fees: Sequence[ContractedFee]) -> None:
        """Store what contracts say, over what was stored for the same payer, procedure and day.

        Raises:
            TransientError: the database is away or busy.
        """
        ...


class SecretWriter(Protocol):
    """Writes secrets by name. Blocks."""

    def add_version(self, name: str, value: str, *, keep: int = 2) -> None:
        """Put a new version first and keep that many in all: a rotation keeps the old one good for a while.

        Raises:
            ValueError: a name or value that the store cannot hold.
            TransientError: the store did not answer.
        """
        ...

    def ensure(self, name: str, value: str) -> str:
        """Return the newest version; `value`, stored, where there was none. Of several at once, all return the same.

        Raises:
            ValueError: as of `add_version`.
            TransientError: the store did not answer.
        """
        ...
