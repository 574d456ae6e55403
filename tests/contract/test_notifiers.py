"""One suite for every notifier, then what is particular to mail and to HTTP. Real servers on loopback."""

import asyncio
import contextlib
import http.server
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as modern
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, Literal, Protocol, TypedDict, Unpack
from uuid import UUID, uuid5

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook

from shared.adapters.notifiers import render
from shared.adapters.notifiers.email import SmtpNotifier, SmtpSettings, Tls
from shared.adapters.notifiers.http import retry_after_s
from shared.adapters.notifiers.memory import InMemoryNotifier
from shared.adapters.notifiers.router import ChannelNotifier
from shared.adapters.notifiers.slack import SlackNotifier
from shared.adapters.notifiers.webhook import WebhookNotifier
from shared.adapters.public_only import is_public
from shared.adapters.reach import Reach
from shared.domain.commands import Severity
from shared.ports.clock import Clock
from shared.ports.notifier import Channel, Fact, Notification, Notifier
from shared.runtime.errors import PermanentError, TransientError, UpstreamError

Answer = Literal["later", "never"]
Command = Literal["MAIL", "RCPT", "DATA", "QUIT"]
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TIMEOUT_S = 5.0
NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


class Changes(TypedDict, total=False):
    severity: Severity
    title: str
    text: str
    facts: dict[str, Fact]
    links: dict[str, str]


def notification(number: int = 1, **changes: Unpack[Changes]) -> Notification:
    made = Notification(
        id=uuid5(UUID(int=0), str(number)),
        customer_id=UUID(int=1),
        severity="warning",
        title="Three denials in a row",
        text="The payer denied three claims with CO-197.",
        event_id=UUID(int=2),
        links={"Audit trail": "https://upstream.example/audit/2"},
        facts={"payer": "payer-7", "denied_cents": 61200, "held": True, "rule": None},
    )
    return replace(made, **changes)


class Secrets:
    def __init__(self, **versions: Sequence[str]) -> None:
        self.by_name = versions

    def versions(self, name: str) -> tuple[str, ...]:
        return tuple(self.by_name.get(name, ()))


# A mail relay.


class FreePortController(Controller):
    """Listens on a port that the system picks."""

    def _trigger_server(self) -> None:
        assert isinstance(self.server, asyncio.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]


@dataclass
class Relay:
    """Takes mail, or answers as told. at: the command that the next replies answer."""

    replies: list[str] = field(default_factory=list)
    at: Command = "RCPT"
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)

    def _reply(self, command: str) -> str | None:
        return self.replies.pop(0) if self.at == command and self.replies else None

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        envelope.mail_from = address
        return self._reply("MAIL") or "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        refusal = self._reply("RCPT")
        if refusal is None:
            envelope.rcpt_tos.append(address)
        return refusal or "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        refusal = self._reply("DATA")
        if refusal is None:
            assert isinstance(envelope.content, bytes)
            mail = message_from_bytes(envelope.content, policy=modern)
            assert isinstance(mail, EmailMessage)
            self.mails.append(mail)
            self.recipients.extend(address for address in envelope.rcpt_tos if address)
        return refusal or "250 OK"

    async def handle_QUIT(self, _server: SMTP, _session: Session, _envelope: Envelope) -> str:  # noqa: N802
        return self._reply("QUIT") or "221 Bye"

    @contextlib.contextmanager
    def listening(self, **options: Any) -> Iterator[SmtpSettings]:  # noqa: ANN401 - the controller's own
        controller = FreePortController(self, hostname="127.0.0.1", port=0, **options)
        controller.start()
        try:
            yield SmtpSettings("127.0.0.1", "upstream@sender.example", controller.port, tls="offered")
        finally:
            controller.stop()


# A web server.


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 64  # as many as knock at once wait, instead of coming back a second later


@dataclass
class Endpoint:
    """Answers 200, or the next status it was told, and keeps the requests that it answered with 200."""

    statuses: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    answering: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    @contextlib.contextmanager
    def listening(self) -> Iterator["Endpoint"]:
        self.answering.set()
        server = Server(("127.0.0.1", 0), self._handler())
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        self.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield self
        finally:
            self.answering.set()
            server.shutdown()
            server.server_close()
            thread.join()

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        endpoint = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                endpoint.answering.wait(TIMEOUT_S)
                status, headers = endpoint.statuses.pop(0) if endpoint.statuses else (200, {})
                if status == 200:
                    endpoint.requests.append((self.path, dict(self.headers.items()), body))
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", "0")
                    self.end_headers()

            def log_message(self, *_args: object) -> None:
                pass

        return Handler


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint().listening() as listening:
        yield listening


