"""One suite for every secret store: in memory, in files, and Secret Manager's client against a double."""

from collections.abc import Callable, Iterator
from concurrent import futures
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.cloud.secretmanager_v1.types import (
    AccessSecretVersionRequest,
    AccessSecretVersionResponse,
    ListSecretVersionsRequest,
    ListSecretVersionsResponse,
    SecretPayload,
    SecretVersion,
)

from shared.adapters.embedded.secrets import FileSecretStore
from shared.adapters.memory import InMemorySecretStore
from shared.adapters.secret_manager import SecretManagerStore
from shared.ports.secrets import SecretStore
from shared.runtime.errors import TransientError

SERVICE = "google.cloud.secretmanager.v1.SecretManagerService"
State = SecretVersion.State
ENABLED, DISABLED, DESTROYED = State(State.ENABLED), State(State.DISABLED), State(State.DESTROYED)


@dataclass
class SecretManagerDouble:
    """Secret Manager's service as far as we call it, in its own messages. Versions are kept oldest first.

    failures: statuses for the next calls, before any is answered. calls: method and resource of each.
    """

    secrets: dict[str, list[tuple[bytes, State]]] = field(default_factory=dict)
    failures: list[grpc.StatusCode] = field(default_factory=list)
    calls: list[tuple[str, str]] = field(default_factory=list)
    on_list: Callable[[], None] = lambda: None

    def add_version(self, name: str, value: str) -> None:
        self.secrets.setdefault(name, []).append((value.encode(), ENABLED))

    def set_state(self, name: str, number: int, state: State) -> None:
        self.secrets[name][number - 1] = (self.secrets[name][number - 1][0], state)

    def list_versions(
        self, request: ListSecretVersionsRequest, context: grpc.ServicerContext
    ) -> ListSecretVersionsResponse:
        self._begin("list", request.parent, context)
        name = request.parent.rsplit("/", 1)[-1]
        if name not in self.secrets:
            context.abort(grpc.StatusCode.NOT_FOUND, "no such secret")
        assert request.filter == "state:ENABLED"
        enabled = [
            SecretVersion(name=f"{request.parent}/versions/{number}", state=state)
            for number, (_, state) in enumerate(self.secrets[name], start=1)
            if state == ENABLED
        ]
        self.on_list()
        newest_first = enabled[::-1]
        more = "more" if len(newest_first) > request.page_size else ""
        return ListSecretVersionsResponse(versions=newest_first[: request.page_size], next_page_token=more)

    def access_version(
        self, request: AccessSecretVersionRequest, context: grpc.ServicerContext
    ) -> AccessSecretVersionResponse:
        self._begin("access", request.name, context)
        name, _, number = request.name.split("/secrets/")[1].partition("/versions/")
        kept = self.secrets.get(name, [])
        nth = len(kept) if number == "latest" else int(number)
        if not 0 < nth <= len(kept):
            context.abort(grpc.StatusCode.NOT_FOUND, "no such version")
        value, state = kept[nth - 1]
        if state != ENABLED:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not enabled")
        resolved = f"projects/123456/secrets/{name}/versions/{nth}"
        return AccessSecretVersionResponse(name=resolved, payload=SecretPayload(data=value))

    def _begin(self, method: str, resource: str, context: grpc.ServicerContext) -> None:
        self.calls.append((method, resource))
        assert context.time_remaining() is not None, "every call has a deadline"
        if self.failures:
            context.abort(self.failures.pop(0), "as told")


@pytest.fixture
def double() -> SecretManagerDouble:
    return SecretManagerDouble()


@pytest.fixture
def manager(double: SecretManagerDouble) -> Iterator[SecretManagerStore]:
    server = grpc.server(futures.ThreadPoolExecutor(4))
    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        "ListSecretVersions": grpc.unary_unary_rpc_method_handler(
            double.list_versions,
            request_deserializer=ListSecretVersionsRequest.deserialize,
            response_serializer=ListSecretVersionsResponse.serialize,
        ),
        "AccessSecretVersion": grpc.unary_unary_rpc_method_handler(
            double.access_version,
            request_deserializer=AccessSecretVersionRequest.deserialize,
            response_serializer=AccessSecretVersionResponse.serialize,
        ),
    }
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, handlers)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield SecretManagerStore(project_id="test", channel=channel)
    server.stop(None).wait()


@dataclass
class Bench:
    """A store, and a way to give a secret a new version."""

    store: SecretStore
    add_version: Callable[[str, str], None]


