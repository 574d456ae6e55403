"""`python -m benchmarks NAME [--quick] [--json FILE]`: runs one benchmark; without a name, says which there are."""

import runpy
import sys
from pathlib import Path

HERE = Path(__file__).parent


def names() -> list[str]:
    """Return the modules that are run by themselves."""
    return sorted(
        path.stem
        for path in HERE.glob("*.py")
        if path.name != "__main__.py" and '__name__ == "__main__"' in path.read_text(encoding="utf-8")
    )


def main() -> int:
    """Run what was asked for; return the exit code."""
    known = [name for name in names() if name != "hosts"]
    if len(sys.argv) < 2 or sys.argv[1] not in known:  # noqa: PLR2004 - the program's name, and the benchmark's
        print("which one?", *known, sep="\n  ", file=sys.stderr)
        return 2
    sys.argv = sys.argv[1:]
    runpy.run_module(f"benchmarks.{sys.argv[0]}", run_name="__main__", alter_sys=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