@pytest.fixture
def relay() -> Relay:
    return Relay()


@pytest.fixture
def smtp(relay: Relay) -> Iterator[SmtpSettings]:
    with relay.listening() as settings:
        yield settings


def webhook_notifier(
    versions: Sequence[str] = (SECRET,), clock: Clock = lambda: NOW, reach: Reach = "any"
) -> WebhookNotifier:
    return WebhookNotifier(Secrets(hook=versions), clock, reach)


def webhook_channel(endpoint: Endpoint) -> Channel:
    return Channel("hook", "webhook", endpoint.url + "/hook", "hook")


# The suite.


class Subject(Protocol):
    """A notifier with a receiver that does as it is told."""

    channel: Channel

    @property
    def notifier(self) -> Notifier: ...

    def answer(self, *answers: Answer) -> None: ...

    def taken(self) -> int: ...


@dataclass
class MemorySubject:
    notifier: InMemoryNotifier
    channel: Channel

    def answer(self, *answers: Answer) -> None:
        errors: dict[Answer, UpstreamError] = {
            "later": TransientError("delivery_failed"),
            "never": PermanentError("delivery_refused"),
        }
        self.notifier.failures[self.channel.id] = [errors[answer] for answer in answers]

    def taken(self) -> int:
        return len(self.notifier.sent)


@dataclass
class MailSubject:
    notifier: Notifier
    channel: Channel
    relay: Relay

    def answer(self, *answers: Answer) -> None:
        replies: dict[Answer, str] = {"later": "451 try again later", "never": "550 no such user"}
        self.relay.replies = [replies[answer] for answer in answers]

    def taken(self) -> int:
        return len(self.relay.mails)


@dataclass
class HttpSubject:
    notifier: Notifier
    channel: Channel
    endpoint: Endpoint

    def answer(self, *answers: Answer) -> None:
        statuses: dict[Answer, int] = {"later": 503, "never": 410}
        self.endpoint.statuses = [(statuses[answer], {}) for answer in answers]

    def taken(self) -> int:
        return len(self.endpoint.requests)


@pytest.fixture(params=["memory", "email", "slack", "webhook", "router"])
def subject(request: pytest.FixtureRequest, endpoint: Endpoint, relay: Relay, smtp: SmtpSettings) -> Subject:
    mail = Channel("mail", "email", "billing@practice.example")
    match request.param:
        case "memory":
            return MemorySubject(InMemoryNotifier(), mail)
        case "email":
            return MailSubject(SmtpNotifier(smtp), mail, relay)
        case "slack":
            channel = Channel("chat", "slack", endpoint.url + "/services/T0/B0/x")
            return HttpSubject(SlackNotifier(Secrets(), lambda: NOW, "any"), channel, endpoint)
        case "webhook":
            return HttpSubject(webhook_notifier(), webhook_channel(endpoint), endpoint)
        case _:
            router = ChannelNotifier({"webhook": webhook_notifier(), "email": InMemoryNotifier()})
            return HttpSubject(router, webhook_channel(endpoint), endpoint)


def send(subject: Subject, **changes: Unpack[Changes]) -> None:
    subject.notifier.send(notification(**changes), subject.channel, timeout_s=TIMEOUT_S)


def test_a_notification_is_taken_once(subject: Subject) -> None:
    send(subject)
    assert subject.taken() == 1


def test_a_receiver_that_says_later_is_transient_and_takes_it_later(subject: Subject) -> None:
    subject.answer("later")
    with pytest.raises(TransientError) as raised:
        send(subject)
    assert raised.value.code == "delivery_failed"
    assert subject.taken() == 0
    send(subject)
    assert subject.taken() == 1


def test_a_receiver_that_says_never_is_permanent(subject: Subject) -> None:
    subject.answer("never")
    with pytest.raises(PermanentError) as raised:
        send(subject)
    assert raised.value.code == "delivery_refused"
    assert subject.taken() == 0


@pytest.mark.parametrize("severity", ["info", "warning", "critical"])
def test_every_severity_is_taken(subject: Subject, severity: Severity) -> None:
    send(subject, severity=severity)
    assert subject.taken() == 1


