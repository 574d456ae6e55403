"""Units as payers write them, and the whole units that they come to."""

import pytest

from shared.domain.claims import whole_units


@pytest.mark.parametrize(
    ("written", "units"),
    [
        ("4", 4), ("4.0", 4), ("4.00", 4), ("12", 12), ("0", 1), ("", 1), ("4.5", 1), ("-4", 1), ("x", 1),
        ("1000000", 1), (".0", 1),
    ],
)  # fmt: skip
def test_whole_units_are_what_is_written_where_that_is_whole(written: str, units: int) -> None:
    assert whole_units(written) == units
