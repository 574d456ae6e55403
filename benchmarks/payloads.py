"""What is sent, and by whom: bodies that are small, valid, and each about another claim."""

from uuid import UUID

from shared.ports.connections import Connection

CONNECTION = Connection(
    id=UUID(int=1),
    customer_id=UUID(int=2),
    provider="bench",
    scheme="standard-webhooks",
    secret_name="bench",  # noqa: S106 - its name
    rate_per_min=10**9,
    burst=10**9,
)
SECRET = "whsec_" + "B" * 43 + "="
ISA = "ISA*00*          *00*          *ZZ*BENCHPAYER     *ZZ*BENCHPRACTICE  *261101*1200*^*00501*000000001*0*P*:~"


PAYERS = ("ALDER", "BIRCH", "CEDAR", "DOGWOOD", "ELM", "FIR")
PROCEDURES = ("99202", "99203", "99204", "99212", "99213", "99214", "99215", "97110", "97140", "20610")


def remittance(nth: int) -> bytes:
    """Return an 835 of one claim with two service lines: one of six payers and ten procedures, every fifth denied."""
    is_denied = nth % 5 == 0
    payer, procedure = PAYERS[nth % 6], PROCEDURES[nth // 6 % 10]
    paid, code = (0, "4") if is_denied else (180, "1")
    lines = (
        f"SVC*HC:{procedure}*150*0~DTM*472*20261030~CAS*CO*197*150~SVC*HC:87880*50*0~DTM*472*20261030~CAS*CO*197*50~"
        if is_denied
        else f"SVC*HC:{procedure}*150*135~DTM*472*20261030~CAS*CO*45*15~"
        "SVC*HC:87880*50*45~DTM*472*20261030~CAS*CO*45*5~"
    )
    body = (
        f"GS*HP*BENCHPAYER*BENCHPRACTICE*20261101*1200*1*X*005010X221A1~ST*835*0001~"
        f"BPR*I*{paid}*C*ACH*CCP*01*999999992*DA*123456*1512345678**01*999988880*DA*98765*20261102~"
        f"TRN*1*BENCH{nth}*1512345678~DTM*405*20261102~N1*PR*{payer} HEALTH PLAN~N3*1 MAIN ST~N4*ALBANY*NY*12207~"
        f"PER*BL*SUPPORT*TE*8005550100~N1*PE*BENCH PRACTICE*XX*9999999995~LX*1~"
        f"CLP*B{nth}*{code}*200*{paid}**12*P{nth}~NM1*QC*1*SAMPLE*PAT****MI*M{nth}~{lines}SE*20*0001~GE*1*1~"
    )
    return f"{ISA}{body}IEA*1*000000001~".encode()
