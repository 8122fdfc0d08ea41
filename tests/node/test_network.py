"""Three hosts on one machine: network namespaces with addresses of their own."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
import uuid

import pytest

from tests.node.running import THREE_NODES, Started, assert_balanced, record, saved, write_setup
from tests.support import eventually

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("ip") is None, reason="network namespaces need root and `ip`"
    ),
]

NODES = {"daq": "10.99.7.1", "filter": "10.99.7.2", "storage": "10.99.7.3"}
HOSTS = "Nodes: {" + ", ".join(f"{node}: {{host: {host}}}" for node, host in NODES.items()) + "}"
SETUP = THREE_NODES.replace("Nodes: {daq: {}, filter: {}, storage: {}}", HOSTS + "\nsecurity: none")
BROKER = "tcp://10.99.7.3:5550"


def ip(*words):
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this machine allows no network namespaces: ip {' '.join(words)}: {done.stderr.strip()}")


class Network:
    """Three namespaces on one bridge."""

    def __init__(self, stack):
        self.mark = uuid.uuid4().hex[:6]
        bridge = f"mcb{self.mark}"
        ip("link", "add", bridge, "type", "bridge")
        stack.callback(ip, "link", "del", bridge)
        ip("link", "set", bridge, "up")
        for node, host in NODES.items():
            space, cable = self.space(node), self.cable(node)
            ip("netns", "add", space)
            stack.callback(ip, "netns", "del", space)
            ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", space)
            ip("link", "set", cable, "master", bridge, "up")
            ip("-n", space, "addr", "add", f"{host}/24", "dev", "eth0")
            ip("-n", space, "link", "set", "eth0", "up")
            ip("-n", space, "link", "set", "lo", "up")

    def space(self, node):
        return f"mc{self.mark}{node}"

    def cable(self, node):
        return f"mc{self.mark}{node[0]}"

    def start(self, node, setup):
        return Started(setup, inside=self.space(node))

    def ask(self, *words):
        inside = ["ip", "netns", "exec", self.space("storage")]
        command = [*inside, sys.executable, "-m", "mimocorb_dist.cli", *words, "--broker", BROKER]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)

    def cut(self, node, seconds):
        ip("link", "set", self.cable(node), "down")
        time.sleep(seconds)
        ip("link", "set", self.cable(node), "up")


@pytest.fixture
def network():
    with contextlib.ExitStack() as stack:
        yield Network(stack)


@contextlib.contextmanager
def started(network, folders):
    with contextlib.ExitStack() as stack:
        yield {
            node: stack.enter_context(network.start(node, folder / "setup.yaml"))
            for node, folder in folders.items()
        }


def folders_for(tmp_path, **values):
    folders = {node: tmp_path / node for node in NODES}
    for folder in folders.values():
        write_setup(folder, SETUP, PORT="5550", **values)
    return folders


def test_nodes_find_themselves_by_their_address_and_carry_all_events(network, tmp_path):
    folders = folders_for(tmp_path, SOURCE="events: 500")
    with started(network, folders) as runs:
        for run in runs.values():
            assert "security: none" in run.ends(0)
    content = record(folders["storage"])
    assert content["run"]["quality"] == "GOOD"
    assert content["nodes"]["filter"]["address"] == "10.99.7.2"
    assert_balanced(content)
    assert saved(folders["storage"]) == list(range(0, 500, 2))


@pytest.mark.parametrize(("cuts", "seconds"), [(2, 1.0), pytest.param(5, 3.0, marks=pytest.mark.fault)])
def test_cut_connections_lose_and_double_nothing_and_keep_the_order(network, tmp_path, cuts, seconds):
    folders = folders_for(tmp_path, SOURCE="rate: 5000")
    with started(network, folders) as runs:
        eventually(lambda: "running" in network.ask("status").stdout, 60.0)
        for number in range(cuts):
            network.cut(list(NODES)[number % 3], seconds)
            time.sleep(2.0)  # in which the links come back, and are at work when they are cut again
        assert "draining" in network.ask("stop").stdout
        for run in runs.values():
            run.ends(0, timeout_s=60.0)
    content = record(folders["storage"])
    assert content["run"]["quality"] == "GOOD"
    assert_balanced(content)
    assert all(book["lost"] == 0 for book in content["buffers"].values())
    assert saved(folders["storage"]) == list(range(0, content["buffers"]["raw"]["written"], 2))
