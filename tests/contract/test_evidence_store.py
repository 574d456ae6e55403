"""One suite for every evidence store: a folder, and Cloud Storage's own client against a server that speaks its API."""

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import UUID

import pytest

from shared.adapters.evidence_bucket import BucketEvidenceStore
from shared.adapters.evidence_files import FileEvidenceStore
from shared.ports.evidence import EvidenceStore, Piece
from shared.runtime.errors import PermanentError, TransientError

CUSTOMER, ACTION = UUID(int=7), UUID(int=9)
PAGE = Piece("screenshot", "page.png", "image/png")


@dataclass
class Bucket:
    """A bucket behind the JSON API: uploads in one multipart request, downloads of media. failing: answers 503."""

    objects: dict[str, bytes] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    failing: bool = False


def handler(bucket: Bucket) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            boundary = re.search(r'boundary="?([^";]+)"?', self.headers["Content-Type"])
            assert boundary
            _, told, content, _ = body.split(b"--" + boundary[1].encode())
            name = json.loads(told.split(b"\r\n\r\n", 1)[1])["name"]
            wanted = parse_qs(urlsplit(self.path).query).get("ifGenerationMatch")
            if bucket.failing:
                return self._reply(503, b"{}")
            if wanted == ["0"] and name in bucket.objects:
                return self._reply(412, b'{"error": {"code": 412, "message": "conditionNotMet"}}')
            head, media = content.split(b"\r\n\r\n", 1)
            bucket.objects[name] = media.removesuffix(b"\r\n")
            bucket.types[name] = head.decode().split("content-type: ", 1)[-1].split("\r\n")[0].strip()
            return self._reply(200, json.dumps({"name": name, "bucket": "kept"}).encode())

        def do_GET(self) -> None:
            name = unquote(urlsplit(self.path).path.rpartition("/o/")[2])
            if bucket.failing:
                return self._reply(503, b"{}")
            found = bucket.objects.get(name)
            return self._reply(404, b"{}") if found is None else self._reply(200, found)

        def _reply(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


@dataclass
class Shelf:
    store: EvidenceStore
    bucket: Bucket | None = None
    folder: Path | None = None


@pytest.fixture(params=["files", "bucket"])
def shelf(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shelf]:
    if request.param == "files":
        yield Shelf(FileEvidenceStore(tmp_path), folder=tmp_path)
        return
    bucket = Bucket()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(bucket))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr("shared.adapters.evidence_bucket.TIMEOUT_S", 2.0)
    monkeypatch.setattr("shared.adapters.evidence_bucket.RETRIED_FOR_S", 0.5)
    yield Shelf(BucketEvidenceStore("kept", project_id="test-project"), bucket=bucket)
    server.shutdown()
    thread.join()
    server.server_close()


def test_what_is_put_can_be_read_by_its_address(shelf: Shelf) -> None:
    address = shelf.store.put(CUSTOMER, ACTION, 1, PAGE, b"\x89PNG")
    assert shelf.store.get(address) == b"\x89PNG"
    assert address.endswith(f"screenshots/{CUSTOMER}/{ACTION}/1-page.png")


def test_each_kind_has_a_place_of_its_own(shelf: Shelf) -> None:
    trace = shelf.store.put(CUSTOMER, ACTION, 1, Piece("trace", "trace.zip", "application/zip"), b"z")
    letter = shelf.store.put(CUSTOMER, ACTION, 1, Piece("document", "a.pdf", "application/pdf"), b"p")
    assert "/traces/" in trace
    assert "/documents/" in letter


def test_putting_a_piece_twice_is_no_error(shelf: Shelf) -> None:
    first = shelf.store.put(CUSTOMER, ACTION, 1, PAGE, b"a")
    assert shelf.store.put(CUSTOMER, ACTION, 1, PAGE, b"a") == first
    assert shelf.store.get(first) == b"a"


def test_what_is_not_there_is_told_apart_from_a_store_that_is_away(shelf: Shelf) -> None:
    address = shelf.store.put(CUSTOMER, ACTION, 1, PAGE, b"a")
    for wrong in (address.replace("page", "other"), "gs://elsewhere/x", "/etc/passwd"):
        with pytest.raises(PermanentError, match=r"no such evidence|no address"):
            shelf.store.get(wrong)


def test_nobody_steps_out_of_the_folder(shelf: Shelf) -> None:
    if shelf.folder is None:
        pytest.skip("a bucket has no folders")
    with pytest.raises(PermanentError):
        shelf.store.get(f"{shelf.folder}/../{shelf.folder.name}/x")


def test_files_are_their_owners_alone(shelf: Shelf) -> None:
    if shelf.folder is None:
        pytest.skip("a bucket's readers are named by its policy")
    path = Path(shelf.store.put(CUSTOMER, ACTION, 1, PAGE, b"a"))
    assert path.stat().st_mode & 0o077 == 0


def test_a_store_that_is_away_is_tried_again_later(shelf: Shelf) -> None:
    if shelf.bucket is None:
        assert shelf.folder is not None
        (shelf.folder / "screenshots").write_text("in the way")
    else:
        shelf.bucket.failing = True
    with pytest.raises(TransientError):
        shelf.store.put(CUSTOMER, ACTION, 1, PAGE, b"a")


def test_an_object_says_what_it_is(shelf: Shelf) -> None:
    if shelf.bucket is None:
        pytest.skip("files have no type")
    shelf.store.put(CUSTOMER, ACTION, 1, PAGE, b"a")
    assert list(shelf.bucket.types.values()) == ["image/png"]