@pytest.fixture(params=["memory", "files", "secret_manager"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    match request.param:
        case "memory":
            memory = InMemorySecretStore()
            return Bench(memory, memory.add_version)
        case "files":
            files = FileSecretStore(tmp_path / "secrets")
            return Bench(files, files.add_version)
        case _:
            double: SecretManagerDouble = request.getfixturevalue("double")
            return Bench(request.getfixturevalue("manager"), double.add_version)


def test_an_unknown_secret_has_no_versions(bench: Bench) -> None:
    assert bench.store.versions("unknown") == ()


def test_a_rotation_keeps_both_versions_newest_first(bench: Bench) -> None:
    bench.add_version("hook", "whsec_one")
    assert bench.store.versions("hook") == ("whsec_one",)
    bench.add_version("hook", "whsec_two")
    assert bench.store.versions("hook") == ("whsec_two", "whsec_one")


def test_secrets_are_told_apart(bench: Bench) -> None:
    bench.add_version("one", "1")
    bench.add_version("two", "2")
    assert (bench.store.versions("one"), bench.store.versions("two")) == (("1",), ("2",))


@pytest.mark.parametrize("name", ["", "..", "../hook", "a/b", "hook/versions/1", "é", "x" * 256])
def test_what_is_no_secrets_name_names_none(bench: Bench, name: str) -> None:
    bench.add_version("hook", "whsec_one")
    assert bench.store.versions(name) == ()


def test_a_name_may_be_long_and_of_letters_digits_dashes_and_underscores(bench: Bench) -> None:
    name = "Az09_-" + "x" * 200
    bench.add_version(name, "value")
    assert bench.store.versions(name) == ("value",)


def test_disabled_and_destroyed_versions_are_left_out(
    double: SecretManagerDouble, manager: SecretManagerStore
) -> None:
    for value in ("one", "two", "three"):
        double.add_version("hook", value)
    double.set_state("hook", 1, DESTROYED)
    double.set_state("hook", 3, DISABLED)
    assert manager.versions("hook") == ("two",)


def test_only_the_newest_three_are_read(double: SecretManagerDouble, manager: SecretManagerStore) -> None:
    for n in range(9):
        double.add_version("hook", str(n))
    assert manager.versions("hook") == ("8", "7", "6")
    assert [method for method, _ in double.calls] == ["access"] * 3


def test_only_a_secret_whose_newest_version_is_disabled_is_listed(
    double: SecretManagerDouble, manager: SecretManagerStore
) -> None:
    """A project may list 600 times a minute, whoever makes it do so."""
    double.add_version("hook", "one")
    double.add_version("hook", "two")
    double.set_state("hook", 1, DISABLED)
    assert (manager.versions("hook"), manager.versions("unknown")) == (("two",), ())
    assert [method for method, _ in double.calls] == ["access"] * 3
    double.set_state("hook", 2, DESTROYED)
    assert manager.versions("hook") == ()
    assert [method for method, _ in double.calls[3:]] == ["access", "list"]


def test_a_version_disabled_after_it_was_listed_is_left_out(
    double: SecretManagerDouble, manager: SecretManagerStore
) -> None:
    double.add_version("hook", "one")
    double.add_version("hook", "two")
    double.add_version("hook", "three")
    double.set_state("hook", 3, DISABLED)
    double.on_list = lambda: double.set_state("hook", 2, DISABLED)
    assert manager.versions("hook") == ("one",)


def test_what_is_not_text_is_no_secret(double: SecretManagerDouble, manager: SecretManagerStore) -> None:
    double.add_version("hook", "one")
    double.secrets["hook"].append((b"\xff\xfe", ENABLED))
    assert manager.versions("hook") == ("one",)


def test_a_moment_of_absence_is_tried_again(double: SecretManagerDouble, manager: SecretManagerStore) -> None:
    double.add_version("hook", "one")
    double.failures = [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL]
    assert manager.versions("hook") == ("one",)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (grpc.StatusCode.PERMISSION_DENIED, "unavailable"),
        (grpc.StatusCode.UNAUTHENTICATED, "unavailable"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "timeout"),
    ],
)
def test_our_own_mistakes_and_silence_are_transient(
    double: SecretManagerDouble, manager: SecretManagerStore, status: grpc.StatusCode, code: str
) -> None:
    """A payer must not be told for good that its signature is wrong because we lack a grant."""
    double.add_version("hook", "one")
    double.failures = [status]
    with pytest.raises(TransientError) as caught:
        manager.versions("hook")
    assert caught.value.code == code


def test_nothing_connects_before_the_first_call() -> None:
    SecretManagerStore(project_id="test")


def test_several_that_ensure_a_local_secret_at_once_have_the_same(tmp_path: Path) -> None:
    store = FileSecretStore(tmp_path / "secrets")
    with ThreadPoolExecutor(16) as threads:
        found = set(threads.map(lambda n: store.ensure("token", f"mine-{n}"), range(16)))
    assert found == set(store.versions("token"))
    assert len(found) == 1
