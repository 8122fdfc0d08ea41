"""The files of a ring: its shared memory, and the queues and commit files beside it."""

from __future__ import annotations

import mmap
import os
from typing import TYPE_CHECKING

from mimocorb_dist.errors import RingError

from .commit_file import commit_paths
from .hand import hand_files
from .layout import MAGIC, UNLIMITED, VERSION, BufferSpec, Header, Layout

if TYPE_CHECKING:
    from pathlib import Path


def free_path(path: Path) -> Path:
    """Return where the queue of free slots is."""
    return path.with_suffix(".free")


def spare_path(path: Path) -> Path:
    """Return where the queue of spare slots is."""
    return path.with_suffix(".spare")


def ready_path(path: Path, group: str) -> Path:
    """Return where the queue of a group's ready slots is."""
    return path.with_name(f"{path.stem}.{group}.ready")


def remove_files(path: Path, spec: BufferSpec) -> None:
    """Remove all files of a ring that are there."""
    for file in (
        path,
        free_path(path),
        spare_path(path),
        *(ready_path(path, group) for group in spec.groups),
        *(file for group in spec.groups for file in commit_paths(path, group)),
        *hand_files(path),
    ):
        file.unlink(missing_ok=True)


def allocate(path: Path, layout: Layout, expected_writers: int) -> None:
    """Make the ring's file with all its room, so that no later store can fail."""
    spec = layout.spec
    text = layout.encoded_spec()
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError as error:
        raise RingError(f"{path}: there is a ring of this name already; is its run still going?") from error
    except OSError as error:
        raise RingError(f"{path}: cannot make this ring ({error.strerror}); check the directory") from error
    try:
        os.posix_fallocate(fd, 0, layout.total_bytes)
        with mmap.mmap(fd, layout.total_bytes) as memory:
            header = memoryview(memory)[: 32 * 8].cast("Q")
            try:
                header[Header.VERSION] = VERSION
                header[Header.TOTAL_BYTES] = layout.total_bytes
                header[Header.EVENTS_LEFT] = UNLIMITED
                header[Header.EXPECTED_WRITERS] = expected_writers
                header[Header.SPEC_LENGTH] = len(text)
                memory[layout.spec_offset : layout.spec_offset + len(text)] = text
                header[Header.MAGIC] = MAGIC
            finally:
                header.release()
    except OSError as error:
        path.unlink(missing_ok=True)
        raise RingError(
            f"buffer {spec.name} needs {layout.total_bytes / 1e6:.1f} MB in {path.parent} "
            f"({error.strerror}); "
            "use fewer or smaller slots, free shared memory (mimocorb-node clean), or enlarge it"
        ) from error
    finally:
        os.close(fd)


def map_ring(path: Path) -> tuple[memoryview, BufferSpec]:
    """Map a ring's file, and read what buffer it is."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise RingError(f"{path}: cannot attach to this ring ({error.strerror}); is its run over?") from error
    try:
        memory = memoryview(mmap.mmap(fd, 0))
    except (OSError, ValueError) as error:
        raise RingError(f"{path}: this is not a ring buffer ({error})") from error
    finally:
        os.close(fd)
    header = memory[: 32 * 8].cast("Q") if len(memory) >= 4096 else None
    if header is None or header[Header.MAGIC] != MAGIC:
        raise RingError(f"{path}: this is not a ring buffer")
    if header[Header.VERSION] != VERSION or header[Header.TOTAL_BYTES] != len(memory):
        raise RingError(
            f"{path}: this ring was made by another version; use the same mimocorb_dist everywhere"
        )
    start = Layout.SPEC_OFFSET
    return memory, BufferSpec.from_json(bytes(memory[start : start + header[Header.SPEC_LENGTH]]).decode())
