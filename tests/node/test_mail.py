from __future__ import annotations

import socket
import time

import pytest

from mimocorb_dist.node.mail import Mail
from mimocorb_dist.wire.sockets import ControlServer
from tests.support import eventually


@pytest.mark.timeout(60)
def test_a_connection_that_breaks_just_before_something_is_said_holds_nobody_up(monkeypatch):
    mail = Mail("daq")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        mail.call(f"tcp://127.0.0.1:{nobody.getsockname()[1]}", None)
        with monkeypatch.context() as patched:
            patched.setattr(Mail, "connected", True)  # as it was when it was looked at
            mail.post("ready", ports={})
            mail.say("alive", {})
        mail.close()
    try:
        with ControlServer() as server:
            mail.call(f"tcp://127.0.0.1:{server.port}", None)

            def arrives():
                mail.remind(time.monotonic())
                request = server.receive(0.05)
                return request and request.message.kind

            assert eventually(arrives) == "ready"
    finally:
        mail.close()
