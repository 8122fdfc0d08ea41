"""`Nodes:`, `Broker:` and `security:`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mimocorb_dist.errors import TopologyError
from mimocorb_dist.topology import describe, plan

from .setups import NODES, SETUP

if TYPE_CHECKING:
    from collections.abc import Callable

    from mimocorb_dist.topology import Topology

PLACED = SETUP.replace("take: {", "take: {node: daq, ").replace("save: {", "save: {node: storage, ")
LOCAL_NODES = "Nodes: {daq: , storage: {}}\n"


def test_without_nodes_there_is_one_local_node_and_any_port(setup: Callable[[str], Topology]) -> None:
    topology = setup(SETUP)
    assert list(topology.nodes) == ["local"]
    assert topology.nodes["local"].host is None
    assert (topology.broker_node, topology.broker_port, topology.data_ports) == ("local", None, None)
    assert not topology.distributed


def test_with_nodes_the_broker_is_on_the_first_at_port_5550(setup: Callable[[str], Topology]) -> None:
    topology = setup(NODES + PLACED)
    assert topology.distributed
    assert (topology.broker_node, topology.broker_port) == ("daq", 5550)
    assert topology.nodes["storage"].host == "192.168.1.12"
    assert topology.security == "none"


def test_the_broker_goes_where_the_setup_says(setup: Callable[[str], Topology]) -> None:
    topology = setup(NODES + "Broker: {node: storage, port: 6000, ports: [6001, 6010]}\n" + PLACED)
    assert (topology.broker_node, topology.broker_port) == ("storage", 6000)
    assert topology.data_ports == (6001, 6010)


def test_nodes_without_host_or_on_loopback_need_no_security(setup: Callable[[str], Topology]) -> None:
    text = "Nodes: {daq: , filter: {}, b: {host: localhost}, storage: {host: '::1'}}\n" + PLACED
    assert setup(text).nodes["daq"].host is None


def test_hosts_on_a_network_have_keys_unless_the_setup_says_none(setup: Callable[[str], Topology]) -> None:
    nodes = "Nodes: {daq: {host: 192.168.1.10}, storage: {host: lab-pc.example.org}}\n"
    topology = setup(nodes + PLACED)
    assert topology.on_network and topology.security is None
    assert "security: keys" in describe(plan(topology))
    assert setup(f"security: none\n{nodes}{PLACED}").security == "none"
    assert not setup("Nodes: {daq: {}, storage: {host: 127.0.0.1}}\n" + PLACED).on_network


@pytest.mark.parametrize("value", ["None", "no", "null", "curve", "[none]", "''"])
def test_security_takes_the_word_none_only(mistakes: Callable[..., None], value: str) -> None:
    mistakes(f"security: \u00a7{value}\n{SETUP}", ("security is ", "the only value is the word none"))


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("\u00a7192.168.1.300", "is no valid address"),
        ("\u00a7tcp://pc", "has a protocol or a port"),
        ("\u00a7pc:5550", "has a protocol or a port"),
        ("\u00a7'my pc'", "is no host name"),
        ("\u00a7'-pc'", "is no host name"),
        ("\u00a70.0.0.0", "is no address of one host"),
        ("\u00a7224.0.0.1", "is no address of one host"),
    ],
)
def test_a_host_is_a_name_or_an_address(mistakes: Callable[..., None], host: str, words: str) -> None:
    text = f"security: none\nNodes: {{daq: {{host: {host}}}, storage: {{host: pc}}}}\n{PLACED}"
    mistakes(text, ("node 'daq': host", words, "write a host name or an address"))


def test_a_host_that_yaml_reads_as_a_number_is_a_mistake(mistakes: Callable[..., None]) -> None:
    text = "Nodes: {daq: {host: \u00a710.5}, storage: }\n" + PLACED
    mistakes(text, ("host is 10.5, not a text", "or put 10.5 in quotes"))


def test_a_node_is_a_mapping_with_host_only(mistakes: Callable[..., None]) -> None:
    mistakes(
        "security: none\nNodes: {daq: \u00a7192.168.1.10, storage: {\u00a7hots: pc}}\n" + PLACED,
        ("node 'daq' is '192.168.1.10', not a mapping", "write for example 'daq: {host: 192.168.1.10}'"),
        ("node 'storage': unknown key 'hots'", "did you mean 'host'?"),
    )


def test_two_nodes_of_one_name_are_a_mistake_with_both_places(
    mistakes: Callable[..., None], setup: Callable[[str], Topology]
) -> None:
    text = "Nodes:\n  daq: {}\n  storage: {}\n  \u00a7daq: {}\n" + PLACED
    mistakes(text, ("there are two nodes of the name 'daq'", "the other one is at line 2"))
    with pytest.raises(TopologyError) as caught:
        setup(text.replace("\u00a7", ""))
    assert caught.value.warnings == ()  # the mistake says already that the key is given twice


@pytest.mark.parametrize("name", ["a b", "a/b", "..", ".a", "a.b", "a@b", "-a", "''", "a" * 65])
def test_a_node_name_must_be_fit_for_file_names(mistakes: Callable[..., None], name: str) -> None:
    text = f"Nodes: {{daq: , storage: , \u00a7{name}: }}\n{PLACED}"
    mistakes(text, ("cannot be the name of a node", "letters, digits"))


@pytest.mark.parametrize("name", ["yes", "3", "2024-01-01"])
def test_a_node_name_that_yaml_reads_as_something_else_is_a_mistake(
    mistakes: Callable[..., None], name: str
) -> None:
    text = f"Nodes: {{daq: , storage: , \u00a7{name}: }}\n{PLACED}"
    mistakes(text, ("the name of a node is", "put it in quotes"))


@pytest.mark.parametrize(
    ("nodes", "words"), [("\u00a7[daq]", "Nodes is a list"), ("\u00a7~", "Nodes is nothing")]
)
def test_nodes_is_a_mapping(mistakes: Callable[..., None], nodes: str, words: str) -> None:
    mistakes(f"{SETUP}Nodes: {nodes}", (words, "not a mapping", "Nodes: {daq: {host: 192.168.1.10}}"))


def test_nodes_is_not_empty(mistakes: Callable[..., None]) -> None:
    mistakes("\u00a7Nodes: {}\n" + SETUP, ("Nodes is empty", "name at least one node"))


def test_a_broker_that_other_hosts_cannot_reach_is_a_mistake(mistakes: Callable[..., None]) -> None:
    nodes = "Nodes:\n  daq: {host: 192.168.1.10}\n  storage: {host: \u00a7127.0.0.1}\nsecurity: none\n"
    mistakes(
        nodes + "Broker: {node: storage}\n" + PLACED,
        (
            "the broker's node 'storage' has host 127.0.0.1, where node 'daq' (192.168.1.10) cannot reach it",
            "write the address under which the other hosts reach it",
        ),
    )


def test_a_node_without_host_among_others_is_a_mistake(mistakes: Callable[..., None]) -> None:
    nodes = "Nodes:\n  daq: {host: 192.168.1.10}\n  \u00a7storage: {}\nsecurity: none\n"
    mistakes(nodes + PLACED, "node 'storage' has no host, where node 'daq' (192.168.1.10) cannot reach it")


@pytest.mark.parametrize(
    ("broker", "words"),
    [
        ("\u00a7storage", ("Broker is 'storage', not a mapping",)),
        (
            "{node: \u00a7storag}",
            ("Broker: there is no node 'storag'", "did you mean 'storage'? (nodes: daq, storage)"),
        ),
        ("{node: \u00a73}", ("Broker: node is 3, not a text",)),
        ("{\u00a7prot: 3}", ("Broker: unknown key 'prot'", "did you mean 'port'?")),
        ("{port: \u00a7'5550'}", ("Broker: port is '5550', a text", "from 1 to 65535, without quotes")),
        ("{port: \u00a70}", ("Broker: port is 0",)),
        ("{port: \u00a7true}", ("Broker: port is true",)),
        ("{port: \u00a765536}", ("Broker: port is 65536",)),
        ("{ports: \u00a75551}", ("Broker: ports is 5551, not a pair", "ports: [5551, 5599]")),
        ("{ports: \u00a7[5551]}", ("Broker: ports is 1 values, not a pair",)),
        ("{ports: [\u00a7a, 5599]}", ("Broker: a port of ports is 'a'",)),
        ("{ports: \u00a7[5599, 5551]}", ("Broker: ports [5599, 5551] begins above its end",)),
        ("{ports: \u00a7[5540, 5560]}", ("contains the broker's own port 5550",)),
        ("{port: 7000, ports: \u00a7[7000, 7001]}", ("contains the broker's own port 7000",)),
    ],
)
def test_a_wrong_broker_is_a_mistake(
    mistakes: Callable[..., None], broker: str, words: tuple[str, ...]
) -> None:
    mistakes(f"{LOCAL_NODES}Broker: {broker}\n{PLACED}", words)


def test_too_few_data_ports_are_a_mistake(mistakes: Callable[..., None]) -> None:
    workers = "".join(
        f"  s{i}: {{node: n{i}, function: exporters.drain, sources: [raw]}}\n" for i in range(3)
    )
    nodes = "Nodes: {daq: , n0: , n1: , n2: , storage: }\nBroker: {ports: \u00a7[6000, 6002]}\n"
    mistakes(nodes + PLACED + workers, ("ports [6000, 6002] are too few", "4 links", "at least 4 ports"))


def test_a_node_where_nothing_happens_is_a_warning(warnings: Callable[..., None]) -> None:
    warnings("Nodes: {daq: , \u00a7idle: , storage: }\n" + PLACED, "node 'idle' has no worker and no buffer")


def test_the_node_of_the_broker_may_do_nothing_else(warnings: Callable[..., None]) -> None:
    warnings("Nodes: {desk: , daq: , storage: }\n" + PLACED)


def test_node_keys_without_nodes_are_a_mistake(mistakes: Callable[..., None]) -> None:
    text = SETUP.replace("take: {", "take: {node: \u00a7daq, ")
    mistakes(
        text, ("worker 'take': there is no node 'daq', for the setup has no 'Nodes:'", "or add 'Nodes: {daq:")
    )


def test_the_local_node_may_be_named(setup: Callable[[str], Topology]) -> None:
    assert setup(SETUP.replace("take: {", "take: {node: local, ")).workers["take"].nodes == ("local",)
