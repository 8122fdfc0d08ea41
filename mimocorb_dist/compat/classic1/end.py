"""What readers, writers and observers of mimoCoRB 1 have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mimocorb_dist.errors import SetupError
from mimocorb_dist.ring import METADATA_DTYPE

from .hands import is_held, tidy
from .place import LOOK_EVERY_S, Place, plain_dtype, worker

if TYPE_CHECKING:
    from collections.abc import Mapping


class ClassicEnd:
    """What `Reader`, `Writer` and `Observer` have in common.

    Parameters
    ----------
    setup_dict
        A dict of a `NewBuffer`, or one that a worker's function was given.

    Attributes
    ----------
    number_of_slots, values_per_slot
        How many slots the buffer has, and how many records are in one.
    dtype
        Type of a record: a list of tuples (name, dtype), or a plain dtype.
    """

    _role = ""

    def __init__(self, setup_dict: Mapping[str, Any]) -> None:
        tidy()
        try:
            self._place: Place = setup_dict["place"]
            role = setup_dict["role"]
        except (KeyError, TypeError) as error:
            raise SetupError(
                f"{type(self).__name__} was made from {type(setup_dict).__name__} without the place of a "
                "buffer; give it an item of source_list, sink_list or observe_list, or what "
                "new_reader_group(), new_writer() or new_observer() of a NewBuffer returned"
            ) from error
        if role != self._role:
            raise SetupError(
                f"{type(self).__name__} was made from a dict to {role} a buffer; "
                f"give it one to {self._role} it"
            )
        self.number_of_slots: int = setup_dict["number_of_slots"]
        self.values_per_slot: int = setup_dict["values_per_slot"]
        self.dtype: Any = setup_dict["dtype"]
        self.metadata_dtype: Any = plain_dtype(METADATA_DTYPE)
        self.group: str = setup_dict["group"]
        self.name: str = setup_dict["buffer"]
        self._flag: Any = setup_dict["active"]
        self._paused = setup_dict["paused"]
        self._debug = setup_dict["debug"]
        self._worker = worker()
        self._look_s = None if self._place.owner == 0 else LOOK_EVERY_S

    @property
    def _active(self) -> Any:
        return self._flag

    def _worker_end(self, ends: list[Any]) -> Any:
        """Return the worker's own end of this ring; None if it has none, or another object has it in hand."""
        for end in ends:
            if is_held(end):
                continue
            if str(end.ring.path) == self._place.path and getattr(end, "group", self.group) == self.group:
                return end
        return None
