"""Bent messages and strangers at the ports of a run, which must not notice."""

from __future__ import annotations

import json
import random as randoms
import socket
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import psutil
import zmq

from tests.counting import write_counting
from tests.support import eventually, free_port

from .crowd import at_once, one_by_one
from .mutations import bent, corpus

NODES = """
Nodes: {daq: {}, filter: {}, storage: {}}
Broker: {node: storage, port: PORT}
"""
_RAW = (
    b"",
    b"\xff",
    bytes(64),
    b"GET / HTTP/1.0\r\n\r\n",
    b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\0NULL" + bytes(48),
    b"SSH-2.0-x\r\n",
)


@dataclass(frozen=True)
class Verdict:
    """What came of a run with strangers at its ports.

    Parameters
    ----------
    sent
        How many messages and connections of each kind it was given.
    crowds
        What became of the connections of crowds.
    told_of_crowds
        How many lines of its log are about them.
    events
        Events that went all the way.
    wrong
        Complaints of its last worker: events missing, double or out of order.
    lost
        Events that the record calls lost.
    quality
        What the record calls it.
    grown_mb
        By how many MB the processes that listen have grown together.
    descriptors
        By how many their open descriptors have.
    """

    sent: Counter[str]
    crowds: Counter[str]
    told_of_crowds: int
    events: int
    wrong: str
    lost: int
    quality: str
    grown_mb: float
    descriptors: int

    @property
    def unharmed(self) -> bool:
        """Whether the run did not notice."""
        good = self.quality == "GOOD" and not self.wrong and self.lost == 0 and self.events > 0
        return good and self.grown_mb < 50 and self.descriptors <= 4


def sockets(count: int, connections: int, seed: int, folder: Path) -> Verdict:
    """Start a run of three nodes in a folder, give its ports rubbish and crowds, end it, and look at it.

    Parameters
    ----------
    count
        How many messages and connections with rubbish there are in all.
    connections
        How many come to each port at once, and then again one after the other.
    seed
        Of the rubbish.
    folder
        Where the run is.
    """
    write_counting(folder, NODES.replace("PORT", str(free_port())), length=100, rate=2000.0)
    log = folder / "log.txt"
    with log.open("wb") as output:
        run = subprocess.Popen(
            [sys.executable, "-m", "mimocorb_dist.cli", "start", "--all", "-c", "none"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        eventually(lambda: "\nrunning" in "\n" + log.read_text(), 60, "the run")
        listeners = _listeners(psutil.Process(run.pid))
        before = _holds(listeners)
        ports = [port for ports in listeners.values() for port in ports]
        sent = _rubbish(ports, count, seed)
        crowds: Counter[str] = Counter()
        for port in ports:
            crowds += at_once(port, connections) + one_by_one(port, connections)
        eventually(lambda: _holds(listeners)[1] <= before[1] + 4, 30, "connections to be given up")
        after = _holds(listeners)
        assert run.poll() is None, log.read_text()
        run.terminate()
        run.wait(60)
    finally:
        run.kill()
        run.wait()
    (record_path,) = folder.glob("target/run_*/run.json")
    record = json.loads(record_path.read_text())
    books = record["buffers"]
    return Verdict(
        sent=sent,
        crowds=crowds,
        told_of_crowds=log.read_text().count("connections at a time; one is turned away"),
        events=books["kept"]["read"],
        wrong=(record_path.parent / "wrong.txt").read_text(),
        lost=sum(book["lost"] for book in books.values()),
        quality=record["run"]["quality"],
        grown_mb=(after[0] - before[0]) / 1e6,
        descriptors=after[1] - before[1],
    )


def _listeners(root: psutil.Process) -> dict[int, list[int]]:
    """Return the ports that the processes of a run listen on, by process."""
    found = {}
    for process in root.children(recursive=True):
        ports = [
            connection.laddr.port
            for connection in process.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN
        ]
        if ports:
            found[process.pid] = ports
    return found


def _holds(listeners: dict[int, list[int]]) -> tuple[int, int]:
    """Return memory in bytes and open descriptors of the processes."""
    processes = [psutil.Process(pid) for pid in listeners]
    return sum(p.memory_full_info().uss for p in processes), sum(p.num_fds() for p in processes)


def _rubbish(ports: list[int], count: int, seed: int) -> Counter[str]:
    random = randoms.Random(seed)
    source = bent(random, corpus())
    sent: Counter[str] = Counter()
    with zmq.Context() as context:
        while sum(sent.values()) < count:
            port = random.choice(ports)
            if random.random() < 0.1:
                _connect_raw(random, port)
                sent["connections that speak something else"] += 1
                continue
            with context.socket(
                random.choice((zmq.DEALER, zmq.DEALER, zmq.REQ, zmq.PUSH, zmq.SUB))
            ) as stranger:
                stranger.linger = 200
                stranger.sndtimeo = stranger.rcvtimeo = 1000
                stranger.connect(f"tcp://127.0.0.1:{port}")
                if stranger.type == zmq.SUB:
                    stranger.subscribe(b"")
                    sent["sockets of a wrong type"] += 1
                    continue
                for _ in range(random.choice((1, 10, 100))):
                    parts = [next(source) for _ in range(random.choice((1, 1, 2, 2, 3, 9)))]
                    if random.random() < 0.5:
                        parts.insert(0, random.randbytes(random.choice((0, 8))))
                    try:
                        stranger.send_multipart(parts)
                        sent["messages"] += 1
                        if stranger.type == zmq.REQ:
                            break
                    except zmq.ZMQError:  # not the type that is spoken there, or turned away
                        sent["sockets of a wrong type"] += 1
                        break
    return sent


def _connect_raw(random: randoms.Random, port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), 5) as raw:
        raw.settimeout(0.05)
        try:
            raw.sendall(random.choice(_RAW) + random.randbytes(random.choice((0, 10, 10_000))))
            if random.random() < 0.2:
                raw.recv(100)
        except (TimeoutError, ConnectionError):
            return
