"""Spans for Google: by OTLP, as the function's own identity, which the instance's metadata server vouches for."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.collector import collecting

ROOT = Path(__file__).parents[2]
SCRIPT = """
import sys
from shared.runtime import trace_exporters
from shared.runtime.settings import Settings
from shared.runtime.telemetry import Telemetry
trace_exporters.GOOGLE = sys.argv[1]
telemetry = Telemetry(Settings(traces="cloud", project_id="practice-prod", release="4f2e1c0", environment="prod"))
with telemetry.entry("notify", "consumer", sys.argv[2], ids={"function": "notify"}, begins=False):
    pass
telemetry.close()
"""


@pytest.fixture
def metadata() -> Iterator[str]:
    """Answer as the metadata server of an instance. Source: Cloud Run, "Fetching access tokens"."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.headers["Metadata-Flavor"] == "Google"
            token = {"access_token": "of-the-function", "expires_in": 3600, "token_type": "Bearer"}
            account = {"email": "notify@practice-prod", "scopes": [], "aliases": ["default"]}
            answer = json.dumps(token if self.path.split("?")[0].endswith("/token") else account).encode()
            self.send_response(200)
            self.send_header("Metadata-Flavor", "Google")
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_google_gets_spans_from_the_function_itself(metadata: str) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    with collecting() as collector:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, collector.endpoint, f"00-{trace}-b7ad6b7169203331-01"],
            cwd=ROOT,
            env={
                **os.environ,
                "GCE_METADATA_HOST": metadata,
                "GCE_METADATA_IP": metadata,
                "K_SERVICE": "notify",
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (0, "")
        (span,) = collector.of(trace)
        (headers,) = collector.headers
    assert headers["authorization"] == "Bearer of-the-function"
    assert headers["x-goog-user-project"] == "practice-prod"
    assert span.resource == {
        "service.name": "notify",
        "service.version": "4f2e1c0",
        "deployment.environment.name": "prod",
        "gcp.project_id": "practice-prod",
    }
