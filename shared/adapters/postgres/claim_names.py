"""Which claim a server's own name stands for: `Claim/1`, with its connection.

An answer that names its claim so is the claim's from the start where that is known. Where it is not, the name is the
claim's number, and when the claim comes it takes the payments over; the row of the name goes.
"""

from collections.abc import Iterable, Mapping
from uuid import UUID

import orjson
from sqlalchemy import Connection, text

# Until the commit nobody else asks for these names or notes them: of a claim and its answer the later sees the earlier.
LOCK = text("""
SELECT pg_advisory_xact_lock(key) FROM (
    SELECT hashtextextended(name, hashtextextended(:customer_id, 0)) AS key FROM unnest(CAST(:names AS text[])) AS name
    ORDER BY 1
) AS ordered
""")
NOTE = text("""
INSERT INTO claim_names (customer_id, name, claim_number)
SELECT CAST(:customer_id AS uuid), key, value FROM jsonb_each_text(CAST(:numbers AS jsonb))
ORDER BY key
ON CONFLICT (customer_id, name) DO NOTHING
""")
ASK = text("""
SELECT name, claim_number FROM claim_names
WHERE customer_id = CAST(:customer_id AS uuid) AND name = ANY(CAST(:names AS text[]))
""")
TAKE_OVER = text("""
UPDATE claim_payments p SET claim_id = CAST(r.value AS uuid)
FROM jsonb_each_text(CAST(:claims AS jsonb)) AS r JOIN claims named ON named.id = CAST(r.key AS uuid)
WHERE p.claim_id = named.id AND named.submission_event_id IS NULL
RETURNING named.id
""")
# The policy `without_payments` lets nothing else go.
REMOVE = text("DELETE FROM claims WHERE id = ANY(CAST(:ids AS uuid[]))")


def claim_numbers(
    connection: Connection, customer_id: UUID, asked: Iterable[str], noted: Mapping[str, str]
) -> Mapping[str, str]:
    """Note the numbers of claims by their names; return those of the names that are asked for, where they are known."""
    wanted, common = sorted(asked), {"customer_id": str(customer_id)}
    connection.execute(LOCK, {**common, "names": sorted({*wanted, *noted})})
    if noted:
        connection.execute(NOTE, {**common, "numbers": orjson.dumps(dict(noted)).decode()})
    if not wanted:
        return {}
    return {row.name: row.claim_number for row in connection.execute(ASK, {**common, "names": wanted})}


def take_over(connection: Connection, claims: Mapping[UUID, UUID]) -> set[UUID]:
    """Give claims the payments that stand under their names; return the ids of the names' rows that had any.

    claims: by the id of the name's row. Fold both, then `remove` what is returned.
    """
    pairs = orjson.dumps({str(name): str(claim) for name, claim in claims.items()}).decode()
    return set(connection.execute(TAKE_OVER, {"claims": pairs}).scalars())


def remove(connection: Connection, ids: Iterable[UUID]) -> None:
    """Take away the rows whose payments were taken over, after the fold took them out of the sums."""
    connection.execute(REMOVE, {"ids": [str(key) for key in ids]})
