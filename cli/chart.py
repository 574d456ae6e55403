"""A chart of two series of days: in the terminal, and as an SVG file."""

from collections.abc import Sequence
from datetime import date
from html import escape
from typing import Final, NamedTuple

BLOCKS: Final = "▁▂▃▄▅▆▇█"
WIDTH: Final = 880
HEIGHT: Final = 320
MARGIN: Final = 40
COLOURS: Final = ("#9aa5b1", "#1f6feb")


class Series(NamedTuple):
    """One value a day."""

    name: str
    values: Sequence[int]


def sparkline(values: Sequence[int], *, most: int, width: int = 60) -> str:
    """Return the values as a row of blocks, neighbouring days added where there are more than `width`."""
    step = max(1, -(-len(values) // width))
    sums = [sum(values[at : at + step]) for at in range(0, len(values), step)]
    top = max([most * step, *sums, 1])
    return "".join(
        BLOCKS[min(value * len(BLOCKS) // top, len(BLOCKS) - 1)] if value else " " for value in sums
    )


def svg(title: str, days: Sequence[date], series: Sequence[Series]) -> str:
    """Return an SVG document with a pair of bars a day; its own title and values can be read in any browser."""
    most = max((value for one in series for value in one.values), default=0) or 1
    slot = (WIDTH - 2 * MARGIN) / max(len(days), 1)
    bar = slot / (len(series) + 0.5)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"',
        ' font-family="sans-serif" font-size="12">',
        f"<title>{escape(title)}</title>",
        f'<text x="{MARGIN}" y="20" font-size="14">{escape(title)}</text>',
        f'<text x="4" y="{MARGIN + 4}">{most}</text>',
        f'<line x1="{MARGIN}" y1="{HEIGHT - MARGIN}" x2="{WIDTH - MARGIN}" y2="{HEIGHT - MARGIN}" stroke="#555"/>',
    ]
    for nth, one in enumerate(series):
        colour = COLOURS[nth % len(COLOURS)]
        parts.append(
            f'<text x="{WIDTH - 200 + 100 * nth}" y="20" fill="{colour}">■ {escape(one.name)}</text>'
        )
        for at, value in enumerate(one.values):
            height = value * (HEIGHT - 2 * MARGIN) / most
            x, y = MARGIN + at * slot + nth * bar, HEIGHT - MARGIN - height
            said = f"{days[at]:%Y-%m-%d} {one.name}: {value}"
            parts.append(
                f'<rect x="{x:.2f}" y="{y:.2f}" width="{bar:.2f}" height="{height:.2f}" fill="{colour}">'
                f"<title>{escape(said)}</title></rect>"
            )
    if days:
        parts.append(f'<text x="{MARGIN}" y="{HEIGHT - 16}">{days[0]}</text>')
        parts.append(f'<text x="{WIDTH - MARGIN}" y="{HEIGHT - 16}" text-anchor="end">{days[-1]}</text>')
    return "\n".join([*parts, "</svg>", ""])
