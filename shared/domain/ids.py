"""Deterministic ids: a step that runs twice names the same things. Pure."""

from uuid import UUID, uuid5

from shared.domain.claims import Authorization, ClaimPayment, Remittance


def derive(parent: UUID, *parts: object) -> UUID:
    """Return the id of what `parent` causes, told apart by `parts` (a rule, an index, a consumer)."""
    return uuid5(parent, "\x1f".join(str(part) for part in parts))


def event_id(connection_id: UUID, delivery_id: str) -> UUID:
    """Return the id of the event that a payer's delivery becomes: the same for every retry of it."""
    return uuid5(connection_id, delivery_id)


def claim_id(customer_id: UUID, claim_number: str) -> UUID:
    """Return the id of a customer's claim, by the number that the customer gave it (CLM01, echoed in CLP01)."""
    return derive(customer_id, "claim", claim_number)


def remittance_id(customer_id: UUID, remittance: Remittance) -> UUID:
    """Return the id of a payment advice: the same when a payer sends it again under another delivery id."""
    return derive(customer_id, "remittance", remittance.key)


def payment_id(customer_id: UUID, payment: ClaimPayment) -> UUID:
    """Return the id of one decision in an advice. Claim numbers repeat within a file, so its position counts."""
    return derive(customer_id, "payment", payment.remittance.key, payment.position, payment.claim_number)


def authorization_id(customer_id: UUID, authorization: Authorization) -> UUID:
    """Return the id of an authorization: a payer's number for a procedure."""
    return derive(
        customer_id, "authorization", authorization.payer.key, authorization.number, authorization.procedure
    )
