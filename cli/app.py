"""The `upstream` command."""

import subprocess
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from cli import (
    actions,
    appeals,
    authorizations,
    connections,
    customers,
    dead_letters,
    fees,
    fetch,
    import_file,
    inspect_file,
    jobs,
    portals,
    rules,
    send,
    serve,
    trace,
)
from cli.cost import cost
from cli.dead_letter_purge import purge
from cli.demo.command import demo
from cli.desk import desk
from cli.migrate import migrate
from cli.output import Failure, tell
from cli.portal_access import breakers, enable
from cli.report import command as report
from cli.smoke import smoke
from shared.runtime.errors import UpstreamError


class Commands(TyperGroup):
    """Says what went wrong in one line, and exits 1, where it is no bug of ours."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - as the group's own
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # whoever read our output has seen enough
            raise
        except UpstreamError as exc:
            tell(f"{exc.detail or exc.code} ({exc.code})")
        except (Failure, OSError) as exc:
            tell(str(exc))
        except subprocess.SubprocessError as exc:
            tell(f"PostgreSQL did not start: {exc}")
        raise typer.Exit(1)


app = typer.Typer(
    name="upstream",
    cls=Commands,
    help="Takes what payers send, and acts on it under rules the customer approved.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("demo")(demo)
app.command("serve")(serve.serve)
app.command("send")(send.send)
app.command("import")(import_file.import_)
app.command("inspect")(inspect_file.inspect)
app.command("trace")(trace.trace)
app.command("smoke")(smoke)
app.command("migrate")(migrate)
app.command("cost")(cost)
app.command(
    "desk",
    hidden=True,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)(desk)
app.add_typer(actions.app, name="actions")
app.add_typer(appeals.app, name="appeals")
app.add_typer(connections.app, name="connections")
app.add_typer(customers.app, name="customers")
dead_letters.app.command("purge")(purge)
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(fees.app, name="fees")
app.add_typer(fetch.app, name="fetch")
app.add_typer(authorizations.app, name="authorizations")
app.add_typer(jobs.app, name="jobs")
portals.app.command("breakers")(breakers)
portals.app.command("enable")(enable)
app.add_typer(portals.app, name="portals")
app.add_typer(report.app, name="report")
app.add_typer(rules.app, name="rules")


def main() -> None:
    """Run the command line."""
    sys.exit(app())
