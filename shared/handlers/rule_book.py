"""Customers' rules, compiled once a version and kept while they are in use."""

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, Protocol
from uuid import UUID

import orjson

from shared.domain.spending import Controls
from shared.rules.engine import CompiledRules, RuleEngine
from shared.rules.loader import load_rule
from shared.runtime.errors import PoisonError

if TYPE_CHECKING:
    from shared.rules.model import Rule

MAX_CUSTOMERS: Final = 1_000


@dataclass(frozen=True, slots=True)
class BrokenRule:
    """A stored rule that no longer loads. It never acts, and must not stop the others."""

    rule_id: str
    version: int
    trigger: str
    reason: str


@dataclass(frozen=True, slots=True)
class BookPage:
    """One customer's rules as of a version. read: by a document's digest, the rule that was read from it."""

    version: int
    rules: CompiledRules
    controls: Controls
    broken: tuple[BrokenRule, ...] = ()
    read: Mapping[bytes, "Rule"] = field(default_factory=dict)


class StoredRules(Protocol):
    """What the record has of a customer; see `shared.ports.record.EventTransaction`."""

    def rules(self) -> Sequence[Mapping[str, object]]:
        """Return the customer's active rule documents."""
        ...

    def controls(self) -> Controls:
        """Return what stops the customer's rules."""
        ...


class RuleBook:
    """Compiled rules by customer, the least recently used dropped first. Safe under threads."""

    def __init__(self, engine: RuleEngine, *, max_customers: int = MAX_CUSTOMERS) -> None:
        """engine: compiles each customer's rules."""
        self._engine = engine
        self._max_customers = max_customers
        self._pages: OrderedDict[UUID, BookPage] = OrderedDict()
        self._lock = threading.Lock()

    def page(self, customer_id: UUID, version: int, stored: StoredRules) -> BookPage:
        """Return the customer's rules as of `version`; `stored` is asked only when they changed."""
        with self._lock:
            page = self._pages.get(customer_id)
            if page is not None and page.version == version:
                self._pages.move_to_end(customer_id)
                return page
        # Not under the lock: other customers need not wait for this one.
        page = self._compile(version, stored, page)
        with self._lock:
            self._pages[customer_id] = page
            if len(self._pages) > self._max_customers:
                self._pages.popitem(last=False)
        return page

    def _compile(self, version: int, stored: StoredRules, known: BookPage | None) -> BookPage:
        """Return the page of what is stored. known: an earlier one; what is as it was is neither read nor indexed."""
        read: dict[bytes, Rule] = {}
        broken: list[BrokenRule] = []
        for document in stored.rules():
            digest = blake2b(orjson.dumps(document), digest_size=16).digest()
            try:
                read[digest] = (known.read.get(digest) if known else None) or load_rule(document)
            except PoisonError as exc:
                broken.append(_broken(document, exc))
        rules = self._engine.compile(read.values(), known.rules if known else None)
        return BookPage(version, rules, stored.controls(), tuple(broken), read)


def _broken(document: Mapping[str, object], error: PoisonError) -> BrokenRule:
    version = document.get("version")
    return BrokenRule(
        rule_id=str(document.get("id", "")),
        version=version if isinstance(version, int) else 0,
        trigger=str(document.get("trigger", "")),
        reason=error.detail,
    )
