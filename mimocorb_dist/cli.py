"""The command line: ``mimocorb-node``.

Each command imports what it needs when it runs, so that ``--help`` is there at once.

Exit status: 0 when all is well, 1 when a run failed or a command was refused, 2 when nothing was begun
because the command line, the setup or its surroundings are wrong.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from mimocorb_dist import script
from mimocorb_dist.cli_keys import keys
from mimocorb_dist.errors import MimocorbError, RefusedError, SetupError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mimocorb_dist.topology import Topology

DEFAULT_SETUPS = ("setup.yaml", "topology.yaml")


def _number(
    read: Callable[[str], float], allowed: Callable[[float], bool], wanted: str, example: str
) -> Callable[[str], float]:
    """Make the type of an option that wants a number; the error for another one says what to write."""

    def convert(text: str) -> float:
        try:
            number = read(text)
        except ValueError:
            number = float("nan")
        if not allowed(number):
            raise click.BadParameter(f"{text!r} is not {wanted}; write for example {example}")
        return number

    return convert


class _Command(click.Command):
    """A command whose errors all show how it is used."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments of the command line."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise


class _Group(click.Group):
    """The group of all commands."""

    command_class = _Command


_broker_option = click.option(
    "--broker",
    metavar="URL",
    help="Where the broker listens, e.g. tcp://192.168.1.12:5550.  [default: the run on this machine]",
)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="mimocorb_dist", prog_name="mimocorb-node")
def cli() -> None:
    """Run data acquisition from one YAML file, on one host or on several."""


@cli.command()
@click.argument("setup", required=False, type=click.Path(path_type=Path))
@click.option("--node", metavar="NAME", help="The node to run.  [default: found by host name or address]")
@click.option("--all", "all_nodes", is_flag=True, help="Run every node, on this machine.")
@click.option(
    "-c",
    "--control",
    "--control_mode",
    "mode",
    metavar="MODE",
    help="kbd, stats, gui or none; several joined by +.  [default: kbd+stats on a terminal, else stats]",
)
@click.option(
    "--max-events",
    metavar="N",
    type=_number(int, lambda number: number >= 1, "a whole number above 0", "--max-events 1000"),
    help="End the run after so many events of the first buffer that an importer fills.",
)
@click.option(
    "--max-time",
    metavar="S",
    type=_number(float, lambda time_s: time_s > 0, "a number of seconds above 0", "--max-time 60"),
    help="End the run after this many seconds.",
)
@click.option(
    "--wait",
    metavar="S",
    type=_number(float, lambda time_s: time_s >= 0, "a number of seconds", "--wait 60"),
    default=600.0,
    show_default=True,
    help="How many seconds to wait for the broker and the other nodes.",
)
def start(
    setup: Path | None,
    node: str | None,
    all_nodes: bool,
    mode: str | None,
    max_events: int | None,
    max_time: float | None,
    wait: float,
) -> None:
    """Run this host's part of a setup.

    The run ends when all importers have ended and all buffers are drained. Ctrl-C or SIGTERM stops the
    importers, drains the buffers and ends; a second one ends at once. Without SETUP, setup.yaml or
    topology.yaml in the working directory is taken.
    """
    if node is not None and all_nodes:
        raise click.UsageError("--node and --all exclude each other: --all runs every node.")
    controls = _control_modes(mode)
    from mimocorb_dist.node import StartOptions
    from mimocorb_dist.node import start as start_node

    options = StartOptions(
        setup=setup or _default_setup(),
        node=node,
        all_nodes=all_nodes,
        controls=controls,
        max_events=max_events,
        max_time_s=max_time,
        wait_s=wait,
    )
    sys.exit(start_node(options))


@cli.command()
@click.argument("setup", required=False, type=click.Path(path_type=Path))
def check(setup: Path | None) -> None:
    """Validate a setup and show its plan.

    The plan tells the buffers, workers and links of each node. Nothing is started.
    """
    from mimocorb_dist.node.security import lack_of_keys
    from mimocorb_dist.ring.runtime import runtime_root
    from mimocorb_dist.topology import describe, memory_shortage, plan

    the_plan = plan(_load_for_this_machine(setup or _default_setup()))
    shortage = memory_shortage(the_plan, shutil.disk_usage(runtime_root()).free)
    lack = lack_of_keys(the_plan.topology)
    for warning in filter(None, (*the_plan.topology.warnings, shortage, lack)):
        click.secho(f"warning: {warning}", fg="yellow", err=True)
    click.echo(describe(the_plan))


