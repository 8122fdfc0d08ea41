"""Files of rings and runtime directories: made whole or not at all, and removed when their run is dead."""

from __future__ import annotations

import fcntl
import os
import subprocess
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mimocorb_dist.errors import RingError
from mimocorb_dist.ring import BufferSpec, Ring
from mimocorb_dist.ring import runtime as runtime_module
from mimocorb_dist.ring.layout import MAX_SLOTS
from mimocorb_dist.ring.runtime import (
    RuntimeDirectory,
    abandoned_runtime_directories,
    dead_runtime_directories,
    give_up,
    remove_runtime_directory,
    runtime_directories,
    waits_for_heir,
)
from mimocorb_dist.ring.seats import holder_of, holders_so_far, take_seat
from tests.ring.rings import FIELD, fill, make_ring
from tests.support import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.ring.members import MemberHost


def test_ring_makes_its_files_and_removes_them(directory: Path) -> None:
    ring = make_ring(directory, groups=("one", "two"))
    names = {"raw.ring", "raw.free", "raw.spare", "raw.one.ready", "raw.two.ready"}
    assert {path.name for path in directory.iterdir()} == names
    ring.unlink()
    assert list(directory.iterdir()) == []
    fill(ring, 3)  # who is attached may go on
    ring.close()
    ring.unlink()


def test_two_rings_of_one_name_are_refused(directory: Path) -> None:
    ring = make_ring(directory)
    with pytest.raises(RingError, match="already"):
        make_ring(directory)
    fill(ring, 3)
    ring.close()


def test_ring_too_large_for_the_shared_memory_leaves_nothing(directory: Path) -> None:
    free = os.statvfs(directory).f_bavail * os.statvfs(directory).f_frsize
    spec = BufferSpec("huge", 4, free // FIELD.itemsize, FIELD)
    with pytest.raises(RingError, match=r"huge needs .* MB .*fewer or smaller slots.*mimocorb-node clean"):
        Ring.create(directory, spec)
    assert list(directory.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_full_shared_memory_is_an_error_and_no_bus_error(directory: Path) -> None:
    mount = directory / "small"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(mount)], check=True)
    try:
        ring = make_ring(mount, 4, 10_000, name="fits")
        with pytest.raises(RingError, match="MB"):
            make_ring(mount, 400, 10_000, name="does-not")
        assert not [path for path in mount.iterdir() if path.name.startswith("does-not")]
        fill(ring, 4)
        ring.close()
    finally:
        subprocess.run(["umount", "--lazy", str(mount)], check=True)


def test_directory_that_is_not_there_is_an_error(directory: Path) -> None:
    with pytest.raises(RingError, match="nowhere"):
        make_ring(directory / "nowhere")


@pytest.mark.parametrize(
    "content", [b"", b"rubbish", bytes(4096), bytes(1 << 20), os.urandom(1 << 17)], ids=len
)
def test_file_that_is_no_ring_is_refused(directory: Path, content: bytes) -> None:
    path = directory / "raw.ring"
    path.write_bytes(content)
    with pytest.raises(RingError, match="not a ring"):
        Ring.open(path)


def test_missing_ring_is_refused(directory: Path) -> None:
    with pytest.raises(RingError, match="is its run over"):
        Ring.open(directory / "raw.ring")


def test_ring_without_its_queues_is_refused(directory: Path) -> None:
    ring = make_ring(directory)
    (directory / "raw.free").unlink()
    with pytest.raises(RingError, match=r"raw\.free"):
        Ring.open(ring.path)
    ring.close()


def test_ring_of_another_version_is_refused(directory: Path) -> None:
    ring = make_ring(directory)
    ring.header[1] = 99
    with pytest.raises(RingError, match="version"):
        Ring.open(ring.path)
    ring.close()


@pytest.mark.parametrize(
    ("slot_count", "length", "dtype", "message"),
    [
        (0, 1, FIELD, "slot_count"),
        (MAX_SLOTS + 1, 1, FIELD, "slot_count"),
        (1, 0, FIELD, "data_length"),
        (1, 1, np.dtype(object), "shared memory"),
        (1, 1, np.dtype([]), "shared memory"),
    ],
)
def test_impossible_buffer_is_refused(slot_count: int, length: int, dtype: np.dtype, message: str) -> None:
    with pytest.raises(RingError, match=message):
        BufferSpec("raw", slot_count, length, dtype)


def test_largest_ring_works_for_a_user_without_privileges(host: MemberHost, directory: Path) -> None:
    """The queues must stay below the size that the kernel grants to everybody."""
    directory.chmod(0o777)
    pid = host.start("make_and_use_as_nobody", str(directory), MAX_SLOTS)
    assert host.wait(pid) == 0


