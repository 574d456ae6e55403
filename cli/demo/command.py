"""`upstream demo`: a fresh pipeline, a month of claims through it, and a count of what came out."""

from typing import Annotated

import typer

from cli.options import DEFAULT_HOME, AsJson, Home


def demo(
    claims: Annotated[int, typer.Option(min=50, max=100_000, help="About how many claims.")] = 1_500,
    seed: Annotated[int, typer.Option(help="Another seed, another month.")] = 2026,
    hosts: Annotated[int, typer.Option(min=1, max=64, help="Function processes.")] = 2,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Play a month of claims through a fresh pipeline, and check what comes out.

    Starts from an empty folder each time: what is in .upstream/demo is lost. Exits 0 only if every count is what the
    data implies.
    """
    import asyncio

    from cli.demo.playing import Wanted, play
    from cli.demo.summary import as_json as plain
    from cli.demo.summary import show
    from cli.output import Failure, show_json

    try:
        story = asyncio.run(play(Wanted(home=home, claims=claims, seed=seed, hosts=hosts)))
    except asyncio.CancelledError as exc:
        raise Failure("told to stop; nothing is left running") from exc
    if as_json:
        show_json(plain(story))
    else:
        show(story)
    if not story.kept:
        raise typer.Exit(1)
