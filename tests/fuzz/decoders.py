"""Bent messages for everything that reads messages, without sockets."""

from __future__ import annotations

from collections import Counter
from random import Random

import numpy as np

from mimocorb_dist.broker.registration import Registration, differences
from mimocorb_dist.errors import MimocorbError
from mimocorb_dist.links import messages as link
from mimocorb_dist.links.protocol import Connecting, Incoming, Reserved, Taken
from mimocorb_dist.links.receiver_state import ReceiverState
from mimocorb_dist.links.sender_state import SenderState
from mimocorb_dist.wire import messages as wire
from mimocorb_dist.wire.letters import Letters

from .mutations import LINK_MESSAGES, bent, corpus

_HELLO = LINK_MESSAGES[0]
assert isinstance(_HELLO, link.Hello)
_WELCOME = link.Welcome(0, 0, np.empty((0, 2), np.int64), 16, 1)


def decoders(count: int, seed: int) -> Counter[str]:
    """Feed bent messages to decoders and state machines.

    Returns
    -------
    Counter
        How many were refused, and how many were read as a message.

    Raises
    ------
    Exception
        Anything but the errors of the package: that is what is looked for.
    """
    random = Random(seed)
    source = bent(random, corpus())
    outcome: Counter[str] = Counter()
    for number in range(count):
        data = next(source)
        try:
            _read(data)
        except MimocorbError:
            outcome["refused"] += 1
        except Exception as error:
            raise AssertionError(f"message {number} of seed {seed}, {data!r}: {error!r}") from error
        else:
            outcome["read"] += 1
    return outcome


def _read(data: bytes) -> None:
    message = wire.decode(data)
    Letters().read(message)
    if message.kind == "register":
        registration = Registration.from_message(message)
        list(differences(registration, registration))
        registration.facts()
        return
    said = link.decode(data)
    receiver = ReceiverState(_HELLO.terms, 16, "read")
    receiver.handle(Reserved(np.arange(16, dtype=np.int64)), 0.0)
    receiver.handle(Incoming(_HELLO, b"peer"), 0.0)
    receiver.handle(Incoming(said, b"peer"), 0.1)
    receiver.flush(0.2)
    assert 0 <= receiver.stored <= receiver.received <= 16
    sender = SenderState(_HELLO.terms, 7, 16)
    sender.handle(Connecting(), 0.0)
    sender.handle(Incoming(_WELCOME), 0.0)
    sender.handle(Taken(np.arange(4, dtype=np.int64)), 0.1)
    sender.handle(Incoming(said), 0.2)
    assert 0 <= sender.acknowledged <= 4
