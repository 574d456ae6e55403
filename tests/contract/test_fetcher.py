"""What a sender's server may answer, and what we make of it: over HTTP, on this machine."""

import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from shared.adapters.fetching import HttpFetcher
from shared.runtime.errors import PermanentError, TransientError

Answer = Callable[[BaseHTTPRequestHandler], None]
LIMIT = 10_000


class Server(BaseHTTPRequestHandler):
    """Answers as the path's own function says, and keeps what it was asked."""

    answers: ClassVar[dict[str, Answer]] = {}
    asked: ClassVar[list[tuple[str, str]]] = []

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers.get("Authorization", "")))
        self.answers[self.path](self)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as http.server has it
        pass


def says(status: int, body: bytes = b"", **headers: str) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    return answer


@pytest.fixture
def url() -> Iterator[str]:
    Server.answers, Server.asked = {}, []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join(timeout=10)


@pytest.fixture
def fetcher() -> HttpFetcher:
    return HttpFetcher("any", limit=LIMIT, timeout_s=5.0)


def test_what_is_there_is_returned_with_its_type(url: str, fetcher: HttpFetcher) -> None:
    Server.answers["/r4/Claim/1"] = says(200, b"{}", Content_Type="application/fhir+json")
    found = fetcher.get(f"{url}/r4/Claim/1", headers={"Authorization": "Bearer t"}, follow=False)
    assert (found.body, found.content_type) == (b"{}", "application/fhir+json")
    assert Server.asked == [("/r4/Claim/1", "Bearer t")]


@pytest.mark.parametrize("status", [401, 403, 404, 408, 425, 429, 500, 503])
def test_what_may_be_there_later_is_asked_for_again(url: str, fetcher: HttpFetcher, status: int) -> None:
    Server.answers["/x"] = says(status)
    with pytest.raises(TransientError) as caught:
        fetcher.get(f"{url}/x", headers={}, follow=False)
    assert (caught.value.code, caught.value.detail) == ("fetch_failed", f"the server answered {status}")


@pytest.mark.parametrize("status", [201, 204, 302, 400, 406, 410, 422])
def test_what_is_refused_for_good_is_not(url: str, fetcher: HttpFetcher, status: int) -> None:
    Server.answers["/x"] = says(status)
    with pytest.raises(PermanentError) as caught:
        fetcher.get(f"{url}/x", headers={}, follow=False)
    assert caught.value.code == "fetch_refused"


def test_one_redirect_is_followed_where_asked_for_and_without_the_credential(
    url: str, fetcher: HttpFetcher
) -> None:
    Server.answers["/t/1/input"] = says(302, b"{}", Location=f"{url}/document?signed=1")
    Server.answers["/document?signed=1"] = says(200, b"ST*835*0001~")
    found = fetcher.get(f"{url}/t/1/input", headers={"Authorization": "key"}, follow=True)
    assert found.body == b"ST*835*0001~"
    assert Server.asked == [("/t/1/input", "key"), ("/document?signed=1", "")]


def test_two_redirects_are_one_too_many(url: str, fetcher: HttpFetcher) -> None:
    Server.answers["/a"] = Server.answers["/b"] = says(307, Location=f"{url}/b")
    with pytest.raises(PermanentError) as caught:
        fetcher.get(f"{url}/a", headers={}, follow=True)
    assert caught.value.code == "fetch_refused"
    assert len(Server.asked) == 2


def test_more_than_we_take_is_not_read_to_its_end(url: str, fetcher: HttpFetcher) -> None:
    sent: list[int] = []

    def endless(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        try:
            for n in range(100_000):
                request.wfile.write(b"x" * 10_000)
                sent.append(n)
        except OSError:
            pass

    Server.answers["/endless"] = endless
    with pytest.raises(PermanentError, match=f"more than {LIMIT} bytes"):
        fetcher.get(f"{url}/endless", headers={}, follow=False)
    assert len(sent) < 50_000


def test_a_server_that_drips_is_left_in_time(url: str) -> None:
    def drips(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        try:
            for _ in range(200):
                request.wfile.write(b"x" * (1 << 16))
                time.sleep(0.1)
        except OSError:
            pass

    Server.answers["/drips"] = drips
    began = time.monotonic()
    with pytest.raises(TransientError) as caught:
        HttpFetcher("any", timeout_s=0.5).get(f"{url}/drips", headers={}, follow=False)
    assert caught.value.code == "timeout"
    assert time.monotonic() - began < 5


def test_nobody_there_is_for_later(fetcher: HttpFetcher) -> None:
    with pytest.raises(TransientError) as caught:
        fetcher.get("http://127.0.0.1:9/x", headers={}, follow=False)
    assert caught.value.code == "fetch_failed"


@pytest.mark.parametrize(
    "address",
    [
        "http://example.org/x",
        "https://127.0.0.1:9/x",
        "https://[::1]:9/x",
        "https://user@example.org/x",
        "ftp://x/y",
    ],
)
def test_in_production_only_https_to_public_addresses_is_asked(url: str, address: str) -> None:
    asked = address.replace(":9/", f":{url.rpartition(':')[2]}/")
    with pytest.raises((PermanentError, TransientError)) as caught:
        HttpFetcher("public", timeout_s=2.0).get(asked, headers={}, follow=False)
    assert caught.value.code in ("invalid_recipient", "fetch_failed")
    assert Server.asked == []


def test_a_redirect_leads_to_no_address_that_may_not_be_asked(url: str, fetcher: HttpFetcher) -> None:
    Server.answers["/a"] = says(302, Location="file:///etc/passwd")
    with pytest.raises(PermanentError) as caught:
        fetcher.get(f"{url}/a", headers={}, follow=True)
    assert caught.value.code == "invalid_recipient"
