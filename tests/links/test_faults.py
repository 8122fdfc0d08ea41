"""The two ends of a link as processes, on a network that fails: nothing is lost, doubled or out of order."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mimocorb_dist.ring import BufferReader, Run
from tests.links.harness import EndProcess, Pair, read_all
from tests.links.proxy import Proxy
from tests.netns.network import Host, network
from tests.support import eventually, free_port, let_pass

MakePair = Callable[..., Pair]
_ESTABLISHED = "01"


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
        for fault in (proxy.stall, proxy.reset_near, proxy.reset_far):
            stream.await_progress()
            before = proxy.connections
            broken_s = time.monotonic()
            fault()
            eventually(lambda: proxy.connections > before, 10, "a new connection")  # noqa: B023
            assert time.monotonic() - broken_s < 6
        stream.await_progress()
        stream.end()
        check_ends(sender, receiver, reconnects=3)


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
        eventually(lambda: proxy.refused > 2)
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
        eventually(lambda: proxy.refused > 2)
        assert pair.source.statistics().written == 16
        proxy.refusing = False
        assert read_all(pair.target) == list(range(100))
        check_ends(sender, receiver, reconnects=0)


def test_a_slow_network_is_not_taken_for_a_broken_one(make_pair: MakePair) -> None:
    pair = make_pair(data_bytes=68_000)
    receiver = pair.start("receive")
    with Proxy(receiver.hear("bound")["port"], bytes_a_second=450_000) as proxy:
        pair.write(15)  # as many as one frame holds: it is under way for longer than a peer may be silent
        sender = pair.start("send", address=f"tcp://127.0.0.1:{proxy.port}")
        eventually(lambda: pair.target.statistics().written == 15 or proxy.connections > 1, 20)
        assert proxy.connections == 1
        assert read_all(pair.target) == list(range(15))
        check_ends(sender, receiver, reconnects=0)


def test_a_sender_that_does_not_read_for_a_while_is_told_all_releases(make_pair: MakePair) -> None:
    pair = make_pair(slots=32_000, data_bytes=8)
    receiver = pair.start("receive")
    with Proxy(receiver.hear("bound")["port"], narrow=True) as proxy:
        sender = pair.start("send", address=f"tcp://127.0.0.1:{proxy.port}")
        pair.write(32_000)
        eventually(lambda: pair.target.statistics().filled == 32_000)
        reader = BufferReader(pair.target)
        slots: list[int] = []
        while len(slots) < 32_000:
            run = reader.take(32_000, timeout_s=5)
            assert run is not None
            slots += run.slots.tolist()
        proxy.stall(near=False)
        # Every second one, a few at a time: more messages, of more ranges, than queues and buffers can hold.
        for first in range(0, 32_000, 32):
            for slot in slots[first : first + 32 : 2]:
                reader.release(Run(pair.target, slot, 1))
            let_pass(0.001, "they go as many messages")
        for slot in slots[1::2]:
            reader.release(Run(pair.target, slot, 1))
        proxy.go_on()
        reader.close()
        check_ends(sender, receiver, reconnects=0)


# Two hosts: network namespaces with a switch between them.


@pytest.fixture
def hosts() -> Iterator[dict[str, Host]]:
    with network("near", "far") as made:
        yield made


def connect_hosts(pair: Pair, hosts: dict[str, Host]) -> tuple[EndProcess, EndProcess]:
    near, far = hosts["near"], hosts["far"]
    receiver = pair.start("receive", far.command(), host=far.address, security="none")
    address = f"tcp://{far.address}:{receiver.hear('bound')['port']}"
    return pair.start("send", near.command(), address=address, security="none"), receiver


def is_connected(end: EndProcess) -> bool:
    """Tell whether the end's host has an open connection."""
    tables = [Path(f"/proc/{end.process.pid}/net/{name}").read_text() for name in ("tcp", "tcp6")]
    lines = [line for table in tables for line in table.splitlines()[1:]]
    return any(line.split()[3] == _ESTABLISHED for line in lines)


@pytest.mark.netns
@pytest.mark.fault
def test_a_cable_pulled_for_three_seconds(make_pair: MakePair, hosts: dict[str, Host]) -> None:
    pair = make_pair(data_bytes=68_000, slots=256)
    sender, receiver = connect_hosts(pair, hosts)
    stream = Stream(pair)
    stream.await_progress()
    hosts["near"].pull_cable()
    let_pass(3.0, "the cable is out")
    hosts["near"].plug_cable()
    stream.await_progress()
    stream.end()
    check_ends(sender, receiver, reconnects=1)


@pytest.mark.netns
@pytest.mark.fault
def test_a_host_that_vanishes_while_the_output_to_it_is_full_is_noticed(
    make_pair: MakePair, hosts: dict[str, Host]
) -> None:
    near, far = hosts["near"], hosts["far"]
    small = near.command("sysctl", "-qw", "net.ipv4.tcp_wmem=4096 16384 65536")
    subprocess.run(small, check=True, capture_output=True)
    pair = make_pair(data_bytes=1_000_000, slots=32)  # the network is what limits them
    sender, receiver = connect_hosts(pair, hosts)
    stream = Stream(pair)
    stream.await_progress()
    assert is_connected(sender)
    far.pull_cable()
    eventually(lambda: not is_connected(sender), 12, "the sender gives the connection up")
    far.plug_cable()
    stream.await_progress()
    stream.end()
    check_ends(sender, receiver, reconnects=1)
