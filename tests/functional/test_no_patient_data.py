"""A patient's name, member id and birth date go through every function and come out in no log line or listing."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from shared.rules.documents import from_yaml
from shared.rules.loader import PACKS

if TYPE_CHECKING:
    from tests.functional.conftest import Pipeline

SECRETS = ("ZYXWVUTSON", "Zyxwvutson", "QQ998877ZZ", "19810417", "1981-04-17")

GOOD = (
    "ISA*00*          *00*          *ZZ*PAYER          *ZZ*PRACTICE       *261101*1200*^*00501*000000001*0*P*:~"
    "GS*HP*PAYER*PRACTICE*20261101*1200*1*X*005010X221A1~ST*835*0001~BPR*I*0*H*NON************20261101~"
    "TRN*1*PHI1*1512345678~DTM*405*20261101~N1*PR*OAK HEALTH~N1*PE*PRACTICE*XX*9999999995~LX*1~"
    "CLP*PHI-1*4*900*0**12*P1~CAS*CO*197*900~NM1*QC*1*ZYXWVUTSON*PAT****MI*QQ998877ZZ~DTM*050*19810417~"
    "SVC*HC:99213*900*0~SE*13*0001~GE*1*1~IEA*1*000000001~"
)
FHIR = json.dumps(
    {
        "resourceType": "Claim",
        "status": "active",
        "use": "claim",
        "created": "2026-11-02",
        "identifier": [{"value": "PHI-2"}],
        "insurer": {"display": "Oak Health"},
        "provider": {"display": "P"},
        "patient": {"reference": "#p", "display": "Pat Zyxwvutson"},
        "contained": [
            {
                "resourceType": "Patient",
                "id": "p",
                "name": [{"family": "Zyxwvutson"}],
                "birthDate": "1981-04-17",
                "identifier": [{"value": "QQ998877ZZ"}],
            }
        ],
        "item": [{"sequence": 1, "productOrService": {"coding": [{"code": "99213"}]}, "net": {"value": 1}}],
    }
)
BODIES = (
    (GOOD, "application/edi-x12"),
    (GOOD.replace("CLP*PHI-1*4*900*0", "CLP*PHI-1*4*ZYXWVUTSON*QQ998877ZZ"), "application/edi-x12"),
    (GOOD[: GOOD.index("SVC")], "application/edi-x12"),
    (GOOD.replace("NM1*QC*1*", "NM1*ZYXWVUTSON*1*"), "application/edi-x12"),
    (GOOD.replace("ST*835*0001", "ST*QQ998877ZZ*0001"), "application/edi-x12"),
    (FHIR, "application/fhir+json"),
    (FHIR.replace('"value": 1}', '"value": "Zyxwvutson"}'), "application/fhir+json"),
    (FHIR[:-40], "application/fhir+json"),
    (FHIR.replace('"resourceType": "Claim"', '"resourceType": "Zyxwvutson"'), "application/json"),
    ('{"Zyxwvutson": {"QQ998877ZZ": "1981-04-17"}}', "application/json"),
)

STATUS = Path(__file__).parents[1] / "fixtures" / "webhooks" / "x12-277" / "x12__claim-level-status.277"

LISTING = """
SELECT id, customer_id, event_id, consumer, subscription, event_type, code, reason, attempts, trace_id, attributes
FROM dead_letters WHERE customer_id = CAST(:c AS uuid)
"""
EVENTS = (
    "SELECT convert_from(data, 'UTF8') AS data, attributes FROM outbox WHERE customer_id = CAST(:c AS uuid)"
)
AUDIT = "SELECT * FROM executions WHERE customer_id = CAST(:c AS uuid)"


def test_patient_data_stays_where_it_belongs(pipeline: "Pipeline") -> None:
    channel = {"id": "mail", "kind": "email", "target": "nobody@example.invalid"}
    customer = pipeline.customer("Practice", [channel])
    rule = from_yaml((PACKS / "denial-over-amount.yaml").read_text())[0]
    pipeline.rule(customer, rule)  # type: ignore[arg-type]
    connection = pipeline.connection(customer)
    for body, content_type in BODIES:
        assert pipeline.send(connection, body.encode(), content_type=content_type).status == 202
        assert pipeline.drained()  # some are the same advice, and the first of them is the one that counts
    pipeline.send(connection, GOOD.encode(), headers={"webhook-id": "ZYXWVUTSON-QQ998877ZZ"})  # refused
    pipeline.post(f"/v1/webhooks/QQ998877ZZ/{connection.id}", b"ZYXWVUTSON", {"Content-Type": "text/plain"})
    assert pipeline.drained()
    stored = pipeline.rows("SELECT patient FROM claims WHERE customer_id = CAST(:c AS uuid)", c=str(customer))
    assert "ZYXWVUTSON" in str(stored)  # it went through, and is kept where it belongs
    log = pipeline.log_file.read_text()
    assert str(customer) in log
    for secret in SECRETS:
        assert secret not in log
        for query in (LISTING, EVENTS, AUDIT):
            assert secret not in str(pipeline.rows(query, c=str(customer))), query


def test_every_log_line_is_json_with_what_an_engineer_needs(pipeline: "Pipeline") -> None:
    pipeline.send(pipeline.connection(), GOOD.encode())
    assert pipeline.drained()
    lines = [json.loads(line) for line in pipeline.log_file.read_text().splitlines()]
    processed = [line for line in lines if line["event"] == "event.processed"]
    assert processed
    for line in processed:
        assert {
            "event_id",
            "trace_id",
            "customer_id",
            "attempt",
            "duration_ms",
            "function",
            "severity",
        } <= line.keys()


def test_a_code_that_no_list_has_is_logged_with_its_list_unless_it_may_be_a_name(
    pipeline: "Pipeline",
) -> None:
    customer = pipeline.customer()
    advice = GOOD.replace("~SE*13", "~LQ*HE*ZZ9~SE*14").encode()
    for body in (advice, STATUS.read_bytes().replace(b"STC*P3:317*", b"STC*P3:Robinson*")):
        assert pipeline.send(pipeline.connection(customer), body).status == 202
    assert pipeline.drained()
    lines = [json.loads(line) for line in pipeline.log_file.read_text().splitlines()]
    said = [
        line for line in lines if line["event"] == "code.unknown" and line["customer_id"] == str(customer)
    ]
    assert {(line["kind"], line["code"], line["count"]) for line in said} == {
        ("remark", "ZZ9", 1),
        ("claim_status", "?", 1),
    }
    assert not any("dropped" in line for line in said)
