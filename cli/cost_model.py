"""What a month on Google Cloud costs, from a price table and what one claim causes. Pure: no I/O.

Upper bounds where there is a choice: each message is billed its own time although instances serve several at once, and
every free allowance that is shared by the whole billing account is left out, but those that a project has to itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

MONTH_S: Final = 30 * 24 * 3600
MONTH_H: Final = 730
DAYS: Final = 30
KIB: Final = 1024
GIB: Final = 1024**3
MIB: Final = 1024**2
MINUTES: Final = 30 * 24 * 60


@dataclass(frozen=True, slots=True)
class Price:
    """usd: per unit. free: units a month that cost nothing."""

    usd: float
    free: float = 0.0


@dataclass(frozen=True, slots=True)
class Workload:
    """What customers do. claims_per_day: of each customer. months: how long claims have been kept."""

    customers: int
    claims_per_day: int
    months: int = 12

    @property
    def claims_a_month(self) -> int:
        """All customers' claims of thirty days."""
        return self.customers * self.claims_per_day * DAYS


@dataclass(frozen=True, slots=True)
class PerClaim:
    """What one claim causes, from its submission to its payment.

    handled_s: billed time of one message in a function; measured processor time is 4 ms (docs/adr/0011).
    """

    deliveries: float = 2.0  # submitted, decided
    messages: float = (
        5.0  # deliveries, a domain event each, a notification for every second claim, and a few actions
    )
    message_kib: float = 3.0
    body_kib: float = 4.0
    handled_s: float = 0.05
    actions: float = 0.03  # three claims of a hundred lead to a portal
    action_s: float = 90.0
    evidence_kib: float = 400.0
    stored_kib: float = 12.0  # rows and indexes
    log_kib: float = 6.0


@dataclass(frozen=True, slots=True)
class Deployment:
    """What terraform/environments/prod deploys; a test compares the two."""

    sql_vcpu: int = 2
    sql_gib: int = 8
    sql_disk_gib: int = 100
    highly_available: bool = True
    standby: bool = True
    backups: int = 30
    warm_vcpu: float = 4.0
    warm_gib: float = 3.5
    services_vcpu: float = 13.0
    services_gib: float = 9.0
    armor_rules: int = 14
    alert_conditions: int = 31
    keys: int = 5
    secrets_fixed: int = 3


PRODUCTION: Final = Deployment()
CLAIM: Final = PerClaim()


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the bill. fixed: whether it is there without a single claim."""

    name: str
    usd: float
    fixed: bool


def bill(
    workload: Workload,
    prices: Mapping[str, Price],
    *,
    claim: PerClaim = CLAIM,
    deployment: Deployment = PRODUCTION,
) -> list[Line]:
    """Return a month's bill, dearest first."""
    lines = [
        *_database(workload, prices, claim, deployment),
        *_functions(workload, prices, claim, deployment),
        *_messages(workload, prices, claim),
        *_edge(workload, prices, claim, deployment),
        *_watching(workload, prices, claim, deployment),
        *_keeping(workload, prices, claim, deployment),
    ]
    return sorted(lines, key=lambda line: -line.usd)


def scale_to_zero_saves(prices: Mapping[str, Price], *, deployment: Deployment = PRODUCTION) -> float:
    """Return what one always-on instance of every function would cost, less what the warm ones do."""
    always = _of("run_always_vcpu_s", deployment.services_vcpu * MONTH_S, prices) + _of(
        "run_always_gib_s", deployment.services_gib * MONTH_S, prices
    )
    return always - _warm(prices, deployment)


def _of(name: str, quantity: float, prices: Mapping[str, Price]) -> float:
    price = prices[name]
    return max(quantity - price.free, 0.0) * price.usd


def _database(
    workload: Workload, prices: Mapping[str, Price], claim: PerClaim, deployment: Deployment
) -> list[Line]:
    zones = 2 if deployment.highly_available else 1
    compute = _of("sql_vcpu_h", deployment.sql_vcpu * MONTH_H, prices) + _of(
        "sql_gib_h", deployment.sql_gib * MONTH_H, prices
    )
    stored = workload.claims_a_month * workload.months * claim.stored_kib * KIB / GIB
    disk = max(float(deployment.sql_disk_gib), stored * 1.25)  # it grows by itself before it is full
    storage = _of("sql_ssd_gib_month", disk, prices)
    # Backups are increments: one full copy, and a few percent of it for each further one.
    kept = max(stored, 1.0) * (1 + 0.03 * deployment.backups)
    lines = [
        Line("database, two zones" if zones == 2 else "database", (compute + storage) * zones, fixed=True),  # noqa: PLR2004
        Line("backups and log", _of("sql_backup_gib_month", kept, prices), fixed=False),
    ]
    if deployment.standby:
        lines.append(Line("database, second region", compute + storage, fixed=True))
    return lines


