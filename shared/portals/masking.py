"""Pictures of pages without what was typed into them, and traces without what a browser is recognised by.

The page itself is painted over before its picture is taken, in every frame and shadow root: what a picture never held
cannot be restored from it. If one frame cannot be painted over there is no picture.
"""

import io
import json
import re
import zipfile
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from shared.portals.language import Target
from shared.portals.locate import locate

if TYPE_CHECKING:
    from playwright.async_api import Page

BLOCK: Final = "\u2588"
SHORTEST: Final = 3  # shorter texts are on any page, and are seen in fields alone
WORDS_OF_NAMES: Final = re.compile(r"[^\W\d_]{2,}")
HEADERS_REMOVED: Final = frozenset({"cookie", "set-cookie", "authorization", "x-csrf-token"})

# Text becomes blocks of its own length; fields become black. `undo` puts the texts back.
PAINT: Final = """
({values, words, undo}) => {
  const held = (window.__painted ??= []);
  if (undo) {
    for (const [node, text] of held.splice(0)) node.nodeValue = text;
    document.querySelectorAll('style[data-painted]').forEach((style) => style.remove());
    return;
  }
  const escape = (text) => text.replace(/[.*+?^${}()|[\\]\\\\]/g, '\\\\$&');
  const whole = (word) => '(?<![\\p{L}\\p{N}_])' + escape(word) + '(?![\\p{L}\\p{N}_])';
  const texts = [...values.map(escape), ...words.map(whole)];
  const pattern = texts.length ? new RegExp(texts.join('|'), 'giu') : null;
  const css = 'input:not([type=submit]):not([type=button]), textarea, select, [contenteditable], [role=combobox] {'
    + 'color: #000 !important; background: #000 !important; -webkit-text-fill-color: #000 !important; }'
    + '::placeholder { color: #000 !important; -webkit-text-fill-color: #000 !important; }';
  const paint = (root) => {
    const style = document.createElement('style');
    style.dataset.painted = '';
    style.textContent = css;
    (root.head ?? root).append(style);
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      if (node.shadowRoot) paint(node.shadowRoot);
      if (node.nodeType !== Node.TEXT_NODE || !pattern) continue;
      const masked = node.nodeValue.replace(pattern, (found) => '\\u2588'.repeat(found.length));
      if (masked !== node.nodeValue) { held.push([node, node.nodeValue]); node.nodeValue = masked; }
    }
  };
  paint(document);
}
"""


async def masked_screenshot(
    page: "Page", *, values: Iterable[str], names: Iterable[str], mask: Sequence[Target], timeout_ms: float
) -> bytes:
    """Return a PNG of the whole page in which no field shows, none of the values, and nothing that `mask` fits.

    names: people's names among the values; their words are painted over wherever they stand.
    """
    wanted = {"values": to_paint(values), "words": words_of(names), "undo": False}
    for frame in page.frames:
        await frame.evaluate(PAINT, wanted)
    try:
        return await page.screenshot(
            full_page=True,
            mask=[locate(page, target) for target in mask],
            mask_color="#000000",
            timeout=timeout_ms,
            animations="disabled",
        )
    finally:
        for frame in page.frames:
            await frame.evaluate(PAINT, {"values": [], "words": [], "undo": True})


def to_paint(values: Iterable[str]) -> list[str]:
    """Return the texts to paint over wherever they stand, longest first, so that none leaves a remainder of another."""
    return sorted({text for text in values if len(text) >= SHORTEST}, key=lambda text: (-len(text), text))


def words_of(names: Iterable[str]) -> list[str]:
    """Return the words to paint over where they stand alone: a portal may turn a name round."""
    return sorted({word for name in names for word in WORDS_OF_NAMES.findall(name)})


def painted(text: str, *, values: Iterable[str], names: Iterable[str]) -> str:
    """Return a text in which neither the values nor the names' words stand."""
    parts = [re.escape(value) for value in to_paint(values)]
    parts += [rf"(?<!\w){re.escape(word)}(?!\w)" for word in words_of(names)]
    hidden = re.compile("|".join(parts), re.IGNORECASE)
    return hidden.sub(lambda found: BLOCK * len(found[0]), text) if parts else text


def scrubbed_trace(trace_zip: bytes) -> bytes:
    """Return a Playwright trace without cookies and tokens: whoever reads it cannot step into the session."""
    cleaned = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(trace_zip)) as found,
        zipfile.ZipFile(cleaned, "w", zipfile.ZIP_DEFLATED) as kept,
    ):
        for name in found.namelist():
            content = found.read(name)
            kept.writestr(
                name, _scrubbed_lines(content) if name.endswith((".network", ".trace")) else content
            )
    return cleaned.getvalue()


def _scrubbed_lines(content: bytes) -> bytes:
    return b"\n".join(
        json.dumps(_scrubbed(json.loads(line))).encode() if line else line for line in content.split(b"\n")
    )


def _scrubbed(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, list):
        return [_scrubbed(one) for one in value]
    if not isinstance(value, dict):
        return value
    if str(value.get("name", "")).lower() in HEADERS_REMOVED and "value" in value:
        return value | {"value": "removed"}
    return {name: [] if name == "cookies" else _scrubbed(one) for name, one in value.items()}
