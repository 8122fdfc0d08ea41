"""Bins of histograms, and counts in them that two processes share."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from mimocorb_dist.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_FORM = "[lowest, highest, number of bins, scale of the y axis, label, 0 or 1 (logarithmic)]"


@dataclass(frozen=True)
class Bins:
    """How a histogram is made and shown.

    Parameters
    ----------
    lowest, highest
        Where the bins begin and end; the highest value is outside.
    number
        How many bins of equal width.
    scale
        The axis of shares goes up to `scale` / `number`.
    label
        What the values are.
    logarithmic
        Whether that axis is logarithmic.
    """

    lowest: float
    highest: float
    number: int
    scale: float
    label: str
    logarithmic: bool

    @classmethod
    def of(cls, name: str, entry: Sequence[Any]) -> Self:
        """Read an entry of ``histograms`` in a config.

        Raises
        ------
        SetupError
            If it does not have the form.
        """
        try:
            lowest, highest, number, scale, label, logarithmic = entry
            bins = cls(
                float(lowest), float(highest), int(number), float(scale), str(label), bool(int(logarithmic))
            )
        except (TypeError, ValueError):
            raise SetupError(f"histograms: {name}: {entry!r} does not have the form {_FORM}") from None
        if bins.lowest >= bins.highest or bins.number < 1 or bins.scale <= 0:
            raise SetupError(f"histograms: {name}: {entry!r} makes no bins; the form is {_FORM}")
        return bins

    @property
    def edges(self) -> NDArray[np.float64]:
        """Edges of the bins, shape (number + 1,)."""
        return np.linspace(self.lowest, self.highest, self.number + 1)

    def count(self, values: NDArray[Any]) -> NDArray[np.int64]:
        """Return how many of the values, shape (k,), are in each bin."""
        share = (values.astype(np.float64) - self.lowest) / (self.highest - self.lowest)
        inside = (share >= 0) & (share < 1)
        return np.bincount((share[inside] * self.number).astype(np.int64), minlength=self.number)


def size_of_counts(bins: Sequence[Bins]) -> int:
    """Return how many bytes the counts of some histograms need."""
    return sum(one.number for one in bins) * np.int64().itemsize


def map_counts(bins: Sequence[Bins], descriptor: int) -> list[NDArray[np.int64]]:
    """Return the counts of each histogram, in a file that other processes have mapped, too."""
    counts = np.frombuffer(mmap.mmap(descriptor, size_of_counts(bins)), np.int64)
    return np.split(counts, np.cumsum([one.number for one in bins])[:-1])
