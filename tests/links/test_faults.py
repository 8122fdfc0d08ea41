"""The two ends of a link as processes, on a network that fails: nothing is lost, doubled or out of order."""

from __future__ import annotations

import os
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator

import pytest

from mimocorb_dist.ring import BufferReader
from tests.links.harness import EndProcess, Pair, read_all
from tests.links.proxy import Proxy
from tests.support import eventually, free_port

MakePair = Callable[..., Pair]


class Stream:
    """A writer at full rate until it is told to stop, and a reader that checks what comes."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.counters: list[int] = []
        self._stop = threading.Event()
        self._writer = pair.write(10**9, stop=self._stop)
        self._reader = threading.Thread(target=read_all, args=(pair.target, 1024, self.counters), daemon=True)
        self._reader.start()

    def await_progress(self, timeout_s: float = 15.0) -> None:
        """Wait until further events come through."""
        goal = len(self.counters) + 500
        eventually(lambda: len(self.counters) > goal, timeout_s, "events come through")

    def end(self) -> None:
        """Stop writing, and wait until everything has been read."""
        self._stop.set()
        self._writer.join()
        self._reader.join(30)
        assert not self._reader.is_alive()
        written = self.pair.source.statistics().written
        assert len(self.counters) == written
        assert self.counters == list(range(written))


def check_ends(sender: EndProcess, receiver: EndProcess, reconnects: int) -> None:
    counts = sender.hear("finished")
    assert counts["sent"] == counts["acknowledged"] == receiver.hear("finished")["received"]
    assert counts["reconnects"] >= reconnects
    assert (sender.end(), receiver.end()) == (0, 0)


@pytest.mark.parametrize("release", ["read", "published"])
@pytest.mark.parametrize("data_bytes", [24, 68_000])
def test_five_broken_connections_at_full_rate(make_pair: MakePair, release: str, data_bytes: int) -> None:
    pair = make_pair(release=release, data_bytes=data_bytes, slots=256)
    receiver = pair.start("receive")
    with Proxy(receiver.hear("bound")["port"]) as proxy:
        sender = pair.start("send", address=f"tcp://127.0.0.1:{proxy.port}")
        stream = Stream(pair)
        for _ in range(5):
            stream.await_progress()
            proxy.reset()
        stream.await_progress()
        stream.end()
        check_ends(sender, receiver, reconnects=5)


def test_half_open_connections_are_noticed_within_seconds(make_pair: MakePair) -> None:
    pair = make_pair(data_bytes=10_000, slots=256)
    receiver = pair.start("receive")
    with Proxy(receiver.hear("bound")["port"]) as proxy:
        sender = pair.start("send", address=f"tcp://127.0.0.1:{proxy.port}")
        stream = Stream(pair)
        for _ in range(2):
            stream.await_progress()
            before = proxy.connections
            stalled_s = time.monotonic()
            proxy.stall()
            eventually(lambda: proxy.connections > before, 10, "a new connection")  # noqa: B023
            assert time.monotonic() - stalled_s < 6
        stream.await_progress()
        stream.end()
        check_ends(sender, receiver, reconnects=2)


def test_an_idle_half_open_connection_is_noticed_too(make_pair: MakePair) -> None:
    pair = make_pair()
    receiver = pair.start("receive")
    with Proxy(receiver.hear("bound")["port"]) as proxy:
        sender = pair.start("send", address=f"tcp://127.0.0.1:{proxy.port}")
        eventually(lambda: proxy.connections == 1)
        proxy.stall()
        eventually(lambda: proxy.connections == 2, 10, "a new connection")
        pair.write(100)
        assert read_all(pair.target) == list(range(100))
        check_ends(sender, receiver, reconnects=0)


def test_a_connection_closed_between_events_and_before_the_end(make_pair: MakePair) -> None:
    pair = make_pair()
    receiver = pair.start("receive")
    with Proxy(receiver.hear("bound")["port"]) as proxy:
        sender = pair.start("send", address=f"tcp://127.0.0.1:{proxy.port}")
        pair.write(50, close=False).join()
        reader = BufferReader(pair.target)
        eventually(lambda: pair.target.statistics().filled == 50)
        proxy.close_connections()
        runs = []
        while (run := reader.take(64, timeout_s=0)) is not None:
            runs.append(run)
        for run in runs:
            reader.release(run)
        eventually(lambda: pair.source.statistics().filled == 0, 10, "releases told after the break")
        proxy.close_connections()
        pair.write(50, first=50)
        reader.close()
        assert read_all(pair.target) == list(range(50, 100))
        check_ends(sender, receiver, reconnects=2)


def test_a_receiver_that_comes_late_is_found(make_pair: MakePair) -> None:
    pair = make_pair()
    port = free_port()
    sender = pair.start("send", address=f"tcp://127.0.0.1:{port}")
    sender.hear("ready")
    pair.write(100)
    sender.counts()
    sender.counts()
    receiver = pair.start("receive", ports=(port, port))
    assert read_all(pair.target) == list(range(100))
    check_ends(sender, receiver, reconnects=0)


def test_a_network_that_refuses_for_a_while(make_pair: MakePair) -> None:
    pair = make_pair(data_bytes=10_000, slots=128)
    receiver = pair.start("receive")
    with Proxy(receiver.hear("bound")["port"]) as proxy:
        sender = pair.start("send", address=f"tcp://127.0.0.1:{proxy.port}")
        stream = Stream(pair)
        stream.await_progress()
        proxy.refusing = True
        proxy.reset()
        sender.counts()
        sender.counts()
        proxy.refusing = False
        stream.await_progress()
        stream.end()
        check_ends(sender, receiver, reconnects=1)


def test_while_the_connection_is_broken_the_source_fills_and_no_further(make_pair: MakePair) -> None:
    pair = make_pair(slots=16)
    receiver = pair.start("receive")
    with Proxy(receiver.hear("bound")["port"]) as proxy:
        proxy.refusing = True
        sender = pair.start("send", address=f"tcp://127.0.0.1:{proxy.port}")
        sender.hear("ready")
        pair.write(100)
        eventually(lambda: pair.source.statistics().filled == 16)
        sender.counts()
        assert pair.source.statistics().written == 16
        proxy.refusing = False
        assert read_all(pair.target) == list(range(100))
        check_ends(sender, receiver, reconnects=0)


# Two hosts: network namespaces with a cable between them.


class Cable:
    """Two network namespaces joined by a pair of virtual interfaces."""

    def __init__(self) -> None:
        tag = uuid.uuid4().hex[:6]
        self.near, self.far = f"mla{tag}", f"mlb{tag}"
        self.near_address, self.far_address = "10.83.0.1", "10.83.0.2"
        for name in (self.near, self.far):
            ip("netns", "add", name)
        ip("link", "add", "v0", "netns", self.near, "type", "veth", "peer", "name", "v0", "netns", self.far)
        for name, address in ((self.near, self.near_address), (self.far, self.far_address)):
            ip("-n", name, "addr", "add", f"{address}/24", "dev", "v0")
            ip("-n", name, "link", "set", "v0", "up")
            ip("-n", name, "link", "set", "lo", "up")

    def set(self, state: str) -> None:
        ip("-n", self.near, "link", "set", "v0", state)

    def remove(self) -> None:
        for name in (self.near, self.far):
            ip("netns", "del", name)


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@pytest.fixture
def cable() -> Iterator[Cable]:
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    made = Cable()
    try:
        yield made
    finally:
        made.remove()


@pytest.mark.netns
@pytest.mark.fault
def test_a_cable_pulled_for_three_seconds(make_pair: MakePair, cable: Cable) -> None:
    pair = make_pair(data_bytes=68_000, slots=256)
    inside = ("ip", "netns", "exec")
    receiver = pair.start("receive", (*inside, cable.far), host=cable.far_address, security="none")
    address = f"tcp://{cable.far_address}:{receiver.hear('bound')['port']}"
    sender = pair.start("send", (*inside, cable.near), address=address, security="none")
    stream = Stream(pair)
    for _ in range(2):
        stream.await_progress()
        cable.set("down")
        pulled_s = time.monotonic()
        eventually(lambda: time.monotonic() - pulled_s > 3)  # noqa: B023
        cable.set("up")
        stream.await_progress()
    stream.end()
    check_ends(sender, receiver, reconnects=1)
