"""`mimocorb-node start`: one node, or all nodes of a setup in this process."""

from __future__ import annotations

import functools
import logging
import secrets
import shutil
import signal
import sys
import threading
from datetime import datetime
from typing import TYPE_CHECKING

from mimocorb_dist.errors import MimocorbError, RunError, SetupError
from mimocorb_dist.ring.runtime import (
    RuntimeDirectory,
    abandoned_runtime_directories,
    remove_runtime_directory,
    runtime_root,
)
from mimocorb_dist.runs.directory import check_target
from mimocorb_dist.topology import load, memory_shortage, plan
from mimocorb_dist.topology.model import DEFAULT_BROKER_PORT
from mimocorb_dist.wire.sockets import LOOPBACK

from . import client
from .brokerage import BrokerProcess
from .console import Console
from .identity import find_node
from .loop import Loop
from .modes import default_controls
from .notes import find_inheritance, grace_of, inherit
from .options import Outcome
from .output import OutputPump
from .security import security_of, towards_broker
from .session import NodeSession

if TYPE_CHECKING:
    from pathlib import Path

    from mimocorb_dist.topology import Plan, Topology
    from mimocorb_dist.wire.security import Security

    from .options import StartOptions


def start(options: StartOptions) -> int:
    """Run this host's part of a setup, or all of it, to its end, and return the exit status: see `run`."""
    return run(options).status


def run(options: StartOptions) -> Outcome:
    """Run this host's part of a setup, or all of it, to its end.

    Call it in the main thread: until it returns, SIGINT, SIGTERM and SIGHUP end the run in good order.

    Parameters
    ----------
    options
        What the user asks.

    Raises
    ------
    TopologyError
        If the setup has mistakes.
    SetupError
        If it is not clear which node this is, or there is too little shared memory.
    RunError
        If the target directory cannot be written.
    """
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    topology = load(options.setup, text=options.setup_text)
    names = list(topology.nodes) if options.all_nodes else [find_node(topology, options.node)]
    topology = load(
        options.setup, text=options.setup_text, nodes=names
    )  # now the data files of these nodes are looked at, too
    security = security_of(topology, options.all_nodes)
    towards = towards_broker(security, topology, names)
    check_target(topology.target_directory)
    left_behind = {} if options.setup_text is not None else _left_behind(topology, names)
    for path in set(abandoned_runtime_directories()) - set(left_behind.values()):
        remove_runtime_directory(path)
    the_plan = plan(topology)
    new = [name for name in names if name not in left_behind]
    if shortage := memory_shortage(the_plan, shutil.disk_usage(runtime_root()).free, new):
        raise SetupError(shortage)
    return _Launch(options, topology, the_plan, names, security, towards, left_behind).run()


def _left_behind(topology: Topology, names: list[str]) -> dict[str, Path]:
    """Return the runtime directories of those nodes that have died and whose processes wait for an heir."""
    with_others = topology.on_network and len(names) < len(topology.nodes)
    found = {name: find_inheritance(topology, name, with_others=with_others) for name in names}
    return {name: directory for name, directory in found.items() if directory is not None}


