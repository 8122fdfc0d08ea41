"""Hosts with addresses of their own on one machine: network namespaces on a switch, and broken cables."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

_numbers = itertools.count(1)
_DELAY = Path(__file__).with_name("delay.py")


def require_namespaces() -> None:
    """Skip the test where network namespaces cannot be made."""
    if os.geteuid() != 0 or shutil.which("ip") is None or shutil.which("iptables") is None:
        pytest.skip("needs root, iproute2 and iptables to make hosts in network namespaces")


@dataclass(frozen=True)
class Host:
    """A host: a namespace, its address, and its port of the switch."""

    name: str
    namespace: str
    address: str
    switch: str
    port: str

    def command(self, *arguments: object) -> list[str]:
        """Return a command line that runs on this host."""
        return ["ip", "netns", "exec", self.namespace, *map(str, arguments)]

    @staticmethod
    def environment(folder: Path) -> dict[str, str]:
        """Return the environment of programs on this host: its keys are in its folder."""
        return {**os.environ, "PYTHONUNBUFFERED": "1", "MIMOCORB_KEYS": str(folder / "keys")}

    def popen(self, *arguments: object, cwd: Path, log: Path) -> subprocess.Popen[bytes]:
        """Start a program on this host; what it prints goes to a file."""
        with log.open("wb") as output:
            return subprocess.Popen(
                self.command(*arguments),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self.environment(cwd),
            )

    def processes(self) -> list[int]:
        """Return the processes of this host."""
        listed = subprocess.run(
            ["ip", "netns", "pids", self.namespace], capture_output=True, text=True, check=True
        )
        return [int(pid) for pid in listed.stdout.split()]

    def pull_cable(self) -> None:
        """Let this host's port of the switch go down: both sides lose the carrier."""
        _run("ip", "-n", self.switch, "link", "set", self.port, "down")

    def plug_cable(self) -> None:
        """Let it come up again."""
        _run("ip", "-n", self.switch, "link", "set", self.port, "up")

    def silence(self) -> None:
        """Drop all packets to this host without a word: its connections are half-open."""
        _run(*self.command("iptables", "-I", "INPUT", "!", "-i", "lo", "-j", "DROP"))

    def listen_again(self) -> None:
        """End `silence`."""
        _run(*self.command("iptables", "-D", "INPUT", "!", "-i", "lo", "-j", "DROP"))

    @contextlib.contextmanager
    def resetting(self) -> Iterator[None]:
        """Answer every packet of an existing connection with a reset."""
        rule = ["-p", "tcp", "!", "-i", "lo", "-j", "REJECT", "--reject-with", "tcp-reset"]
        _run(*self.command("iptables", "-I", "INPUT", *rule))
        try:
            yield
        finally:
            _run(*self.command("iptables", "-D", "INPUT", *rule))

    @contextlib.contextmanager
    def unplugged(self) -> Iterator[None]:
        """Have the cable out: see `pull_cable`."""
        self.pull_cable()
        try:
            yield
        finally:
            self.plug_cable()

    @contextlib.contextmanager
    def silent(self) -> Iterator[None]:
        """Drop all packets to this host without a word."""
        self.silence()
        try:
            yield
        finally:
            self.listen_again()

    @contextlib.contextmanager
    def narrow(self, megabits_a_second: int) -> Iterator[None]:
        """Let so little through in each direction; what is too much is dropped."""
        ends = ((self.switch, self.port), (self.namespace, "eth0"))
        how = f"rate {megabits_a_second}mbit burst 128kb latency 50ms".split()
        for namespace, device in ends:
            _run("tc", "-n", namespace, "qdisc", "add", "dev", device, "root", "tbf", *how)
        try:
            yield
        finally:
            for namespace, device in ends:
                _run("tc", "-n", namespace, "qdisc", "delete", "dev", device, "root")

    @contextlib.contextmanager
    def far_away(self, delay_s: float) -> Iterator[None]:
        """Let every packet take so long in each direction: a program stands between host and switch."""
        near, far = f"{self.port}n", f"{self.port}f"
        _run("ip", "-n", self.switch, "link", "add", near, "type", "veth", "peer", far)
        try:
            for device in (near, far):
                _run("ip", "-n", self.switch, "link", "set", device, "up")
            _run("ip", "-n", self.switch, "link", "set", far, "master", "br0")
            program = ["ip", "netns", "exec", self.switch, sys.executable, str(_DELAY)]
            with subprocess.Popen(
                [*program, self.port, near, str(delay_s)], stdout=subprocess.PIPE
            ) as between:
                try:
                    assert between.stdout is not None
                    assert between.stdout.readline() == b"ready\n"
                    _run("ip", "-n", self.switch, "link", "set", self.port, "nomaster")
                    yield
                finally:
                    between.kill()
        finally:
            _run("ip", "-n", self.switch, "link", "set", self.port, "master", "br0")
            _run("ip", "-n", self.switch, "link", "delete", near)

    def kill_connections(self) -> None:
        """End all connections of this host, with a reset to the other side."""
        _run(*self.command("ss", "-K", "-t", "-H", "state", "established"))


@contextlib.contextmanager
def network(*names: str) -> Iterator[dict[str, Host]]:
    """Make a switch and hosts on it; remove all at the end."""
    require_namespaces()
    tag = f"mc{os.getpid() % 100000}x{next(_numbers)}"
    switch = f"{tag}sw"
    hosts = {}
    made = [switch]
    try:
        _run("ip", "netns", "add", switch)
        _run("ip", "-n", switch, "link", "add", "br0", "type", "bridge")
        _run("ip", "-n", switch, "link", "set", "br0", "up")
        for number, name in enumerate(names, start=1):
            namespace = f"{tag}h{number}"
            host = Host(name, namespace, f"10.77.0.{number}", switch, f"p{number}")
            made.append(namespace)
            _run("ip", "netns", "add", namespace)
            _run("ip", "-n", namespace, "link", "set", "lo", "up")
            _run(
                "ip",
                "-n",
                switch,
                "link",
                "add",
                host.port,
                "type",
                "veth",
                "peer",
                "eth0",
                "netns",
                namespace,
            )
            _run("ip", "-n", switch, "link", "set", host.port, "master", "br0", "up")
            _run("ip", "-n", namespace, "address", "add", f"{host.address}/24", "dev", "eth0")
            _run("ip", "-n", namespace, "link", "set", "eth0", "up")
            hosts[name] = host
        yield hosts
    finally:
        for namespace in made:
            subprocess.run(["ip", "netns", "delete", namespace], check=False, capture_output=True)


def _run(*arguments: str) -> None:
    done = subprocess.run(arguments, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(arguments)}: {done.stderr}"
