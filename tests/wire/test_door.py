"""Crowds at a port: who is in stays, who is one too many is turned away, and nothing is used up."""

from __future__ import annotations

import resource
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from mimocorb_dist.wire import door
from mimocorb_dist.wire.sockets import ControlClient, ControlServer
from tests.support import eventually

MOST = 20


class Echo(threading.Thread):
    """A server that answers."""

    def __init__(self) -> None:
        super().__init__()
        self.server = ControlServer()
        self.over = threading.Event()
        self.start()

    def run(self) -> None:
        while not self.over.is_set():
            if (request := self.server.receive(0.05)) is not None:
                self.server.reply(request, "done")
        self.server.close()


@pytest.fixture
def echo(monkeypatch: pytest.MonkeyPatch) -> Iterator[Echo]:
    monkeypatch.setattr(door, "MOST_CONNECTIONS", MOST)
    made = Echo()
    yield made
    made.over.set()
    made.join()


def the_door(port: int) -> door.Door | None:
    return next((t for t in threading.enumerate() if isinstance(t, door.Door) and t.port == port), None)


def test_who_is_in_goes_on_and_who_comes_too_many_is_turned_away(
    echo: Echo, caplog: pytest.LogCaptureFixture
) -> None:
    port = echo.server.port
    watch = the_door(port)
    assert watch is not None
    with ControlClient(f"tcp://127.0.0.1:{port}") as client:
        assert client.request("status", timeout_s=10).kind == "done"
        crowd = [socket.create_connection(("127.0.0.1", port), 5) for _ in range(5 * MOST)]
        try:
            eventually(lambda: watch.come == 5 * MOST + 1 and watch.open <= MOST, 10, "a door that is closed")
            assert client.request("status", timeout_s=10).kind == "done"
        finally:
            for one in crowd:
                one.close()
        eventually(lambda: watch.open == 1, 10, "the crowd to be gone")
        with ControlClient(f"tcp://127.0.0.1:{port}") as another:
            assert another.request("status", timeout_s=10).kind == "done"
    assert "more than 20 connections at a time; one is turned away" in caplog.text
    assert "a connection from 127.0.0.1 ended before it said who it is" in caplog.text
    assert len(caplog.records) < 12, "told ever more seldom"


def test_a_door_ends_with_its_socket() -> None:
    server = ControlServer()
    watch = the_door(server.port)
    assert watch is not None
    server.close()
    watch.join(10)
    assert not watch.is_alive()


def test_descriptors_suffice_for_a_crowd_even_where_few_are_allowed() -> None:
    code = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, ({}, {}))
from mimocorb_dist.wire import door
print(door._allow_descriptors(), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""
    hard = min(2000, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    for soft in (hard // 2, hard):
        command = [sys.executable, "-c", code.format(soft, hard)]
        said = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
        assert said == f"{hard} {hard}\n"
