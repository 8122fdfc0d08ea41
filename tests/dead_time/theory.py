"""What the dead time of a source is by theory.

A buffer has n slots, and its importer holds one more event when it waits for a slot; meanwhile its source
is not read. So a random (Poisson) source with one consumer is a queue of n + 1 places that turns
customers away when it is full: M/G/1/K with K = n + 1 in Kendall's notation. Turning away is the same as
not looking: a random source does not remember.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def with_one_slot(rate_hz: float, service_s: float) -> float:
    """Return the share of dead time with one slot and a constant service time."""
    load = rate_hz * service_s
    return 1 - 1 / (load + math.exp(-load))


def with_exponential_service(rate_hz: float, service_s: float, slots: int, importers: int = 1) -> float:
    """Return the share of dead time of each importer, if services are random with a mean: M/M/1/K.

    The state is how many events are there, in slots or in the hand of an importer; importers that have
    one wait.
    """
    weights = [1.0]
    for events in range(slots + importers):
        looking = importers - max(0, events - slots)
        weights.append(weights[-1] * looking * rate_hz * service_s)
    waiting = sum(max(0, events - slots) * weight for events, weight in enumerate(weights))
    return waiting / importers / sum(weights)


def with_any_service(rate_hz: float, service_s: Sequence[float] | Floats, slots: int) -> float:
    """Return the share of dead time for service times that are all equally likely: M/G/1/K.

    From the chain of how many events each service leaves behind. A cycle from end to end of a service is that
    service, and before it, if none was left behind, the time until the next event comes.
    """
    mean = rate_hz * np.asarray(service_s, np.float64)
    come = np.empty(slots)  # probability that k events come during a service
    term = np.exp(-mean)
    for k in range(slots):
        come[k] = term.mean()
        term = term * mean / (k + 1)
    steps = np.zeros((slots + 1, slots + 1))
    for left in range(slots + 1):
        begin = max(left, 1) - 1
        steps[left, begin:slots] = come[: slots - begin]
        steps[left, slots] = 1 - steps[left].sum()
    equations = np.vstack([steps.T - np.eye(slots + 1), np.ones(slots + 1)])
    none_left = float(np.linalg.lstsq(equations, np.eye(slots + 2)[-1])[0][0])
    cycle_s = float(np.mean(service_s)) + none_left / rate_hz
    return 1 - 1 / (rate_hz * cycle_s)


def rate_hz(timestamps: Floats, deadtimes: Floats) -> float:
    """Return the rate of a source from its exported events: as the page on dead time tells users to do it."""
    free = deadtimes[:-1] < 0.01  # after such an event the source was looked at without a break
    return float(1 / np.diff(timestamps)[free].mean())


def waits(lives: Sequence[Floats], service_s: Floats, slots: int) -> list[Floats]:
    """Return how long each event of each importer waits for a slot, in s.

    Parameters
    ----------
    lives
        For each importer, how long each of its events takes to come while it looks, in s.
    service_s
        How long the consumer works on each event, in the order in which they come to it, in s.
    slots
        Slots of the buffer.
    """
    waited = [np.zeros(len(live)) for live in lives]
    done = [0] * len(lives)
    ready_s = [float(live[0]) for live in lives]  # when the next event of each importer is in its hand
    ended_s: list[float] = []  # services
    for number, service in enumerate(service_s.tolist()):
        who = min(range(len(lives)), key=ready_s.__getitem__)
        published_s = max(ready_s[who], ended_s[number - slots] if number >= slots else 0.0)
        waited[who][done[who]] = published_s - ready_s[who]
        ended_s.append(max(published_s, ended_s[-1] if ended_s else 0.0) + service)
        done[who] += 1
        more = done[who] < len(lives[who])
        ready_s[who] = published_s + float(lives[who][done[who]]) if more else math.inf
    return waited