def test_many_rings_leave_no_descriptor_open(directory: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for number in range(5):
        ring = make_ring(directory, name=f"raw{number}")
        Ring.open(ring.path).close()
        ring.close()
        ring.close()
    del ring  # the mapping has a descriptor of its own
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.fixture
def root(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let runtime directories lie in a directory of their own."""
    monkeypatch.setattr(runtime_module, "runtime_root", lambda: directory)
    return directory


def test_runtime_directory_of_a_living_node_is_refused(root: Path) -> None:
    runtime = RuntimeDirectory.create("run_1", "daq")
    make_ring(runtime.path).close()
    assert runtime.path == root / "mimocorb-run_1-daq"
    assert runtime_directories() == [runtime.path]
    assert dead_runtime_directories() == []
    with pytest.raises(RingError, match="alive"):
        remove_runtime_directory(runtime.path)
    with pytest.raises(RingError, match="running already"):
        RuntimeDirectory.create("run_1", "daq")
    assert (runtime.path / "raw.ring").exists()
    runtime.remove()
    runtime.remove()
    assert not runtime.path.exists()


def test_runtime_directory_of_a_killed_node_is_found_and_removed(host: MemberHost, root: Path) -> None:
    path = root / "mimocorb-run_1-daq"
    pid = host.start("hold_runtime_directory", str(path))
    eventually(lambda: (path / "raw.ring").exists())
    assert dead_runtime_directories() == []
    host.kill(pid)
    assert dead_runtime_directories() == [path]
    remove_runtime_directory(path)
    remove_runtime_directory(path)
    assert list(root.iterdir()) == []


def test_directory_of_a_dead_node_stays_while_its_run_lives_on(host: MemberHost, root: Path) -> None:
    names = ["20260101T120000-aaaaaa-daq", "20260101T120000-aaaaaa-filter-2", "20260101T120000-bbbbbb-daq"]
    paths = [root / f"mimocorb-{name}" for name in names]
    pids = [host.start("hold_runtime_directory", str(path)) for path in paths]
    eventually(lambda: all((path / "raw.ring").exists() for path in paths))
    host.kill(pids[0])
    host.kill(pids[2])
    assert abandoned_runtime_directories() == paths[2:]
    host.kill(pids[1])
    assert abandoned_runtime_directories() == paths
    for path in paths:
        remove_runtime_directory(path)


def test_directory_of_a_dead_node_stays_while_its_processes_wait_for_an_heir(
    host: MemberHost, root: Path
) -> None:
    path = root / "mimocorb-20260101T120000-aaaaaa-daq"
    node = host.start("hold_runtime_directory", str(path))
    eventually(lambda: (path / "raw.ring").exists())
    process = host.start("hold_seat", str(path / "find.seat"))
    eventually(lambda: holder_of(path / "find.seat") == process)
    assert not waits_for_heir(path)
    host.kill(node)
    assert waits_for_heir(path)
    assert abandoned_runtime_directories() == []
    heir = RuntimeDirectory.inherit(path)
    assert not waits_for_heir(path)
    assert not give_up(path), "there is an heir"
    host.kill(process)
    assert (holder_of(path / "find.seat"), holders_so_far(path / "find.seat")) == (None, [process])
    heir.remove()


def test_an_heir_comes_too_late_when_one_process_has_given_up(host: MemberHost, root: Path) -> None:
    path = root / "mimocorb-20260101T120000-aaaaaa-daq"
    node = host.start("hold_runtime_directory", str(path))
    eventually(lambda: (path / "raw.ring").exists())
    process = host.start("hold_seat", str(path / "find.seat"))
    eventually(lambda: holder_of(path / "find.seat") == process)
    host.kill(node)
    assert give_up(path)
    assert not waits_for_heir(path)
    with pytest.raises(RingError, match="too late"):
        RuntimeDirectory.inherit(path)
    assert abandoned_runtime_directories() == [path]
    host.kill(process)
    remove_runtime_directory(path)
    assert give_up(path), "nobody can take over what has been removed"


def test_a_seat_is_held_by_one_process_at_a_time(host: MemberHost, root: Path) -> None:
    path = root / "find.seat"
    first = host.start("hold_seat", str(path))
    eventually(lambda: holder_of(path) == first)
    second = host.start("hold_seat", str(path))
    host.kill(first)
    eventually(lambda: holder_of(path) == second)
    assert holders_so_far(path) == [first, second]
    with pytest.raises(RingError, match="at work here already"):
        take_seat(path, 0.0)
    host.kill(second)


def test_runtime_directory_held_by_a_lock_of_a_stopped_process_is_alive(root: Path) -> None:
    path = root / "mimocorb-run_1-daq"
    path.mkdir()
    with open(path / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert dead_runtime_directories() == []
    assert dead_runtime_directories() == [path]


def test_other_directories_stay(root: Path) -> None:
    other = root / "something"
    other.mkdir()
    assert dead_runtime_directories() == []
    with pytest.raises(RingError, match="it stays"):
        remove_runtime_directory(other)
    assert other.exists()


@pytest.mark.fault
def test_runtime_directories_are_never_dead_while_they_are_made(host: MemberHost, root: Path) -> None:
    """Nodes of one machine start together, and each removes what dead runs left."""
    dead = root / "mimocorb-dead"
    dead.mkdir()
    cleaner = host.start("clean_for_ever", str(root))
    try:
        eventually(lambda: not dead.exists())
        for number in range(300):
            runtime = RuntimeDirectory.create(f"run_{number}", "daq")
            make_ring(runtime.path).close()
            assert (runtime.path / "raw.ring").exists()
            runtime.remove()
    finally:
        host.kill(cleaner)