@pytest.mark.parametrize(
    "hostile",
    [
        "x\r\nBcc: thief@evil.example",
        "x\nX-Injected: 1\n\nbody",
        "\r\n.\r\nMAIL FROM:<thief@evil.example>\r\n",
        "\x00\x0b\x0c\x1b[31m\x7f\x85\u2028\u2029",
        "\ud800 half a pair",
        "Zażółć 🩺 " * 400,
        "<!channel> <https://evil.example|click> *bold* &lt;",
        "=?utf-8?q?Bcc=3A?=",
        "",
        " ",
    ],
)
def test_any_characters_arrive_as_one_notification(subject: Subject, hostile: str) -> None:
    send(subject, title=hostile, text=hostile, facts={hostile: hostile}, links={hostile: hostile})
    assert subject.taken() == 1


def test_threads_do_not_mix_notifications_up(subject: Subject) -> None:
    def one(number: int) -> None:
        subject.notifier.send(notification(number), subject.channel, timeout_s=TIMEOUT_S)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(one, range(16)))
    assert subject.taken() == 16


def test_a_kind_that_is_not_set_up_is_refused() -> None:
    with pytest.raises(PermanentError) as raised:
        ChannelNotifier({}).send(notification(), Channel("c", "slack", "x"), timeout_s=TIMEOUT_S)
    assert raised.value.code == "invalid_recipient"


# Mail.


def mail_to(target: str, settings: SmtpSettings, number: int = 1, **changes: Unpack[Changes]) -> None:
    notifier = SmtpNotifier(settings, lambda: NOW)
    notifier.send(notification(number, **changes), Channel("mail", "email", target), timeout_s=TIMEOUT_S)


BILLING = "billing@practice.example"


def test_a_mail_reads_as_it_should(relay: Relay, smtp: SmtpSettings) -> None:
    mail_to(BILLING, smtp)
    [mail] = relay.mails
    assert mail["Subject"] == "[warning] Three denials in a row"
    assert (mail["From"], mail["To"]) == ("upstream@sender.example", BILLING)
    assert (mail["Date"], mail["Auto-Submitted"]) == ("Mon, 02 Mar 2026 09:30:00 +0000", "auto-generated")
    assert mail.get_content().splitlines() == [
        "The payer denied three claims with CO-197.",
        "",
        "payer: payer-7",
        "denied_cents: 61200",
        "held: True",
        "rule: None",
        "",
        "Audit trail: https://upstream.example/audit/2",
    ]
    assert relay.recipients == [BILLING]


def test_a_mail_sent_again_carries_the_same_message_id(relay: Relay, smtp: SmtpSettings) -> None:
    mail_to(BILLING, smtp)
    mail_to(BILLING, smtp)
    mail_to(BILLING, smtp, number=2)
    first, again, other = (mail["Message-ID"] for mail in relay.mails)
    assert first == again == f"<{notification().id}@sender.example>"
    assert other != first


def test_a_title_cannot_add_a_header_or_a_recipient(relay: Relay, smtp: SmtpSettings) -> None:
    mail_to(
        BILLING,
        smtp,
        title="x\r\nBcc: thief@evil.example\r\n\r\nbody",
        text="\r\n.\r\nRCPT TO:<thief@evil.example>",
    )
    [mail] = relay.mails
    assert mail["Subject"] == "[warning] x Bcc: thief@evil.example body"
    assert "Bcc" not in mail
    assert relay.recipients == [BILLING]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(title=st.text(st.characters(categories=None)), text=st.text(st.characters(categories=None)))
def test_any_title_and_text_make_one_mail_with_our_headers(
    relay: Relay, smtp: SmtpSettings, title: str, text: str
) -> None:
    relay.mails.clear()
    mail_to(BILLING, smtp, title=title, text=text)
    [mail] = relay.mails
    assert mail["To"] == BILLING
    ours = {"from", "to", "subject", "date", "message-id", "auto-submitted", "mime-version"}
    theirs = {"content-type", "content-transfer-encoding", "x-peer", "x-mailfrom", "x-rcptto"}
    assert {name.lower() for name in mail} <= ours | theirs


@pytest.mark.parametrize(
    "target",
    [
        "",
        "nobody",
        "a@b@c.example",
        "a@x.example, b@x.example",
        "a@x.example\r\nRCPT TO:<b@x.example>",
        "a@x.example\n",
        "Name <a@x.example>",
        "ä@x.example",
        "a@bücher.example",
        "<a@x.example>",
        "a@x.example SIZE=1",
    ],
)
def test_what_is_not_one_address_is_refused_before_the_relay_hears_of_it(target: str) -> None:
    nowhere = SmtpSettings("192.0.2.1", "upstream@sender.example")
    with pytest.raises(PermanentError) as raised:
        mail_to(target, nowhere)
    assert raised.value.code == "invalid_recipient"


