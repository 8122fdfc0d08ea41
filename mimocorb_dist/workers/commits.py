"""Events that an exporter holds until what it made of them is safe: no kill loses or doubles one.

A commit brings all outputs to the disk, notes how long their files are, and releases the events; the last two
are one step (see `mimocorb_dist.ring.commit_file`). A process that is started in the place of a dead one cuts
the files back to what was noted, and gets all events anew that were not committed.
"""

from __future__ import annotations

import json
import logging
import os
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from mimocorb_dist.ring import Holding, commit_path, commit_paths, last_commit

from .background import Background
from .stopping import WorkerStop
from .template import ends_well

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from mimocorb_dist.ring import BufferReader

    from .io import BufferIO, Data, Metadata

    Files = Mapping[str, int]

INTERVAL_S = 1.0
"""How long events are held at most."""
GONE = -1
"""Length of a file that is not needed any more, and removed after the commit that says so."""


class Output(Protocol):
    """What events are written to."""

    IN_BACKGROUND: ClassVar[bool]
    """Whether `save` may be called in another thread, while more is written."""

    def mark(self) -> None:
        """Note that what has been written so far is of events that are done with."""

    def back(self) -> bool:
        """Drop what has been written since the last `mark`; return False if that cannot be."""

    def seal(self) -> None:
        """Choose what is marked now for the next `save`."""

    def save(self) -> Files:
        """Bring to the disk what has been chosen; return the lengths of its files in bytes, by their names.

        Names are relative to the run directory. A file with the length `GONE` is not needed any more.
        """

    def finish(self) -> None:
        """Note that nothing more will be written."""

    def shut(self) -> None:
        """Close its files as they are."""


