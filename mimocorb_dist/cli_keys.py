"""The command line of keys: ``mimocorb-node keys``."""

from __future__ import annotations

import platform
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mimocorb_dist.errors import KeysError

if TYPE_CHECKING:
    from mimocorb_dist.wire.keys import KeyFile


@click.group()
def keys() -> None:
    r"""Make, show and install keys.

    Nodes on a network let only those in whose keys they know. Keys are in the file ~/.config/mimocorb/keys,
    or that which the environment variable MIMOCORB_KEYS names.

    \b
    Two ways. From machine to machine:
        on each       mimocorb-node keys new NODE
                      mimocorb-node keys show          says what to type on the broker's host,
                                                       and there, what to type on all others
    or all at once:
        on one        mimocorb-node keys new --for setup.yaml
        on each       mimocorb-node keys install NODE.keys      after you have copied it there
    """


@keys.command()
@click.argument("name", required=False)
@click.option(
    "--for",
    "setup",
    type=click.Path(path_type=Path),
    help="Make keys for all nodes of this setup: a file NODE.keys for each.",
)
@click.option("--replace", is_flag=True, help="Make a new key pair in place of the one that is there.")
def new(name: str | None, setup: Path | None, replace: bool) -> None:
    """Make a key pair for this machine.

    NAME is that of its node.  [default: its host name]
    """
    from mimocorb_dist.wire.keys import KeyFile, key_path, new_key, read_keys, write_keys

    if setup is not None:
        if name is not None or replace:
            raise click.UsageError("--for makes keys for all nodes of a setup; give no name.")
        _new_for(setup)
        return
    path = key_path()
    there = read_keys(path)
    if there.own is not None and not replace:
        raise KeysError(
            f"{path}: there is a key pair already, named {there.own.name!r}; `mimocorb-node keys show` shows "
            "it, --replace makes a new one, which all others have to be told"
        )
    write_keys(path, KeyFile(new_key(name or _host_name()), there.known))
    click.echo(f"made {path}")
    _say_what_others_type(read_keys(path))


def _new_for(setup: Path) -> None:
    """Write a key file for each node of a setup into the working directory."""
    from mimocorb_dist.topology import load
    from mimocorb_dist.wire.keys import bundles, write_keys

    topology = load(setup, nodes=())
    if not topology.distributed:
        raise KeysError(f"{setup}: this setup has no `Nodes:`; on one machine no keys are needed")
    made = {Path(f"{name}.keys"): content for name, content in bundles(topology.nodes).items()}
    there = [str(path) for path in made if path.exists()]
    if there:
        raise KeysError(f"{', '.join(there)}: there already; remove old keys, or go to another folder")
    for path, content in made.items():
        write_keys(path, content)
    for path, name in zip(made, topology.nodes, strict=True):
        host = topology.nodes[name].host
        click.echo(f"{path}  copy it to {host or name}, type there: mimocorb-node keys install {path}")
    click.echo("then remove the copies: whoever has them can take part in your runs")


@keys.command()
def show() -> None:
    """Show the own public key, and who is known."""
    from mimocorb_dist.wire.keys import fingerprint, key_path, read_keys

    path = key_path()
    content = read_keys(path)
    if content.own is None:
        raise KeysError(f"{path}: there is no key pair; make one with `mimocorb-node keys new`")
    click.echo(f"{content.own.name}  {fingerprint(content.own.public)}  this machine ({path})")
    for name, public in sorted(content.known.items()):
        click.echo(f"{name}  {fingerprint(public)}  known")
    _say_what_others_type(content)


def _say_what_others_type(content: KeyFile) -> None:
    assert content.own is not None
    click.echo("who is to know this machine types:")
    click.echo(f"    mimocorb-node keys allow {content.own.name} '{content.own.public}'")


@keys.command()
@click.argument("name")
@click.argument("key")
def allow(name: str, key: str) -> None:
    """Let the holder of a public key in.

    NAME is that of its node. The broker's host has to know all others, and these the broker's host.
    """
    from mimocorb_dist.wire import keys as wire_keys

    path = wire_keys.key_path()
    there = wire_keys.read_keys(path)
    wire_keys.write_keys(path, wire_keys.allow(there, name, key))
    before = there.known.get(name)
    instead = f" in place of {wire_keys.fingerprint(before)}" if before not in (None, key) else ""
    click.echo(f"{name}  {wire_keys.fingerprint(key)}  is known now{instead}")
    if there.own is None:
        click.echo("this machine has no key pair yet: mimocorb-node keys new")


@keys.command()
@click.argument("name")
def forget(name: str) -> None:
    """Let somebody in no longer.

    Connections that stand are not cut; new ones are refused.
    """
    from mimocorb_dist.wire import keys as wire_keys

    path = wire_keys.key_path()
    wire_keys.write_keys(path, wire_keys.forget(wire_keys.read_keys(path), name))
    click.echo(f"{name} is not known any more")


@keys.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="In place of the key pair that is there.")
def install(file: Path, replace: bool) -> None:
    """Install keys that were made on another machine.

    What is known here already stays.
    """
    from mimocorb_dist.wire.keys import KeyFile, key_path, read_keys, write_keys

    if not file.is_file():
        raise KeysError(f"{file}: there is no such file; `mimocorb-node keys new --for setup.yaml` makes it")
    brought = read_keys(file)
    if brought.own is None:
        raise KeysError(f"{file}: there is no key pair in it; take what `keys new --for setup.yaml` made")
    path = key_path()
    there = read_keys(path)
    if there.own not in (None, brought.own) and not replace:
        raise KeysError(
            f"{path}: there is a key pair already; --replace puts this one in its place, "
            "and all others have to be told the new one"
        )
    known = {**there.known, **brought.known}
    known.pop(brought.own.name, None)
    write_keys(path, KeyFile(brought.own, known))
    click.echo(f"installed in {path}: {brought.own.name}, which knows {', '.join(sorted(known)) or 'nobody'}")
    click.echo(f"now remove {file}")


def _host_name() -> str:
    return re.sub(r"[^\w-]", "-", platform.node().partition(".")[0]).lstrip("-") or "node"