@pytest.mark.parametrize(
    ("at", "reply", "error"),
    [
        ("RCPT", "450 mailbox busy", TransientError),
        ("RCPT", "550 no such user", PermanentError),
        ("DATA", "452 disk full", TransientError),
        ("DATA", "554 spam", PermanentError),
        ("MAIL", "451 slow down", TransientError),
        ("MAIL", "553 not your sender", TransientError),  # our relay's quarrel with us, not the recipient's
        ("RCPT", "421 shutting down", TransientError),
    ],
)
def test_the_relays_answers_become_ours(
    relay: Relay, smtp: SmtpSettings, at: Command, reply: str, error: type[UpstreamError]
) -> None:
    relay.at, relay.replies = at, [reply]
    with pytest.raises(error, match=reply[:3]):
        mail_to(BILLING, smtp)
    assert relay.mails == []


def test_an_error_after_the_message_was_taken_undoes_nothing(relay: Relay, smtp: SmtpSettings) -> None:
    relay.at, relay.replies = "QUIT", ["421 too late"]
    mail_to(BILLING, smtp)
    assert len(relay.mails) == 1


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_a_relay_that_is_away_is_transient() -> None:
    with pytest.raises(TransientError) as raised:
        mail_to(BILLING, SmtpSettings("127.0.0.1", "upstream@sender.example", free_port(), tls="offered"))
    assert raised.value.code == "delivery_failed"


@contextlib.contextmanager
def greeting(line: bytes) -> Iterator[int]:
    """A port that greets once and goes quiet or away."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            peer, _ = server.accept()
            with peer:
                peer.sendall(line)
                peer.recv(1)

        thread = threading.Thread(target=greet)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


@pytest.mark.parametrize("line", [b"421 busy\r\n", b"554 go away\r\n"])
def test_a_greeting_that_refuses_us_is_transient(line: bytes) -> None:
    with greeting(line) as port, pytest.raises(TransientError):
        mail_to(BILLING, SmtpSettings("127.0.0.1", "upstream@sender.example", port, tls="offered"))


def test_a_silent_relay_is_a_timeout() -> None:
    settings = SmtpSettings("127.0.0.1", "upstream@sender.example", tls="offered")
    with greeting(b"") as port, pytest.raises(TransientError) as raised:
        SmtpNotifier(replace(settings, port=port)).send(
            notification(), Channel("mail", "email", BILLING), timeout_s=0.05
        )
    assert raised.value.code == "timeout"


# Mail over TLS.


@dataclass(frozen=True)
class Tlsed:
    server: ssl.SSLContext
    client: ssl.SSLContext


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Tlsed:
    """A server's context with a certificate of our own for 127.0.0.1, and a client's that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "relay.example")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem: Path = tmp_path_factory.mktemp("tls") / "relay.pem"
    pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    return Tlsed(server, ssl.create_default_context(cafile=pem))


def authenticator(
    _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, login: LoginPassword
) -> AuthResult:
    return AuthResult(success=login.password == b"right", handled=False)


@pytest.mark.parametrize("tls", ["offered", "required"])
def test_starttls_is_used_when_offered_and_a_login_follows(relay: Relay, certified: Tlsed, tls: Tls) -> None:
    with relay.listening(
        tls_context=certified.server, authenticator=authenticator, auth_required=True
    ) as settings:
        mail_to(
            BILLING,
            replace(settings, tls=tls, tls_context=certified.client, username="upstream", password="right"),
        )
    assert len(relay.mails) == 1


def test_implicit_tls_is_tls_from_the_first_byte(relay: Relay, certified: Tlsed) -> None:
    with relay.listening(ssl_context=certified.server) as settings:
        mail_to(BILLING, replace(settings, tls="implicit", tls_context=certified.client))
    assert len(relay.mails) == 1


def test_a_wrong_password_is_ours_to_mend_so_it_is_transient(relay: Relay, certified: Tlsed) -> None:
    with relay.listening(tls_context=certified.server, authenticator=authenticator) as settings:
        wrong = replace(settings, tls_context=certified.client, username="upstream", password="wrong")
        with pytest.raises(TransientError, match="535"):
            mail_to(BILLING, wrong)


