"""Loggers whose level is set in one place, for all of them at once: `Gen_logger` of mimoCoRB 1."""

from __future__ import annotations

import logging

# The form that users of mimoCoRB 1 know; where logging has been set up before, that stays.
logging.basicConfig(
    format="%(asctime)s %(name)s:%(levelname)-8s %(message)s",
    datefmt="%Y-%m-%d %H:%M:%S",
)


class Logging_manager:
    """Makes loggers, and sets the level of all that it has made.

    The level of the root logger stays as it is: with that at DEBUG the libraries for windows would talk, too.

    Attributes
    ----------
    level
        The level of its loggers.
    logger_pool
        The loggers.
    """

    def __init__(self) -> None:
        self.level = logging.WARNING
        self.logger_pool: list[logging.Logger] = []

    def set_level(self, level: int) -> None:
        """Set the level of all loggers that were made, and will be made."""
        self.level = level
        for logger in self.logger_pool:
            logger.setLevel(level)

    def __call__(self, name: str) -> logging.Logger:
        """Make a logger, or return the one of that name."""
        logger = logging.getLogger(name)
        logger.setLevel(self.level)
        if logger not in self.logger_pool:
            self.logger_pool.append(logger)
        return logger


Gen_logger = Logging_manager()
"""The one that all modules use."""