class _Launch:
    """The nodes that this process plays, and the broker if one of them has it."""

    def __init__(
        self,
        options: StartOptions,
        topology: Topology,
        the_plan: Plan,
        names: list[str],
        security: Security,
        towards_the_broker: Security,
        left_behind: dict[str, Path],
    ) -> None:
        self._options = options
        self._topology = topology
        self._plan = the_plan
        self._names = names
        self._security = security
        self._towards_the_broker = towards_the_broker
        self._left_behind = left_behind
        self._loop = Loop()
        self._address_of_broker: str | None = None  # what is typed may ask for it at once
        self._typing = threading.Lock()
        self._end_was_typed = False
        controls = default_controls(topology) if options.controls is None else options.controls
        self._console = Console(controls, self._command, letters=topology.dialect == "mimoCoRB 1")
        self._terminal = self._console.terminal
        self._pump = OutputPump(self._terminal.pass_on, lambda text: self._terminal.say(text, error=True))
        self._broker: BrokerProcess | None = None
        self._status: dict[str, int] = {}
        self._signals: list[int] = []
        self._ending = False
        self._sessions = {name: self._session(name) for name in names}

    def run(self) -> Outcome:
        """Run to the end."""
        try:
            # Those of a setup that is in no file have been told when it was made, with places in that.
            for warning in self._topology.warnings if self._options.setup_text is None else ():
                self._terminal.say(f"warning: {warning}", error=True)
            if self._topology.security == "none":
                self._terminal.say(
                    _red("security: none - everybody in the network can control this run"), error=True
                )
            for number in (signal.SIGINT, signal.SIGTERM):
                self._loop.on_signal(number, functools.partial(self._on_end_signal, number))
            if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup sets it
                self._loop.on_signal(signal.SIGHUP, self._on_hangup)
            self._loop.on_signal(signal.SIGCHLD, self._on_child)
            self._begin()
            self._loop.run_until(lambda: len(self._status) == len(self._names))
        except MimocorbError as error:
            self._terminal.say(str(error), error=True)
            self._status["start"] = 2
        finally:
            self._close()
        return Outcome(
            status=max(self._status.values(), key=lambda status: (status == 1, status)),
            signal=self._signals[0] if self._signals else None,
            directory=self._sessions[self._spokesman].directory,
        )

    def _begin(self) -> None:
        for name, directory in self._left_behind.items():
            runtime, notes = inherit(directory, lambda text: self._terminal.say(text, error=True))
            self._terminal.say(f"node {name} had died: taking over the run {notes.sections['name']}")
            self._sessions[name].take_over(runtime, notes)
        if self._topology.broker_node in self._names:
            self._start_broker()
        else:
            self._call(self._topology.nodes[self._topology.broker_node].host or LOOPBACK)

    def _start_broker(self) -> None:
        node, topology = self._topology.broker_node, self._topology
        runtime, run_id = self._sessions[node].runtime, self._sessions[node].run_id
        inherited = runtime is not None
        if runtime is None:
            run_id = f"{datetime.now():%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
            runtime = self._sessions[node].runtime = RuntimeDirectory.create(run_id, node)
        host, port = self._address(node), topology.broker_port
        # With all nodes here nobody needs to know the port beforehand.
        or_any_port = self._options.all_nodes and port == DEFAULT_BROKER_PORT
        self._broker = BrokerProcess(
            self._loop,
            self._pump,
            topology,
            self._options.setup_text,
            self._security,
            run_id,
            host,
            port,
            or_any_port,
            self._options.silence_s,
            runtime.path,
            say=lambda text: self._terminal.say(text, error=True),
            on_bound=lambda bound: self._call(host, bound),
            on_end=self._broker_ended,
            grace_s=grace_of(self._options),
            inherited=inherited,
        )

    def _call(self, host: str, port: int | None = None) -> None:
        shown = f"[{host}]" if ":" in host else host
        broker = f"tcp://{shown}:{port or self._topology.broker_port}"
        with self._typing:
            self._address_of_broker = broker
        for session in self._sessions.values():
            session.call(broker)
        if self._end_was_typed:
            self._end_in_order("ending, as was typed before the run began")

    def _address(self, node: str) -> str:
        """Return the address of a node: with all nodes on this machine nothing leaves it."""
        return LOOPBACK if self._options.all_nodes else self._topology.nodes[node].host or LOOPBACK

    def _session(self, name: str) -> NodeSession:
        def over(status: int) -> None:
            self._status[name] = status

        return NodeSession(
            self._loop,
            self._pump,
            self._console,
            self._topology,
            self._plan,
            name,
            self._address(name),
            self._options,
            self._towards_the_broker,
            outspoken=name == self._spokesman,
            on_over=over,
        )

    @property
    def _spokesman(self) -> str:
        broker_node = self._topology.broker_node
        return broker_node if broker_node in self._names else self._names[0]

    def _on_end_signal(self, number: int) -> None:
        self._signals.append(number)
        if len(self._signals) - self._signals.count(signal.SIGHUP) == 1:
            self._end_in_order("ending: importers stop, buffers drain (once more to end at once)")
        else:
            for session in self._sessions.values():
                session.abort()

    def _on_hangup(self) -> None:
        """End in good order; a terminal that goes says so several times, which never means to end at once."""
        self._signals.append(signal.SIGHUP)
        self._end_in_order("the terminal has gone (SIGHUP): importers stop, buffers drain")

    def _end_in_order(self, why: str) -> None:
        self._terminal.say(why)
        if self._ending:
            return
        self._ending = True
        spokesman = self._sessions[self._spokesman]
        for session in [spokesman] if spokesman.in_run else self._sessions.values():
            session.stop()

    def _on_child(self) -> None:
        for session in self._sessions.values():
            session.children_ended()

    def _command(self, name: str, scope: str) -> str:
        """Carry out what was typed; the console calls this from its own thread."""
        with self._typing:
            if self._address_of_broker is None:
                if name != "stop":
                    raise RunError("the run has not begun: its broker is not there yet")
                self._end_was_typed = True
                return "the run has not begun, and will not"
        return client.command(name, self._address_of_broker, scope, self._towards_the_broker)

    def _broker_ended(self, failure: str | None) -> None:
        for session in self._sessions.values():
            session.broker_ended(failure)

    def _close(self) -> None:
        for session in self._sessions.values():
            session.close()
        try:
            if self._broker is not None:
                self._broker.close()
        finally:
            # The broker had notes in the directory of its node.
            for session in self._sessions.values():
                if session.runtime is not None:
                    session.runtime.remove()
        self._pump.close()
        self._console.close()
        self._loop.close()


def _red(text: str) -> str:
    return f"\033[31m{text}\033[0m" if sys.stderr is not None and sys.stderr.isatty() else text
