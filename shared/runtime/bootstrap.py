"""The one place that wires adapters to handlers. Everything is built when first used; nothing connects at import."""

import asyncio
import contextvars
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, TypeVar
from uuid import uuid4

from shared.ports.clock import Clock, system_clock
from shared.runtime import log, spans
from shared.runtime.batcher import Batcher
from shared.runtime.built_once import built_once
from shared.runtime.cached import Cached
from shared.runtime.ending import before_ending
from shared.runtime.error_reports import ErrorReports
from shared.runtime.rate_limit import RateLimiter
from shared.runtime.settings import CONNECTION_CACHE_S, SECRET_CACHE_S, Settings, from_environment
from shared.runtime.together import Together

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from uuid import UUID

    from shared.adapters.postgres.engine import Engine
    from shared.adapters.reach import Reach
    from shared.domain.manners import Manners
    from shared.handlers.accept_webhook import Ingress, SecretKey
    from shared.handlers.portal_visit import Worker
    from shared.handlers.rule_book import RuleBook
    from shared.portals.browser import BrowserHost
    from shared.ports.backlog import Backlog
    from shared.ports.callers import CallerVerifier
    from shared.ports.connections import Connection, ConnectionRegistry
    from shared.ports.evidence import EvidenceStore
    from shared.ports.idempotency import IdempotencyStore
    from shared.ports.jobs import JobRuns
    from shared.ports.notification_log import NotificationLog
    from shared.ports.notifier import Notifier
    from shared.ports.payloads import PayloadStore
    from shared.ports.pdf import PdfPrinter
    from shared.ports.portal import Portals
    from shared.ports.publisher import Publisher
    from shared.ports.record import Emitted, EventRecord
    from shared.ports.secrets import SecretStore
    from shared.runtime.http import Check, CheckName, Room
    from shared.runtime.metrics import Metrics


T = TypeVar("T")