def _warm(prices: Mapping[str, Price], deployment: Deployment) -> float:
    return _of("run_idle_vcpu_s", deployment.warm_vcpu * MONTH_S, prices) + _of(
        "run_idle_gib_s", deployment.warm_gib * MONTH_S, prices
    )


def _functions(
    workload: Workload, prices: Mapping[str, Price], claim: PerClaim, deployment: Deployment
) -> list[Line]:
    claims = workload.claims_a_month
    handled_s = claims * (claim.deliveries + claim.messages) * claim.handled_s
    worked_s = claims * claim.actions * claim.action_s
    handling = _of("run_vcpu_s", handled_s, prices) + _of("run_gib_s", handled_s * 0.75, prices)
    requests = _of("run_request_million", claims * (claim.deliveries + claim.messages) / 1e6, prices)
    working = _of("run_vcpu_s", worked_s * 2, prices) + _of("run_gib_s", worked_s * 2, prices)
    return [
        Line("warm instances", _warm(prices, deployment), fixed=True),
        Line("functions", handling + requests, fixed=False),
        Line("browser worker", working, fixed=False),
    ]


def _messages(workload: Workload, prices: Mapping[str, Price], claim: PerClaim) -> list[Line]:
    claims = workload.claims_a_month
    published_gib = claims * claim.messages * claim.message_kib * KIB / GIB
    carried = _of("pubsub_tib", published_gib * 2 / 1024, prices)  # published, and delivered
    retained = _of("pubsub_retained_gib_month", published_gib * 7 / DAYS, prices)
    deliveries = claims * claim.deliveries / 1e5
    keys = (
        _of("firestore_write_100k", deliveries * 2, prices)  # claimed, settled
        + _of("firestore_read_100k", deliveries * 0.1, prices)
        + _of("firestore_delete_100k", deliveries, prices)
    )
    return [Line("Pub/Sub", carried + retained, fixed=False), Line("Firestore", keys, fixed=False)]


def _edge(
    workload: Workload, prices: Mapping[str, Price], claim: PerClaim, deployment: Deployment
) -> list[Line]:
    deliveries = workload.claims_a_month * claim.deliveries
    fixed = (
        _of("lb_rule_h", MONTH_H, prices)
        + _of("armor_policy_month", 1, prices)
        + _of("armor_rule_month", deployment.armor_rules, prices)
    )
    used = (
        _of("lb_gib", deliveries * claim.body_kib * KIB / GIB, prices)
        + _of("armor_request_million", deliveries / 1e6, prices)
        + _of("internet_gib", deliveries * KIB / GIB, prices)
    )
    return [
        Line("load balancer and Cloud Armor", fixed, fixed=True),
        Line("deliveries at the edge", used, fixed=False),
    ]


def _watching(
    workload: Workload, prices: Mapping[str, Price], claim: PerClaim, deployment: Deployment
) -> list[Line]:
    logs = _of("logs_gib", workload.claims_a_month * claim.log_kib * KIB / GIB, prices)
    # A point a minute and series: 8 bytes for a counter, 80 for a distribution. One counter is by customer.
    points = (120 + 3 * workload.customers) * 8 + 40 * 80
    metrics = _of("metrics_mib", points * MINUTES / MIB, prices)
    alerts = _of("alert_condition_month", deployment.alert_conditions, prices)
    return [Line("metrics and alerts", metrics + alerts, fixed=True), Line("logs", logs, fixed=False)]


def _keeping(
    workload: Workload, prices: Mapping[str, Price], claim: PerClaim, deployment: Deployment
) -> list[Line]:
    actions = workload.claims_a_month * workload.months * claim.actions
    evidence = _of("storage_gib_month", actions * claim.evidence_kib * KIB / GIB, prices)
    secrets = _of("secret_version_month", deployment.secrets_fixed + 4 * workload.customers, prices)
    keys = _of("kms_key_month", deployment.keys * 4, prices)  # a quarter's rotation each
    return [Line("evidence", evidence, fixed=False), Line("secrets and keys", secrets + keys, fixed=True)]
