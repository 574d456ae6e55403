"""Google's own Pub/Sub and Firestore emulators, started by gcloud on free ports, stopped with whoever started them.

Each is a gcloud process with a Java one below it, in a process group of their own. A guard in the group ends it when
our process is gone, however it went.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import grpc
from google.api_core.exceptions import AlreadyExists
from google.cloud.firestore_v1.services.firestore import FirestoreClient
from google.cloud.firestore_v1.services.firestore.transports import FirestoreGrpcTransport
from google.cloud.firestore_v1.types import Document, Write
from google.protobuf.duration_pb2 import Duration
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport
from google.pubsub_v1.types import DeadLetterPolicy, RetryPolicy
from google.pubsub_v1.types import Subscription as PulledSubscription

from local.subscriptions import Retry, Subscription, topics

START_TIMEOUT_S: Final = 60.0
STOP_TIMEOUT_S: Final = 5.0
CALL_TIMEOUT_S: Final = 10.0
GUARD: Final = 'exec 3<&0; { read -r _ <&3; kill -KILL 0; } & exec "$@" </dev/null'


class EmulatorsMissingError(RuntimeError):
    """gcloud, Java or an emulator is not installed, or did not start. The text says what to do."""


class Emulators:
    """Both emulators, answering. They keep nothing on disk: what was published or stored ends with them.

    pubsub, firestore: `host:port`.
    """

    def __enter__(self) -> Self:
        """Start both."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop both."""
        self.stop()

    def start(self) -> None:
        """Start both; return when both answer.

        Raises:
            EmulatorsMissingError: they cannot be started here.
        """
        gcloud = shutil.which("gcloud")
        if gcloud is None:
            raise EmulatorsMissingError(
                "no gcloud on the PATH: install the Google Cloud CLI and both emulators"
            )
        with ExitStack() as stack:
            home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="upstream-emulators-")))
            self._pubsub = stack.enter_context(
                _running(_Emulator([gcloud, "beta", "emulators", "pubsub"], home, f"--data-dir={home}"))
            )
            self._firestore = stack.enter_context(
                _running(_Emulator([gcloud, "emulators", "firestore"], home))
            )
            self._pubsub.await_answer()
            self._firestore.await_answer()
            self._warm_up()
            self._stack = stack.pop_all()

    def stop(self) -> None:
        """Stop both, and forget what they held."""
        self._stack.close()

    def _warm_up(self) -> None:
        """Write to each once: a first write loads much of Java, and may take longer than our deadlines."""
        with closing(grpc.insecure_channel(self._pubsub.address)) as channel:
            PublisherClient(transport=PublisherGrpcTransport(channel=channel)).create_topic(
                name="projects/warm-up/topics/warm-up", retry=None, timeout=START_TIMEOUT_S
            )
        database = "projects/warm-up/databases/(default)"
        write = Write(update=Document(name=f"{database}/documents/warm-up/1"))
        with closing(grpc.insecure_channel(self._firestore.address)) as channel:
            FirestoreClient(transport=FirestoreGrpcTransport(channel=channel)).commit(
                database=database, writes=[write], retry=None, timeout=START_TIMEOUT_S
            )

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead Google's clients, and ours, to the emulators."""
        return {
            "PUBSUB_EMULATOR_HOST": self._pubsub.address,
            "FIRESTORE_EMULATOR_HOST": self._firestore.address,
        }

    @contextmanager
    def pubsub_paused(self) -> Iterator[None]:
        """Let Pub/Sub answer nothing meanwhile, for drills. Stopped and started, it would have lost its messages."""
        with self._pubsub.paused():
            yield

    @contextmanager
    def firestore_paused(self) -> Iterator[None]:
        """Let Firestore answer nothing meanwhile, for drills."""
        with self._firestore.paused():
            yield

    def declare(self, project_id: str, declared: Sequence[Subscription], policy: Retry) -> None:
        """Create every topic, and pull subscriptions with their deadline, retry policy and dead letter.

        Those that exist stay as they are. A policy without any back-off makes none: messages come again at once.
        """
        with closing(grpc.insecure_channel(self._pubsub.address)) as channel:
            publisher = PublisherClient(transport=PublisherGrpcTransport(channel=channel))
            subscriber = SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
            for topic in topics():
                with suppress(AlreadyExists):
                    publisher.create_topic(
                        name=f"projects/{project_id}/topics/{topic}", retry=None, timeout=CALL_TIMEOUT_S
                    )
            for subscription in declared:
                with suppress(AlreadyExists):
                    subscriber.create_subscription(
                        request=_pulled(project_id, subscription, policy), retry=None, timeout=CALL_TIMEOUT_S
                    )


