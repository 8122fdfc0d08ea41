"""`mimocorb-node keys`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mimocorb_dist.wire.keys import read_keys
from tests.support import mimocorb_node

SETUP = """\
Nodes: {daq: {host: 192.168.1.10}, storage: {host: 192.168.1.11}}
Buffers:
  raw: {slot_count: 16, data_length: 1000, data_dtype: {ch1: float32}}
Workers:
  take: {node: daq, function: simulators.muons, sinks: [raw]}
  drain: {node: storage, function: exporters.drain, sources: [raw]}
"""


class Machine:
    """A machine with its own key file."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.path = folder / "config" / "keys"

    def keys(self, *arguments: str | Path, status: int = 0) -> str:
        done = mimocorb_node("keys", *arguments, cwd=self.folder, env={"MIMOCORB_KEYS": str(self.path)})
        assert done.returncode == status, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        if self.path.exists() and (own := read_keys(self.path).own):
            assert own.secret not in done.stdout + done.stderr
        return done.stdout if status == 0 else done.stderr


@pytest.fixture
def one(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "one")


@pytest.fixture
def other(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "other")


def line_to_type(said: str) -> list[str]:
    """Return the arguments of the line that others are to type, as a shell reads them."""
    found = re.search(r"^ +mimocorb-node keys (allow) (\S+) '(\S+)'$", said, re.MULTILINE)
    assert found is not None, said
    return list(found.groups())


def test_two_machines_get_to_know_each_other_by_what_show_says(one: Machine, other: Machine) -> None:
    assert "made" in one.keys("new", "daq")
    other.keys("new", "storage")
    said = other.keys(*line_to_type(one.keys("show")))
    assert "daq" in said and "is known now" in said
    one.keys(*line_to_type(other.keys("show")))
    mine, theirs = read_keys(one.path), read_keys(other.path)
    assert mine.own is not None and theirs.own is not None
    assert mine.known == {"storage": theirs.own.public}
    assert theirs.known == {"daq": mine.own.public}
    fingerprint = one.keys("show").split()[1]
    assert fingerprint in other.keys("show")


def test_without_a_name_the_key_has_that_of_the_host(one: Machine) -> None:
    one.keys("new")
    own = read_keys(one.path).own
    assert own is not None and own.name


def test_a_key_pair_is_not_replaced_by_mistake(one: Machine) -> None:
    one.keys("new", "daq")
    before = read_keys(one.path)
    assert "there already" not in one.keys("new", "daq", status=2)
    assert read_keys(one.path) == before
    one.keys("new", "daq", "--replace")
    assert read_keys(one.path).own != before.own


def test_bundles_are_made_for_a_setup_and_installed(one: Machine, other: Machine) -> None:
    (one.folder / "setup.yaml").write_text(SETUP)
    said = one.keys("new", "--for", "setup.yaml")
    assert "daq.keys  copy it to 192.168.1.10, type there: mimocorb-node keys install daq.keys" in said
    assert (one.folder / "daq.keys").stat().st_mode & 0o777 == 0o600
    assert "there already" in one.keys("new", "--for", "setup.yaml", status=2)
    other.keys(*line_to_type(one.keys("new", "elsewhere")))
    said = other.keys("install", one.folder / "storage.keys")
    assert "storage, which knows daq, elsewhere" in said
    assert "remove" in said
    content = read_keys(other.path)
    assert content.own is not None and content.own.name == "storage"
    other.keys("install", one.folder / "storage.keys")
    assert "--replace" in other.keys("install", one.folder / "daq.keys", status=2)
    other.keys("install", one.folder / "daq.keys", "--replace")
    assert set(read_keys(other.path).known) == {"elsewhere", "storage"}


def test_forgetting(one: Machine, other: Machine) -> None:
    other.keys("new", "storage")
    one.keys(*line_to_type(other.keys("show")))
    assert "storage is not known any more" in one.keys("forget", "storage")
    assert "no key is known as 'storage'" in one.keys("forget", "storage", status=2)
    assert read_keys(one.path).known == {}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show"], "mimocorb-node keys new"),
        (["allow", "daq", "short"], "40 characters"),
        (["allow", "a b", 40 * "a"], "cannot be the name"),
        (["install", "nowhere.keys"], "no such file"),
        (["install", "setup.yaml"], "holds no key"),
        (["install", "empty.keys"], "no key pair in it"),
        (["new", "daq", "--for", "setup.yaml"], "give no name"),
        (["new", "--for", "local.yaml"], "no keys are needed"),
        (["new", "--for", "nowhere.yaml"], "nowhere.yaml"),
        (["make"], "No such command 'make'"),
    ],
)
def test_mistakes_are_told(one: Machine, arguments: list[str], words: str) -> None:
    for name, text in {"setup.yaml": SETUP, "empty.keys": "", "local.yaml": SETUP}.items():
        path = one.folder / name
        path.write_text(text if name != "local.yaml" else _without_nodes(text))
        path.chmod(0o600)
    assert words in one.keys(*arguments, status=2)
    assert not one.path.exists()


def _without_nodes(setup: str) -> str:
    return re.sub(r"node: \w+, ", "", setup.partition("\n")[2])
