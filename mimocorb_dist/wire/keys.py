"""The keys of this user on this machine: one file, with the own key pair and the public keys of others.

Each line of the file says one thing: ``own NAME PUBLIC SECRET`` or ``known NAME PUBLIC``. A key is written as
40 characters (Z85). A bundle, which is made on one machine to be installed on another, has the same form.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import zmq
from zmq.utils import z85

from mimocorb_dist.errors import KeysError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

KEY_FILE_VARIABLE = "MIMOCORB_KEYS"
"""Environment variable that names another key file."""

_KEY_CHARACTERS = 40
_NAME = re.compile(r"(?!-)[\w-]{1,64}")
_HEAD = "# Keys of mimocorb-node. Whoever reads this file can take part in your runs: do not pass it on.\n"


@dataclass(frozen=True)
class OwnKey:
    """A key pair; its secret half shows in no text.

    Parameters
    ----------
    name
        Name of the node that others know it by.
    public, secret
        The two halves, 40 characters each.
    """

    name: str
    public: str
    secret: str = field(repr=False)


@dataclass(frozen=True)
class KeyFile:
    """Content of a key file.

    Parameters
    ----------
    own
        The own key pair, if there is one.
    known
        Public keys of others, by name: who holds one may take part in runs here.
    """

    own: OwnKey | None = None
    known: Mapping[str, str] = field(default_factory=dict)


def key_path() -> Path:
    """Return where the keys of this user are."""
    named = os.environ.get(KEY_FILE_VARIABLE)
    if named:
        return Path(named)
    config = os.environ.get("XDG_CONFIG_HOME")
    return (Path(config) if config else Path.home() / ".config") / "mimocorb" / "keys"


def new_key(name: str) -> OwnKey:
    """Make a key pair.

    Raises
    ------
    KeysError
        If the name cannot be one.
    """
    _check_name(name)
    public, secret = zmq.curve_keypair()
    while public.startswith(b"-"):  # a command line would take it for an option
        public, secret = zmq.curve_keypair()
    return OwnKey(name, public.decode(), secret.decode())


def fingerprint(public: str) -> str:
    """Return a short name of a public key, to compare by eye."""
    digest = hashlib.sha256(public.encode()).hexdigest()
    return "-".join(digest[start : start + 4] for start in range(0, 16, 4))


def check_public(text: str) -> str:
    """Return a public key as it is.

    Raises
    ------
    KeysError
        If it is none.
    """
    try:
        if len(text) == _KEY_CHARACTERS and len(z85.decode(text)) == 32:
            return text
    except (ValueError, KeyError, zmq.ZMQError):
        pass
    raise KeysError(
        f"a public key has {_KEY_CHARACTERS} characters, as `mimocorb-node keys show` writes them; "
        "put it in single quotes, for it has characters that a shell reads otherwise"
    )


def read_keys(path: Path) -> KeyFile:
    """Read a key file; one that is not there has no keys.

    Raises
    ------
    KeysError
        If it cannot be read, is none, or others may read it.
    """
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="ascii")
    except FileNotFoundError:
        return KeyFile()
    except (OSError, UnicodeDecodeError) as error:
        raise KeysError(f"{path}: the keys cannot be read ({error}); check name and rights") from None
    if stat.S_IMODE(mode) & 0o077:
        raise KeysError(
            f"{path}: others on this machine may read these keys: `chmod 600 {path}` ends that; if somebody "
            "may have read them, make new ones (`mimocorb-node keys --help`)"
        )
    own: OwnKey | None = None
    known: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        match line.split():
            case [first, *_] if first.startswith("#"):
                continue
            case []:
                continue
            case ["own", name, public, secret] if _is_key(public) and _is_key(secret):
                own = OwnKey(name, public, secret)
            case ["known", name, public] if _is_key(public):
                known[name] = public
            case _:
                raise KeysError(
                    f"{path}:{number}: this line holds no key; `mimocorb-node keys` writes this file, "
                    "restore it or make new keys"
                )
    return KeyFile(own, known)


def write_keys(path: Path, keys: KeyFile) -> None:
    """Write a key file that nobody else may read, in one step.

    Raises
    ------
    KeysError
        If it cannot be written.
    """
    lines = [_HEAD]
    if keys.own is not None:
        lines.append(f"own {keys.own.name} {keys.own.public} {keys.own.secret}\n")
    lines += [f"known {name} {public}\n" for name, public in sorted(keys.known.items())]
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 600
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except OSError as error:
        raise KeysError(f"{path}: the keys cannot be written ({error.strerror}); check the folder") from None


def allow(keys: KeyFile, name: str, public: str) -> KeyFile:
    """Return the keys with one more that is known; it takes the place of another one of that name.

    Raises
    ------
    KeysError
        If name or key cannot be one, or the key is known by another name.
    """
    _check_name(name)
    check_public(public)
    other = next((known for known, key in keys.known.items() if key == public and known != name), None)
    if other is not None:
        raise KeysError(f"this key is known as {other!r}; `mimocorb-node keys forget {other}` first")
    return KeyFile(keys.own, {**keys.known, name: public})


def forget(keys: KeyFile, name: str) -> KeyFile:
    """Return the keys without a known one.

    Raises
    ------
    KeysError
        If there is none of that name.
    """
    if name not in keys.known:
        raise KeysError(f"no key is known as {name!r}; {_known(keys.known)}")
    return KeyFile(keys.own, {known: key for known, key in keys.known.items() if known != name})


def bundles(names: Iterable[str]) -> dict[str, KeyFile]:
    """Make keys for several hosts that are to know each other: a key file for each."""
    own = {name: new_key(name) for name in names}
    return {
        name: KeyFile(key, {other: own[other].public for other in own if other != name})
        for name, key in own.items()
    }


def _is_key(text: str) -> bool:
    try:
        check_public(text)
    except KeysError:
        return False
    return True


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise KeysError(
            f"{name!r} cannot be the name of a key; take that of the node: letters, digits, _ and -"
        )


def _known(known: Mapping[str, str]) -> str:
    return f"known are: {', '.join(sorted(known))}" if known else "none is known here"
