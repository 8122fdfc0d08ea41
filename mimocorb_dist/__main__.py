"""The entry point of ``mimocorb-node`` and of ``python -m mimocorb_dist``."""

from __future__ import annotations

import signal
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line."""
    # Ctrl-C while modules are imported ends the program at once; later the command decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from mimocorb_dist.cli import main as command_line

    command_line()


if __name__ == "__main__":
    main()