class Commits:
    """What a reader has committed, and what it holds.

    Parameters
    ----------
    reader
        The source.
    name
        Names this reader: whoever is started in its place takes the same name.
    folder
        The run directory, to which names of files are relative.
    io
        The worker whose events are counted.

    Attributes
    ----------
    interval_s
        How long, in s, events are held at most.
    said
        What belongs to a commit besides the files; that of the process before, at first.
    """

    def __init__(self, reader: BufferReader, name: str, folder: Path, io: BufferIO | None = None) -> None:
        self._holding = Holding(reader, name)
        self._folder = folder
        self._io = io
        self.interval_s = INTERVAL_S
        self._files, self.said = _read(self._holding.noted)
        self._outputs: dict[str, Output] = {}
        self._since_s = 0.0
        self._patience_s = 0.0  # the first commit comes at once: who watches sees that this process works
        self._sync_s = 0.0  # how long a sync takes
        self._failure: Exception | None = None
        self._background = Background()
        self._over = False
        cut_back(folder, self._holding.noted)

    def files_of(self, output: str) -> Files | None:
        """Return the files of an output at the last commit, also of the process before; None: it is new."""
        return self._files.get(output)

    def add(self, name: str, output: Output, *, at_once: bool = True) -> None:
        """Take care of an output from now on, and, if that is wanted, commit at once what it has."""
        self._outputs[name] = output
        output.mark()
        if at_once:
            self.commit()

    def leave(self, name: str, error: BaseException | None = None) -> None:
        """Commit all events that have been given, and close an output; leaving it twice is harmless.

        Parameters
        ----------
        name
            The output.
        error
            What has ended the worker's function, if anything has: then the events in hand are not committed,
            and not in the output.
        """
        output = self._outputs.get(name)
        if output is None:
            return
        try:
            if error is None or isinstance(error, (GeneratorExit, WorkerStop)) or ends_well(error):
                output.finish()
                self.finish()
            else:
                self.fail()
        finally:
            del self._outputs[name]
            output.shut()

    # Events.

    def next(self, limit: int | None, look_s: float | None = None) -> tuple[Metadata, Data] | None:
        """Give the next events, and commit what is due meanwhile.

        Parameters
        ----------
        limit
            The most events wanted; None: one, with data of shape (data_length,).
        look_s
            How long to wait at most, in s; None: as long as it takes.

        Returns
        -------
        tuple or None
            Metadata and data; None after the time-out.

        Raises
        ------
        EndOfStream
            If there will be none.
        """
        self.done()
        holding = self._holding
        until_s = None if look_s is None else monotonic() + look_s
        while True:
            self._see_to_commits()
            wait_s = None if until_s is None else max(0.0, until_s - monotonic())
            if self._background.busy:
                wait_s = 0.0
            elif holding.held:
                due_s = max(0.0, self._since_s + self._patience_s - monotonic())
                wait_s = due_s if wait_s is None else min(wait_s, due_s)
            batch = holding.take_one(wait_s) if limit is None else holding.take_many(limit, wait_s)
            if batch is not None:
                return batch
            if self._background.busy:
                self._end_commit()
            elif until_s is not None and monotonic() >= until_s:
                return None

    def _see_to_commits(self) -> None:
        """Begin and end commits: the disk is waited for while further events are written."""
        holding, background = self._holding, self._background
        if background.busy and (background.ready or holding.full):
            self._end_commit()
        if not background.busy and holding.held:
            held_s = monotonic() - self._since_s
            if held_s >= self._patience_s or (2 * holding.held >= holding.share and self._is_time(held_s)):
                self._begin_commit()
        if background.busy and (holding.full or not self.interval_s):
            self._end_commit()

    def _is_time(self, held_s: float) -> bool:
        """Whether to commit now, so that the disk is waited for as little as can be.

        What comes during a sync is to fit into the room that is left. If it does not, the room is shared by
        the events that are being synced and those that come; and if a sync takes longer than to fill all
        of it, one sync is better used for all of it.
        """
        held, share = self._holding.held, self._holding.share
        coming = held * self._sync_s / max(held_s, 1e-6)
        if coming >= share:
            return held >= share
        return held + min(coming, share / 2) >= share

    def done(self) -> None:
        """Count the events given last to those that are done with: all of them is in the outputs."""
        if not self._holding.held:
            self._since_s = monotonic()
        self._holding.done()
        for output in self._outputs.values():
            output.mark()

    def commit(self) -> None:
        """Bring the outputs to the disk, and release the events that are done with.

        Raises
        ------
        OSError
            If an output cannot be saved. Then nothing is committed any more: what the disk has refused once,
            it may tell to have next time.
        """
        if self._background.busy:
            self._end_commit()
        self._begin_commit()
        if self._background.busy:
            self._end_commit()

    def _begin_commit(self) -> None:
        if self._failure is not None:
            raise self._failure
        self._holding.seal()
        for output in self._outputs.values():
            output.seal()
        outputs = dict(self._outputs)

        def save() -> dict[str, Files]:
            return {name: dict(output.save()) for name, output in outputs.items()}

        if all(output.IN_BACKGROUND for output in outputs.values()):
            self._background.start(save)
        else:
            self._note(save)

    def _end_commit(self) -> None:
        self._note(self._background.result)
        self._sync_s = (self._sync_s + self._background.seconds) / 2

    def _note(self, save: Callable[[], dict[str, Files]]) -> None:
        try:
            files = self._files | save()
        except Exception as error:
            self._failure = error
            raise
        note = json.dumps({"files": files, "said": self.said}).encode()
        count = self._holding.commit(note)
        for sizes in files.values():
            for unneeded in (file for file, size in sizes.items() if size == GONE):
                (self._folder / unneeded).unlink(missing_ok=True)
        self._files, self._patience_s = files, self.interval_s
        if self._io is not None:
            self._io.events += count

    def finish(self) -> None:
        """Commit all events that have been given: the worker's function is done with them."""
        if self._over:
            return
        self.done()
        if self._holding.held or self._outputs:
            try:
                self.commit()
            except BaseException:
                self.fail()
                raise

    def fail(self) -> None:
        """Commit what was done before the events in hand, and let these be delivered again.

        If what was done cannot be committed, it is dropped, too, and all that is held is delivered again.
        """
        if self._over:
            return
        self._over = True
        try:
            if self._background.busy:
                self._end_commit()
            if all(output.back() for output in self._outputs.values()):
                self.commit()
        except Exception as error:  # noqa: BLE001 (the worker's own failure is what is told)
            logging.getLogger(__name__).debug("not committed: %r", error)
        try:
            cut_back(self._folder, self._holding.noted)
        except OSError as error:
            logging.getLogger(__name__).warning("cannot be cut back to what is committed: %s", error)
        self._holding.give_back()


def _read(note: bytes) -> tuple[dict[str, Files], Any]:
    fields = json.loads(note or b"{}")
    return fields.get("files", {}), fields.get("said")


def files_of_note(note: bytes) -> Files:
    """Return how long files were at a commit, by their names."""
    return {name: size for files in _read(note)[0].values() for name, size in files.items()}


def cut_back_after(ring: Path, group: str, worker: str, number: int | None, folder: Path) -> None:
    """Drop what processes that will not come back have written after their last commits.

    Their events have not been read, and go elsewhere.

    Parameters
    ----------
    ring, group
        What they read.
    worker
        Their worker.
    number
        The process; None: there is no process of the worker any more.
    folder
        The run directory.

    Raises
    ------
    OSError
        If a file cannot be cut.
    """
    start = commit_path(ring, group, worker).stem
    for path in commit_paths(ring, group):
        if path.stem == f"{start}.{number}" or (number is None and path.stem.startswith(f"{start}.")):
            cut_back(folder, last_commit(path)[0])


def cut_back(folder: Path, note: bytes) -> None:
    """Drop what was written to files after their last commit.

    Parameters
    ----------
    folder
        The run directory.
    note
        What was noted with the commit.

    Raises
    ------
    OSError
        If a file cannot be cut.
    """
    for name, size in files_of_note(note).items():
        path = folder / name
        if not path.exists():
            continue
        if size == GONE:
            path.unlink()
        elif path.stat().st_size > size:
            with path.open("r+b") as file:
                file.truncate(size)
                os.fsync(file.fileno())
