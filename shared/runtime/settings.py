"""Where this process runs and what it may use, read once from the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar, get_args
from uuid import UUID

Runtime = Literal["embedded", "emulators", "gcp"]
RUNTIMES: tuple[Runtime, ...] = get_args(Runtime)
Traces = Literal["off", "otlp", "cloud"]
TRACES: tuple[Traces, ...] = get_args(Traces)

Name = TypeVar("Name", bound=str)

MAX_BODY_BYTES = 32 * 1024 * 1024  # what Cloud Run takes of a request
MAX_HELD_BYTES = 256 * 1024 * 1024  # of large bodies in one instance of ingress: each is copied once
MAX_INLINE_BYTES = 256 * 1024  # a larger body is kept in a store, and its message says where
MAX_EDITED_BYTES = 8 * 1024 * 1024  # a corrected dead letter goes in its message: Pub/Sub takes 10 MB of one
BODY_TIMEOUT_S = 120.0  # 32 MiB at 280 KB/s
SIGNATURE_TOLERANCE_S = 300
KEY_TTL_S = 24 * 3600
CONNECTION_CACHE_S = 60.0
SECRET_CACHE_S = 300.0
PUBLISH_TIMEOUT_S = 5.0
STORE_TIMEOUT_S = 3.0
HEALTH_TIMEOUT_S = 2.0
EXPORT_TIMEOUT_S = 5.0  # of a batch of spans


@dataclass(frozen=True, slots=True)
class Settings:
    """One process's settings.

    home: the local runtimes' folder (database files, secrets). database: a host to reach by TCP, a folder that holds a
    PostgreSQL socket, or in `gcp` the instance's `project:region:name`. pool_size: database connections a process.
    chromium: its path; empty looks for one. portal_sites: where payers' portals are, with `{portal}` for each, instead
    of the sites that the flows name: for the simulator.
    scheduler_audience, scheduler_email: of the OIDC tokens that fire jobs in `gcp`. region: of their schedules.
    single_practice: the one customer whose log-ins are called by the portal alone.
    portal_manners: a file instead of `schemas/portals/manners.json`. portal_sessions: browser sessions at a time.
    evidence_bucket: in `gcp`; else files below home. action_lease_s, action_retry_scale: as
    `shared/handlers/portal_visit.py` has them. metrics: count for `GET /metrics`.
    traces: where spans go; `otlp` is a collector at traces_endpoint. trace_sampling: the share of traces, by their ids.
    release: the commit that runs. sentry_sample_rate: the share of transactions, and of their profiles.
    """

    runtime: Runtime = "embedded"
    project_id: str = "upstream-local"
    home: Path = Path(".upstream")
    database: str = ""
    database_port: int = 5432
    database_name: str = "upstream"
    database_user: str = "upstream_app"
    database_iam_login: bool = True
    database_private_ip: bool = True
    local_database_name: str = "upstream_local"
    pool_size: int = 4
    smtp_host: str = ""
    smtp_port: int = 25
    smtp_sender: str = "upstream@localhost"
    smtp_username: str = ""
    smtp_secret_name: str = ""
    chromium: str = ""
    portal_sites: str = ""
    scheduler_audience: str = ""
    scheduler_email: str = ""
    region: str = ""
    portal_sessions: int = 4
    portal_manners: str = ""
    single_practice: UUID | None = None
    evidence_bucket: str = ""
    action_lease_s: float = 120.0
    action_retry_scale: float = 1.0
    log_level: str = "info"
    metrics: bool = False
    environment: str = "local"
    release: str = ""
    sentry_dsn: str = field(default="", repr=False)
    sentry_sample_rate: float = 0.1
    traces: Traces = "off"
    traces_endpoint: str = "http://127.0.0.1:4318/v1/traces"
    traces_batch_s: float = 1.0
    trace_sampling: float = 1.0


def from_environment(environ: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings that `UPSTREAM_*` variables name; what is not named keeps its default.

    Raises:
        ValueError: a variable names no setting's value. The process must not start.
    """
    default = Settings()
    return Settings(
        runtime=_one_of(RUNTIMES, "UPSTREAM_RUNTIME", environ.get("UPSTREAM_RUNTIME", default.runtime)),
        project_id=environ.get("UPSTREAM_PROJECT", environ.get("GOOGLE_CLOUD_PROJECT", default.project_id)),
        home=Path(environ.get("UPSTREAM_HOME", str(default.home))).absolute(),
        database=environ.get("UPSTREAM_DATABASE", default.database),
        database_port=int(environ.get("UPSTREAM_DATABASE_PORT", default.database_port)),
        database_name=environ.get("UPSTREAM_DATABASE_NAME", default.database_name),
        database_user=environ.get("UPSTREAM_DATABASE_USER", default.database_user),
        database_iam_login=environ.get("UPSTREAM_DATABASE_IAM_LOGIN", "1") == "1",
        database_private_ip=environ.get("UPSTREAM_DATABASE_PRIVATE_IP", "1") == "1",
        local_database_name=environ.get("UPSTREAM_LOCAL_DATABASE_NAME", default.local_database_name),
        pool_size=int(environ.get("UPSTREAM_POOL_SIZE", default.pool_size)),
        smtp_host=environ.get("UPSTREAM_SMTP_HOST", default.smtp_host),
        smtp_port=int(environ.get("UPSTREAM_SMTP_PORT", default.smtp_port)),
        smtp_sender=environ.get("UPSTREAM_SMTP_SENDER", default.smtp_sender),
        smtp_username=environ.get("UPSTREAM_SMTP_USERNAME", default.smtp_username),
        smtp_secret_name=environ.get("UPSTREAM_SMTP_SECRET", default.smtp_secret_name),
        chromium=environ.get("UPSTREAM_CHROMIUM", default.chromium),
        portal_sites=environ.get("UPSTREAM_PORTAL_SITES", default.portal_sites),
        scheduler_audience=environ.get("UPSTREAM_SCHEDULER_AUDIENCE", default.scheduler_audience),
        scheduler_email=environ.get("UPSTREAM_SCHEDULER_EMAIL", default.scheduler_email),
        region=environ.get("UPSTREAM_REGION", default.region),
        portal_manners=environ.get("UPSTREAM_PORTAL_MANNERS", default.portal_manners),
        single_practice=_id(environ.get("UPSTREAM_SINGLE_PRACTICE", "")),
        portal_sessions=int(environ.get("UPSTREAM_PORTAL_SESSIONS", default.portal_sessions)),
        evidence_bucket=environ.get("UPSTREAM_EVIDENCE_BUCKET", default.evidence_bucket),
        action_lease_s=float(environ.get("UPSTREAM_ACTION_LEASE_S", default.action_lease_s)),
        action_retry_scale=float(environ.get("UPSTREAM_ACTION_RETRY_SCALE", default.action_retry_scale)),
        log_level=environ.get("UPSTREAM_LOG_LEVEL", default.log_level),
        metrics=environ.get("UPSTREAM_METRICS", "0") == "1",
        environment=environ.get("UPSTREAM_ENVIRONMENT", default.environment),
        release=environ.get("UPSTREAM_RELEASE", default.release),
        sentry_dsn=environ.get("SENTRY_DSN", default.sentry_dsn),
        traces=_one_of(TRACES, "UPSTREAM_TRACES", environ.get("UPSTREAM_TRACES", default.traces)),
        traces_endpoint=environ.get("UPSTREAM_TRACES_ENDPOINT", default.traces_endpoint),
        traces_batch_s=float(environ.get("UPSTREAM_TRACES_BATCH_S", default.traces_batch_s)),
        trace_sampling=float(environ.get("UPSTREAM_TRACE_SAMPLING", default.trace_sampling)),
        sentry_sample_rate=float(environ.get("UPSTREAM_SENTRY_SAMPLE_RATE", default.sentry_sample_rate)),
    )


