"""Prints documents."""

from typing import Protocol


class PdfPrinter(Protocol):
    """Turns HTML into a PDF a payer accepts: selectable text, tagged, with an outline and page numbers. Blocks."""

    def print_pdf(self, html: str, *, footer: str = "") -> bytes:
        """Return the PDF of a whole HTML document (US Letter). Nothing is fetched: images come as data URLs.

        footer: a line of plain text at the left of each page's foot, opposite "Page 1 of 3".

        Raises:
            TransientError: `browser_unavailable` or `timeout`. Printing again is safe.
        """
        ...
