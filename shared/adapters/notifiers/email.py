"""Notifications by e-mail, over SMTP.

The Message-ID is made of the notification's id: a copy sent after a crash carries the same one, and mail readers show
it once. A refusal before the recipient was named (greeting, TLS, login, sender) is between the relay and us, and is
tried again; what the relay says of the recipient or the message is the answer.
"""

import contextlib
import re
import smtplib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Final, Literal

from shared.adapters.notifiers import render
from shared.ports.clock import Clock, system_clock
from shared.ports.notifier import Channel, Notification
from shared.runtime.errors import PermanentError, TransientError

Tls = Literal[
    "implicit",  # TLS from the first byte (port 465)
    "required",  # STARTTLS, or nothing is sent
    "offered",  # STARTTLS where the relay has it: for a relay on this machine
]

# Seven-bit bodies, since not every relay takes eight.
_POLICY: Final = SMTP.clone(cte_type="7bit")
_ADDRESS: Final = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]{1,64}@[A-Za-z0-9.-]{1,189}", re.ASCII)
_PERMANENT: Final = 500


@dataclass(frozen=True, slots=True)
class SmtpSettings:
    """Where mail is handed over, and as whom. tls_context: None checks certificates against the system's roots."""

    host: str
    sender: str
    port: int = 587
    username: str = ""
    password: str = field(default="", repr=False)
    tls: Tls = "required"
    tls_context: ssl.SSLContext | None = None

    @property
    def domain(self) -> str:
        """Return the sender's domain, by which we greet and name messages."""
        return self.sender.rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class SmtpNotifier:
    """Sends to `channel.target`, one ASCII address."""

    settings: SmtpSettings
    clock: Clock = system_clock

    def send(self, notification: Notification, channel: Channel, *, timeout_s: float) -> None:
        """Return once the relay took the message.

        Raises:
            TransientError: no relay, no TLS where it is required, or a 4xx of any kind. Try again.
            PermanentError: `invalid_recipient`, or a 5xx for the recipient or the message.
        """
        if not _ADDRESS.fullmatch(channel.target):
            raise PermanentError("invalid_recipient", "not an e-mail address")
        message = self._message(notification, channel.target)
        with _as_ours(), self._session(timeout_s) as relay:
            relay.send_message(message, self.settings.sender, [channel.target])

    def _message(self, notification: Notification, recipient: str) -> EmailMessage:
        message = EmailMessage(policy=_POLICY)
        message["From"] = self.settings.sender
        message["To"] = recipient
        message["Subject"] = render.title(notification)
        message["Date"] = format_datetime(self.clock())
        message["Message-ID"] = f"<{notification.id}@{self.settings.domain}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office replies
        message.set_content(render.text(notification) + "\n")
        return message

    @contextlib.contextmanager
    def _session(self, timeout_s: float) -> Iterator[smtplib.SMTP]:
        relay = self._connected(timeout_s)
        try:
            with _before_the_recipient():
                self._introduce(relay)
            yield relay
        finally:
            _hang_up(relay)

    def _connected(self, timeout_s: float) -> smtplib.SMTP:
        settings = self.settings
        with _before_the_recipient():
            if settings.tls == "implicit":
                return smtplib.SMTP_SSL(
                    settings.host,
                    settings.port,
                    settings.domain,
                    timeout=timeout_s,
                    context=self._tls_context(),
                )
            return smtplib.SMTP(settings.host, settings.port, settings.domain, timeout=timeout_s)

    def _introduce(self, relay: smtplib.SMTP) -> None:
        """Reach the point where mail may be sent. A password is never sent in clear."""
        settings = self.settings
        relay.ehlo()
        encrypted = settings.tls == "implicit"
        if not encrypted and relay.has_extn("starttls"):
            relay.starttls(context=self._tls_context())
            encrypted = True
        if not encrypted and (settings.tls == "required" or settings.username):
            raise TransientError("delivery_failed", "the relay offers no TLS")
        if settings.username:
            relay.login(settings.username, settings.password)

    def _tls_context(self) -> ssl.SSLContext:
        return self.settings.tls_context or ssl.create_default_context()


@contextlib.contextmanager
def _before_the_recipient() -> Iterator[None]:
    """Whatever a relay refuses before it hears the recipient's name, it refuses us."""
    try:
        yield
    except smtplib.SMTPResponseException as exc:
        raise TransientError("delivery_failed", f"the relay answered {exc.smtp_code} to us") from exc


@contextlib.contextmanager
def _as_ours() -> Iterator[None]:
    try:
        yield
    except smtplib.SMTPRecipientsRefused as exc:
        raise _answer(max(code for code, _ in exc.recipients.values())) from exc
    except smtplib.SMTPSenderRefused as exc:
        raise TransientError("delivery_failed", f"the relay answered {exc.smtp_code} to our sender") from exc
    except smtplib.SMTPResponseException as exc:
        raise _answer(exc.smtp_code) from exc
    except (smtplib.SMTPException, OSError) as exc:
        raise _gone(exc) from exc


def _gone(exc: smtplib.SMTPException | OSError) -> TransientError:
    """Smtplib calls a relay that is silent disconnected, and keeps the timeout as what led to it."""
    if isinstance(exc, TimeoutError) or isinstance(exc.__context__, TimeoutError):
        return TransientError("timeout", "the relay did not answer")
    return TransientError("delivery_failed", f"the relay went away: {type(exc).__name__}")


def _answer(code: int) -> TransientError | PermanentError:
    if code >= _PERMANENT:
        return PermanentError("delivery_refused", f"the relay answered {code}")
    return TransientError("delivery_failed", f"the relay answered {code}")


def _hang_up(relay: smtplib.SMTP) -> None:
    """Say goodbye; what goes wrong now undoes nothing."""
    with contextlib.suppress(smtplib.SMTPException, OSError):
        relay.quit()
    relay.close()
