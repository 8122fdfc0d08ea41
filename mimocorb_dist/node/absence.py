"""Says that the broker of a run is not heard, and that it is back."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

ABSENT_AFTER_S = 5.0
"""The broker speaks to every node once a second."""


class Absence:
    """What the people at one node are told of it: without the broker nobody else can tell them.

    Parameters
    ----------
    say
        Tells them.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._silent_looks = 0
        self._silent_s = 0.0
        self._told = False
        self._refusal = ""

    def look(self, broker: str, silent_s: float, refusal: Exception | None = None) -> None:
        """Say what has changed; to be called twice a second.

        Parameters
        ----------
        broker
            Its address.
        silent_s
            For how long it has not been heard, in s.
        refusal
            Why it does not let this node in, if that is known.
        """
        if silent_s < ABSENT_AFTER_S / 2:
            if self._told:
                self._say(f"the broker at {broker} is heard again, after {self._silent_s:.0f} s")
            self._silent_looks, self._told, self._refusal = 0, False, ""
            return
        self._silent_looks += 1  # one alone says little: the node itself may have stood still
        self._silent_s = silent_s
        if refusal is not None and str(refusal) != self._refusal:
            self._told, self._refusal = True, str(refusal)
            self._say(f"{refusal}; data flow on, and the broker is called again and again")
        elif silent_s >= ABSENT_AFTER_S and self._silent_looks > 1 and not self._told:
            self._told = True
            self._say(
                f"the broker at {broker} has not been heard for {silent_s:.0f} s; data flow on, "
                "and it is waited for: look at the network and at its host"
            )
