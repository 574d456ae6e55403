"""What senders post, when, and what should become of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from random import Random
from typing import Final, Literal

from local.sample_month.canonical import write_authorization, write_claims
from local.sample_month.fhir_claim import write_fhir_claim
from local.sample_month.manifest import Reply
from local.sample_month.values import Advice, Authorization, Claim
from local.sample_month.world import EHR
from local.sample_month.x12_835 import write_835

Signature = Literal["good", "wrong", "stale"]
Format = Literal["x12", "fhir", "canonical"]
JSON: Final = "application/json"
FHIR_JSON: Final = "application/fhir+json"


@dataclass(frozen=True, slots=True)
class SampleDelivery:
    """One POST. at: when in the month; deliveries are played in that order. practice, provider: its connection.

    signature: `wrong` is to be made with another secret, `stale` an hour ago. reply: how ingress should answer.
    dead_letter: whether it cannot be read once it was accepted.
    """

    practice: str
    provider: str
    name: str
    content_type: str
    format: Format
    body: bytes = field(repr=False)
    delivery_id: str
    at: datetime
    signature: Signature = "good"
    reply: Reply = "accepted"
    dead_letter: bool = False


def of_claim(claim: Claim, random: Random) -> SampleDelivery:
    """Return a claim as an EHR sends it that sends each by itself."""
    return SampleDelivery(
        practice=claim.practice.name,
        provider=EHR,
        name=f"claim {claim.number}",
        content_type=FHIR_JSON,
        format="fhir",
        body=write_fhir_claim(claim),
        delivery_id=f"claim-{claim.number}",
        at=datetime.combine(claim.submitted_on, _between(8, 19, random), UTC),
    )


def of_claims(claims: Sequence[Claim], random: Random) -> SampleDelivery:
    """Return one practice's claims of one day, as an EHR sends them that sends them together in the evening."""
    practice, submitted_on = claims[0].practice, claims[0].submitted_on
    return SampleDelivery(
        practice=practice.name,
        provider=EHR,
        name=f"{len(claims)} claims of {submitted_on}",
        content_type=JSON,
        format="canonical",
        body=write_claims(claims),
        delivery_id=f"claims-{practice.slug}-{submitted_on:%Y%m%d}",
        at=datetime.combine(submitted_on, _between(19, 20, random), UTC),
    )


def of_advice(advice: Advice, random: Random) -> SampleDelivery:
    """Return an advice as the payer sends it, before the day's claims."""
    return SampleDelivery(
        practice=advice.practice.name,
        provider=advice.payer.provider,
        name=f"835 {advice.name}",
        content_type=advice.payer.content_type,
        format="x12",
        body=write_835(advice),
        delivery_id=f"835-{advice.name}",
        at=datetime.combine(advice.decided_on, _between(5, 7, random), UTC),
    )


def of_authorization(authorization: Authorization, random: Random) -> SampleDelivery:
    """Return an authorization as the practice's EHR states it."""
    return SampleDelivery(
        practice=authorization.practice.name,
        provider=EHR,
        name=f"authorization {authorization.number}",
        content_type=JSON,
        format="canonical",
        body=write_authorization(authorization),
        delivery_id=f"authorization-{authorization.number}",
        at=datetime.combine(authorization.stated_on, _between(7, 8, random), UTC),
    )


def mishaps(sent: Sequence[SampleDelivery], random: Random) -> list[SampleDelivery]:
    """Return what goes wrong besides: repeats, forgeries and damage, each made of something sent before it."""
    files = [delivery for delivery in sent if delivery.format == "x12"]
    claims = [delivery for delivery in sent if delivery.format == "fhir"]
    batches = [delivery for delivery in sent if " claims of " in delivery.name]
    file, claim, batch = random.choice(files), random.choice(claims), random.choice(batches)
    return [
        *(_later(delivery, "repeat", reply="duplicate") for delivery in random.sample(sent, 6)),
        *(_renamed(delivery, "resent") for delivery in random.sample(files, 2)),
        _later(file, "reused id", reply="key_reused", body=file.body + b"\n"),
        _renamed(claim, "forged", signature="wrong", reply="invalid_signature"),
        _renamed(claim, "late", signature="stale", reply="stale_timestamp"),
        _renamed(claim, "page", content_type="text/html", reply="unsupported_media_type"),
        _renamed(file, "cut-off", body=file.body[: len(file.body) * 2 // 3], dead_letter=True),
        _renamed(file, "headless", body=file.body[110:], dead_letter=True),
        _renamed(claim, "broken", body=claim.body[:-20], dead_letter=True),
        _renamed(claim, "foreign", body=b'{"resourceType":"Basic","id":"sample"}', dead_letter=True),
        _renamed(
            batch, "misshapen", body=batch.body.replace(b'"charge":"', b'"charge":"$'), dead_letter=True
        ),
    ]


def _later(delivery: SampleDelivery, what: str, **changes: object) -> SampleDelivery:
    """Return the delivery some hours later under the same id."""
    later = replace(delivery, name=f"{delivery.name} ({what})", at=delivery.at + timedelta(hours=3))
    return replace(later, **changes)  # type: ignore[arg-type] # fields of the dataclass, by name


def _renamed(delivery: SampleDelivery, what: str, **changes: object) -> SampleDelivery:
    """Return the delivery some hours later under an id of its own."""
    return _later(delivery, what, **{"delivery_id": f"{delivery.delivery_id}-{what}", **changes})


def _between(from_hour: int, to_hour: int, random: Random) -> time:
    minute = random.randrange(from_hour * 60, to_hour * 60)
    return time(minute // 60, minute % 60, random.randrange(60))
