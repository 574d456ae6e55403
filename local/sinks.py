"""The receiving end of notifications on this machine: a mail relay, a chat and customers' endpoints, on loopback.

They speak real SMTP and HTTP, check what is signed, and write a line for everything they take.
"""

import asyncio
import email
import email.policy
import json
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from aiohttp import web

from shared.ports.notifier import ChannelKind
from shared.runtime.errors import PoisonError
from shared.runtime.signatures import verify

MAX_LINE: Final = 64 * 1024


class Sinks:
    """Takes every notification. Its ports are those of the last time, so that stored channels still lead here.

    taken: how many, by kind of channel.
    """

    def __init__(self, home: Path, *, secrets: Callable[[str], Sequence[str]]) -> None:
        """home: keeps the ports, and `notifications.jsonl`. secrets: signing secrets by name, newest first."""
        self._ports_file = home / "sinks.json"
        self._log_file = home / "notifications.jsonl"
        self._secrets = secrets
        self.taken: Counter[ChannelKind] = Counter()

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            OSError: another program has one of the ports by now.
        """
        smtp_port, http_port = self._known_ports()
        self._smtp = await asyncio.start_server(self._converse, "127.0.0.1", smtp_port, limit=MAX_LINE)
        self.smtp_port = int(self._smtp.sockets[0].getsockname()[1])
        self._http = web.AppRunner(self._routes(), access_log=None)
        await self._http.setup()
        await web.TCPSite(self._http, "127.0.0.1", http_port).start()
        self.http_port = int(self._http.addresses[0][1])
        self._ports_file.write_text(json.dumps([self.smtp_port, self.http_port]))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening."""
        self._smtp.close()
        await self._http.cleanup()

    def chat_url(self) -> str:
        """Return where a chat message is posted to."""
        return f"http://127.0.0.1:{self.http_port}/chat"

    def hook_url(self, secret_name: str) -> str:
        """Return the endpoint of a customer who checks signatures with this secret."""
        return f"http://127.0.0.1:{self.http_port}/hooks/{secret_name}"

    def _known_ports(self) -> tuple[int, int]:
        try:
            smtp_port, http_port = json.loads(self._ports_file.read_text())
        except (FileNotFoundError, ValueError):
            return 0, 0
        return int(smtp_port), int(http_port)

    def _note(self, kind: ChannelKind, to: str, title: str) -> None:
        self.taken[kind] += 1
        line = {"at": datetime.now(UTC).isoformat(), "kind": kind, "to": to, "title": title}
        with self._log_file.open("a") as log:
            log.write(json.dumps(line) + "\n")

    def _routes(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/chat", self._chat)
        app.router.add_post("/hooks/{secret_name}", self._hook)
        return app

    async def _chat(self, request: web.Request) -> web.Response:
        message = await request.json()
        self._note("slack", "chat", message["text"])
        return web.Response(text="ok")

    async def _hook(self, request: web.Request) -> web.Response:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        name = request.match_info["secret_name"]
        try:
            verify("standard-webhooks", headers, body, self._secrets(name), datetime.now(UTC))
        except PoisonError as exc:
            return web.json_response({"code": exc.code}, status=401)
        self._note("webhook", name, json.loads(body)["data"]["title"])
        return web.Response(status=204)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Hold one SMTP session. Source: RFC 5321, as far as a relay that takes all mail needs it."""
        _say(writer, "220 sink ready")
        try:
            while command := (await reader.readline()).decode("ascii", "replace").strip():
                match command.split()[0].upper():
                    case "DATA":
                        _say(writer, "354 go on")
                        self._keep_mail(await _message(reader))
                        _say(writer, "250 kept")
                    case "QUIT":
                        _say(writer, "221 bye")
                        break
                    case _:
                        _say(writer, "250 fine")
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the sender left
        finally:
            writer.close()

    def _keep_mail(self, data: bytes) -> None:
        message = email.message_from_bytes(data, policy=email.policy.default)
        self._note("email", str(message["To"]), str(message["Subject"]))


def _say(writer: asyncio.StreamWriter, line: str) -> None:
    writer.write(f"{line}\r\n".encode())


async def _message(reader: asyncio.StreamReader) -> bytes:
    """Return a message's bytes, up to the line that holds nothing but a full stop."""
    lines: list[bytes] = []
    while (line := await reader.readline()) not in (b".\r\n", b""):
        lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
    return b"".join(lines)
