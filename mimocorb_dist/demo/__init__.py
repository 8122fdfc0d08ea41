"""The demonstration: the lifetime of simulated muons, measured on three nodes of this machine."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import click

from mimocorb_dist.errors import RunError, SetupError, WireError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SETUP_NAME = "setup.yaml"
MUON_LIFETIME_US = 2.197
DEFAULT_PORT = 5550
_PORT = re.compile(r"(?<=, port: )\d+")


def run(directory: Path) -> int:
    """Run the demonstration and show what came of it.

    Parameters
    ----------
    directory
        Where setup and results go; made if it is not there.

    Returns
    -------
    int
        Exit status: 0 if the run ended well and there is a lifetime, else 1.

    Raises
    ------
    SetupError
        If the directory cannot be used.
    RunError
        If the run left no record.
    """
    from mimocorb_dist.node import StartOptions, start
    from mimocorb_dist.runs import report, runs_in

    setup = place_setup(directory)
    click.echo(f"three nodes on this machine, from {setup}\n")
    runs_before = set(runs_in(directory))
    status = start(StartOptions(setup=setup, all_nodes=True, controls=frozenset({"stats"})))
    if status != 0:
        return status
    new_runs = [path for path in runs_in(directory) if path not in runs_before]
    if not new_runs:
        raise RunError(f"{directory}: the run left no record there")
    click.echo(f"\n{report(new_runs[-1])}\n")
    fit = json.loads((new_runs[-1] / "lifetime.json").read_text(encoding="utf-8"))
    if "problem" in fit:  # ended early by the user
        click.secho(f"no lifetime: {fit['problem']}", fg="yellow", err=True)
        return 1
    click.echo(_lifetime_text(fit, new_runs[-1]))
    return 0


def place_setup(directory: Path, usual_port: int = DEFAULT_PORT) -> Path:
    """Write the setup where the reader can look at it, change it and start it again.

    Parameters
    ----------
    directory
        Where to write it; made if it is not there.
    usual_port
        Port of the broker, unless it is in use.

    Raises
    ------
    SetupError
        If it cannot be written there, or was changed by the reader.
    """
    text = files(__package__).joinpath(SETUP_NAME).read_text(encoding="utf-8")
    content = _PORT.sub(str(_free_port(usual_port)), text)
    setup = directory / SETUP_NAME
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if setup.exists() and _PORT.sub("", setup.read_text(encoding="utf-8")) != _PORT.sub("", content):
            raise SetupError(
                f"{setup}: this is not the setup of the demonstration any more; start it with "
                f"`mimocorb-node start --all {setup}`, or give the demonstration another --directory"
            )
        setup.write_text(content, encoding="utf-8")
    except OSError as error:
        raise SetupError(
            f"{error.filename}: cannot be written ({error.strerror}); give another place with --directory"
        ) from error
    return setup


def _free_port(usual_port: int) -> int:
    """Return the broker's usual port, or any other if that is taken."""
    from mimocorb_dist.wire.sockets import ControlServer

    try:
        server = ControlServer(port=usual_port)
    except WireError:
        server = ControlServer()
    with server:
        return server.port


def _lifetime_text(fit: Mapping[str, Any], run_directory: Path) -> str:
    lifetime = f"({fit['tau_us']:.3f} +- {fit['tau_error_us']:.3f}) us from {fit['times']} decays"
    return (
        f"lifetime of the muon  {lifetime}; simulated with {MUON_LIFETIME_US} us\n"
        f"picture of the fit    {run_directory / 'lifetime.png'}\n"
        f"last waveform         {run_directory / 'scope.png'}\n"
        f"all files             {run_directory}"
    )
