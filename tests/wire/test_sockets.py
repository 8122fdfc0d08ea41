"""Control sockets: requests, answers, pushes, refusals, and what happens when the other side is not there."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
import zmq

from mimocorb_dist.errors import RefusedError, UnreachableError, WireError
from mimocorb_dist.wire.messages import decode
from mimocorb_dist.wire.sockets import (
    ControlClient,
    ControlServer,
    Request,
    context,
    data_receiver,
    data_sender,
    is_loopback,
)
from tests.support import eventually


@pytest.fixture
def server() -> Iterator[ControlServer]:
    with ControlServer() as made:
        yield made


@pytest.fixture
def client(server: ControlServer) -> Iterator[ControlClient]:
    with ControlClient(f"tcp://127.0.0.1:{server.port}") as made:
        yield made


def serve(server: ControlServer, count: int = 1) -> threading.Thread:
    def run() -> None:
        for _ in range(count):
            request = server.receive(timeout_s=10)
            assert request is not None
            if request.message.kind == "bad":
                server.refuse(request, "not now")
            else:
                server.push(request.peer, "news", text="before the answer")
                server.reply(request, "answer", got=dict(request.message.fields))

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_a_request_is_answered_and_pushes_are_kept(server: ControlServer, client: ControlClient) -> None:
    thread = serve(server)
    answer = client.request("ask", timeout_s=10, number=3, data=b"\x00\xff")
    thread.join()
    assert answer.kind == "answer"
    assert answer.field("got", dict) == {"number": 3, "data": b"\x00\xff"}
    news = client.receive(timeout_s=10)
    assert news is not None
    assert news.field("text", str) == "before the answer"
    assert client.receive(timeout_s=0) is None


def test_a_refusal_raises_with_its_reason(server: ControlServer, client: ControlClient) -> None:
    thread = serve(server)
    with pytest.raises(RefusedError, match="not now"):
        client.request("bad", timeout_s=10)
    thread.join()


def test_nobody_at_the_address_is_an_error_that_names_it() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        with (
            ControlClient(f"tcp://127.0.0.1:{port}") as client,
            pytest.raises(UnreachableError, match=f"tcp://127.0.0.1:{port}"),
        ):
            client.request("ask", timeout_s=0.2)


def test_a_server_that_does_not_answer_is_an_error(server: ControlServer, client: ControlClient) -> None:
    with pytest.raises(UnreachableError, match="did not answer a 'ask' request"):
        client.request("ask", timeout_s=0.5)
    late = server.receive(timeout_s=10)
    assert late is not None
    server.reply(late, "answer")
    assert client.receive(timeout_s=0.2) is None, "a late answer is no push"


def test_a_request_given_up_before_the_connection_is_never_sent() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with ControlClient(f"tcp://127.0.0.1:{port}") as client:
        with pytest.raises(UnreachableError):
            client.request("first", timeout_s=0.1)
        with ControlServer(port=port) as server:
            thread = serve(server)
            assert client.request("second", timeout_s=10).kind == "answer"
            thread.join()


def greeted(server: ControlServer, client: ControlClient) -> Request | None:
    """Let the client ask, and return what the server hears; None if the connection is not there yet."""
    with pytest.raises(UnreachableError):
        client.request("hello", timeout_s=0.2)
    return server.receive(timeout_s=0)


def restarted(port: int) -> ControlServer | None:
    try:
        return ControlServer(port=port)
    except WireError:  # its predecessor is still closing
        return None


def test_the_peer_stays_the_same_when_the_server_comes_back() -> None:
    with ControlServer() as server:
        port = server.port
        client = ControlClient(f"tcp://127.0.0.1:{port}")
        first = eventually(lambda: greeted(server, client))
    with client, eventually(lambda: restarted(port)) as again:
        second = eventually(lambda: greeted(again, client))
        assert second.peer == first.peer


def test_a_port_in_use_is_an_error_that_names_port_and_remedy(server: ControlServer) -> None:
    with pytest.raises(WireError, match=rf"port {server.port} .* in use.*Broker"):
        ControlServer(port=server.port)


def test_a_range_of_ports_is_searched_and_its_end_reported() -> None:
    sockets = []
    first, port = data_receiver("127.0.0.1", None, max_part_bytes=100)
    sockets.append(first)
    try:
        with pytest.raises(WireError, match=rf"port {port} .* in use"):
            data_receiver("127.0.0.1", (port, port), max_part_bytes=100)
        second, other = data_receiver("127.0.0.1", (port, min(port + 50, 65535)), max_part_bytes=100)
        sockets.append(second)
        assert port < other <= port + 50
    finally:
        for made in sockets:
            made.close()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "*"])
def test_listening_beyond_this_machine_needs_a_word_in_the_setup(host: str) -> None:
    with pytest.raises(WireError, match="security: none"):
        ControlServer(host)


def test_listening_everywhere_is_possible_when_the_setup_says_so() -> None:
    with ControlServer("0.0.0.0", security="none") as server:
        assert server.port > 0


def test_an_address_of_another_machine_cannot_be_listened_on() -> None:
    with pytest.raises(WireError, match=r"192\.0\.2\.1"):
        ControlServer("192.0.2.1", security="none")


@pytest.mark.parametrize(
    "address", ["localhost:5550", "tcp://", "tcp://host", "udp://h:1", "tcp://127.0.0.1:99999"]
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(WireError, match="tcp://host:port"):
        ControlClient(address)


def test_rubbish_at_the_server_is_answered_and_does_not_stop_it(
    server: ControlServer, client: ControlClient
) -> None:
    with context().socket(zmq.DEALER) as stranger:
        stranger.linger = 0
        stranger.connect(f"tcp://127.0.0.1:{server.port}")
        stranger.send_multipart([b"1", b"rubbish"])
        stranger.send(b"one part")
        stranger.send_multipart([b"1", b"2", b"3", b"4"])
        eventually(lambda: server.receive(timeout_s=0) is None and stranger.poll(0))
        assert decode(stranger.recv_multipart()[-1]).kind == "refused"
        thread = serve(server)
        assert client.request("ask", timeout_s=10).kind == "answer"
        thread.join()


def test_pushing_to_a_client_that_is_gone_is_an_error(server: ControlServer) -> None:
    with pytest.raises(UnreachableError, match="cannot be reached"):
        server.push(b"nobody", "news")


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("localhost", True),
        ("::1", True),
        ("127.1.2.3", True),
        ("10.0.0.1", False),
        ("daq", False),
    ],
)
def test_loopback_addresses_are_known(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_the_monitor_reports_connections_and_their_ends() -> None:
    receiver, port = data_receiver("127.0.0.1", None, max_part_bytes=1000)
    sender, watching = data_sender(f"tcp://127.0.0.1:{port}", max_part_bytes=1000)
    with watching as monitor:
        assert monitor.socket.poll(10_000)
        assert monitor.events() == ["connected"]
        receiver.close()
        assert monitor.socket.poll(10_000)
        assert "disconnected" in monitor.events()
    sender.close()


def test_a_data_sender_reports_that_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        sender, watching = data_sender(f"tcp://127.0.0.1:{free.getsockname()[1]}", max_part_bytes=1000)
        with watching as monitor:
            assert monitor.socket.poll(10_000)
            assert "disconnected" in monitor.events()
        sender.close()


def test_a_part_that_is_too_long_ends_the_connection() -> None:
    receiver, port = data_receiver("127.0.0.1", None, max_part_bytes=1000)
    sender, watching = data_sender(f"tcp://127.0.0.1:{port}", max_part_bytes=1000)
    with watching as monitor:
        assert monitor.socket.poll(10_000)
        monitor.events()
        sender.send(bytes(2000))
        assert monitor.socket.poll(10_000)
        assert "disconnected" in monitor.events()
    sender.close()
    assert receiver.poll(0) == 0
    receiver.close()