class _Emulator:
    """One emulator's process group."""

    def __init__(self, command: Sequence[str], home: Path, *options: str) -> None:
        """command: gcloud's, without `start`. home: for its log and gcloud's own settings, instead of the user's."""
        self.address = f"127.0.0.1:{_free_port()}"
        self._name = command[-1]
        self._log = home / f"{self._name}.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", GUARD, "sh", *command, "start", f"--host-port={self.address}", *options],
                env={
                    **os.environ,
                    "CLOUDSDK_CONFIG": str(home / "gcloud"),
                    "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
                    "CLOUDSDK_CORE_PROJECT": "upstream-local",
                },
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def await_answer(self) -> None:
        """Return when it answers HTTP.

        Raises:
            EmulatorsMissingError: it ended instead, or took too long.
        """
        deadline = time.monotonic() + START_TIMEOUT_S
        while not _answers(self.address):
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = " ".join(self._log.read_text(errors="replace").split())[-600:]
                raise EmulatorsMissingError(
                    f"the {self._name} emulator did not start (gcloud components install beta"
                    f" pubsub-emulator cloud-firestore-emulator; Java 11 or later). It said: {said}"
                )
            time.sleep(0.05)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the group's clocks for a while. Its threads stop one by one: wait for the last."""
        self._signal(signal.SIGSTOP)
        try:
            while _answers(self.address, timeout_s=0.1):
                pass
            yield
        finally:
            self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """End the group, and nothing else: at once, since it keeps nothing.

        Its Java process is no child of ours to wait for, but its port tells.
        """
        self._signal(signal.SIGKILL)
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while _listens(self.address) and time.monotonic() < deadline:
            time.sleep(0.01)

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


@contextmanager
def _running(emulator: _Emulator) -> Iterator[_Emulator]:
    try:
        yield emulator
    finally:
        emulator.stop()


def _pulled(project_id: str, subscription: Subscription, policy: Retry) -> PulledSubscription:
    made = PulledSubscription(
        name=f"projects/{project_id}/subscriptions/{subscription.name}",
        topic=f"projects/{project_id}/topics/{subscription.topic}",
        ack_deadline_seconds=subscription.ack_deadline_s,
    )
    if policy.maximum_backoff_s > 0:
        made.retry_policy = RetryPolicy(
            minimum_backoff=_duration(policy.minimum_backoff_s),
            maximum_backoff=_duration(policy.maximum_backoff_s),
        )
    if subscription.dead_letter_topic is not None:
        made.dead_letter_policy = DeadLetterPolicy(
            dead_letter_topic=f"projects/{project_id}/topics/{subscription.dead_letter_topic}",
            max_delivery_attempts=policy.max_delivery_attempts,
        )
    return made


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromNanoseconds(int(seconds * 1e9))
    return duration


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(address: str) -> bool:
    host, _, port = address.partition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def _answers(address: str, *, timeout_s: float = 2.0) -> bool:
    try:
        with urllib.request.urlopen(f"http://{address}/", timeout=timeout_s) as reply:
            return bool(reply.status == 200)  # noqa: PLR2004
    except (urllib.error.URLError, OSError):
        return False
