"""Who may come in: the answers to ZeroMQ's questions about the keys of those who connect."""

from __future__ import annotations

import atexit
import itertools
import logging
import time
from typing import TYPE_CHECKING

from zmq.auth.thread import ThreadAuthenticator

from mimocorb_dist.errors import KeysError
from mimocorb_dist.wire.base import context
from mimocorb_dist.wire.keys import fingerprint, read_keys

if TYPE_CHECKING:
    from mimocorb_dist.wire.security import Secured

log = logging.getLogger(__name__)

_TOLD_AGAIN_S = 60.0
_MOST_TOLD = 1000


def admit(secured: Secured) -> str:
    """Let holders of allowed keys in by a door of its own; return its name, the ZAP domain of a socket."""
    global _the_gate  # noqa: PLW0603 (ZeroMQ asks one gate in each context)
    if _the_gate is None or not _the_gate.is_alive():
        _the_gate = _Gate()
        _the_gate.start()
        atexit.register(_the_gate.stop)
    return _the_gate.open_door(secured)


class _Gate(ThreadAuthenticator):
    """Decides on who may come in, in a thread of its own, for all sockets of this process."""

    def __init__(self) -> None:
        super().__init__(context())
        self._doors: dict[str, Secured] = {}
        self._numbers = itertools.count(1)
        self._address = ""
        self._told_s: dict[tuple[str, str], float] = {}

    def open_door(self, secured: Secured) -> str:
        """Open a door; return its name."""
        name = f"door {next(self._numbers)}"
        self._doors[name] = secured
        self.configure_curve_callback(name, self)
        return name

    async def handle_zap_message(self, msg: list[bytes]) -> None:
        """Note who calls, and decide."""
        self._address = msg[3].decode(errors="replace").removeprefix("::ffff:") if len(msg) > 3 else "?"
        await super().handle_zap_message(msg)

    def callback(self, domain: str, key: bytes) -> bool:
        """Tell whether a key may come in by a door."""
        public = key.decode()
        try:
            allowed = self._holders(self._doors[domain])
        except KeysError as error:
            log.error("refused a connection from %s: %s", self._address, error)
            return False
        if public in allowed:
            return True
        self._tell(public)
        return False

    @staticmethod
    def _holders(secured: Secured) -> set[str]:
        if secured.allowed is not None:
            return set(secured.allowed)
        keys = read_keys(secured.path)  # anew each time: keys may have been allowed or forgotten
        return {*keys.known.values(), secured.own.public}

    def _tell(self, public: str) -> None:
        """Log a refusal, but not each one of somebody who tries on and on."""
        who, now_s = (self._address, fingerprint(public)), time.monotonic()
        if now_s - self._told_s.get(who, -_TOLD_AGAIN_S) < _TOLD_AGAIN_S:
            return
        if len(self._told_s) >= _MOST_TOLD:
            self._told_s.clear()
        self._told_s[who] = now_s
        log.warning(
            "refused a connection from %s: its key (fingerprint %s) is not known here; if it may come in, "
            "type what `mimocorb-node keys show` says there",
            *who,
        )


_the_gate: _Gate | None = None
