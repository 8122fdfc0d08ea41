"""The entry point of ``mimocorb-node`` and of ``python -m mimocorb_dist``."""

from __future__ import annotations

import signal
import sys
from typing import NoReturn

from mimocorb_dist.script import is_wanted, run


def main() -> NoReturn:
    """Run the command line."""
    if is_wanted(sys.argv[1:]):  # a program of the user's: as little as possible stands around it
        run(sys.argv[2:])
    # Ctrl-C while modules are imported ends the program at once; later the command decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from mimocorb_dist.cli import main as command_line

    command_line()


if __name__ == "__main__":
    main()
