"""Rubbish for all that reads messages, and crowds at ports: ``python -m tests.fuzz --help``."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from .decoders import decoders
from .sockets import sockets


def main() -> int:
    """Fuzz decoders and live sockets; status 0 if nothing was harmed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000, help="for the decoders")
    parser.add_argument("--live", type=int, default=100_000, help="messages and connections for a run")
    parser.add_argument(
        "--connections", type=int, default=10_000, help="to each port at once, and in sequence"
    )
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    print(f"seed {options.seed}")
    start_s = time.monotonic()
    outcome = decoders(options.messages, options.seed)
    print(f"decoders: {dict(outcome)} in {time.monotonic() - start_s:.0f} s")
    start_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        verdict = sockets(options.live, options.connections, options.seed, Path(folder))
    print(f"sockets: {dict(verdict.sent)} in {time.monotonic() - start_s:.0f} s")
    print(f"crowds: {dict(verdict.crowds)}, told in {verdict.told_of_crowds} lines")
    print(f"the run: {verdict.events} events, {verdict.lost} lost, quality {verdict.quality}")
    print(f"memory +{verdict.grown_mb:.1f} MB, descriptors {verdict.descriptors:+d}")
    if not verdict.unharmed:
        print(f"the run was harmed: {verdict}")
    return 0 if verdict.unharmed else 1


if __name__ == "__main__":
    sys.exit(main())
