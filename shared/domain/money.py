"""Money is whole cents in an int. Pure: no I/O, no floats."""

from decimal import ROUND_HALF_EVEN, Decimal, DecimalException

CENT = Decimal("0.01")
MAX_CENTS = 10**15  # ten trillion dollars: beyond it a file is wrong, and BIGINT sums stay safe


def cents(amount: str | Decimal | int) -> int:
    """Return a dollar amount as whole cents, half to even below a cent.

    Raises:
        ValueError: not a finite decimal number, or larger than any real remittance. Treat the element as unreadable.
    """
    try:
        dollars = amount if isinstance(amount, Decimal) else Decimal(amount)
        if not dollars.is_finite() or abs(dollars) * 100 > MAX_CENTS:
            raise ValueError("not an amount of money")
        return int(dollars.quantize(CENT, rounding=ROUND_HALF_EVEN).scaleb(2))
    except DecimalException as exc:
        raise ValueError("not an amount of money") from exc


def dollars(amount_cents: int) -> str:
    """Return cents as people read them: `-$1,234.50`."""
    sign = "-" if amount_cents < 0 else ""
    whole, part = divmod(abs(amount_cents), 100)
    return f"{sign}${whole:,}.{part:02d}"
