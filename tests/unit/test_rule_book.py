"""A customer's rules are read and indexed when they change, and no more of them than changed."""

from collections.abc import Iterable, Mapping
from datetime import date
from uuid import UUID, uuid4

from shared.domain.spending import Controls
from shared.handlers.rule_book import RuleBook
from shared.rules.engine import CompiledRules
from shared.rules.facts import GivenFacts
from shared.rules.indexed import IndexedEngine, IndexedRules
from shared.rules.model import Rule

ON = date(2026, 2, 3)


def document(name: str, value: str = "29", **fields: object) -> dict[str, object]:
    return {
        "id": name,
        "version": 1,
        "name": name,
        "trigger": "claim.denied",
        "when": {"fact": "denial.carc", "op": "eq", "value": value},
        "then": [{"action": "notify", "params": {"title": name}}],
        "mode": "live",
        "examples": [{"given": {"denial.carc": value}, "expect": "fires"}],
    } | fields


class Remembering(IndexedEngine):
    """Remembers the rules it was given, and from what it compiled them."""

    def __init__(self) -> None:
        self.given: list[tuple[tuple[Rule, ...], CompiledRules | None]] = []

    def compile(self, rules: Iterable[Rule], since: CompiledRules | None = None) -> IndexedRules:
        given = tuple(rules)
        self.given.append((given, since))
        return super().compile(given, since)


class Customer:
    """One customer's stored documents, and how often they were asked for."""

    def __init__(self, *stored: Mapping[str, object]) -> None:
        self.id: UUID = uuid4()
        self.stored = list(stored)
        self.asked = 0

    def rules(self) -> list[Mapping[str, object]]:
        self.asked += 1
        return [dict(each) for each in self.stored]

    def controls(self) -> Controls:
        return Controls()


def fired(rules: CompiledRules, carc: str) -> list[str]:
    evaluation = rules.evaluate("claim.denied", GivenFacts({"denial.carc": carc}, ON), ON)
    return [decision.rule_id for decision in evaluation.decisions]


def test_rules_are_read_once_a_version() -> None:
    book, customer = RuleBook(Remembering()), Customer(document("a"))
    first = book.page(customer.id, 1, customer)
    assert book.page(customer.id, 1, customer) is first
    assert customer.asked == 1
    assert book.page(customer.id, 2, customer) is not first
    assert customer.asked == 2


def test_only_what_changed_is_read_anew() -> None:
    engine = Remembering()
    book, customer = RuleBook(engine), Customer(*(document(f"r-{n}") for n in range(20)))
    before = book.page(customer.id, 1, customer)
    customer.stored[7] = document("r-7", "50", version=2)
    after = book.page(customer.id, 2, customer)
    (first, _), (second, since) = engine.given
    assert since is before.rules
    assert [one is other for one, other in zip(first, second, strict=True)].count(False) == 1
    assert fired(after.rules, "50") == ["r-7"]
    assert "r-7" not in fired(after.rules, "29")
    assert "r-7" in fired(before.rules, "29")


def test_a_stored_version_that_says_something_else_all_the_same_is_read() -> None:
    book, customer = RuleBook(IndexedEngine()), Customer(document("a"), document("b"))
    book.page(customer.id, 1, customer)
    customer.stored[0] = document("a", "50")
    assert fired(book.page(customer.id, 2, customer).rules, "50") == ["a"]


def test_a_rule_that_does_not_load_is_named_and_stops_no_other() -> None:
    book, customer = RuleBook(IndexedEngine()), Customer(document("a"), document("b", mode="loud"))
    page = book.page(customer.id, 1, customer)
    assert [(rule.rule_id, rule.version, rule.trigger) for rule in page.broken] == [("b", 1, "claim.denied")]
    assert fired(page.rules, "29") == ["a"]
    customer.stored.pop()
    assert book.page(customer.id, 2, customer).broken == ()


def test_customers_have_their_own_rules_and_the_least_used_are_dropped() -> None:
    book = RuleBook(IndexedEngine(), max_customers=2)
    one, two, three = (Customer(document(name)) for name in ("one", "two", "three"))
    for customer in (one, two, one, three):
        book.page(customer.id, 1, customer)
    assert fired(book.page(one.id, 1, one).rules, "29") == ["one"]
    book.page(two.id, 1, two)
    assert (one.asked, two.asked, three.asked) == (1, 2, 1)
