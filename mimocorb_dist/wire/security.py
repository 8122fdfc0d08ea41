"""How sockets are protected: not at all, or with CURVE and the keys of a file."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import zmq

from mimocorb_dist.errors import KeysError
from mimocorb_dist.wire.keys import key_path, read_keys

if TYPE_CHECKING:
    from mimocorb_dist.wire.keys import OwnKey


@dataclass(frozen=True)
class Secured:
    """Protection by the keys of a file.

    Parameters
    ----------
    key_file
        Path of the file.
    server
        Public key of the other end, for a socket that connects.
    allowed
        Public keys that may connect to a socket that listens; None: the own one and all that the file
        knows at that moment.
    """

    key_file: str
    server: str | None = None
    allowed: tuple[str, ...] | None = None

    @property
    def path(self) -> Path:
        """Path of the key file."""
        return Path(self.key_file)

    @property
    def own(self) -> OwnKey:
        """The own key pair.

        Raises
        ------
        KeysError
            If there is none.
        """
        own = read_keys(self.path).own
        if own is None:
            raise KeysError(f"{self.key_file}: there is no own key; make one with `mimocorb-node keys new`")
        return own


Security: TypeAlias = Literal["none"] | Secured | None
"""None: only this machine (loopback) is spoken to. "none": everybody may come, as the setup says in so many
words."""


def security_to_plain(security: Security) -> Any:
    """Return it as plain values, for a job file: the path of the keys, never keys that are secret."""
    return asdict(security) if isinstance(security, Secured) else security


def security_from_plain(plain: Any) -> Security:
    """Do the reverse of `security_to_plain`."""
    if isinstance(plain, dict):
        allowed = plain.get("allowed")
        return Secured(plain["key_file"], plain.get("server"), None if allowed is None else tuple(allowed))
    return "none" if plain == "none" else None


def own_security() -> Secured:
    """Return the protection by this user's keys.

    Raises
    ------
    KeysError
        If there is no own key.
    """
    secured = Secured(str(key_path()))
    _ = secured.own
    return secured


def secure_listener(made: zmq.Socket[bytes], secured: Secured) -> None:
    """Let only those connect to a socket whose keys are allowed."""
    from mimocorb_dist.wire.gate import admit  # only listeners need its thread

    own = secured.own
    made.curve_server = True
    made.curve_publickey, made.curve_secretkey = own.public.encode(), own.secret.encode()
    made.setsockopt_string(zmq.ZAP_DOMAIN, admit(secured))


def secure_caller(made: zmq.Socket[bytes], secured: Secured) -> None:
    """Let a socket show its key, and take nobody for its server who has another one than is known."""
    own = secured.own
    if secured.server is None:
        raise KeysError("a socket is to be connected without the key of the other end")
    made.curve_publickey, made.curve_secretkey = own.public.encode(), own.secret.encode()
    made.curve_serverkey = secured.server.encode()
