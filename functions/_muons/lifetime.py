"""Fit a lifetime to the times between two pulses."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

FEWEST_TIMES = 10


@dataclass(frozen=True)
class LifetimeFit:
    """Result of an unbinned fit of an exponential with a flat background.

    Parameters
    ----------
    tau_us, tau_error_us
        Lifetime and its standard deviation, in us.
    background, background_error
        Share of the times in the window that belongs to the flat background, and its standard deviation.
    times
        Number of times in the window.
    window_us
        Limits of the window, in us.
    """

    tau_us: float
    tau_error_us: float
    background: float
    background_error: float
    times: int
    window_us: tuple[float, float]

    def density(self, t_us: NDArray[np.float64]) -> NDArray[np.float64]:
        """Fitted probability density, per us, at times in the window (in us)."""
        return _density(t_us, self.tau_us, self.background, self.window_us)

    def __str__(self) -> str:
        low, high = self.window_us
        return (
            f"lifetime {self.tau_us:.3f} +- {self.tau_error_us:.3f} us, background share "
            f"{self.background:.3f} +- {self.background_error:.3f} "
            f"({self.times} times between {low:g} and {high:g} us)"
        )


def fit_times(times_us: ArrayLike, window_us: tuple[float, float] = (1.5, 15.0)) -> LifetimeFit:
    """Fit an exponential and a flat background to times, by maximum likelihood without bins.

    Both parts are normalised within the window. Standard deviations come from the information that the single
    times carry (their likelihood's gradients).

    Parameters
    ----------
    times_us
        Times in us; those outside the window, and NaN, are left out.
    window_us
        Lower and upper limit, in us. The lower one keeps away times that the pulse finder cannot resolve, or
        that are shortened by capture of negative muons.

    Returns
    -------
    LifetimeFit
        The fitted lifetime and background.

    Raises
    ------
    ValueError
        If the window is empty, fewer than 10 times lie in it, or the fit does not converge.
    """
    from scipy.optimize import minimize

    low, high = window_us
    if not 0 <= low < high:
        raise ValueError(
            f"window_us is {window_us}: it must be two times, the first one smaller and not negative"
        )
    times = np.asarray(times_us, dtype=np.float64)
    times = times[(times > low) & (times < high)]
    if len(times) < FEWEST_TIMES:
        raise ValueError(
            f"{len(times)} times lie between {low:g} and {high:g} us: a fit needs at least {FEWEST_TIMES}"
        )

    def cost(values: NDArray[np.float64]) -> float:
        density = _density(times, values[0], values[1], window_us)
        # Far from the minimum a density may be too small for a float; its logarithm must stay finite.
        return -float(np.log(np.maximum(density, np.finfo(np.float64).tiny)).sum())

    width = high - low
    result: Any = minimize(
        cost,
        x0=np.array([width / 6, 0.3]),
        bounds=[(width / 1000, 100 * width), (0.0, 1.0 - 1e-9)],
        method="L-BFGS-B",
    )
    if not result.success:
        raise ValueError(f"the lifetime fit to {len(times)} times did not converge: {result.message}")
    tau, background = (float(value) for value in result.x)
    tau_error, background_error = _errors(times, tau, background, window_us)
    return LifetimeFit(tau, tau_error, background, background_error, len(times), (low, high))


def _density(
    t_us: NDArray[np.float64], tau: float, background: float, window_us: tuple[float, float]
) -> NDArray[np.float64]:
    low, high = window_us
    # Times count from the lower limit: exp(-t / tau) does not vanish when tau is much shorter than the limit.
    decay = np.exp(-(t_us - low) / tau) / (-tau * math.expm1(-(high - low) / tau))
    return (1 - background) * decay + background / (high - low)


def _errors(
    times: NDArray[np.float64], tau: float, background: float, window_us: tuple[float, float]
) -> tuple[float, float]:
    """Standard deviations from the outer product of the likelihood's gradients, event by event."""
    step = 1e-4
    density = _density(times, tau, background, window_us)
    by_tau = (
        _density(times, tau * (1 + step), background, window_us)
        - _density(times, tau * (1 - step), background, window_us)
    ) / (2 * step * tau)
    by_background = (
        _density(times, tau, background + step, window_us)
        - _density(times, tau, background - step, window_us)
    ) / (2 * step)
    gradients = np.stack([by_tau, by_background]) / density
    information = gradients @ gradients.T
    if np.linalg.cond(information) > 1e12:
        return math.nan, math.nan
    variances = np.diag(np.linalg.inv(information))
    return float(np.sqrt(variances[0])), float(np.sqrt(variances[1]))
