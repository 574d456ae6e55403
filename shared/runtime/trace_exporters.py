"""Where spans are sent: to a collector, or to Google as the function's own identity. OTLP over HTTP, both."""

from typing import Final

from google.auth.compute_engine import Credentials
from google.auth.transport.requests import AuthorizedSession
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace.export import SpanExporter

from shared.runtime.settings import EXPORT_TIMEOUT_S, Settings

GOOGLE: Final = "https://telemetry.googleapis.com/v1/traces"


def exporter(settings: Settings) -> SpanExporter:
    """Return what sends spans where the settings say. No I/O."""
    if settings.traces == "otlp":
        return OTLPSpanExporter(endpoint=settings.traces_endpoint, timeout=EXPORT_TIMEOUT_S)

    session = AuthorizedSession(Credentials())  # type: ignore[no-untyped-call]  # asks for a token when it first sends
    return OTLPSpanExporter(
        endpoint=GOOGLE,
        headers={"x-goog-user-project": settings.project_id},
        session=session,
        timeout=EXPORT_TIMEOUT_S,
    )
