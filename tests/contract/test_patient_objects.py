"""One suite for what is kept of patients beside the record: a folder, and Cloud Storage's client against its API."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import UUID

import pytest

from shared.adapters.patient_objects import BucketPatientObjects, FilePatientObjects
from shared.ports.purge import PatientObjects
from shared.runtime.errors import TransientError

OURS, THEIRS = UUID(int=7), UUID(int=8)
NAMES = ("payloads/{}/1/0-body", "payloads/{}/2/0-body")
EVIDENCE = ("documents/{}/1/1-letter.pdf", "traces/{}/1/1-trace.zip", "screenshots/{}/1/1-page.png")


@dataclass
class Bucket:
    """A bucket behind the JSON API: listings in pages of one, deletions. refusing: answers 403."""

    names: set[str] = field(default_factory=set)
    refusing: bool = False


def handler(bucket: Bucket) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if bucket.refusing:
                return self._reply(403, {"error": {"code": 403, "message": "denied"}})
            asked = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
            found = sorted(name for name in bucket.names if name.startswith(asked["prefix"]))
            at = int(asked.get("pageToken", "0"))
            more = {"nextPageToken": str(at + 1)} if at + 1 < len(found) else {}
            return self._reply(200, {"items": [{"name": name} for name in found[at : at + 1]], **more})

        def do_DELETE(self) -> None:
            name = unquote(urlsplit(self.path).path.rpartition("/o/")[2])
            if name not in bucket.names:
                return self._reply(404, {"error": {"code": 404, "message": "gone"}})
            bucket.names.remove(name)
            return self._reply(204, None)

        def _reply(self, status: int, document: object) -> None:
            body = b"" if document is None else json.dumps(document).encode()
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
    objects: PatientObjects
    bucket: Bucket | None = None
    folder: Path | None = None

    def names(self) -> set[str]:
        if self.bucket is not None:
            return set(self.bucket.names)
        assert self.folder is not None
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file()}


@pytest.fixture(params=["files", "bucket"])
def shelf(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shelf]:
    held = [name.format(customer) for customer in (OURS, THEIRS) for name in NAMES]
    if request.param == "files":
        for name in [*held, *(name.format(customer) for customer in (OURS, THEIRS) for name in EVIDENCE)]:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(b"x")
        yield Shelf(FilePatientObjects(tmp_path), folder=tmp_path)
        return
    bucket = Bucket(set(held))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(bucket))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{server.server_port}")
    yield Shelf(BucketPatientObjects("p-payloads", project_id="p"), bucket=bucket)
    server.shutdown()
    thread.join()
    server.server_close()


def test_only_the_customers_own_are_removed(shelf: Shelf) -> None:
    before = shelf.names()
    count = shelf.objects.count(OURS)
    assert count >= 2
    assert shelf.objects.remove(OURS) == count
    gone = before - shelf.names()
    assert len(gone) == count
    assert all(f"/{OURS}/" in name for name in gone)
    assert {name for name in before if str(THEIRS) in name} <= shelf.names()


def test_done_again_there_is_nothing_left(shelf: Shelf) -> None:
    shelf.objects.remove(OURS)
    assert (shelf.objects.count(OURS), shelf.objects.remove(OURS)) == (0, 0)


def test_of_a_customer_without_any_there_is_nothing(shelf: Shelf) -> None:
    assert shelf.objects.count(UUID(int=9)) == 0


def test_pictures_go_too(tmp_path: Path) -> None:
    picture = tmp_path / f"screenshots/{OURS}/1/1-page.png"
    picture.parent.mkdir(parents=True)
    picture.write_bytes(b"x")
    FilePatientObjects(tmp_path).remove(OURS)
    assert not picture.exists()


@pytest.mark.parametrize("shelf", ["bucket"], indirect=True)
def test_a_store_that_says_no_is_not_taken_for_an_empty_one(shelf: Shelf) -> None:
    assert shelf.bucket is not None
    shelf.bucket.refusing = True
    for ask in (shelf.objects.count, shelf.objects.remove):
        with pytest.raises(TransientError):
            ask(OURS)
