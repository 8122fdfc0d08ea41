"""Sockets with keys: who knows whom comes in; all others are turned away at once, and told why."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from mimocorb_dist.errors import KeysError, UnreachableError, WireError
from mimocorb_dist.wire import keys
from mimocorb_dist.wire.security import Secured
from mimocorb_dist.wire.sockets import ControlClient, ControlServer, data_receiver, data_sender
from tests.support import eventually

TIMEOUT_S = 10


class Host:
    """A host with a key file of its own."""

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / name / "keys"
        self.own = keys.new_key(name)
        keys.write_keys(self.path, keys.KeyFile(self.own))

    def allow(self, other: Host) -> None:
        content = keys.read_keys(self.path)
        keys.write_keys(self.path, keys.allow(content, other.own.name, other.own.public))

    def forget(self, other: Host) -> None:
        keys.write_keys(self.path, keys.forget(keys.read_keys(self.path), other.own.name))

    def listens(self, allowed: tuple[str, ...] | None = None) -> Secured:
        return Secured(str(self.path), allowed=allowed)

    def calls(self, server: Host) -> Secured:
        return Secured(str(self.path), server=server.own.public)


@pytest.fixture
def broker(tmp_path: Path) -> Host:
    return Host(tmp_path, "storage")


@pytest.fixture
def node(tmp_path: Path) -> Host:
    return Host(tmp_path, "daq")


@pytest.fixture
def server(broker: Host) -> Iterator[ControlServer]:
    with ControlServer(security=broker.listens()) as made:
        yield made


def address(server: ControlServer) -> str:
    return f"tcp://127.0.0.1:{server.port}"


def answered_key(server: ControlServer, client: ControlClient) -> str:
    """Ask, and return whose key the server has seen."""
    seen: list[str] = []

    def serve() -> None:
        request = server.receive(TIMEOUT_S)
        assert request is not None
        seen.append(request.key)
        server.reply(request, "answer")

    thread = threading.Thread(target=serve)
    thread.start()
    client.request("ask", timeout_s=TIMEOUT_S)
    thread.join()
    return seen[0]


def test_a_known_key_comes_in_and_the_server_knows_whose_it_is(
    server: ControlServer, broker: Host, node: Host
) -> None:
    broker.allow(node)
    with ControlClient(address(server), security=node.calls(broker)) as client:
        assert answered_key(server, client) == node.own.public


def test_the_own_key_comes_in(server: ControlServer, broker: Host) -> None:
    with ControlClient(address(server), security=broker.calls(broker)) as client:
        assert answered_key(server, client) == broker.own.public


def test_an_unknown_key_is_refused_at_once_and_both_sides_say_so(
    server: ControlServer, broker: Host, node: Host, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        ControlClient(address(server), security=node.calls(broker)) as client,
        pytest.raises(KeysError, match="does not know the key of this machine") as caught,
    ):
        client.request("ask", timeout_s=TIMEOUT_S)
    shown = keys.fingerprint(node.own.public)
    assert shown in str(caught.value)
    assert eventually(lambda: shown in caplog.text, TIMEOUT_S)
    assert "127.0.0.1" in caplog.text
    assert server.receive(0) is None
    for text in (str(caught.value), caplog.text):
        assert not any(key in text for key in (node.own.secret, broker.own.secret, node.own.public))


def test_a_key_may_be_allowed_and_forgotten_while_the_server_runs(
    server: ControlServer, broker: Host, node: Host
) -> None:
    with (
        ControlClient(address(server), security=node.calls(broker)) as client,
        pytest.raises(KeysError),
    ):
        client.request("ask", timeout_s=TIMEOUT_S)
    broker.allow(node)
    with ControlClient(address(server), security=node.calls(broker)) as client:
        assert answered_key(server, client) == node.own.public
    broker.forget(node)
    with (
        ControlClient(address(server), security=node.calls(broker)) as client,
        pytest.raises(KeysError, match="does not know"),
    ):
        client.request("ask", timeout_s=TIMEOUT_S)


def test_a_refusal_is_seen_without_asking(server: ControlServer, broker: Host, node: Host) -> None:
    with ControlClient(address(server), security=node.calls(broker)) as client:
        assert eventually(lambda: client.refusal() is not None, TIMEOUT_S)
    broker.allow(node)
    with ControlClient(address(server), security=node.calls(broker)) as client:
        assert answered_key(server, client) == node.own.public
        assert client.refusal() is None


def test_a_server_with_another_key_is_not_spoken_to(
    server: ControlServer, node: Host, tmp_path: Path
) -> None:
    taken_for = Host(tmp_path, "other")
    with (
        ControlClient(address(server), security=node.calls(taken_for)) as client,
        pytest.raises(KeysError, match="has another key than is known here"),
    ):
        client.request("ask", timeout_s=TIMEOUT_S)


def test_without_a_key_nobody_comes_in(server: ControlServer) -> None:
    with (
        ControlClient(address(server)) as client,
        pytest.raises(KeysError, match="only holders of keys"),
    ):
        client.request("ask", timeout_s=TIMEOUT_S)
    assert server.receive(0) is None


def test_a_server_without_keys_is_not_spoken_to(broker: Host, node: Host) -> None:
    with (
        ControlServer() as server,
        ControlClient(address(server), security=node.calls(broker)) as client,
        pytest.raises(KeysError, match="uses no keys"),
    ):
        client.request("ask", timeout_s=TIMEOUT_S)


def test_nobody_at_an_address_is_still_nobody(broker: Host, node: Host) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        with (
            ControlClient(f"tcp://127.0.0.1:{port}", security=node.calls(broker)) as client,
            pytest.raises(UnreachableError, match=f"tcp://127.0.0.1:{port}"),
        ):
            client.request("ask", timeout_s=0.3)


def test_a_file_that_becomes_unsafe_lets_nobody_in(
    server: ControlServer, broker: Host, node: Host, caplog: pytest.LogCaptureFixture
) -> None:
    broker.allow(node)
    broker.path.chmod(0o644)
    with (
        ControlClient(address(server), security=node.calls(broker)) as client,
        pytest.raises(KeysError),
    ):
        client.request("ask", timeout_s=TIMEOUT_S)
    assert "chmod 600" in caplog.text


def test_who_tries_on_and_on_is_told_of_once(
    server: ControlServer, broker: Host, node: Host, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    for _ in range(5):
        with (
            ControlClient(address(server), security=node.calls(broker)) as client,
            pytest.raises(KeysError),
        ):
            client.request("ask", timeout_s=TIMEOUT_S)
    assert caplog.text.count("refused a connection") == 1


def test_a_listener_without_an_own_key_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(KeysError, match="keys new"):
        ControlServer(security=Secured(str(tmp_path / "none")))
    with pytest.raises(KeysError, match="keys new"):
        ControlClient("tcp://127.0.0.1:1", security=Secured(str(tmp_path / "none"), server=40 * "a"))


def test_a_caller_needs_the_others_key(node: Host) -> None:
    with pytest.raises(KeysError, match="without the key of the other end"):
        ControlClient("tcp://127.0.0.1:1", security=node.listens())


def test_beyond_loopback_a_listener_needs_keys(broker: Host) -> None:
    with pytest.raises(WireError, match="keys new"):
        ControlServer("0.0.0.0")
    with ControlServer("0.0.0.0", security=broker.listens()) as server:
        assert server.port


def test_data_pass_between_the_two_ends_of_a_link_only(broker: Host, node: Host, tmp_path: Path) -> None:
    stranger = Host(tmp_path, "stranger")
    broker.allow(stranger)  # it may take part in runs, but is not the other end of this link
    receiver, port = data_receiver(
        "127.0.0.1", None, max_part_bytes=1 << 20, security=broker.listens((node.own.public,))
    )
    try:
        for host, comes_in in ((stranger, False), (node, True)):
            sender, monitor = data_sender(
                f"tcp://127.0.0.1:{port}", max_part_bytes=1 << 20, security=host.calls(broker)
            )
            try:
                # Who is refused may be told so before it can send.
                with contextlib.nullcontext() if comes_in else contextlib.suppress(zmq.Again):
                    sender.send(b"event")
                assert monitor.socket.poll(1000 * TIMEOUT_S)
                assert monitor.events()[0] == ("connected" if comes_in else "unknown key")
                assert bool(receiver.poll(1000 * TIMEOUT_S if comes_in else 100)) == comes_in
            finally:
                monitor.close()
                sender.close(linger=0)
        assert receiver.recv_multipart()[1] == b"event"
    finally:
        receiver.close(linger=0)


def test_what_goes_over_the_wire_cannot_be_read(broker: Host, node: Host) -> None:
    """A proxy between the two sees no word of what they say."""
    seen = bytearray()
    broker.allow(node)
    with ControlServer(security=broker.listens()) as server, socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]

        def pass_on() -> None:
            outside, _ = door.accept()
            with outside, socket.create_connection(("127.0.0.1", server.port)) as inside:
                poller = zmq.Poller()
                for end in (outside, inside):
                    poller.register(end, zmq.POLLIN)
                while True:
                    for fd, _ in poller.poll():
                        source, target = (outside, inside) if fd == outside.fileno() else (inside, outside)
                        data = source.recv(65536)
                        if not data:
                            return
                        seen.extend(data)
                        target.sendall(data)

        thread = threading.Thread(target=pass_on)
        thread.start()
        with ControlClient(f"tcp://127.0.0.1:{port}", security=node.calls(broker)) as client:
            assert answered_key(server, client) == node.own.public
        thread.join(TIMEOUT_S)
    assert len(seen) > 200
    assert b"answer" not in seen
    assert b"ask" not in seen
