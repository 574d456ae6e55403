"""Prints HTML with the browser that visits the portals."""

import html as markup
from typing import Final

from shared.portals.browser import BrowserHost
from shared.runtime.errors import TransientError

PRINTED_WITHIN_S: Final = 60.0
FOOT: Final = (
    '<div style="font: 8px sans-serif; width: 100%; margin: 0 0.75in; display: flex; justify-content: space-between">'
    '<span>{text}</span><span>Page <span class="pageNumber"></span> of <span class="totalPages"></span></span></div>'
)


class ChromiumPdfPrinter:
    """Prints in a context of its own, offline and without scripts."""

    def __init__(self, host: BrowserHost) -> None:
        """host: the process's browser."""
        self._host = host

    def print_pdf(self, html: str, *, footer: str = "") -> bytes:
        """Return the PDF of a whole HTML document."""
        return self._host.run(self._print(html, footer), timeout_s=PRINTED_WITHIN_S)

    async def _print(self, html: str, footer: str) -> bytes:
        from playwright.async_api import Error

        async with self._host.context() as context:
            try:
                await context.set_offline(offline=True)
                page = await context.new_page()
                await page.set_content(html, wait_until="load")
                return await page.pdf(
                    format="Letter",
                    print_background=True,
                    tagged=True,
                    outline=True,
                    display_header_footer=True,
                    header_template="<span></span>",
                    footer_template=FOOT.format(text=markup.escape(footer)),
                    margin={"top": "0.9in", "bottom": "0.9in", "left": "1in", "right": "1in"},
                )
            except Error as exc:
                raise TransientError("browser_unavailable", "the document was not printed") from exc
