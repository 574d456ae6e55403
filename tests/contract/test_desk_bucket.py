"""The desk's bucket: Cloud Storage's own client against its API."""

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from shared.adapters.desk_bucket import DeskBucket
from shared.runtime.errors import PermanentError, TransientError


@dataclass
class Bucket:
    """A bucket behind the JSON API. failing: answers 503."""

    objects: dict[str, bytes] = field(default_factory=dict)
    failing: bool = False


def handler(bucket: Bucket) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            boundary = re.search(r'boundary="?([^";]+)"?', self.headers["Content-Type"])
            assert boundary
            _, told, content, _ = body.split(b"--" + boundary[1].encode())
            name = json.loads(told.split(b"\r\n\r\n", 1)[1])["name"]
            bucket.objects[name] = content.split(b"\r\n\r\n", 1)[1].removesuffix(b"\r\n")
            self._reply(503 if bucket.failing else 200, json.dumps({"name": name, "bucket": "desk"}).encode())

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            if bucket.failing:
                self._reply(503, b"{}")
            elif url.path.endswith("/o"):
                (prefix,) = parse_qs(url.query)["prefix"]
                items = [{"name": n, "bucket": "desk"} for n in bucket.objects if n.startswith(prefix)]
                self._reply(200, json.dumps({"items": items}).encode())
            else:
                self._reply(200, bucket.objects[unquote(url.path.rpartition("/o/")[2])])

        def _reply(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    bucket = Bucket()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(bucket))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr("shared.adapters.desk_bucket.TIMEOUT_S", 2.0)
    monkeypatch.setattr("shared.adapters.desk_bucket.RETRIED_FOR_S", 0.5)
    yield bucket
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def desk() -> DeskBucket:
    return DeskBucket("desk", project_id="test-project", run="r1")


def test_what_was_sent_along_with_this_run_is_fetched(
    bucket: Bucket, desk: DeskBucket, tmp_path: Path
) -> None:
    bucket.objects |= {"r1/in/fixed.edi": b"ISA", "r1/in/a/b.csv": b"1", "r2/in/other.edi": b"not ours"}
    desk.fetch(tmp_path)
    found = {str(p.relative_to(tmp_path)): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    assert found == {"fixed.edi": b"ISA", "a/b.csv": b"1"}


def test_nothing_is_written_outside_the_folder(bucket: Bucket, desk: DeskBucket, tmp_path: Path) -> None:
    bucket.objects["r1/in/../../x"] = b"out"
    with pytest.raises(PermanentError):
        desk.fetch(tmp_path / "folder")
    assert not (tmp_path / "x").exists()


def test_what_is_given_back_lies_below_the_run(bucket: Bucket, desk: DeskBucket, tmp_path: Path) -> None:
    (tmp_path / "page.png").write_bytes(b"png")
    desk.keep("evidence/1-page.png", tmp_path / "page.png")
    assert bucket.objects == {"r1/out/evidence/1-page.png": b"png"}


def test_a_bucket_that_does_not_answer_is_away(bucket: Bucket, desk: DeskBucket, tmp_path: Path) -> None:
    bucket.failing = True
    with pytest.raises(TransientError):
        desk.fetch(tmp_path)
