"""Deterministic ids: a step that runs twice names the same things. Pure."""

from uuid import UUID, uuid5

from shared.domain.claims import (
    Acknowledgement,
    Authorization,
    ClaimPayment,
    ClaimStatus,
    FetchTask,
    Remittance,
)


def derive(parent: UUID, *parts: object) -> UUID:
    """Return the id of what `parent` causes, told apart by `parts` (a rule, an index, a consumer)."""
    return uuid5(parent, "\x1f".join(str(part) for part in parts))


def delivery_key(connection_id: UUID, delivery_id: str) -> UUID:
    """Return what a sender's delivery id is claimed under."""
    return uuid5(connection_id, delivery_id)


def event_id(connection_id: UUID, delivery_id: str, payload_sha256: str) -> UUID:
    """Return the id of the event that a delivery becomes: the same for every retry, another for another body.

    So a delivery id that comes again after its key has expired, with something new, is no repeat (docs/adr/0027).
    """
    return derive(delivery_key(connection_id, delivery_id), payload_sha256)


def claim_id(customer_id: UUID, claim_number: str) -> UUID:
    """Return the id of a customer's claim, by the number that the customer gave it (CLM01, echoed in CLP01)."""
    return derive(customer_id, "claim", claim_number)


def remittance_id(customer_id: UUID, remittance: Remittance) -> UUID:
    """Return the id of a payment advice: the same when a payer sends it again under another delivery id."""
    return derive(customer_id, "remittance", remittance.key)


def payment_id(customer_id: UUID, payment: ClaimPayment) -> UUID:
    """Return the id of one decision in an advice. Claim numbers repeat within a file, so its position counts.

    A claim's name is the same before and after its number is known.
    """
    claim = payment.claim_name or payment.claim_number
    return derive(customer_id, "payment", payment.remittance.key, payment.position, claim)


def authorization_id(customer_id: UUID, authorization: Authorization) -> UUID:
    """Return the id of an authorization: a payer's number for a procedure; without one, that of the request."""
    number = authorization.number or f"request {authorization.trace_number}"
    return derive(customer_id, "authorization", authorization.payer.key, number, authorization.procedure)


def request_id(customer_id: UUID, trace_number: str) -> UUID:
    """Return the id of a request for an authorization, by the number that its answer repeats."""
    return derive(customer_id, "authorization_request", trace_number)


def status_id(customer_id: UUID, status: ClaimStatus) -> UUID:
    """Return the id of what a payer said of a claim on a day: the same when it comes again by another way."""
    codes = ",".join(f"{code.category}:{code.status}:{code.entity}" for code in status.codes)
    return derive(
        customer_id, "status", status.kind, status.level, status.payer.key, status.trace_number, status.claim_number,
        status.payer_claim_number, status.stated_on, codes, status.charge_cents, status.paid_cents,
    )  # fmt: skip


def acknowledgement_id(customer_id: UUID, acknowledgement: Acknowledgement) -> UUID:
    """Return the id of what a receiver made of a set of ours."""
    said = acknowledgement
    return derive(
        customer_id, "acknowledgement", said.kind, said.group_number, said.set_number, said.outcome, said.stated_on,
        *said.errors,
    )  # fmt: skip


def fetch_id(customer_id: UUID, task: FetchTask) -> UUID:
    """Return the id of something to be fetched: once, however often it is named."""
    return derive(customer_id, "fetch", task.kind, task.reference, task.stated_on)
