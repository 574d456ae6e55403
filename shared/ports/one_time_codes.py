"""Who has used which one-time code."""

from typing import Protocol


class CodeWindows(Protocol):
    """Gives each window of an account's one-time codes away once: a portal takes no code twice. Blocks."""

    def take(self, account: str, window: int) -> bool:
        """Return whether the window is the caller's: neither it nor a later one was taken before.

        account: an opaque name of the credential, without the secret. window: the code's counter (RFC 6238, "T").

        Raises:
            TransientError: the store is away; nothing was typed.
        """
        ...
