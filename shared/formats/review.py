"""What a payer's review action says of an authorization. Pure.

Source: X12 code list 306 (action codes), as 278 HCR01 and Da Vinci PAS reviewActionCode carry them.
"""

from collections.abc import Mapping
from typing import Final

from shared.domain.claims import AuthorizationRequest, SubmittedClaim

PREAUTHORIZATION: Final = "preauthorization"  # FHIR Claim.use, ClaimResponse.use

ACTIVE: Final = "active"
DENIED: Final = "denied"
PENDED: Final = "pended"
NOT_CONSIDERED: Final = "not_considered"  # the request was at fault (278 AAA): correct it and ask again

ACTIONS: Final[Mapping[str, str]] = {
    "A1": ACTIVE,  # certified in total
    "A2": ACTIVE,  # certified in part
    "A3": DENIED,  # not certified
    "A4": PENDED,
    "A6": ACTIVE,  # modified
    "C": DENIED,  # cancelled
    "CT": PENDED,  # contact the payer
    "NA": ACTIVE,  # no action required
}


def status_of(action: str) -> str:
    """Return the status that an action leads to; pended for one that nobody knows, since it certifies nothing."""
    return ACTIONS.get(action, PENDED)


def as_request(claim: SubmittedClaim) -> AuthorizationRequest:
    """Return the request for an authorization that a claim with `use` preauthorization is.

    Its own number is what the answer refers to.
    """
    return AuthorizationRequest(
        trace_number=claim.claim_number,
        payer=claim.payer,
        provider=claim.provider,
        patient=claim.patient,
        kind=claim.use,
        previous_number=claim.authorization_number,
        requested_on=claim.submitted_on,
        service_on=claim.service_on,
        diagnoses=claim.diagnoses,
        lines=claim.lines,
        findings=claim.findings,
    )
