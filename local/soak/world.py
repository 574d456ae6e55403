"""Who sends in a soak, and who is told: customers with the starter rules, contracts, connections and one endpoint.

Ids and secrets follow from names, so that two runs differ in nothing that is not meant to.
"""

from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from types import TracebackType
from typing import Final, Self
from uuid import NAMESPACE_URL, UUID, uuid5

from aiohttp import web

from local.sample_month.month import SampleMonth
from local.soak.deliveries import REAL_PROVIDER
from shared.adapters.embedded.secrets import FileSecretStore
from shared.adapters.postgres.engine import build_engine
from shared.adapters.postgres.operators import PostgresOperatorDesk
from shared.ports.connections import Connection, Scheme
from shared.ports.notifier import Channel
from shared.ports.operators import ContractedFee
from shared.rules.loader import read_pack
from shared.runtime.bootstrap import App
from shared.runtime.errors import PoisonError
from shared.runtime.settings import Settings
from shared.runtime.signatures import verify

HOOK: Final = "soak-endpoint"
CONTRACTS_BEGIN: Final = timedelta(days=730)

Senders = Mapping[tuple[str, str], Connection]  # by customer and provider


def secret_of(name: str) -> str:
    """Return a secret that follows from its name. Nothing real is ever signed with one."""
    return "whsec_" + b64encode(sha256(name.encode()).digest()).decode()


class Receiver:
    """A customer's own endpoint, on loopback. taken: by `webhook-id`, every body that came under it and was signed."""

    def __init__(self) -> None:
        self.taken: dict[str, list[str]] = {}
        self.refused = 0

    async def __aenter__(self) -> Self:
        """Listen."""
        app = web.Application()
        app.router.add_post("/hook", self._hook)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/hook"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening."""
        await self._runner.cleanup()

    @property
    def repeats(self) -> int:
        """How many came again under an id that was taken before."""
        return sum(len(bodies) - 1 for bodies in self.taken.values())

    def once(self) -> dict[str, str]:
        """Return what a receiver keeps that drops repeats: one digest an id; more than one would be joined."""
        return {key: "+".join(sorted(set(bodies))) for key, bodies in self.taken.items()}

    async def _hook(self, request: web.Request) -> web.Response:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            key = verify("standard-webhooks", headers, body, (secret_of(HOOK),), datetime.now(UTC))
        except PoisonError:
            self.refused += 1
            return web.Response(status=401)
        self.taken.setdefault(key, []).append(sha256(body).hexdigest())
        return web.Response(status=204)


@dataclass(frozen=True, slots=True)
class Wanted:
    """One sender to be. fees: of its customer."""

    customer: str
    provider: str
    scheme: Scheme = "standard-webhooks"


def wanted_of(months: Sequence[SampleMonth], customers: Iterable[str]) -> list[Wanted]:
    """Return the senders of months, and a clearinghouse for every customer that is in none."""
    ours = [Wanted(c.practice, c.provider, c.scheme) for month in months for c in month.connections]
    known = {one.customer for one in ours}
    return [*ours, *(Wanted(name, REAL_PROVIDER) for name in sorted(set(customers) - known))]


def set_up(
    settings: Settings, wanted: Sequence[Wanted], months: Sequence[SampleMonth], hook_url: str
) -> Senders:
    """Store everything that the senders need, and return their connections. Blocks.

    Raises:
        TransientError: the database is away.
    """
    secrets, app = FileSecretStore(settings.home / "secrets"), App(settings)
    engine = build_engine(
        replace(settings, pool_size=2), user="upstream_operator", database=settings.database_name
    )
    desk = PostgresOperatorDesk(engine)
    pack = [draft.document for draft in read_pack()]
    secrets.add_version(HOOK, secret_of(HOOK), keep=1)
    customers: dict[str, UUID] = {}
    for name in Counter(one.customer for one in wanted):
        customers[name] = desk.ensure_customer(name, new_id=identity("customer", name)).id
        desk.apply_rules(customers[name], pack, applied_by="soak")
        desk.set_channels(customers[name], [Channel("endpoint", "webhook", hook_url, HOOK)])
    for month in months:
        _load_fees(desk, month, customers)
    senders = {(w.customer, w.provider): _connect(w, customers[w.customer], secrets, app) for w in wanted}
    engine.dispose()
    if "local_engine" in vars(app):
        app.local_engine.dispose()
    return senders


def identity(*names: str) -> UUID:
    """Return the id of what these names name."""
    return uuid5(NAMESPACE_URL, "/".join(("urn:upstream:soak", *names)))


def _load_fees(desk: PostgresOperatorDesk, month: SampleMonth, customers: Mapping[str, UUID]) -> None:
    since = month.first_day - CONTRACTS_BEGIN
    for name in {fee.practice for fee in month.fees}:
        fees = [
            ContractedFee(fee.payer_key, fee.procedure, since, fee.contracted_cents)
            for fee in month.fees
            if fee.practice == name
        ]
        desk.load_fees(customers[name], fees)


def _connect(wanted: Wanted, customer_id: UUID, secrets: FileSecretStore, app: App) -> Connection:
    connection = Connection(
        id=identity("connection", wanted.customer, wanted.provider),
        customer_id=customer_id,
        provider=wanted.provider,
        scheme=wanted.scheme,
        secret_name=f"connection-{identity('connection', wanted.customer, wanted.provider)}",
        rate_per_min=6_000_000,
        burst=100_000,
    )
    secrets.add_version(connection.secret_name, secret_of(connection.secret_name), keep=1)
    app.registry.put(connection)
    return connection
