"""From a flow's target to Playwright's locator, which is strict: acting on what fits two elements fails."""

from typing import TYPE_CHECKING

from shared.portals.language import Target

if TYPE_CHECKING:
    from playwright.async_api import Frame, FrameLocator, Locator, Page

    Scope = Page | Frame | FrameLocator | Locator


def scope_of(page: "Page", target: Target) -> "Page | FrameLocator":
    """Return the document that a target is in."""
    scope: Page | FrameLocator = page
    for css in target.frame:
        scope = scope.frame_locator(css)
    return scope


def locate(page: "Page", target: Target) -> "Locator":
    """Return where a target is on a page, by way of its frames."""
    return within(scope_of(page, target), target)


def within(scope: "Scope", target: Target) -> "Locator":
    """Return where a target is within a document, or a row of one. Names and texts are meant in full."""
    match target.kind:
        case "role":
            # The role is the page's word, not ours: Playwright refuses what is none.
            return scope.get_by_role(target.value, name=target.name or None, exact=True)  # type: ignore[arg-type]
        case "label":
            return scope.get_by_label(target.value, exact=True)
        case "placeholder":
            return scope.get_by_placeholder(target.value, exact=True)
        case "test_id":
            return scope.get_by_test_id(target.value)
        case "text":
            return scope.get_by_text(target.value, exact=True)
        case "css":
            return scope.locator(target.value)
