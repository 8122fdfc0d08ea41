"""Hosts with keys: a run whose data and control only holders of keys get at, and strangers who try."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.counting import NAMES, counted, write_counting
from tests.support import eventually

from .network import Host, network
from .test_three_hosts import ADDRESSES, NODE, assert_books, started, statuses

pytestmark = [pytest.mark.netns, pytest.mark.timeout(200)]

RATE = 2000.0
"""Events per second: enough for links that are always in use, and the strangers still get their turn."""

STRANGER = '''
"""Connect to each port of some hosts, all at once, send this and that, and say what came of it.

Arguments: own public key, own secret key, and places: address, port, public key of the host, with commas
between; without keys "-" for each.
"""
import socket, sys, zmq
from concurrent.futures import ThreadPoolExecutor
from mimocorb_dist.wire.messages import encode

public, secret, *places = sys.argv[1:]
SUCCESS = zmq.EVENT_HANDSHAKE_SUCCEEDED


def greet(address, port):
    with socket.create_connection((address, int(port)), 5) as plain:
        plain.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n" * 100)
        plain.settimeout(0.3)
        try:
            greeting = plain.recv(1000)
        except (TimeoutError, ConnectionError):
            greeting = b""
        return len(greeting) > 64  # a greeting of ZeroMQ has 64 bytes, and tells nothing


def ask(context, address, port, theirs, kind):
    with context.socket(kind) as one:
        one.linger = 0
        if kind == zmq.SUB:
            one.subscribe(b"")
        if public != "-":
            one.curve_publickey, one.curve_secretkey = public.encode(), secret.encode()
            one.curve_serverkey = theirs.encode()
        happened = one.get_monitor_socket(SUCCESS)
        one.connect(f"tcp://{address}:{port}")
        if kind == zmq.DEALER:
            one.send_multipart([b"1", encode("status")])
        answered, let_in = bool(one.poll(400)), bool(happened.poll(0))
        one.disable_monitor()
        happened.close()
        return "answered" if answered else "let in" if let_in else "nothing"


def attempt(place):
    address, port, theirs = place.split(",")
    said = ["answered"] if greet(address, port) else []
    with zmq.Context() as context:
        kinds = (zmq.DEALER, zmq.PULL, zmq.SUB) if public == "-" else (zmq.DEALER,)
        said += [ask(context, address, port, theirs, kind) for kind in kinds]
    return f"{port} {min(said)}"


with ThreadPoolExecutor(len(places)) as threads:
    print(*threads.map(attempt, places), sep="\\n")
'''
OBSERVER = """
def look(io):
    from mimocorb2 import Observer
    for data, metadata in Observer(io)():
        if data is None:
            break
