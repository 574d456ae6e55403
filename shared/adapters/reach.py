"""Where a customer's URL may lead."""

from typing import Literal

Reach = Literal[
    "public",  # https to public addresses
    "any",  # http too, and this machine: local runs and tests
]
