"""The rings of a node: made before a run, controlled and counted during it, put right after a death."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from mimocorb_dist.links.ledger import ledger_path
from mimocorb_dist.links.ledger import settle as settle_receiver
from mimocorb_dist.ring import BufferSpec, Ring, Role, Traces, hand_path, settle
from mimocorb_dist.ring.heir import members_of, take_over
from mimocorb_dist.workers.commits import cut_back_after

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from mimocorb_dist.topology import NodePlan

    from .tasks import Task


class RingSet:
    """All rings of a node.

    Parameters
    ----------
    directory
        The node's runtime directory.
    node
        The node's plan.
    limits
        Ring -> most events that may be written to it.
    holds
        Whether a pause holds writers; else what they write is discarded.
    writers_gone
        Of an heir: what `writers_gone` was when its predecessor died; its rings are there then.

    Raises
    ------
    RingError
        If shared memory lacks room; what was made before is left to the runtime directory's removal.
    """

    def __init__(
        self,
        directory: Path,
        node: NodePlan,
        limits: Mapping[str, int],
        *,
        holds: bool = False,
        writers_gone: Mapping[str, int] | None = None,
    ) -> None:
        self._holds = holds
        self._plans = {ring.ring: ring for ring in node.rings}
        self._rings: dict[str, Ring] = {}
        self._writers_gone = Counter(writers_gone)
        for plan in node.rings:
            if writers_gone is not None:
                self._rings[plan.ring] = take_over(directory / f"{plan.ring}.ring")
                continue
            spec = BufferSpec(
                plan.buffer.name,
                plan.slot_count,
                plan.buffer.data_length,
                plan.buffer.data_dtype,
                plan.groups,
                plan.when_full,
            )
            self._rings[plan.ring] = Ring.create(directory, spec, plan.ring, plan.expected_writers)
        for name, count in limits.items() if writers_gone is None else ():
            self._rings[name].limit_events(count)
        self._limited = tuple(limits)
        importers = [worker for worker in node.workers if worker.worker.role == "importer"]
        self._roots = {sink.ring for worker in importers for sink in worker.sinks}
        self._workers_write = {sink.ring for worker in node.workers for sink in worker.sinks}
        self._paused: set[str] = set()
        self._held = False

    def __getitem__(self, name: str) -> Ring:
        return self._rings[name]

    def path(self, name: str) -> Path:
        """Return the path by which processes attach to a ring."""
        return self._rings[name].path

    def statistics(self) -> dict[str, dict[str, Any]]:
        """Return the statistics of all rings, as plain values."""
        return {name: ring.statistics().to_dict() for name, ring in self._rings.items()}

    @property
    def limit_reached(self) -> bool:
        """Whether a ring whose events are limited has got them all."""
        return any(self._rings[name].limit_reached for name in self._limited)

    @property
    def held(self) -> bool | None:
        """Whether importers wait for room on a disk; None without importers."""
        return any(self._rings[name].held_dead for name in self._roots) if self._roots else None

    def pause(self, scope: str) -> None:
        """Pause the rings of a scope: those that importers write (``roots``), or all that workers write."""
        self._paused |= self._of(scope)
        self._set_pauses()

    def resume(self, scope: str) -> None:
        """End a pause on the rings of a scope: ``roots``, ``rest`` or ``all``."""
        self._paused -= self._of(scope)
        self._set_pauses()

    def hold(self, *, on: bool) -> None:
        """Let importers wait, whatever else is paused, and count that as dead time; or end this."""
        self._held = on
        self._set_pauses()

    @property
    def paused(self) -> list[Any]:
        """What an heir has to know: the rings that are paused, and whether importers wait for room."""
        return [sorted(self._paused), self._held]

    def recall(self, paused: list[Any]) -> None:
        """Go on with the pauses of a dead node."""
        self._paused, self._held = set(paused[0]), paused[1]
        self._set_pauses()

    def _set_pauses(self) -> None:
        for name in self._workers_write:
            ring = self._rings[name]
            if self._held and name in self._roots:
                ring.pause(hold=True, dead=True)
            elif name in self._paused:
                ring.pause(hold=self._holds)
            elif ring.paused:
                ring.resume()

    def stop_importers(self) -> None:
        """Ask importers to end at their next event."""
        for name in self._roots:
            self._rings[name].request_stop()

    def traces_of(self, task: Task, pid: int) -> Traces:
        """Tell what the rings know of a dead process of a task; before they are put right."""
        if task.reads:
            traces = [self._rings[name].traces_of(pid, Role.READER) for name, _ in task.reads]
        else:
            traces = [self._rings[name].traces_of(pid, Role.WRITER) for name in task.writes]
        return Traces(sum(each.done for each in traces), sum(each.in_hand for each in traces))

    def recover(self, task: Task, pid: int) -> None:
        """Put right what the dead process of a task left in its rings."""
        if task.kind == "worker" and len(task.reads) == 1:
            ring, group = task.reads[0]
            source, sinks = self._rings[ring], [self._rings[name] for name in task.writes]
            settle(hand_path(source.path, task.name, task.number), source, group, sinks, pid)
        for name in task.rings:
            self._rings[name].recover(pid)

    def forget(self, task: Task, pids: Iterable[int], *, is_counted_off: bool) -> None:
        """Put right what the ends of a link left that died: nothing of them is of use any more.

        Parameters
        ----------
        task
            The end of the link.
        pids
            Its processes that have died.
        is_counted_off
            Whether it had been given up as a writer.
        """
        for name in task.rings:
            ring = self._rings[name]
            if name in task.writes:
                settle_receiver(ring, task.name)
            for pid in pids:
                ring.recover(pid)
            ledger_path(ring.path, task.name, task.kind).unlink(missing_ok=True)
        for name in task.writes if is_counted_off else ():
            self._writers_gone[name] = max(0, self._writers_gone[name] - 1)
        self.end_writers()

    def cut_files(self, task: Task, folder: Path, others: bool, complain: Callable[[str], None]) -> None:
        """Let the files of a worker end with the last event that it has read: the rest goes elsewhere.

        Parameters
        ----------
        task
            A process that will not come back.
        folder
            Where the files are.
        others
            Whether the worker has other processes.
        complain
            Called with a text if a file cannot be cut.
        """
        for ring, group in task.reads if task.kind == "worker" else ():
            number = task.number if others else None
            try:
                cut_back_after(self._rings[ring].path, group, task.name, number, folder)
            except OSError as error:
                complain(f"{task.label}: its files cannot be cut back ({error})")

    def has_events_to_come(self, ring: str, group: str) -> bool:
        """Tell whether there are, or may yet come, events for a reader group."""
        ended = self._rings[ring].ended
        return not ended or bool(self._rings[ring].statistics().undelivered[group])

    def pids(self) -> set[int]:
        """Return all processes in the member tables of the rings, living and dead."""
        return set().union(*(members_of(ring) for ring in self._rings.values()))

    def release(self, pids: Iterable[int]) -> None:
        """Put right what processes that have died left in any ring."""
        for pid in pids:
            for ring in self._rings.values():
                if pid in members_of(ring):
                    ring.recover(pid)

    @property
    def writers_gone(self) -> dict[str, int]:
        """Ring -> how many of its writers are gone for good without having ended their stream."""
        return dict(self._writers_gone)

    def count_off(self, task: Task, pid: int) -> None:
        """Count a process that is gone for good as a writer that its rings need not wait for."""
        for name in task.writes:
            if not self._rings[name].has_closed(pid):
                self._writers_gone[name] += 1

    def end_writers(self) -> None:
        """Let the rings know of the writers that have been counted off."""
        for name, count in self._writers_gone.items():
            self._rings[name].count_writers_gone(count)

    def close(self) -> None:
        """Detach from all rings."""
        for ring in self._rings.values():
            ring.close()
        self._rings.clear()

    def _of(self, scope: str) -> set[str]:
        # Links deliver what was counted as written already: the rings that only they write are never paused.
        return {
            "roots": self._roots,
            "rest": self._workers_write - self._roots,
            "all": self._workers_write,
        }[scope]