@cli.command()
@click.argument("setup", required=False, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("data_flow.svg"),
    show_default=True,
    help="The file to write: svg, png or pdf by its suffix.",
)
def graph(setup: Path | None, output: Path) -> None:
    """Draw the data flow of a setup."""
    from mimocorb_dist.topology import load
    from mimocorb_dist.topology.graph import draw

    draw(load(setup or _default_setup(), nodes=()), output)  # data files may be elsewhere
    click.echo(output)


@cli.command()
@_broker_option
def status(broker: str | None) -> None:
    """Show the state of a run."""
    from mimocorb_dist.node import client

    click.echo(client.status(broker))


@cli.command()
@_broker_option
def pause(broker: str | None) -> None:
    """Pause a run.

    Importers go on; the events that they deliver are discarded and counted.
    """
    _command("pause", broker)


@cli.command()
@_broker_option
def resume(broker: str | None) -> None:
    """Go on with a paused run."""
    _command("resume", broker)


@cli.command()
@_broker_option
def stop(broker: str | None) -> None:
    """End a run in good order.

    Importers end, buffers drain in the order of the data flow, exporters write what they have.
    """
    _command("stop", broker)


@cli.command()
@click.argument("directory", required=False, type=click.Path(path_type=Path), default=Path("target"))
def runs(directory: Path) -> None:
    """List the runs in a directory.

    Without DIRECTORY, ./target is taken.
    """
    from mimocorb_dist.runs import list_runs

    click.echo(list_runs(directory))


@cli.command()
@click.argument("run_directory", type=click.Path(path_type=Path))
def report(run_directory: Path) -> None:
    """Show the record of one run."""
    from mimocorb_dist.runs import report as report_text

    click.echo(report_text(run_directory))


@cli.command()
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("mimocorb_demo"),
    show_default=True,
    help="Where the results go.",
)
def demo(directory: Path) -> None:
    """Run a three-node experiment on this machine.

    Cosmic muons are simulated on one node, their double pulses found on the second, and stored on the third;
    at the end their lifetime is fitted.
    """
    from mimocorb_dist.demo import run

    sys.exit(run(directory))


@cli.command(name=script.COMMAND, context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("program", nargs=-1, type=click.UNPROCESSED)
def python(program: tuple[str, ...]) -> None:
    """Run a Python program that uses mimoCoRB's names.

    PROGRAM is a script or -m and a module, with its arguments. What it imports from mimocorb or mimocorb2
    comes from mimocorb_dist, in all processes that it starts.
    """
    script.run(program)


@cli.command()
def clean() -> None:
    """Remove what dead runs left in memory."""
    from mimocorb_dist.ring.runtime import (
        abandoned_runtime_directories,
        remove_runtime_directory,
        runtime_directories,
        waits_for_heir,
    )

    directories = abandoned_runtime_directories()
    for directory in directories:
        remove_runtime_directory(directory)
        click.echo(f"removed {directory}")
    waiting = [path for path in runtime_directories() if waits_for_heir(path)]
    for directory in waiting:
        click.echo(
            f"{directory} stays: its node has died, and its processes work on and wait for it; "
            "start it again to go on, or clean again when they have ended"
        )
    if not directories and not waiting:
        click.echo("nothing to remove")


def _load_for_this_machine(path: Path) -> Topology:
    """Load a setup, and look at the data files of the node that this machine is."""
    from mimocorb_dist.node.identity import find_node
    from mimocorb_dist.topology import load

    topology = load(path)
    try:
        node = find_node(topology, None)
    except SetupError:  # it is none of them, or all: then their files have been looked at
        return topology
    return load(path, nodes=[node])


def _default_setup() -> Path:
    for name in DEFAULT_SETUPS:
        if Path(name).is_file():
            return Path(name)
    raise SetupError(
        f"no setup given, and neither {' nor '.join(DEFAULT_SETUPS)} is in {Path.cwd()}; name the setup file"
    )


def _control_modes(mode: str | None) -> frozenset[str] | None:
    if mode is None:
        return None
    from mimocorb_dist.node.modes import read_controls

    try:
        return read_controls(mode)
    except SetupError as error:
        raise click.UsageError(f"-c {mode}: {error}") from None


def _command(name: str, broker: str | None) -> None:
    from mimocorb_dist.node import client

    click.echo(client.command(name, broker))


cli.add_command(keys)


def main() -> NoReturn:
    """Run the command line; the entry point of ``mimocorb-node``."""
    if script.is_wanted(sys.argv[1:]):
        script.run(sys.argv[2:])
    try:
        cli(prog_name="mimocorb-node")
    except MimocorbError as error:
        click.secho(str(error), fg="red", err=True)
        sys.exit(1 if isinstance(error, RefusedError) else 2)
    sys.exit(0)


if __name__ == "__main__":
    main()
