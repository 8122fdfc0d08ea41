"""After any kill every event is in the files once, and in order."""

from __future__ import annotations

import shutil
import signal
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mimocorb_dist.functions._mimo import read_events, read_header

from mimocorb_dist.ring import METADATA_DTYPE, BufferSpec, BufferWriter, Ring
from mimocorb_dist.ring.runtime import runtime_root
from mimocorb_dist.workers.commits import cut_back_after
from tests.ring.members import MemberHost

from .programs import KINDS, NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.fault

SLOTS, EVENTS = 32, 30
DTYPE = np.dtype([("x", "f8"), ("n", "i4")])


@pytest.fixture(scope="module")
def host() -> Iterator[MemberHost]:
    with MemberHost("tests.exactly_once.programs") as members:
        yield members


class Case:
    """A buffer with events, and the exporter that is started again and again until it has ended."""

    def __init__(self, host: MemberHost, kind: str) -> None:
        self._host = host
        self.kind = kind
        # In memory: a process that is killed cannot tell the difference, and it is fast.
        self.folder = Path(tempfile.mkdtemp(prefix="exactly-once-", dir=runtime_root()))
        self.run_dir = self.folder / "run"
        self.run_dir.mkdir()
        self.ring = Ring.create(self.folder, BufferSpec("raw", SLOTS, 1, DTYPE))
        data = np.zeros((EVENTS, 1), DTYPE)
        data["x"][:, 0] = data["n"][:, 0] = np.arange(EVENTS)
        metadata = np.zeros(EVENTS, METADATA_DTYPE)
        metadata["counter"] = np.arange(EVENTS)
        writer = BufferWriter(self.ring)
        writer.write(data, metadata)
        writer.close()

    def run(self, step: int = 0) -> bool:
        """Run the exporter, killed at a step; return whether it ended."""
        pid, status = self._host.run(
            "export", self.kind, str(self.ring.path), str(self.run_dir), step, str(self.folder / "steps")
        )
        assert status in (0, -signal.SIGKILL)
        self.ring.recover(pid)
        return status == 0

    @property
    def steps(self) -> int:
        """Steps of an exporter that has just ended."""
        return int((self.folder / "steps").read_text())

    def numbers(self) -> list[int]:
        """The events in all files."""
        numbers: list[int] = []
        for path in sorted(self.run_dir.glob("events*"), key=lambda path: (len(path.name), path.name)):
            numbers += numbers_in(path)
        return numbers

    def check_whole(self) -> None:
        assert self.numbers() == list(range(EVENTS))
        statistics = self.ring.statistics()
        assert (statistics.read["readers"], statistics.filled) == (EVENTS, 0)
        assert not list(self.run_dir.glob("*.rest.mimo"))

    def check_cut(self) -> None:
        """Where nobody goes on, the files end with the last event that counts as read."""
        cut_back_after(self.ring.path, "readers", NAME, None, self.run_dir)
        if self.kind != "saved":
            assert self.numbers() == list(range(self.ring.statistics().read["readers"]))

    def close(self) -> None:
        self.ring.unlink()
        self.ring.close()
        shutil.rmtree(self.folder)


def numbers_in(path: Path) -> list[int]:
    if not path.stat().st_size:  # an archive, or a text, of which there is no more than the name
        assert path.suffix in (".tar", ".txt")
        return []
    match path.suffix:
        case ".csv":
            return pd.read_csv(path)["counter"].astype(int).tolist()
        case ".txt":
            return [int(line.split("\t")[0]) for line in path.read_text().splitlines()[1:]]
        case ".parquet":
            return pq.read_table(path)["counter"].to_pylist()
        case ".mimo":
            return [
                int(n) for metadata, _ in read_events(path, read_header(path)) for n in metadata["counter"]
            ]
        case ".tar":
            with path.open("rb") as file, tarfile.open(fileobj=file) as archive:
                return [int(name.removesuffix(".parquet").rpartition("_")[2]) for name in archive.getnames()]
        case ".own":
            return [int(line) for line in path.read_text().splitlines()[1:]]
        case ".saved":
            return [int(line) for line in path.read_text().splitlines()]
        case _:
            return []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stride", [15, pytest.param(1, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])])
def test_killed_at_any_line_an_exporter_goes_on(host: MemberHost, kind: str, stride: int) -> None:
    whole = Case(host, kind)
    assert whole.run()
    whole.check_whole()
    steps = whole.steps
    whole.close()
    for step in range(1, steps + 1, stride):
        case = Case(host, kind)
        try:
            if not case.run(step):
                case.check_cut()
                assert case.run()
            case.check_whole()
        except BaseException as error:
            error.add_note(f"{kind}: killed at step {step} of {steps}")
            raise
        finally:
            case.close()


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fates=st.lists(st.integers(1, 700), min_size=2, max_size=6))
def test_killed_again_and_again_an_exporter_goes_on(host: MemberHost, kind: str, fates: list[int]) -> None:
    case = Case(host, kind)
    try:
        if not any(case.run(step) for step in fates):
            assert case.run()
        case.check_whole()
    finally:
        case.close()
