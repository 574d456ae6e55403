"""Members of a family share the insured's id: they are not taken for one patient."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from shared.adapters.postgres.cases import PostgresCaseFiles
from shared.adapters.postgres.jobs.authorizations import held
from shared.adapters.postgres.record import tenant
from shared.adapters.postgres.same_patient import same_patient
from shared.domain.claims import Authorization, Party, Patient, Record
from shared.domain.events import Event, Received
from shared.domain.ids import authorization_id
from tests.functional.action_desk import PATIENT, Desk

if TYPE_CHECKING:
    from tests.functional.conftest import Pipeline

BORN = date(1981, 4, 17)
ROBIN = Patient("Robin Example", "M1", BORN)
PAIRS = [
    ("the same", ROBIN, ROBIN, True),
    ("as another sender writes the name", ROBIN, Patient("EXAMPLE, ROBIN", "M1"), True),
    ("one knows a middle name", ROBIN, Patient("ROBIN A. EXAMPLE", "M1", BORN), True),
    ("one knows no birth date", ROBIN, Patient("Robin Example", "M1"), True),
    ("one knows no name", ROBIN, Patient("", "M1", BORN), True),
    ("one knows the id alone", ROBIN, Patient("", "M1"), True),
    ("a sibling", ROBIN, Patient("Kim Example", "M1", date(1983, 1, 2)), False),
    ("a twin", ROBIN, Patient("Kim Example", "M1", BORN), False),
    ("a sibling without a birth date", ROBIN, Patient("Kim Example", "M1"), False),
    ("a sibling without a name", ROBIN, Patient("", "M1", date(1983, 1, 2)), False),
    ("a namesake", ROBIN, Patient("Robin Example Jr", "M1", date(2009, 5, 6)), False),
    ("a namesake without a birth date", ROBIN, Patient("Robin Example Jr", "M1"), False),
    ("another id", ROBIN, replace(ROBIN, member_id="M2"), False),
    ("no id", replace(ROBIN, member_id=""), replace(ROBIN, member_id=""), False),
]


@pytest.mark.parametrize(("one", "other", "same"), [pair[1:] for pair in PAIRS], ids=[p[0] for p in PAIRS])
def test_what_both_rows_know_of_a_patient_has_to_agree(
    pipeline: "Pipeline", one: Patient, other: Patient, *, same: bool
) -> None:
    rows = "SELECT CAST(:{0} AS jsonb) AS patient"
    asked = text(
        f"SELECT {same_patient('a', 'b')} FROM ({rows.format('one')}) a, ({rows.format('other')}) b"  # noqa: S608
    )
    with pipeline.operator.connect() as connection:
        for first, second in ((one, other), (other, one)):
            said = connection.execute(asked, {"one": _document(first), "other": _document(second)})
            assert said.scalar_one() is same


def test_a_siblings_authorization_renews_nobody_elses(pipeline: "Pipeline") -> None:
    customer = pipeline.customer()
    sibling = replace(ROBIN, name="Kim Example", born_on=date(1983, 1, 2))
    old, siblings, own = (
        _authorization(number, patient, effective_on, expires_on)
        for number, patient, effective_on, expires_on in (
            ("A1", ROBIN, date(2026, 6, 1), date(2026, 11, 30)),
            ("A2", sibling, date(2026, 9, 1), date(2027, 3, 31)),
            ("A3", ROBIN, date(2026, 12, 1), date(2027, 2, 28)),
        )
    )
    _store(pipeline, customer, [old, siblings])
    assert _successor(pipeline, customer, old) is None
    _store(pipeline, customer, [own])
    assert _successor(pipeline, customer, old) == authorization_id(customer, own)


def test_a_report_lists_nobody_elses_treatments(pipeline: "Pipeline", tmp_path: Path) -> None:
    desk = Desk(pipeline, tmp_path)
    files = PostgresCaseFiles(pipeline.app.engine)
    own = files.authorization(desk.customer, desk.authorization)
    assert own is not None
    assert [treatment.claim_number for treatment in own.treatments] == ["C-1"]
    sibling = replace(PATIENT, name="Zyxwvutson, Kim", born_on=date(1983, 1, 2))
    for number, patient, members_id in (
        ("A-2", sibling, PATIENT.member_id),
        ("A-3", replace(PATIENT, member_id=""), ""),
    ):
        stated = _authorization(number, patient, date(2026, 6, 1), date(2026, 11, 30), desk.payer)
        _store(pipeline, desk.customer, [stated])
        pipeline.execute(
            "UPDATE claims SET patient = jsonb_set(patient, '{member_id}', to_jsonb(CAST(:member AS text)))"
            " WHERE id = CAST(:id AS uuid)",
            member=members_id,
            id=str(desk.claim),
        )
        case = files.authorization(desk.customer, authorization_id(desk.customer, stated))
        assert case is not None
        assert (case.treatments, case.diagnoses, case.provider_id) == ((), (), "")


def _document(patient: Patient) -> str:
    born_on = None if patient.born_on is None else patient.born_on.isoformat()
    return json.dumps({"name": patient.name, "member_id": patient.member_id, "born_on": born_on})


def _authorization(
    number: str, patient: Patient, effective_on: date, expires_on: date, payer: str = "Oak"
) -> Authorization:
    return Authorization(number, Party(payer), patient, "97110", "active", effective_on, expires_on)


def _store(pipeline: "Pipeline", customer: UUID, records: list[Record]) -> None:
    event = Event(
        uuid4(), "webhook.received", "/test", "", datetime.now(UTC), customer, b"{}", parent_id=uuid4()
    )
    with pipeline.app.record.event("process_webhook", Received(event, 1, "", {})) as transaction:
        transaction.store(records)


def _successor(pipeline: "Pipeline", customer: UUID, of: Authorization) -> UUID | None:
    today, horizon = date(2026, 11, 20), date(2026, 12, 20)
    with tenant(pipeline.app.engine, customer) as connection:
        found = {one.id: one.successor for one in held(connection, customer, today=today, horizon=horizon)}
    return found[authorization_id(customer, of)]
