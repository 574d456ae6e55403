"""Payer formats: bytes to records on one core, and the memory of a file of half a gigabyte.

`python -m benchmarks.formats`. 835 in MB/s, FHIR in documents a second, and the largest resident set of a process of
its own that reads a 500 MB 835 of 400,000 claims as a stream (in a temporary folder; --quick makes one of 5 MB).
"""

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.report import Figure, arguments, report
from shared.domain.claims import Delivery
from shared.formats.registry import read
from shared.formats.x12.reader import read_stream

CLAIMS = 400_000
LINES = 9  # service lines a claim: some 1,250 bytes of it
ROUNDS = 5
SAMPLES = Path(__file__).parents[1] / "samples"


def main() -> None:
    """Measure and report."""
    wishes = arguments("formats", "payer formats: bytes to records")
    claims = CLAIMS // 100 if wishes.quick else CLAIMS
    body = b"".join(segments(4000))
    documents = [path.read_bytes() for kind in ("fhir-claim", "fhir-claimresponse") for path in _files(kind)]
    figures = [
        Figure("formats.835", len(body) / 1e6 / _seconds(lambda: _read(body)), "MB/s"),
        Figure(
            "formats.fhir",
            len(documents) * 100 / _seconds(lambda: [_read(d) for d in documents * 100]),
            "documents/s",
        ),
        *_large(claims),
    ]
    report("formats", figures, wishes.json, title="Payer formats, one core")


def segments(claims: int) -> Iterator[bytes]:
    """Yield a balanced 835 of so many claims, a claim at a time."""
    paid = 60 * LINES * claims
    header = [
        "ISA*00*          *00*          *ZZ*ACMEHEALTH     *ZZ*PRACTICE       *260217*1200*^*00501*000000042*0*P*:",
        *("GS*HP*ACME*PRACTICE*20260217*1200*7*X*005010X221A1", "ST*835*0001"),
        f"BPR*I*{paid}*C*CHK************20260218",
        *("TRN*1*CHECK-9*1512345678", "DTM*405*20260216", "N1*PR*ACME HEALTH PLAN*XV*60054"),
        *("N1*PE*EXAMPLE PRACTICE*XX*1234567893", "LX*1"),
    ]
    yield _written(header)
    count = len(header) - 2
    for nth in range(claims):
        claim = _claim(nth)
        count += len(claim)
        yield _written(claim)
    yield _written([f"SE*{count + 1}*0001", "GE*1*7", "IEA*1*000000042"])


def _claim(nth: int) -> list[str]:
    number = f"{nth:08d}"
    claim = [f"CLP*PCN{number}*1*{100 * LINES}*{60 * LINES}*{10 * LINES}*12*ICN{number}*11*1"]
    claim += [
        f"NM1*QC*1*EXAMPLE*PAT*Q***MI*W{number}",
        "NM1*82*1*EXAMPLE*ANNA****XX*1234567893",
        "DTM*232*20260105",
    ]
    for line in range(LINES):
        claim += [f"SVC*HC:9921{line}:25*100*60**1", "DTM*472*20260105", "CAS*CO*45*30", "CAS*PR*1*5**2*5"]
        claim += [f"REF*6R*{number}{line}", "AMT*B6*70", "LQ*HE*N130"]
    return claim


def _written(segments: list[str]) -> bytes:
    return "".join(f"{segment}~\n" for segment in segments).encode()


def _files(kind: str) -> list[Path]:
    return sorted((SAMPLES / kind).iterdir())


def _read(body: bytes) -> int:
    return sum(1 for _ in read(Delivery(body)))


def _seconds(work: Callable[[], object]) -> float:
    """Return the median processor time of a few rounds, after one to warm up."""
    work()
    taken = []
    for _ in range(ROUNDS):
        began = time.process_time()
        work()
        taken.append(time.process_time() - began)
    return statistics.median(taken)


def _large(claims: int) -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "large.835"
        with file.open("wb") as stream:
            stream.writelines(segments(claims))
        size_mb = file.stat().st_size / 1e6
        asked = [sys.executable, "-m", "benchmarks.formats", "--read", str(file)]
        told = subprocess.run(  # noqa: S603 - this interpreter and this module
            asked, check=True, capture_output=True, text=True
        ).stdout.split()
    records, seconds, memory_mb = int(told[0]), float(told[1]), float(told[2])
    return [
        Figure("formats.large.size", size_mb, "MB"),
        Figure("formats.large.claims", records - 1, "claims"),
        Figure("formats.large.speed", size_mb / seconds, "MB/s"),
        Figure("formats.large.memory", memory_mb, "MB"),
    ]


def _read_alone(file: str) -> None:
    began = time.process_time()
    with Path(file).open("rb") as stream:
        records = sum(1 for _ in read_stream(stream))
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sys.stdout.write(f"{records} {time.process_time() - began} {peak_kb / 1000}\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--read"]:
        _read_alone(sys.argv[2])
    else:
        main()
