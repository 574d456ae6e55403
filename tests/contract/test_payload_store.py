"""One suite for every store of payloads. What holds of Cloud Storage's client is in `test_evidence_store.py`."""

from pathlib import Path
from uuid import UUID, uuid4

import pytest

from shared.adapters.evidence_files import FileEvidenceStore
from shared.adapters.memory import InMemoryPayloadStore
from shared.adapters.payloads import StoredPayloads
from shared.ports.payloads import PayloadStore
from shared.runtime.errors import PoisonError

CUSTOMER, EVENT = UUID(int=1), UUID(int=2)


@pytest.fixture(params=["memory", "folder"])
def payloads(request: pytest.FixtureRequest, tmp_path: Path) -> PayloadStore:
    return (
        InMemoryPayloadStore() if request.param == "memory" else StoredPayloads(FileEvidenceStore(tmp_path))
    )


def test_what_is_put_is_got(payloads: PayloadStore) -> None:
    body = bytes(range(256)) * 4096
    assert payloads.get(payloads.put(CUSTOMER, EVENT, body)) == body


def test_a_retry_has_the_same_reference(payloads: PayloadStore) -> None:
    assert payloads.put(CUSTOMER, EVENT, b"x") == payloads.put(CUSTOMER, EVENT, b"x")
    assert payloads.put(CUSTOMER, uuid4(), b"x") != payloads.put(CUSTOMER, EVENT, b"x")


def test_another_body_of_the_same_event_stands_beside_the_first(payloads: PayloadStore) -> None:
    first, second = (payloads.put(CUSTOMER, EVENT, body) for body in (b"x", b"y"))
    assert (payloads.get(first), payloads.get(second)) == (b"x", b"y")


def test_a_reference_names_ids_and_fits_an_attribute(payloads: PayloadStore) -> None:
    reference = payloads.put(CUSTOMER, EVENT, b"NM1*QC*1*DOE*JANE")
    assert str(CUSTOMER) in reference
    assert str(EVENT) in reference
    assert "DOE" not in reference
    assert len(reference.encode()) <= 1024


def test_what_is_not_there_is_poison(payloads: PayloadStore) -> None:
    reference = payloads.put(CUSTOMER, EVENT, b"x")
    with pytest.raises(PoisonError) as raised:
        payloads.get(reference.replace(str(EVENT), str(uuid4())))
    assert raised.value.code == "payload_missing"


def test_a_folder_is_its_owners_alone(tmp_path: Path) -> None:
    reference = Path(StoredPayloads(FileEvidenceStore(tmp_path / "kept")).put(CUSTOMER, EVENT, b"x"))
    assert (reference.stat().st_mode & 0o077, reference.parent.stat().st_mode & 0o077) == (0, 0)