def test_a_certificate_that_nobody_vouches_for_is_refused(relay: Relay, certified: Tlsed) -> None:
    with relay.listening(tls_context=certified.server) as settings, pytest.raises(TransientError):
        mail_to(BILLING, settings)
    assert relay.mails == []


@pytest.mark.parametrize(("tls", "username"), [("required", ""), ("offered", "upstream")])
def test_without_tls_neither_required_mail_nor_a_password_leaves(
    relay: Relay, smtp: SmtpSettings, tls: Tls, username: str
) -> None:
    with pytest.raises(TransientError, match="no TLS"):
        mail_to(BILLING, replace(smtp, tls=tls, username=username, password="right"))
    assert relay.mails == []


def test_settings_do_not_show_the_password() -> None:
    assert "hunter2" not in repr(SmtpSettings("relay.example", "a@b.example", password="hunter2"))


# HTTP.


def post(endpoint: Endpoint, notifier: Notifier | None = None) -> None:
    (notifier or webhook_notifier()).send(notification(), webhook_channel(endpoint), timeout_s=TIMEOUT_S)


def test_a_webhook_verifies_and_repeats_its_id_and_body(endpoint: Endpoint) -> None:
    notifier = webhook_notifier(clock=lambda: datetime.now(UTC))
    post(endpoint, notifier)
    post(endpoint, notifier)
    (path, headers, body), (_, again, body_again) = endpoint.requests
    assert path == "/hook"
    assert headers["webhook-id"] == again["webhook-id"] == str(notification().id)
    assert body == body_again
    assert headers["Content-Type"] == "application/json"
    payload = Webhook(SECRET).verify(body, headers)
    assert payload["type"] == "notification.requested"
    assert payload["data"]["facts"] == {"payer": "payer-7", "denied_cents": 61200, "held": True, "rule": None}


def test_while_a_secret_is_rotated_both_its_versions_sign(endpoint: Endpoint) -> None:
    new = "whsec_" + "B" * 32
    post(endpoint, webhook_notifier([new, SECRET], clock=lambda: datetime.now(UTC)))
    [(_, headers, body)] = endpoint.requests
    assert Webhook(new).verify(body, headers) == Webhook(SECRET).verify(body, headers)


@pytest.mark.parametrize("versions", [[], [""], ["whsec_!"]])
def test_a_secret_that_cannot_sign_is_ours_to_mend_so_it_is_transient(
    endpoint: Endpoint, versions: list[str]
) -> None:
    with pytest.raises(TransientError, match="secret"):
        post(endpoint, webhook_notifier(versions))
    assert endpoint.requests == []


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
def test_statuses_that_may_pass_are_transient(endpoint: Endpoint, status: int) -> None:
    endpoint.statuses = [(status, {})]
    with pytest.raises(TransientError, match=str(status)):
        post(endpoint)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 400, 401, 403, 404, 410, 413, 422])
def test_other_statuses_are_permanent_and_redirects_are_not_followed(endpoint: Endpoint, status: int) -> None:
    endpoint.statuses = [(status, {"Location": endpoint.url + "/elsewhere"})]
    with pytest.raises(PermanentError, match=str(status)):
        post(endpoint)
    assert endpoint.requests == []


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("120", 120),
        ("0", 0),
        ("Mon, 02 Mar 2026 09:31:30 GMT", 90),
        ("Mon, 02 Mar 2026 09:00:00 GMT", 0),
        ("Mon, 02 Mar 2026 09:31:30 -0000", 90),
        ("999999999999", 86_400),
        ("9" * 5000, 86_400),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400),
        ("-1", None),
        ("soon", None),
        ("", None),
        ("٣", None),
    ],
)
def test_retry_after_is_honoured(endpoint: Endpoint, header: str, expected: int | None) -> None:
    assert retry_after_s(header, NOW) == expected
    if header.isascii():
        endpoint.statuses = [(429, {"Retry-After": header})]
        with pytest.raises(TransientError) as raised:
            post(endpoint)
        assert raised.value.retry_after_s == expected


