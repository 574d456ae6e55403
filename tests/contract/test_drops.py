"""One suite for every place where senders leave files: a folder, and Cloud Storage's own client against its API."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote, urlsplit

import pytest

from shared.adapters.drop_bucket import BucketDrops
from shared.adapters.drop_folder import FolderDrops
from shared.ports.drops import Drops
from shared.runtime.errors import TransientError


@dataclass
class Bucket:
    """A bucket behind the JSON API. failing: answers 503. blocks: how many ranges were asked for."""

    objects: dict[str, bytes] = field(default_factory=dict)
    failing: bool = False
    blocks: int = 0

    def described(self, name: str) -> dict[str, str]:
        at = list(self.objects).index(name)
        return {
            "name": name,
            "bucket": "drops",
            "size": str(len(self.objects[name])),
            "timeCreated": f"2026-11-20T10:00:{at:02}Z",
        }


class Api(BaseHTTPRequestHandler):
    """As much of the JSON API as we call."""

    bucket: ClassVar[Bucket]

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if self.bucket.failing:
            return self._reply(503, b"{}")
        if url.path.endswith("/o"):
            items = [self.bucket.described(name) for name in self.bucket.objects]
            return self._reply(200, json.dumps({"items": items}).encode())
        name = unquote(url.path.rpartition("/o/")[2])
        if name not in self.bucket.objects:
            return self._reply(404, b"{}")
        if "alt=media" not in url.query:
            return self._reply(200, json.dumps(self.bucket.described(name)).encode())
        first, _, last = self.headers["Range"].removeprefix("bytes=").partition("-")
        body = self.bucket.objects[name][int(first) : int(last or len(self.bucket.objects[name])) + 1]
        self.bucket.blocks += 1
        return self._reply(206, body, part=f"bytes {first}-") if body else self._reply(416, b"")

    def do_POST(self) -> None:
        """Rewrite an object under another name."""
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        if self.bucket.failing:
            return self._reply(503, b"{}")
        source, _, target = urlsplit(self.path).path.rpartition("/o/")[0].partition("/rewriteTo/")
        source = unquote(source.rpartition("/o/")[2])
        target = unquote(urlsplit(self.path).path.rpartition("/o/")[2])
        self.bucket.objects[target] = self.bucket.objects[source]
        size = str(len(self.bucket.objects[target]))
        told = {"done": True, "totalBytesRewritten": size, "objectSize": size}
        return self._reply(200, json.dumps({**told, "resource": self.bucket.described(target)}).encode())

    def do_DELETE(self) -> None:
        if self.bucket.failing:
            return self._reply(503, b"{}")
        del self.bucket.objects[unquote(urlsplit(self.path).path.rpartition("/o/")[2])]
        return self._reply(204, b"")

    def _reply(self, status: int, body: bytes, *, part: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if part:
            self.send_header("Content-Range", f"{part}{len(body) - 1}/*")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@dataclass
class Place:
    drops: Drops
    leave: Callable[[str, bytes], None]
    held: Callable[[], dict[str, bytes]]
    bucket: Bucket | None = None


def in_folder(folder: Path) -> Place:
    def leave(name: str, content: bytes) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def held() -> dict[str, bytes]:
        return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    return Place(FolderDrops(folder, settle_s=0.0), leave, held)


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    if request.param == "folder":
        yield in_folder(tmp_path)
        return
    bucket = Bucket()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("BucketApi", (Api,), {"bucket": bucket}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr("shared.adapters.drop_bucket.TIMEOUT_S", 2.0)
    monkeypatch.setattr("shared.adapters.drop_bucket.RETRIED_FOR_S", 0.5)
    drops = BucketDrops("drops", project_id="test-project")
    yield Place(drops, bucket.objects.__setitem__, lambda: dict(bucket.objects), bucket)
    drops.close()
    server.shutdown()
    thread.join()
    server.server_close()


def test_what_was_left_waits_under_its_prefix_and_is_read(place: Place) -> None:
    place.leave("c-1/Doe Jane.edi", b"ISA*1~")
    [drop] = place.drops.waiting()
    assert (drop.prefix, "Doe" in drop.label, "Doe" in repr(drop)) == ("c-1", False, False)
    with place.drops.open(drop) as stream:
        assert (stream.read(3), stream.read(100), stream.read(100)) == (b"ISA", b"*1~", b"")


def test_only_what_lies_right_below_a_prefix_waits(place: Place) -> None:
    for name in ("c-1/a.edi", "c-1/taken/b.edi", "c-1/refused/c.edi", "top.edi"):
        place.leave(name, b"x")
    assert [drop.prefix for drop in place.drops.waiting()] == ["c-1"]


@pytest.mark.parametrize("end", ["taken", "refused"])
def test_what_is_done_with_waits_no_more_and_is_kept(place: Place, end: str) -> None:
    for content in (b"one", b"two"):
        place.leave("c-1/a.edi", content)
        [drop] = place.drops.waiting()
        getattr(place.drops, end)(drop)
        assert list(place.drops.waiting()) == []
    assert place.held() == {f"c-1/{end}/a.edi": b"one", f"c-1/{end}/a.edi.1": b"two"}


def test_several_are_told_apart(place: Place) -> None:
    for name in ("c-1/a.edi", "c-1/b.edi", "c-2/a.edi"):
        place.leave(name, name.encode())
    found = list(place.drops.waiting())
    assert len({drop.label for drop in found}) == 3
    for drop in found:
        with place.drops.open(drop) as stream:
            assert stream.read(100).decode().startswith(drop.prefix)


def test_a_large_object_is_read_in_blocks(place: Place) -> None:
    place.leave("c-1/large.edi", b"x" * 2_500_000)
    [drop] = place.drops.waiting()
    read = 0
    with place.drops.open(drop) as stream:
        while block := stream.read(1 << 16):
            assert len(block) <= 1 << 16
            read += len(block)
    assert read == 2_500_000
    if place.bucket is not None:
        assert place.bucket.blocks >= 3


def test_a_bucket_that_is_away_is_away_for_now(place: Place) -> None:
    if place.bucket is None:
        pytest.skip("a folder that cannot be read is the functional test's")
    place.leave("c-1/a.edi", b"x")
    [drop] = place.drops.waiting()
    place.bucket.failing = True
    for call in (place.drops.waiting, lambda: place.drops.taken(drop)):
        with pytest.raises(TransientError) as caught:
            call()
        assert caught.value.code == "unavailable"
    place.bucket.failing = False
    assert len(list(place.drops.waiting())) == 1
