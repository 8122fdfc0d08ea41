"""Views: the latest event of a buffer on another node, now and then."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from mimocorb_dist.links import view
from mimocorb_dist.links.job import LinkJob
from mimocorb_dist.ring import BufferObserver, BufferReader, BufferSpec, BufferWriter, Ring
from mimocorb_dist.wire.pipes import ControlPipe, StatusPipe
from tests.links.harness import NAME, RUN, Pair
from tests.links.proxy import Proxy
from tests.support import eventually

MakePair = Callable[..., Pair]
KINDS = ("view-send", "view-receive")


def make_view(make_pair: MakePair, data_bytes: int = 1000) -> Pair:
    """Make a pair whose target is a ring that nobody reads."""
    pair = make_pair(data_bytes=data_bytes)
    pair.target.close()
    spec = BufferSpec("raw", 4, data_bytes, np.dtype([("byte", np.uint8)]), groups=())
    pair.target = Ring.create(pair.directory, spec, "raw.view")
    return pair


def put(writer: BufferWriter, number: int) -> None:
    with writer as (metadata, data):
        metadata["counter"] = number
        data["byte"][:] = number % 251


def latest(observer: BufferObserver) -> int | None:
    event = observer.latest()
    if event is None:
        return None
    metadata, data = event
    number = int(metadata["counter"][0])
    assert (data["byte"] == number % 251).all()
    return number


def test_the_latest_event_is_seen_and_the_end(make_pair: MakePair) -> None:
    pair = make_view(make_pair)
    sender, receiver = pair.connect(kinds=KINDS)
    writer, observer = BufferWriter(pair.source), BufferObserver(pair.target)
    for number in (0, 1, 2):
        put(writer, number)
        eventually(lambda: latest(observer) == number)  # noqa: B023
    assert pair.source.statistics().filled == 3, "nothing is taken"
    writer.close()
    assert (sender.end(), receiver.end()) == (0, 0)
    assert pair.target.ended
    assert receiver.hear("finished")["received"] == 3


def test_the_last_event_before_the_end_is_seen(make_pair: MakePair) -> None:
    pair = make_view(make_pair, data_bytes=(2 << 20) + 3)
    writer, observer = BufferWriter(pair.source), BufferObserver(pair.target)
    put(writer, 7)
    writer.close()
    sender, receiver = pair.connect(kinds=KINDS)
    assert (sender.end(), receiver.end()) == (0, 0)
    assert latest(observer) == 7


def test_an_observer_far_away_sees_events_at_its_own_rate_and_costs_the_data_nothing(
    make_pair: MakePair,
) -> None:
    pair = make_view(make_pair)
    sender, receiver = pair.connect(kinds=KINDS)
    writer, reader, observer = (
        BufferWriter(pair.source),
        BufferReader(pair.source),
        BufferObserver(pair.target),
    )
    began_s = time.monotonic()
    seen: list[int] = []
    number = 0
    while time.monotonic() < began_s + 1.0:
        put(writer, number)
        with reader as (metadata, _):
            assert metadata["counter"][0] == number
        number += 1
        now_seen = latest(observer)
        if now_seen is not None and (not seen or now_seen != seen[-1]):
            seen.append(now_seen)
    writer.close()
    assert (sender.end(), receiver.end()) == (0, 0)
    assert 2 <= len(seen) <= 27
    assert seen == sorted(seen)


def test_a_view_goes_on_after_a_broken_connection(make_pair: MakePair) -> None:
    pair = make_view(make_pair)
    receiver = pair.start("view-receive")
    with Proxy(receiver.hear("bound")["port"]) as proxy:
        sender = pair.start("view-send", address=f"tcp://127.0.0.1:{proxy.port}")
        writer, observer = BufferWriter(pair.source), BufferObserver(pair.target)
        for number in range(3):
            put(writer, number)
            eventually(lambda: latest(observer) == number)  # noqa: B023
            (proxy.reset, proxy.stall, proxy.close_connections)[number]()
        writer.close()
        assert (sender.end(), receiver.end()) == (0, 0)


def test_views_that_do_not_fit_together_say_why(make_pair: MakePair) -> None:
    pair, other = make_view(make_pair, 100), make_view(make_pair, 200)
    receiver = pair.start("view-receive")
    sender = other.start("view-send", address=f"tcp://127.0.0.1:{receiver.hear('bound')['port']}")
    assert "data_length is 200 at the sender and 100 at the receiver" in sender.hear("failed")["error"]


def test_a_sender_whose_observers_are_gone_ends_with_its_source(
    make_pair: MakePair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view, "_FAREWELL_S", 0.3)
    pair = make_view(make_pair)
    receiver = pair.start("view-receive")
    address = f"tcp://127.0.0.1:{receiver.hear('bound')['port']}"
    writer = BufferWriter(pair.source)
    put(writer, 0)

    def leave() -> None:
        eventually(lambda: pair.target.statistics().written == 1)
        receiver.process.kill()
        receiver.process.wait()
        writer.close()

    observers = threading.Thread(target=leave)
    job = LinkJob(RUN, "a", NAME, "view-send", pair.source.path, address=address)
    with contextlib.ExitStack() as pipes:
        (status_in, status_out), (control_in, control_out) = os.pipe(), os.pipe()
        pipes.callback(os.close, status_in)
        pipes.callback(os.close, control_out)
        status = pipes.enter_context(StatusPipe(status_out))
        control = pipes.enter_context(ControlPipe(control_in))
        sender = view.ViewSender(job, status, control)
        observers.start()
        sender.run()
        observers.join()
    assert sender.finished
    assert sender.counts()["sent"] == 1
