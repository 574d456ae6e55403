"""Where what a sender named is fetched from: below its connection's address, or nowhere."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.handlers.fetch_address import FHIR, RETRY_AFTER, STEDI, address_of, retry_after
from shared.runtime.errors import PermanentError

BASE = "https://fhir.example.org/r4"


@pytest.mark.parametrize(
    ("kind", "reference", "base", "address"),
    [
        (FHIR, "ClaimResponse/7", BASE, f"{BASE}/ClaimResponse/7"),
        (FHIR, "ClaimResponse/7", f"{BASE}/", f"{BASE}/ClaimResponse/7"),
        (FHIR, f"{BASE}/ClaimResponse/7", BASE, f"{BASE}/ClaimResponse/7"),
        (
            FHIR,
            "Subscription/1/$events?eventsSinceNumber=2&eventsUntilNumber=2",
            BASE,
            f"{BASE}/Subscription/1/$events?eventsSinceNumber=2&eventsUntilNumber=2",
        ),
        (STEDI, "t-1", "https://core.us.stedi.com/2023-08-01", "https://core.us.stedi.com/2023-08-01/transactions/t-1/input"),
        (
            STEDI,
            "https://core.us.stedi.com/2023-08-01/transactions/t-1/input",
            "https://core.us.stedi.com/2023-08-01",
            "https://core.us.stedi.com/2023-08-01/transactions/t-1/input",
        ),
    ],
)  # fmt: skip
def test_what_was_named_is_below_the_connections_address(
    kind: str, reference: str, base: str, address: str
) -> None:
    assert address_of(kind, reference, base) == address


@pytest.mark.parametrize("kind", [FHIR, STEDI])
@pytest.mark.parametrize(
    "reference",
    [
        "", "https://elsewhere.example.org/r4/Claim/1", "https://fhir.example.org/r4evil/Claim/1",
        "https://fhir.example.org/r4/../admin", "http://fhir.example.org/r4/Claim/1", f"{BASE}/%2e%2e/admin",
        "../admin", "Claim/../../admin", "Claim/1\r\nHost: x", "Claim/1#x", "/etc/passwd",
        "https://fhir.example.org@elsewhere.example.org/r4/Claim/1",
    ],
)  # fmt: skip
def test_nothing_else_is(kind: str, reference: str) -> None:
    with pytest.raises(PermanentError) as caught:
        address_of(kind, reference, BASE)
    assert caught.value.code == "no_address"


def test_a_place_in_a_store_is_none_of_stedis_addresses() -> None:
    with pytest.raises(PermanentError):
        address_of(STEDI, "bucket/key", BASE)


@given(kind=st.sampled_from([FHIR, STEDI]), reference=st.text())
def test_whatever_is_named_leads_below_the_base_or_nowhere(kind: str, reference: str) -> None:
    address = f"{BASE}/"
    with suppress(PermanentError):
        address = address_of(kind, reference, BASE)
    assert address.startswith(f"{BASE}/")


def test_waits_grow_and_end() -> None:
    waits = [retry_after(n) for n in range(1, len(RETRY_AFTER) + 2)]
    assert waits[-1] is None
    assert waits[:-1] == sorted(RETRY_AFTER)
