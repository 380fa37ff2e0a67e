"""`make figures`: measure the claims and print a line each.

Does: print figure, goal and command; exit 1 where one falls short or cannot be measured.
Does not: hold results.
"""

import argparse
import subprocess
import sys

from eval.figures.claim import Claim, show
from eval.figures.claims import CLAIMS


def measure_all(claims: tuple[Claim, ...]) -> bool:
    """Measure and print every claim as it comes; return whether all reached their goals."""
    reached_all = True
    for claim in claims:
        try:
            value = claim.measure()
        except (subprocess.SubprocessError, OSError, KeyError, ValueError) as error:
            reached_all = False
            line = f"not measured ({type(error).__name__}: {error})"
            _say(False, claim.name, line, claim)
            continue
        reached = claim.goal.reached(value)
        reached_all &= reached
        _say(reached, claim.name, show(value, claim.unit), claim)
    return reached_all


def _say(reached: bool, name: str, figure: str, claim: Claim) -> None:
    mark = "ok  " if reached else "MISS"
    line = f"{mark}  {name}: {figure}   goal: {claim.goal.text(claim.unit)}   {claim.command}\n"
    sys.stdout.write(line)
    sys.stdout.flush()


def main() -> int:
    """Run as `python -m eval.figures`; the exit status is 1 where a claim falls short."""
    parser = argparse.ArgumentParser(description="Measure every claim again.")
    parser.add_argument(
        "--only", default="", metavar="WORDS", help="only claims whose name holds these words"
    )
    words = parser.parse_args().only
    claims = tuple(claim for claim in CLAIMS if words in claim.name)
    if not claims:
        sys.stderr.write(f"No claim has {words!r} in its name.\n")
        return 1
    return 0 if measure_all(claims) else 1


if __name__ == "__main__":
    sys.exit(main())