class App:
    """One process's parts. Subclass or set a part to replace it (tests, benchmarks); unused parts are never built."""

    def __init__(self, settings: Settings, *, clock: Clock = system_clock) -> None:
        """clock: the time of events, keys and signatures."""
        self.settings = settings
        self.clock = clock

    @built_once
    def engine(self) -> "Engine":
        """The record's connections, as the role that row-level security binds."""
        from shared.adapters.postgres.engine import build_engine

        return build_engine(
            self.settings,
            user=self.settings.database_user,
            database=self.settings.database_name,
            counted=self._connections,
        )

    @built_once
    def local_engine(self) -> "Engine":
        """The embedded runtime's own database."""
        from shared.adapters.embedded.engine import build_local_engine

        return build_local_engine(self.settings)

    @built_once
    def record(self) -> "EventRecord":
        """The record of claims, decisions and messages."""
        from shared.adapters.postgres.record import PostgresEventRecord

        return PostgresEventRecord(self.engine)

    @built_once
    def scheduler_engine(self) -> "Engine":
        """The record's connections, as the role that lists customers and opens runs."""
        from shared.adapters.postgres.engine import build_engine

        own = self.settings.database_user if self.settings.runtime == "gcp" else "upstream_scheduler"
        return build_engine(
            self.settings, user=own, database=self.settings.database_name, counted=self._connections
        )

    @built_once
    def metrics(self) -> "Metrics":
        """What this process counts, where the settings ask for it."""
        from shared.runtime.metrics import Metrics

        return Metrics()

    @property
    def _connections(self) -> "Callable[[int], None] | None":
        return self.metrics.connections_changed if self.settings.metrics else None

    @built_once
    def backlog(self) -> "Backlog":
        """What waits for somebody."""
        from shared.adapters.postgres.backlog import PostgresBacklog

        return PostgresBacklog(self.scheduler_engine)

    @built_once
    def job_runs(self) -> "JobRuns":
        """Runs of scheduled jobs."""
        from shared.adapters.postgres.jobs.runs import PostgresJobRuns

        return PostgresJobRuns(self.scheduler_engine)

    @built_once
    def callers(self) -> "CallerVerifier":
        """Who may fire a job."""
        if self.settings.runtime == "gcp":
            from shared.adapters.google_oidc import GoogleCallerVerifier

            return GoogleCallerVerifier(
                audience=self.settings.scheduler_audience, email=self.settings.scheduler_email
            )
        from shared.adapters.embedded.callers import SecretCallerVerifier
        from shared.adapters.embedded.secrets import FileSecretStore

        return SecretCallerVerifier(FileSecretStore(self.settings.home / "secrets"))

    @built_once
    def keys(self) -> "IdempotencyStore":
        """Who owns a delivery."""
        if self.settings.runtime == "embedded":
            from shared.adapters.embedded.keys import EmbeddedIdempotencyStore

            return EmbeddedIdempotencyStore(self.local_engine, clock=self.clock)
        from shared.adapters.firestore import FirestoreIdempotencyStore

        return FirestoreIdempotencyStore(project_id=self.settings.project_id, clock=self.clock)

    @built_once
    def publisher(self) -> "Publisher":
        """Where messages go."""
        if self.settings.runtime == "embedded":
            from shared.adapters.embedded.publisher import EmbeddedPublisher

            return EmbeddedPublisher(self.local_engine)
        from shared.adapters.pubsub import PubSubPublisher

        return PubSubPublisher(project_id=self.settings.project_id)

    @built_once
    def registry(self) -> "ConnectionRegistry":
        """Connections as they are now."""
        if self.settings.runtime == "embedded":
            from shared.adapters.embedded.connections import EmbeddedConnectionRegistry

            return EmbeddedConnectionRegistry(self.local_engine)
        from shared.adapters.firestore import FirestoreConnectionRegistry

        return FirestoreConnectionRegistry(project_id=self.settings.project_id)

    @built_once
    def secret_store(self) -> "SecretStore":
        """Secrets as they are now."""
        if self.settings.runtime == "gcp":
            from shared.adapters.secret_manager import SecretManagerStore

            return SecretManagerStore(project_id=self.settings.project_id)
        from shared.adapters.embedded.secrets import FileSecretStore

        return FileSecretStore(self.settings.home / "secrets")

    @built_once
    def connections(self) -> "Cached[UUID, Connection | None]":
        """Connections, a minute old at most."""
        return Cached(self.registry.get, ttl_s=CONNECTION_CACHE_S, now_s=time.monotonic)

    @built_once
    def secrets(self) -> "Cached[SecretKey, tuple[str, ...]]":
        """Secrets, five minutes old at most."""
        return Cached(
            lambda key: self.secret_store.versions(key[1]), ttl_s=SECRET_CACHE_S, now_s=time.monotonic
        )

    @built_once
    def room(self) -> "Room":
        """What ingress holds of large bodies."""
        from shared.runtime.http import Room

        return Room()

    @built_once
    def ingress(self) -> "Ingress":
        """What `accept_webhook` needs."""
        from shared.handlers.accept_webhook import Ingress

        return Ingress(
            connections=self.connections,
            secrets=self.secrets,
            limiter=RateLimiter(),
            keys=self.keys,
            publisher=self.publisher,
            payloads=self.payloads,
            clock=self.clock,
            monotonic_s=time.monotonic,
        )

    @built_once
    def book(self) -> "RuleBook":
        """Customers' compiled rules."""
        from shared.handlers.rule_book import RuleBook
        from shared.rules.indexed import IndexedEngine

        return RuleBook(IndexedEngine())

    @built_once
    def notifier(self) -> "Notifier":
        """E-mail, Slack and outbound webhooks."""
        from shared.adapters.notifiers.email import SmtpNotifier, SmtpSettings
        from shared.adapters.notifiers.router import ChannelNotifier
        from shared.adapters.notifiers.slack import SlackNotifier
        from shared.adapters.notifiers.webhook import WebhookNotifier

        relay = SmtpSettings(
            host=self.settings.smtp_host,
            port=self.settings.smtp_port,
            sender=self.settings.smtp_sender,
            username=self.settings.smtp_username,
            password=self._smtp_password(),
            tls="required" if self.settings.runtime == "gcp" else "offered",
        )
        reach: Reach = "public" if self.settings.runtime == "gcp" else "any"
        return ChannelNotifier(
            {
                "email": SmtpNotifier(relay, self.clock),
                "slack": SlackNotifier(self.secret_store, self.clock, reach),
                "webhook": WebhookNotifier(self.secret_store, self.clock, reach),
            }
        )

    def _smtp_password(self) -> str:
        name = self.settings.smtp_secret_name
        return next(iter(self.secret_store.versions(name)), "") if name else ""

    @built_once
    def notification_log(self) -> "NotificationLog":
        """Which channels are done with."""
        from shared.adapters.postgres.notification_log import PostgresNotificationLog

        return PostgresNotificationLog(self.engine)

    @built_once
    def manners(self) -> "Mapping[str, Manners]":
        """How payers' portals are to be treated."""
        from shared.portals.manners import read_manners

        return read_manners(self.settings.portal_manners)

    @built_once
    def browser(self) -> "BrowserHost":
        """The worker's one Chromium; started by its first use."""
        from shared.portals.browser import BrowserHost

        return BrowserHost(self.settings.chromium)

    @built_once
    def headless_shell(self) -> "BrowserHost":
        """The lighter one, for documents and for portals that it will do for; Chromium itself where there is none."""
        from shared.portals.browser import BrowserHost
        from shared.portals.chromium import find_headless_shell

        found = find_headless_shell()
        return BrowserHost(found) if found else self.browser

    @built_once
    def portals(self) -> "Portals":
        """Payers' portals."""
        from shared.adapters.postgres.code_windows import PostgresCodeWindows
        from shared.portals.manners import shell_will_do
        from shared.portals.portals import BrowserPortals, Lighter

        windows = PostgresCodeWindows(self.engine)
        return BrowserPortals(
            self.browser,
            clock=self.clock,
            windows=windows,
            sites=self.settings.portal_sites,
            lighter=Lighter(self.headless_shell, shell_will_do(self.manners)),
        )

    @built_once
    def pdf_printer(self) -> "PdfPrinter":
        """Prints letters and reports."""
        from shared.portals.pdf import ChromiumPdfPrinter

        return ChromiumPdfPrinter(self.headless_shell)

    @built_once
    def evidence(self) -> "EvidenceStore":
        """What shows that actions were done."""
        if self.settings.runtime == "gcp":
            from shared.adapters.evidence_bucket import BucketEvidenceStore

            return BucketEvidenceStore(self.settings.evidence_bucket, project_id=self.settings.project_id)
        from shared.adapters.evidence_files import FileEvidenceStore

        return FileEvidenceStore(self.settings.home / "evidence")

    @built_once
    def payloads(self) -> "PayloadStore":
        """Payloads that no message holds."""
        from shared.adapters.payloads import StoredPayloads

        return StoredPayloads(self.evidence)

    @built_once
    def worker(self) -> "Worker":
        """What `execute_action` needs."""
        from shared.adapters.postgres.cases import PostgresCaseFiles
        from shared.adapters.postgres.ledger import PostgresActionLedger
        from shared.adapters.postgres.seats import PostgresSeats
        from shared.handlers.portal_visit import Worker

        return Worker(
            record=self.record,
            ledger=PostgresActionLedger(self.engine),
            cases=PostgresCaseFiles(self.engine),
            seats=PostgresSeats(self.engine),
            portals=lambda: self.portals,
            printer=self.pdf_printer,
            evidence=self.evidence,
            secrets=self.secret_store,
            manners=self.manners,
            clock=self.clock,
            new_token=uuid4,
            lease_s=self.settings.action_lease_s,
            retry_scale=self.settings.action_retry_scale,
            single_practice=self.settings.single_practice,
        )

    @built_once
    def _portal_threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.settings.portal_sessions, thread_name_prefix="portal")

    async def in_portal_thread(self, work: "Callable[[], T]") -> "T":
        """Run a visit to a portal: it blocks for seconds, and must keep no other function's thread."""
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(self._portal_threads, context.run, work)

    @built_once
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.settings.pool_size, thread_name_prefix="work")

    async def in_thread(self, work: "Callable[[], T]") -> "T":
        """Run what blocks on a thread; there are as many as database connections, so none waits for one."""
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(self._threads, context.run, work)

    @built_once
    def process_webhook(self) -> "Together":
        """Payers' payloads, those of one customer in one transaction."""
        from shared.handlers.process_webhook import process_webhook as handler

        return Together(
            partial(handler, record=self.record, payloads=self.payloads, clock=self.clock), self.in_thread
        )

    @built_once
    def apply_rules(self) -> "Together":
        """Domain events, those of one customer in one transaction."""
        from shared.handlers.apply_rules import apply_rules as handler

        return Together(
            partial(handler, record=self.record, book=self.book, clock=self.clock), self.in_thread
        )

    @built_once
    def _marks(self) -> "Batcher[Emitted, None]":
        return Batcher(self._mark_all)

    async def mark_published(self, emitted: "Emitted") -> None:
        """Note that the broker has the messages; marks that arrive together are written together."""
        await self._marks.submit(emitted)

    async def unpublished(self, consumer: str, event_id: "UUID", *, customer_id: "UUID") -> "Emitted":
        """Return what a consumer committed for an event and nobody has marked published."""
        return await self.in_thread(
            lambda: self.record.unpublished(consumer, event_id, customer_id=customer_id)
        )

    async def _mark_all(self, emitted: "Sequence[Emitted]") -> "Sequence[Exception | None]":
        await asyncio.to_thread(self.record.mark_published, emitted)
        return [None] * len(emitted)

    def checks(self, *, database: bool = True, keys: bool = False) -> "Mapping[CheckName, Check | None]":
        """Return the health checks of a function that uses these parts."""
        return {
            "database": self._database_ready if database else None,
            "idempotency_store": self._keys_ready if keys else None,
            "broker": self._broker_ready,
        }

    async def _database_ready(self) -> None:
        await asyncio.to_thread(self.record.ready)

    async def _keys_ready(self) -> None:
        await self.keys.ready()

    async def _broker_ready(self) -> None:
        await self.publisher.ready()


_app: App | None = None


def app() -> App:
    """Return this process's app, built from the environment on first use."""
    global _app  # noqa: PLW0603 - the one per-process object; requests share nothing else
    if _app is None:
        _app = App(from_environment())
        _observe(_app)
    return _app


def _observe(built: App) -> None:
    """Let be seen what the settings ask for. What they do not ask for is not even imported."""
    settings = built.settings
    tracers: list[spans.Tracer] = []
    send = None
    if settings.traces != "off":
        from shared.runtime.telemetry import Telemetry

        tracers.append(Telemetry(settings))
    if settings.sentry_dsn:
        from shared.runtime.sentry import Sentry

        sentry = Sentry(settings)
        send = sentry.send
        tracers.append(sentry)
    spans.see(*tracers)
    before_ending([tracer.end for tracer in tracers])
    log.configure(
        settings.log_level,
        count=built.metrics if settings.metrics else None,
        reports=ErrorReports(release=settings.release, send=send),
    )


def use(replacement: App | None) -> None:
    """Make `app()` return another app, or build a fresh one: for local hosting, tests and benchmarks."""
    global _app  # noqa: PLW0603 - see app()
    _app = replacement
