"""Pages of a portal as they were on one day, kept without what was typed, and a flow held against them.

A recording is a folder of HTML files: every frame that a dry run saw, with shadow roots and without scripts. Checked
against it, a flow needs no portal: each element that it acts on before the commit must be on some page exactly once.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from shared.portals.browser import BrowserHost
from shared.portals.language import Click, Expect, FlowSpec, Goto, StepSpec, Target
from shared.portals.locate import within
from shared.portals.masking import painted

if TYPE_CHECKING:
    from playwright.async_api import Page

CHECKED_WITHIN_S: Final = 120.0
SCRIPT: Final = re.compile(r"<script\b.*?</script\s*>", re.DOTALL | re.IGNORECASE)
SOURCE: Final = """
() => {
  const roots = [];
  const visit = (root) => {
    for (const element of root.querySelectorAll('*'))
      if (element.shadowRoot) { roots.push(element.shadowRoot); visit(element.shadowRoot); }
  };
  visit(document);
  return document.documentElement.getHTML({shadowRoots: roots});
}
"""


class Recorder:
    """Keeps each page that it has not kept yet."""

    def __init__(self, folder: Path) -> None:
        """folder: where; made if it is not there."""
        self._folder = folder
        self._kept = set[str]()

    async def keep(self, page: "Page", *, values: Iterable[str], names: Iterable[str]) -> None:
        """Keep the page's frames as they are now, without scripts and without the values."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for frame in page.frames:
            source = SCRIPT.sub("", await frame.evaluate(SOURCE))
            source = painted(source, values=values, names=names)
            if source not in self._kept:
                self._kept.add(source)
                name = f"{len(self._kept):02d}.html"
                (self._folder / name).write_text(f"<!doctype html><html>{source}</html>\n", encoding="utf-8")


def missing_from(spec: FlowSpec, folder: Path, host: BrowserHost) -> list[str]:
    """Return the steps whose element is on no page of a recording exactly once; empty if the flow fits.

    Raises:
        TransientError: `browser_unavailable`.
        OSError: the folder cannot be read.
    """
    pages = [path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.html"))]
    return host.run(_missing(spec, pages, host), timeout_s=CHECKED_WITHIN_S)


async def _missing(spec: FlowSpec, pages: Sequence[str], host: BrowserHost) -> list[str]:
    wanted = {str(target): target for step in _before_commit(spec) for target in _targets(step)}
    async with host.context() as context:
        await context.set_offline(offline=True)
        page = await context.new_page()
        for source in pages:
            await page.set_content(source, wait_until="domcontentloaded")
            fitting = [name for name, target in wanted.items() if await within(page, target).count() == 1]
            for name in fitting:
                del wanted[name]
    return list(wanted)


def _before_commit(spec: FlowSpec) -> list[StepSpec]:
    """Return the steps that a dry run does, to the commit's own."""
    last = len(spec.steps) if spec.commit_at is None else spec.commit_at + 1
    return [*spec.portal.sign_in, *spec.steps[:last]]


def _targets(step: StepSpec) -> list[Target]:
    """Return what must be there: an optional step's element too, but of two ends of an `expect` either."""
    if isinstance(step, Goto) or (isinstance(step, Click | Expect) and step.with_file):
        return []
    return [] if isinstance(step, Expect) and step.absent else [step.target]