def test_a_receiver_that_is_away_is_transient() -> None:
    gone = Endpoint(url=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(TransientError) as raised:
        post(gone)
    assert raised.value.code == "delivery_failed"


def test_a_receiver_that_does_not_answer_is_a_timeout(endpoint: Endpoint) -> None:
    endpoint.answering.clear()
    with pytest.raises(TransientError) as raised:
        webhook_notifier().send(notification(), webhook_channel(endpoint), timeout_s=0.05)
    assert raised.value.code == "timeout"


BAD_URLS = [
    "",
    "hook",
    "ftp://practice.example/hook",
    "file:///etc/passwd",
    "https://",
    "https://user:password@practice.example/",
    "https://[::1",
    "https://exa mple/\r\nHost: x",
    "https://" + "a" * 64 + ".example/",
    "https://*.example/",
    "https://practice.example:99999/",
]


@pytest.mark.parametrize("url", BAD_URLS)
def test_a_url_that_cannot_be_used_is_refused(url: str) -> None:
    with pytest.raises(PermanentError) as raised:
        webhook_notifier().send(notification(), Channel("hook", "webhook", url, "hook"), timeout_s=TIMEOUT_S)
    assert raised.value.code == "invalid_recipient"


def test_clear_http_is_for_local_runs_only(endpoint: Endpoint) -> None:
    with pytest.raises(PermanentError, match="https"):
        post(endpoint, webhook_notifier(reach="public"))
    assert endpoint.requests == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])  # noqa: S104 - reaches this machine
def test_a_url_that_leads_inside_is_refused_before_a_byte_is_sent(host: str) -> None:
    received: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as inside:

        def listen() -> None:
            peer, _ = inside.accept()
            with peer:
                received.append(peer.recv(1))

        thread = threading.Thread(target=listen)
        thread.start()
        channel = Channel("hook", "webhook", f"https://{host}:{inside.getsockname()[1]}/", "hook")
        with pytest.raises(PermanentError, match="no public address"):
            webhook_notifier(reach="public").send(notification(), channel, timeout_s=TIMEOUT_S)
        thread.join()
    assert received == [b""]


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2001:4860:4860::8888", True),
        ("::ffff:8.8.8.8", True),
        ("169.254.169.254", False),  # the metadata server
        ("10.0.0.1", False),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:169.254.169.254", False),
    ],
)
def test_public_addresses_are_told_from_ours(address: str, public: bool) -> None:  # noqa: FBT001
    assert is_public(address) is public


def test_proxies_and_passwords_of_the_environment_are_left_alone(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9/")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9/")
    post(endpoint)
    [(_, headers, _)] = endpoint.requests
    assert "Authorization" not in headers


def test_slack_reads_its_url_from_the_secret_and_shows_plain_text(endpoint: Endpoint) -> None:
    notifier = SlackNotifier(Secrets(chat=[endpoint.url + "/services/new\n", "old"]), lambda: NOW, "any")
    channel = Channel("chat", "slack", "#billing", "chat")
    notifier.send(notification(title="<!channel> & co"), channel, timeout_s=TIMEOUT_S)
    [(path, _, body)] = endpoint.requests
    message = json.loads(body)
    assert path == "/services/new"
    assert message["text"] == "[warning] &lt;!channel&gt; &amp; co"
    assert [block["text"]["type"] for block in message["blocks"]] == ["plain_text", "plain_text"]
    assert message["blocks"][0]["text"]["text"] == "[warning] <!channel> & co"


def test_a_missing_slack_secret_is_transient(endpoint: Endpoint) -> None:
    notifier = SlackNotifier(Secrets(), lambda: NOW, "any")
    with pytest.raises(TransientError, match="missing"):
        notifier.send(notification(), Channel("chat", "slack", endpoint.url, "chat"), timeout_s=TIMEOUT_S)


def refused_text(call: Callable[[], None]) -> str:
    with pytest.raises(UpstreamError) as raised:
        call()
    return str(raised.value)


def test_errors_name_neither_the_url_nor_the_answer(endpoint: Endpoint) -> None:
    endpoint.statuses = [(404, {}), (500, {})]
    for _ in range(2):
        assert endpoint.url not in refused_text(lambda: post(endpoint))
    gone = Endpoint(url=f"http://127.0.0.1:{free_port()}/secret-path")
    assert "secret-path" not in refused_text(lambda: post(gone))


@given(title=st.text(st.characters(categories=None)), text=st.text(st.characters(categories=None)))
def test_what_is_rendered_is_bounded_and_printable(title: str, text: str) -> None:
    made = notification(title=title, text=text, facts={text: title})
    line = render.title(made)
    assert len(line) <= render.MAX_TITLE
    assert line.splitlines() == [line]
    body = render.text(made)
    assert len(body) <= render.MAX_TEXT
    assert body.encode().decode() == body
    assert "\r" not in body
