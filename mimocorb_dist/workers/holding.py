"""What exporters share that hold events until these are safe."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, ClassVar

from mimocorb_dist.ring import EndOfStream

from .commits import INTERVAL_S, Commits
from .output_file import OutputFile
from .stopping import WorkerStop
from .template import Template

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping

    from .commits import Output
    from .io import Data, Metadata


class HoldingTemplate(Template):
    """A template whose events can be held until what was made of them is safe."""

    _commits: Commits | None = None

    def open(self, name: str, start: bytes | str = b"", interval_s: float = INTERVAL_S) -> OutputFile:
        """Open a file in the run directory in which every event will be exactly once.

        From now on events count as read only when what was written for them is on the disk: at most
        `interval_s` after they were given, before three quarters of the buffer's slots are held, and at the
        end. A process that is started again, however the one before it has ended, goes on where that has left
        the file, and gets those events anew that are not in it.

        Parameters
        ----------
        name
            Name of the file. A second process of the worker has ``<name>.part2.<suffix>``, and so on.
        start
            What stands at its beginning: written when it is new.
        interval_s
            How long, in s, events are held at most; 0: each event, or batch, waits for the disk.

        Returns
        -------
        OutputFile
            To be used in a ``with`` block around the loop over events; its `write` takes bytes or text.
        """
        commits = self._holding(interval_s)
        return OutputFile.open(self.io, commits, name, start.encode() if isinstance(start, str) else start)

    def hold(self, save: Callable[[], Any], interval_s: float = INTERVAL_S) -> Any:
        """Hold events until a function has brought what was made of them to safety.

        Parameters
        ----------
        save
            Called without arguments when events are to be committed: see `open`. When it returns, all events
            that were given and done with must be safe. What it returns (any JSON, a few kB) is noted with the
            commit, in one step.
        interval_s
            How long, in s, events are held at most.

        Returns
        -------
        Any
            What `save` has returned for the last commit, if that was made by a process before this one that
            was killed; None if there was none. What came after it is delivered again.
        """
        commits = self._holding(interval_s)
        before = commits.said
        commits.add("", _Saving(commits, save), at_once=False)
        return before

    def files_of(self, name: str) -> Mapping[str, int] | None:
        """Return the lengths of a `kept` output's files at the last commit of a process before this one."""
        return self._holding(INTERVAL_S).files_of(name)

    @contextlib.contextmanager
    def kept(self, name: str, output: Output) -> Iterator[None]:
        """Hold events until an output of another kind than `open` makes is saved; see `Output`."""
        commits = self._holding(INTERVAL_S)
        commits.add(name, output)
        try:
            yield
        except BaseException as error:
            commits.leave(name, error)
            raise
        commits.leave(name)

    def commit(self) -> None:
        """Commit all events that have been given, that in hand included: its data are not valid any more."""
        if self._commits is not None:
            self._commits.finish()

    def _holding(self, interval_s: float) -> Commits:
        if self._commits is None:
            io = self.io
            self._commits = Commits(self.read[0], f"{io.name}.{io.number}", io.run_dir, io)
            self._commits.interval_s = interval_s
        commits = self._commits
        # What has gone to sinks cannot be taken back: it waits for no other events.
        commits.interval_s = 0.0 if self.write else min(commits.interval_s, interval_s)
        return commits

    def _held(self, commits: Commits, limit: int | None) -> Generator[tuple[Data, Metadata], None, None]:
        io = self.io
        kind = type(self).__name__
        self._begin()
        try:
            while not io.stop.requested:
                try:
                    batch = commits.next(limit)
                except EndOfStream:
                    break
                assert batch is not None  # it waits as long as it takes
                metadata, data = batch
                for writer in self.write:
                    if limit is None:
                        writer.copy(metadata, data)
                    else:
                        writer.write(data, metadata)
                io.in_hand = metadata
                yield data, metadata
                commits.done()
                io.in_hand = None
        except WorkerStop:
            self.logger.info("%s: ended while waiting for an event", kind)
        except GeneratorExit:
            commits.finish()
            raise
        except BaseException:
            commits.fail()
            raise
        commits.finish()
        if self.write:
            io.shutdown_sinks()
        self.logger.debug("%s finished: %d events", kind, io.events)


class _Saving:
    """An output that is a function of the user's."""

    IN_BACKGROUND: ClassVar[bool] = False

    def __init__(self, commits: Commits, save: Callable[[], Any]) -> None:
        self._commits = commits
        self._save = save

    def mark(self) -> None:
        """Nothing: the user knows."""

    def back(self) -> bool:
        """Only the user could: all that is not committed is delivered again."""
        return False

    def seal(self) -> None:
        """Nothing: it is saved at once."""

    def save(self) -> Mapping[str, int]:
        """Call the function."""
        self._commits.said = self._save()
        return {}

    def finish(self) -> None:
        """Nothing: the user knows."""

    def shut(self) -> None:
        """Nothing: it is the user's."""
