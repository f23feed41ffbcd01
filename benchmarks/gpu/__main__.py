"""The command: see `benchmarks.gpu`."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from benchmarks.gpu import __doc__ as about
from benchmarks.gpu.drive import RESULT, SUMMARY, Drive
from benchmarks.gpu.schedule import SECONDS, STEPS


def main() -> int:
    """Run the steps; return 0 if all is well, 1 if a step failed or a check does not hold, 2 if asked for nonsense."""
    names = [step.name for step in STEPS]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu", description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, help="folder of the results: a few small files")
    parser.add_argument("--rehearsal", action="store_true", help="all steps tiny and on a CPU, to see that they work")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="all steps together (default: %(default)g)")
    parser.add_argument("--only", help=f"these steps, with commas, keeping other results: {', '.join(names)}")
    parser.add_argument("--work", type=Path, help="folder of everything else, checkpoints too (default: OUT-work)")
    arguments = parser.parse_args()
    asked = names if arguments.only is None else arguments.only.split(",")
    if unknown := [name for name in asked if name not in names]:
        parser.error(f"there is no step {', '.join(unknown)}; there are {', '.join(names)}")
    out = arguments.out.absolute()
    keep = arguments.only is not None and (out / RESULT).exists()
    work = (arguments.work or out.with_name(f"{out.name}-work")).absolute()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    device = "cpu" if arguments.rehearsal else "cuda"
    drive = Drive(out, work, device, arguments.rehearsal, arguments.seconds)
    well = drive.run([step for step in STEPS if step.name in asked], keep=keep)
    print((out / SUMMARY).read_text(encoding="utf-8"))
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
