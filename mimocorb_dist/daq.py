"""A whole run from a main script of mimoCoRB 1: `run_mimoDAQ`."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

from mimocorb_dist.errors import SetupError

if TYPE_CHECKING:
    import os

_STATS_FROM = 2
"""From this `verbose` on the state is shown while the run goes on."""


class run_mimoDAQ:  # noqa: N801 (the classic name)
    """A setup that is run, in this process, as ``mimocorb-node start`` does.

    Parameters
    ----------
    setup_filename
        The setup file. Up to mimoCoRB 1.0.1 the first argument was `verbose`, and the setup file that of the
        command line: so it is if this is a number or left out.
    verbose
        0: only messages; 1: also buffers and functions before the run; 2: also the state during it.
    debug
        Whether loggers of this script tell all.

    Raises
    ------
    SetupError
        If the setup has mistakes, with all of them, or none is given.

    Attributes
    ----------
    directory_prefix
        The run directory, with "/" at its end; None before the run.

    Examples
    --------
    >>> daq = run_mimoDAQ("x_setup.yaml")
    >>> daq.setup()
    >>> daq.run()
    >>> daq.end()
    """

    def __init__(
        self,
        setup_filename: str | os.PathLike[str] | int | None = None,
        verbose: int = 2,
        debug: bool = False,
    ) -> None:
        from mimocorb_dist.compat.classic1.activity_logger import Gen_logger
        from mimocorb_dist.topology import load, plan

        from .control import Control

        if isinstance(setup_filename, int):
            verbose, setup_filename = setup_filename, None
        self.setup_filename = setup_filename or _argument()
        self.verbose = verbose
        self.debug = debug
        self.directory_prefix: str | None = None
        Gen_logger.set_level(logging.DEBUG if debug else logging.WARNING)
        self._plan = plan(load(self.setup_filename))
        rules = self._plan.topology.rules
        modes = [
            *(["kbd"] if rules.kbd is not False else []),
            *(["gui"] if rules.gui else []),
            *(["stats"] if verbose >= _STATS_FROM else []),
        ]
        self._control = Control.from_setup_file(self.setup_filename, "+".join(modes) or "none")

    def setup(self) -> None:
        """Show the buffers and functions; they are made when the run begins."""
        if self.verbose > 0:
            from mimocorb_dist.topology import describe

            print(describe(self._plan))  # noqa: T201 (scripts show it)

    def run(self) -> None:
        """Run to the end: of the source, at a limit of the setup, by a command, or by Ctrl-C.

        Raises
        ------
        RunError
            If the run cannot begin, or has failed.
        """
        try:
            self._control()
        finally:
            if self._control.run_dir is not None:
                self.directory_prefix = f"{self._control.run_dir}/"

    def end(self, twait: float = 3.0) -> None:
        """End what is left of the run: nothing, for `run` has seen to it that all events came through."""


def _argument() -> str:
    if len(sys.argv) < 2:
        raise SetupError(
            "no setup is given: name it as argument of run_mimoDAQ, or of the script on the command line"
        )
    return sys.argv[1]
