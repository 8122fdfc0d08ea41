"""What the templates of mimoCoRB 1 share: their buffers, and how errors in user functions are told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mimocorb_dist.errors import MimocorbError, SetupError, UfuncError
from mimocorb_dist.workers.fit import fill, misfit
from mimocorb_dist.workers.places import describe_error, place_of_error, place_of_function
from mimocorb_dist.workers.template import Unusable

from .place import worker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

_LISTS = {"read": "source_list", "write": "sink_list", "observe": "observe_list"}


class Misassigned(SetupError, ValueError):
    """A template has not got the buffers that it needs."""


def check_roles(template: object, rb_info: dict[str, Any], *allowed: str) -> None:
    """Check what a template was told to do with buffers.

    Parameters
    ----------
    template
        The template.
    rb_info
        For each buffer ``read``, ``write`` or ``observe``.
    allowed
        Those that it can do.

    Raises
    ------
    Misassigned
        If it is told to do others: the buffer would wait for ever.
    """
    for buffer, role in rb_info.items():
        if isinstance(role, str) and role in _LISTS and role not in allowed:
            raise Misassigned(
                f"{_who()}{type(template).__name__} does not {role} buffers, but {buffer} is assigned so; "
                f"it can {' and '.join(allowed)}: change RB_assign in the setup"
            )


def dicts_for(template: object, role: str, items: Any) -> list[dict[str, Any]]:
    """Return the dicts of the buffers of a role.

    Raises
    ------
    Misassigned
        If there are none.
    """
    if not items:
        raise Misassigned(
            f"{_who()}{type(template).__name__} needs a buffer to {role}, but its {_LISTS[role]} is "
            f"{items!r}; add `RB_i: {role}` to RB_assign in the setup, and pass {_LISTS[role]} on"
        )
    return list(items)


def the_only(template: Any, role: str, items: Any) -> dict[str, Any]:
    """Return the dict of the only buffer of a role; more are not used, with a warning."""
    found = dicts_for(template, role, items)
    if len(found) > 1:
        template.logger.warning(
            "%s uses the first buffer to %s of %d", type(template).__name__, role, len(found)
        )
    return found[0]


def checked(template: object, ufunc: Any) -> Callable[..., Any]:
    """Return a user function.

    Raises
    ------
    Misassigned
        If it cannot be called.
    """
    if not callable(ufunc):
        raise Misassigned(
            f"{_who()}{type(template).__name__} was made with ufunc={ufunc!r}; give it a function"
        )
    return ufunc  # type: ignore[no-any-return]


def failure(template: object, ufunc: Any, error: BaseException, event: object) -> BaseException:
    """Return the error to raise for one that came up while a user function dealt with an event."""
    if isinstance(error, MimocorbError) or not isinstance(error, Exception):
        return error
    if isinstance(error, Unusable):
        what = f"{error}; change what the function gives, or the setup"
        place = place_of_function(ufunc)
    else:
        what, place = describe_error(error), place_of_error(error)
    who = _who().removesuffix(": ") or type(template).__name__
    return UfuncError(f"{who}, event {event}: {what}{place and f' ({place})'}")


def fitted(value: Any, values_per_slot: int, dtype: np.dtype[Any], buffer: str) -> npt.NDArray[Any]:
    """Return the data of an event, made from what a user function gave.

    A structured array gives the fields that it has, the others are 0; it may hold one record for all.

    Raises
    ------
    Unusable
        If it does not fit.
    """
    if type(value) is np.ndarray and value.shape == (values_per_slot,) and value.dtype == dtype:
        return value
    target = np.zeros(values_per_slot, dtype)
    names = getattr(getattr(value, "dtype", None), "names", None)
    try:
        if names is None or dtype.names is None:
            fill(target, value)
        else:
            for name in names:
                target[name] = value[name]
    except (TypeError, ValueError, KeyError) as error:
        raise Unusable(misfit(value, buffer, target, error)) from error
    return target


def fill_channels(target: npt.NDArray[Any], data: Any, names: Sequence[str], buffer: str) -> None:
    """Put what a source gave into a slot: one array for each channel, or a structured array.

    Raises
    ------
    Unusable
        If it does not fit.
    """
    try:
        if isinstance(data, np.ndarray) and data.dtype.names is not None:
            target[...] = data
        elif names:
            if len(data) < len(names):
                raise ValueError(f"{len(data)} arrays for {len(names)} channels")
            for channel, name in enumerate(names):
                target[name] = data[channel]
        else:
            array = np.asarray(data)
            target[...] = array[0] if array.ndim == 2 and len(array) == 1 else array
    except (TypeError, ValueError, IndexError, KeyError) as error:
        raise Unusable(misfit(data, buffer, target, error)) from error


def _who() -> str:
    io = worker()
    return "" if io is None else f"worker {io.name}: "
