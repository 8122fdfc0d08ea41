"""What a broker must know of its run to go on in the place of one that died: a file in shared memory.

It is written before any word leaves the broker, so nobody ever knows more of the run than the file does.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from typing import TYPE_CHECKING, Any

from mimocorb_dist.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Memory:
    """The file.

    Parameters
    ----------
    path
        Where it is.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._noted = ""

    def note(self, content: Mapping[str, Any], moving: Mapping[str, Any]) -> None:
        """Write down what is not there yet.

        Parameters
        ----------
        content
            All that must be known.
        moving
            What goes with it, and is no reason to write.

        Raises
        ------
        RunError
            If it cannot be written.
        """
        text = json.dumps(content)
        if text == self._noted:
            return
        new = self._path.with_suffix(".new")
        try:
            new.write_text(json.dumps({"content": content, "moving": moving}), encoding="utf-8")
            os.replace(new, self._path)
        except OSError as error:
            raise RunError(
                f"{self._path}: cannot be written ({error.strerror}); free shared memory, or the run ends "
                "if its broker dies"
            ) from error
        self._noted = text

    def touch(self) -> None:
        """Say that its writer lives."""
        with contextlib.suppress(FileNotFoundError):  # nothing has been noted yet
            os.utime(self._path)

    def touched_s(self) -> float:
        """Return when its writer last lived, in s since 1970; now, if that is not known."""
        try:
            return self._path.stat().st_mtime
        except OSError:
            return time.time()

    def read(self) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """Return what was noted; None if nothing was.

        Raises
        ------
        RunError
            If it cannot be read.
        """
        try:
            noted = json.loads(self._path.read_text(encoding="utf-8"))
            return noted["content"], noted["moving"]
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(f"{self._path}: is not what a broker wrote ({error!r})") from error
