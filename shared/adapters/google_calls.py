"""What Google's clients raise, turned into ours, and which calls are tried again before anyone hears of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from google.api_core.exceptions import (
    Aborted,
    Cancelled,
    DeadlineExceeded,
    Forbidden,
    InternalServerError,
    InvalidArgument,
    NotFound,
    OutOfRange,
    ResourceExhausted,
    RetryError,
    ServiceUnavailable,
    Unauthorized,
    Unknown,
)
from google.api_core.retry import AsyncRetry, Retry, if_exception_type
from google.auth.exceptions import DefaultCredentialsError, RefreshError, TransportError

from shared.runtime.errors import PoisonError, TransientError

RETRYABLE: Final = (
    ServiceUnavailable,  # the way to the server broke, or it restarts; also a channel that slept with its function
    InternalServerError,  # the server failed; Google's guides say to try again
    Unknown,  # a proxy or server that could not say what went wrong
    Aborted,  # lost to a concurrent write; nothing was done
    ResourceExhausted,  # over a quota that refills
    Cancelled,  # cut off by the other side (a cancelled task of ours raises asyncio's own error)
)
LATE: Final = (
    DeadlineExceeded,  # no answer in time; it may have been done
    RetryError,  # tried again until the time was up
)
MISCONFIGURED: Final = (
    Forbidden,  # a missing grant, or one that has not spread yet: the sender is not at fault, so nothing is refused
    Unauthorized,  # credentials that do not hold
    NotFound,  # a topic or database that is not there (where absence is an answer, the adapter takes it first)
    DefaultCredentialsError,  # no credentials at all
    RefreshError,  # credentials that could not be renewed
    TransportError,  # the metadata server did not answer
)


def async_retry(timeout_s: float) -> AsyncRetry:
    """Return how a call on an event loop is tried again: soon, with jitter, and never past `timeout_s` in all."""
    return AsyncRetry(
        if_exception_type(*RETRYABLE), initial=0.05, maximum=1.0, multiplier=2.0, timeout=timeout_s
    )


def blocking_retry(timeout_s: float) -> Retry:
    """Return how a call on a thread is tried again: soon, with jitter, and never past `timeout_s` in all."""
    return Retry(if_exception_type(*RETRYABLE), initial=0.05, maximum=1.0, multiplier=2.0, timeout=timeout_s)


@contextmanager
def google_errors(what: str) -> Iterator[None]:
    """Turn what a client raises into ours; anything else is a bug and passes.

    Raises:
        TransientError: `timeout`, or `unavailable` for what a retry or an operator can put right.
        PoisonError: `invalid_event`: the service will never take what we sent.
    """
    try:
        yield
    except LATE as exc:
        raise TransientError("timeout", f"{what}: {type(exc).__name__}") from exc
    except (*RETRYABLE, *MISCONFIGURED) as exc:
        raise TransientError("unavailable", f"{what}: {type(exc).__name__}") from exc
    except (InvalidArgument, OutOfRange) as exc:
        raise PoisonError("invalid_event", f"{what}: {type(exc).__name__}") from exc
