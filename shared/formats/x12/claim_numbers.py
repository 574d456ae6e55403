"""What a claim goes by where a payer does not repeat the number that we gave it. Pure: no I/O.

Source: X12 RFI 535: a payer writes 0 for the number of a claim that came without one.
"""

from shared.domain.claims import Party


def number_of(own: str, payer: Party, payers: str) -> str:
    """Return our number for a claim; where it is missing or all zeros, one made of the payer and its own number.

    All claims without a number would be one claim otherwise.
    """
    return own if own.strip("0") else f"{payer.id or payer.name}/{payers}"
