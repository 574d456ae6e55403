"""Errors that nobody expected, as Cloud Error Reporting reads them out of a log line: types and places, no message.

An error's message may quote a payload, and so may a local variable. What is left tells an engineer where to look, and
Error Reporting which errors are one: it groups by type and stack.
Source: Cloud Error Reporting, "Format errors in logs" (`@type`, `serviceContext`, `stack_trace` in the language's own
form, `context.reportLocation`).
"""

from collections.abc import Callable, Mapping, MutableMapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final

REPORTED: Final = "type.googleapis.com/google.devtools.clouderrorreporting.v1beta1.ReportedErrorEvent"
ROOT: Final = str(Path(__file__).parents[2]) + "/"
LIBRARIES: Final = "site-packages/"
MOST_PLACES: Final = 50
MOST_CAUSES: Final = 5
Place = tuple[str, int, str]  # file, line, function
Report = Callable[[BaseException, Mapping[str, Any]], None]


class ErrorReports:
    """A structlog processor: turns a line's `raised`, an exception, into what is reported of it."""

    def __init__(self, *, release: str = "", send: Report | None = None) -> None:
        """release: the commit that runs. send: tells somebody else, too (`shared/runtime/sentry.py`)."""
        self._release = release
        self._send = send

    def __call__(
        self, _logger: object, _method: str, line: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """Report a line's error. What else stands in `raised` is dropped."""
        error = line.pop("raised", None)
        if isinstance(error, BaseException):
            service = str(line.get("function", "upstream"))
            line.update(described(error, service=service, release=self._release))
            if self._send is not None:
                self._send(error, line)
        return line


def described(error: BaseException, *, service: str, release: str) -> dict[str, Any]:
    """Return the members of a log line that Cloud Error Reporting takes for an error."""
    found = places(error.__traceback__)
    members: dict[str, Any] = {
        "@type": REPORTED,
        "serviceContext": {"service": service, "version": release},
        "error": type(error).__name__,
        "stack": where(error),
        "stack_trace": traceback_of(error),
    }
    if found:
        file, line, function = found[-1]
        location = {"filePath": file, "lineNumber": line, "functionName": function}
        members["context"] = {"reportLocation": location}
    return members


def where(error: BaseException) -> str:
    """Return the files and lines that raised, the innermost last, and not the message: it may quote a payload."""
    return " > ".join(
        f"{file.rsplit('/', 1)[-1]}:{line}:{function}"
        for file, line, function in places(error.__traceback__)[-8:]
    )


def traceback_of(error: BaseException) -> str:
    """Return the traceback as Python prints it, causes first, without source lines and messages."""
    chain = [error]
    while len(chain) < MOST_CAUSES and (cause := chain[-1].__cause__) is not None:
        chain.append(cause)
    told = "\n\nThe above exception was the direct cause of the following exception:\n\n"
    return told.join(map(_one, reversed(chain))) + "\n"


def _one(error: BaseException) -> str:
    lines = [
        f'  File "{file}", line {line}, in {function}' for file, line, function in places(error.__traceback__)
    ]
    module = type(error).__module__
    name = type(error).__qualname__ if module == "builtins" else f"{module}.{type(error).__qualname__}"
    return "\n".join(["Traceback (most recent call last):", *lines, name])


def places(trace: TracebackType | None) -> list[Place]:
    """Return where an exception passed, outermost first. Files are named from the project's or the library's folder."""
    found: list[Place] = []
    while trace is not None:
        code = trace.tb_frame.f_code
        file = code.co_filename.removeprefix(ROOT)
        found.append((file.rpartition(LIBRARIES)[2], trace.tb_lineno, code.co_name))
        trace = trace.tb_next
    return found[-MOST_PLACES:]