"""


def asked(host: Host, folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Type a command on a host."""
    return subprocess.run(
        host.command(*NODE, *arguments),
        cwd=folder / host.name,
        env=host.environment(folder / host.name),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def ports(host: Host) -> list[str]:
    """Return the ports that a host listens on."""
    done = subprocess.run(host.command("ss", "-ltnH"), capture_output=True, text=True, check=True)
    return sorted({line.split()[3].rpartition(":")[2] for line in done.stdout.splitlines()})


@contextmanager
def lab(folder: Path) -> Iterator[dict[str, Host]]:
    """Three hosts with keys, made on one and installed on each, and one that has none."""
    for name in (*NAMES, "stranger"):
        write_counting(folder / name, ADDRESSES, rate=RATE)
        with (folder / name / "setup.yaml").open("a") as setup:
            setup.write("  look: {node: storage, file: functions.py, function: look, observes: [raw]}\n")
        with (folder / name / "functions.py").open("a") as functions:
            functions.write(OBSERVER)
    with network(*NAMES, "stranger") as hosts:
        made = asked(hosts["storage"], folder, "keys", "new", "--for", "setup.yaml")
        assert made.returncode == 0, made.stderr
        for name in NAMES:
            bundle = (folder / "storage" / f"{name}.keys").rename(folder / name / "brought.keys")
            assert asked(hosts[name], folder, "keys", "install", bundle.name).returncode == 0
        yield hosts


def own_keys(folder: Path) -> list[str]:
    """Return the public and the secret key of a host."""
    (own,) = [line for line in (folder / "keys").read_text().splitlines() if line.startswith("own ")]
    return own.split()[2:4]


def tried(hosts: dict[str, Host], folder: Path, keys: bool = True) -> dict[str, str]:
    """Let the stranger try each port of each host, with or without its key; return what came of it."""
    own = own_keys(folder / "stranger") if keys else ["-", "-"]
    places = [
        f"{hosts[name].address},{port},{own_keys(folder / name)[0] if keys else '-'}"
        for name in NAMES
        for port in ports(hosts[name])
    ]
    command = (NODE[0], folder / "stranger.py", *own, *places)
    done = subprocess.run(
        hosts["stranger"].command(*command), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


def only_nodes(hosts: dict[str, Host]) -> dict[str, Host]:
    return {name: hosts[name] for name in NAMES}


def test_holders_of_keys_run_and_strangers_get_nothing(tmp_path: Path) -> None:
    url = "tcp://10.77.0.3:5550"
    with lab(tmp_path) as hosts, started(only_nodes(hosts), tmp_path) as processes:
        run = eventually(
            lambda: next(iter((tmp_path / "storage").glob("target/run_*/progress.txt")), None), 60, "events"
        ).parent
        stranger = hosts["stranger"]

        without = asked(stranger, tmp_path, "stop", "--broker", url)
        assert without.returncode == 2
        assert "lets only holders of keys in" in without.stderr
        assert asked(stranger, tmp_path, "keys", "new").returncode == 0
        theirs = (tmp_path / "daq" / "keys").read_text().split("known storage ")[1].split()[0]
        assert asked(stranger, tmp_path, "keys", "allow", "storage", theirs).returncode == 0
        unknown = asked(stranger, tmp_path, "stop", "--broker", url)
        assert unknown.returncode == 2
        assert "does not know the key of this machine" in unknown.stderr
        (tmp_path / "stranger.py").write_text(STRANGER)
        nothing = dict.fromkeys((port for name in NAMES for port in ports(hosts[name])), "nothing")
        assert len(nothing) == 1 + 2 + 1, "control, two links, a view"
        assert tried(hosts, tmp_path, keys=False) == nothing
        assert tried(hosts, tmp_path) == nothing, "a key that nobody knows"
        # A guest may speak to the broker, but not to the ends of links.
        guest = own_keys(tmp_path / "stranger")[0]
        for name in NAMES:
            assert asked(hosts[name], tmp_path, "keys", "allow", "guest", guest).returncode == 0
        assert tried(hosts, tmp_path) == nothing | {"5550": "answered"}
        assert "running" in asked(stranger, tmp_path, "status", "--broker", url).stdout
        for name in NAMES:
            assert asked(hosts[name], tmp_path, "keys", "forget", "guest").returncode == 0
        assert tried(hosts, tmp_path) == nothing, "a key that was known"
        revoked = asked(stranger, tmp_path, "stop", "--broker", url)
        assert revoked.returncode == 2
        assert "does not know the key of this machine" in revoked.stderr

        shown = asked(hosts["daq"], tmp_path, "status", "--broker", url)
        assert shown.returncode == 0, shown.stderr
        assert "running" in shown.stdout
        assert asked(hosts["filter"], tmp_path, "stop", "--broker", url).returncode == 0
        statuses(processes, tmp_path, 60)
        logs = "".join((tmp_path / f"{name}.log").read_text() for name in NAMES)
        records = "".join(path.read_text() for path in (tmp_path / "storage").rglob("*.json"))
        for name in (*NAMES, "stranger"):
            for line in (tmp_path / name / "keys").read_text().splitlines():
                for key in [] if line.startswith("#") else line.split()[2:]:
                    assert key not in logs
                    assert key not in records
    assert_books(run)
    assert "refused a connection from 10.77.0.4" in logs
    record = counted(run)
    assert all(link["reconnects"] == 0 for link in record["links"].values())


def test_a_node_whose_key_is_not_known_is_refused_at_once_on_both_sides(tmp_path: Path) -> None:
    with lab(tmp_path) as hosts:
        assert asked(hosts["storage"], tmp_path, "keys", "forget", "daq").returncode == 0
        with started({"storage": hosts["storage"]}, tmp_path):
            eventually(lambda: ports(hosts["storage"]), 30, "the broker")
            refused = asked(hosts["daq"], tmp_path, "start", "-c", "none", "--wait", "20")
            assert refused.returncode == 2
            assert "does not know the key of this machine" in refused.stderr + refused.stdout
            log = tmp_path / "storage.log"
            eventually(lambda: "refused a connection from 10.77.0.1" in log.read_text(), 10, "the refusal")


def test_without_keys_nothing_is_started_on_a_network(tmp_path: Path) -> None:
    with lab(tmp_path) as hosts:
        refused = asked(hosts["stranger"], tmp_path, "start", "-c", "none", "--node", "daq")
        assert refused.returncode == 2
        for words in ("mimocorb-node keys new", "mimocorb-node keys --help", "security: none"):
            assert words in refused.stderr
        assert asked(hosts["daq"], tmp_path, "keys", "forget", "storage").returncode == 0
        refused = asked(hosts["daq"], tmp_path, "start", "-c", "none")
        assert refused.returncode == 2
        assert "the key of node storage, where the broker runs, is not known here" in refused.stderr
        assert not list(tmp_path.rglob("target"))
