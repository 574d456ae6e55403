"""Who is in the month: three practices, three payers, what they do and what it is worth. All of it is invented.

The payers' names are real companies', because rules and lead times go by them; their ids, addresses and behaviour are
not. NPIs begin with 9999, where no real one does, and pass the Luhn check. Codes carry no descriptions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from shared.domain.claims import Party
from shared.ports.connections import Scheme


@dataclass(frozen=True, slots=True)
class Visit:
    """What is billed together. lines: procedure, units, modifiers. weight: how often, against the others."""

    weight: int
    lines: tuple[tuple[str, int, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class Practice:
    """A customer. prefix: of its claim numbers. submits: the share of its claims that its EHR sends us beforehand.

    batches: whether the EHR sends a day's claims together, in our own JSON; else each as a FHIR resource.
    """

    name: str
    prefix: str
    npi: str
    submits: float
    batches: bool
    payer_weights: tuple[int, int, int]
    diagnoses: tuple[str, ...]
    visits: tuple[Visit, ...]

    @property
    def slug(self) -> str:
        """Return its first word, for names of deliveries."""
        return self.name.split()[0].lower()


@dataclass(frozen=True, slots=True)
class Delimiters:
    """How a payer writes X12. end: after each segment, with the line feed if it writes one."""

    element: str = "*"
    component: str = ":"
    end: str = "~"


@dataclass(frozen=True, slots=True)
class Payer:
    """A payer. lag_days: from submission to decision. price: its contracts, against the first payer's."""

    name: str
    id: str
    provider: str
    content_type: str
    delimiters: Delimiters
    lag_days: tuple[int, int]
    lead_days: int
    denial_rate: float
    price: float

    @property
    def key(self) -> str:
        """Return what the pipeline keys the payer's rows by."""
        return Party(self.name, self.id).key


@dataclass(frozen=True, slots=True)
class Procedure:
    """A code's prices in cents a unit: what practices charge, and what the first payer's contract allows."""

    charge_cents: int
    contracted_cents: int
    needs_authorization: bool = False


@dataclass(frozen=True, slots=True)
class SampleConnection:
    """A connection to set up before the month is played: one a practice and sender."""

    practice: str
    provider: str
    scheme: Scheme


EHR: Final = "ehr"
THERAPY: Final = frozenset({"97110", "97140", "97161", "97530"})  # billed with modifier GP

PROCEDURES: Final[Mapping[str, Procedure]] = {
    "99203": Procedure(290_00, 124_00),
    "99213": Procedure(180_00, 98_00),
    "99214": Procedure(260_00, 141_00),
    "93000": Procedure(75_00, 22_50),
    "85025": Procedure(40_00, 9_75),
    "36415": Procedure(20_00, 6_25),
    "97161": Procedure(220_00, 97_00),
    "97110": Procedure(95_00, 34_20, needs_authorization=True),
    "97140": Procedure(90_00, 31_60, needs_authorization=True),
    "97530": Procedure(110_00, 40_10, needs_authorization=True),
    "20610": Procedure(350_00, 81_00),
    "73721": Procedure(1_450_00, 298_00, needs_authorization=True),
    "29881": Procedure(4_800_00, 812_00, needs_authorization=True),
}

CEDAR: Final = Practice(
    name="Cedar Family Medicine",
    prefix="CF",
    npi="9999000018",
    submits=0.08,
    batches=False,
    payer_weights=(30, 35, 35),
    diagnoses=("I10", "E11.9", "J06.9", "M54.50", "Z00.00"),
    visits=(
        Visit(40, (("99213", 1, ()),)),
        Visit(25, (("99214", 1, ()),)),
        Visit(20, (("99213", 1, ()), ("36415", 1, ()), ("85025", 1, ()))),
        Visit(15, (("99214", 1, ("25",)), ("93000", 1, ()))),
    ),
)
HARBOR: Final = Practice(
    name="Harbor Physical Therapy",
    prefix="HP",
    npi="9999000026",
    submits=0.4,
    batches=False,
    payer_weights=(30, 30, 40),
    diagnoses=("M54.50", "M25.511", "S83.206D", "M75.41"),
    visits=(
        Visit(15, (("97161", 1, ("GP",)), ("97110", 1, ("GP",)))),
        Visit(45, (("97110", 2, ("GP",)), ("97140", 1, ("GP",)))),
        Visit(30, (("97110", 1, ("GP",)), ("97530", 1, ("GP", "59")))),
        Visit(10, (("97140", 1, ("GP",)),)),
    ),
)
SUMMIT: Final = Practice(
    name="Summit Orthopedics",
    prefix="SO",
    npi="9999000034",
    submits=1.0,
    batches=True,
    payer_weights=(50, 25, 25),
    diagnoses=("M17.11", "S83.206A", "M75.41", "M25.561"),
    visits=(
        Visit(15, (("99203", 1, ()),)),
        Visit(10, (("99213", 1, ()),)),
        Visit(15, (("99213", 1, ("25",)), ("20610", 1, ("RT",)))),
        Visit(25, (("20610", 1, ("LT",)),)),
        Visit(20, (("73721", 1, ("RT",)),)),
        Visit(15, (("29881", 1, ("LT",)),)),
    ),
)
PRACTICES: Final = (CEDAR, HARBOR, SUMMIT)

AETNA: Final = Payer(
    name="Aetna",
    id="SAMPLE01",
    provider="aetna",
    content_type="application/edi-x12",
    delimiters=Delimiters(),
    lag_days=(6, 10),
    lead_days=30,
    denial_rate=0.06,
    price=1.0,
)
UNITED: Final = Payer(
    name="UnitedHealthcare",
    id="SAMPLE02",
    provider="unitedhealthcare",
    content_type="application/x12",
    delimiters=Delimiters(end="~\n"),
    lag_days=(8, 12),
    lead_days=14,
    denial_rate=0.09,
    price=0.93,
)
BLUE_CROSS: Final = Payer(
    name="Blue Cross",
    id="SAMPLE03",
    provider="blue-cross",
    content_type="text/plain",
    delimiters=Delimiters(element="|", component=">", end="~\r\n"),
    lag_days=(5, 8),
    lead_days=21,
    denial_rate=0.07,
    price=1.08,
)
PAYERS: Final = (AETNA, UNITED, BLUE_CROSS)

SCHEMES: Final[Mapping[str, Scheme]] = {
    AETNA.provider: "standard-webhooks",
    UNITED.provider: "standard-webhooks",
    BLUE_CROSS.provider: "hmac-sha256-hex",
    EHR: "hmac-sha256-hex",
}
CONNECTIONS: Final = tuple(
    SampleConnection(practice.name, provider, scheme)
    for practice in PRACTICES
    for provider, scheme in SCHEMES.items()
)


def contracted_cents(payer: Payer, procedure: str, units: int = 1) -> int:
    """Return what the payer's contract, the same with every practice, says that the service is worth."""
    return round(PROCEDURES[procedure].contracted_cents * payer.price) * units
