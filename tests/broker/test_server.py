"""The broker as its nodes see it, over sockets."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import zmq

from mimocorb_dist.broker.job import BrokerJob
from mimocorb_dist.broker.server import Broker
from mimocorb_dist.wire.messages import encode
from mimocorb_dist.wire.sockets import ControlClient, ControlServer
from tests.broker.plans import THREE_NODES, planned
from tests.support import eventually, let_pass


class Serving(threading.Thread):
    """A broker in a thread, which owns its socket."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._topology, self._plan = planned(folder, THREE_NODES)
        self.port: int | None = None
        self.status: int | None = None

    def run(self) -> None:
        job = BrokerJob("setup.yaml", "run-of-a-test", "127.0.0.1", None, None, 600.0)
        with ControlServer() as server:
            self.port = server.port
            self.status = Broker(self._topology, self._plan, job, server, lambda _: False).run()


def said(client: ControlClient, kind: str, **fields: Any) -> None:
    eventually(lambda: client.socket.poll(0, zmq.POLLOUT), timeout_s=10)
    client.socket.send_multipart([b"", encode(kind, **fields)])


def register(client: ControlClient, node: str, setup_hash: str) -> None:
    said(
        client,
        "register",
        node=node,
        host="here",
        pid=1,
        address="127.0.0.1",
        setup="setup.yaml",
        setup_hash=setup_hash,
        yaml_files={"setup.yaml": setup_hash},
        function_files={},
        versions={"mimocorb_dist": "1"},
        clock_s=time.time(),
    )


def heard(client: ControlClient, kind: str) -> dict[str, Any]:
    while True:
        message = client.receive(timeout_s=5)
        assert message is not None, f"no {kind!r} came"
        if message.kind == kind:
            return dict(message.fields)


def test_the_last_node_to_come_after_a_failed_start_can_read_why_it_is_refused(tmp_path):
    broker = Serving(tmp_path)
    broker.start()
    eventually(lambda: broker.port, timeout_s=10)
    clients = [ControlClient(f"tcp://127.0.0.1:{broker.port}") for _ in range(3)]
    first, second, late = clients
    try:
        register(first, "storage", "one")
        heard(first, "registered")
        register(second, "filter", "another")
        heard(second, "end")
        said(first, "farewell", node="storage")
        said(second, "farewell", node="filter")
        register(late, "daq", "one")
        let_pass(0.3, "it is busy: what it has not read when the broker goes would be lost")
        assert "setup.yaml differs" in heard(late, "rejected")["reason"]
        broker.join(timeout=5)
        assert broker.status == 2
    finally:
        for client in clients:
            client.close()