def _id(given: str) -> UUID | None:
    return UUID(given) if given else None


def _one_of(known: tuple[Name, ...], variable: str, given: str) -> Name:
    for name in known:
        if given == name:
            return name
    raise ValueError(f"{variable} is {given!r}, not one of {', '.join(known)}")


def to_environment(settings: Settings) -> dict[str, str]:
    """Return the variables that give another process the same settings."""
    return {
        "UPSTREAM_RUNTIME": settings.runtime,
        "UPSTREAM_PROJECT": settings.project_id,
        "UPSTREAM_HOME": str(settings.home),
        "UPSTREAM_DATABASE": settings.database,
        "UPSTREAM_DATABASE_PORT": str(settings.database_port),
        "UPSTREAM_DATABASE_NAME": settings.database_name,
        "UPSTREAM_DATABASE_USER": settings.database_user,
        "UPSTREAM_DATABASE_IAM_LOGIN": str(int(settings.database_iam_login)),
        "UPSTREAM_DATABASE_PRIVATE_IP": str(int(settings.database_private_ip)),
        "UPSTREAM_LOCAL_DATABASE_NAME": settings.local_database_name,
        "UPSTREAM_POOL_SIZE": str(settings.pool_size),
        "UPSTREAM_SMTP_HOST": settings.smtp_host,
        "UPSTREAM_SMTP_PORT": str(settings.smtp_port),
        "UPSTREAM_SMTP_SENDER": settings.smtp_sender,
        "UPSTREAM_SMTP_USERNAME": settings.smtp_username,
        "UPSTREAM_SMTP_SECRET": settings.smtp_secret_name,
        "UPSTREAM_CHROMIUM": settings.chromium,
        "UPSTREAM_PORTAL_SITES": settings.portal_sites,
        "UPSTREAM_SCHEDULER_AUDIENCE": settings.scheduler_audience,
        "UPSTREAM_SCHEDULER_EMAIL": settings.scheduler_email,
        "UPSTREAM_REGION": settings.region,
        "UPSTREAM_PORTAL_MANNERS": settings.portal_manners,
        "UPSTREAM_SINGLE_PRACTICE": str(settings.single_practice or ""),
        "UPSTREAM_PORTAL_SESSIONS": str(settings.portal_sessions),
        "UPSTREAM_EVIDENCE_BUCKET": settings.evidence_bucket,
        "UPSTREAM_ACTION_LEASE_S": str(settings.action_lease_s),
        "UPSTREAM_ACTION_RETRY_SCALE": str(settings.action_retry_scale),
        "UPSTREAM_LOG_LEVEL": settings.log_level,
        "UPSTREAM_METRICS": str(int(settings.metrics)),
        "UPSTREAM_ENVIRONMENT": settings.environment,
        "UPSTREAM_RELEASE": settings.release,
        "SENTRY_DSN": settings.sentry_dsn,
        "UPSTREAM_TRACES": settings.traces,
        "UPSTREAM_TRACES_ENDPOINT": settings.traces_endpoint,
        "UPSTREAM_TRACES_BATCH_S": str(settings.traces_batch_s),
        "UPSTREAM_TRACE_SAMPLING": str(settings.trace_sampling),
        "UPSTREAM_SENTRY_SAMPLE_RATE": str(settings.sentry_sample_rate),
    }
