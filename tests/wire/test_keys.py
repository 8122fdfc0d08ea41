"""Key files: what is in them, who may read them, and that secrets show in no text."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimocorb_dist.errors import KeysError
from mimocorb_dist.wire import keys
from mimocorb_dist.wire.security import Secured, own_security, security_from_plain, security_to_plain


def test_a_file_that_is_not_there_has_no_keys(tmp_path: Path) -> None:
    assert keys.read_keys(tmp_path / "keys") == keys.KeyFile()


def test_what_is_written_is_read_and_nobody_else_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "keys"
    written = keys.bundles(["daq", "filter", "storage"])["daq"]
    keys.write_keys(path, written)
    assert keys.read_keys(path) == written
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert [entry.name for entry in path.parent.iterdir()] == ["keys"]


def test_keys_that_others_may_read_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    keys.write_keys(path, keys.KeyFile(keys.new_key("daq")))
    path.chmod(0o640)
    with pytest.raises(KeysError, match=f"chmod 600 {path}"):
        keys.read_keys(path)


def test_secrets_show_in_no_text() -> None:
    key = keys.new_key("daq")
    assert key.secret not in repr(key)
    assert key.secret not in repr(keys.KeyFile(key))
    assert key.secret not in str(key)


@pytest.mark.parametrize(
    "line", ["own daq", "known daq short", "owns a b c", "known daq " + 40 * "~", "own daq x y z"]
)
def test_a_line_without_a_key_is_named_without_showing_it(tmp_path: Path, line: str) -> None:
    path = tmp_path / "keys"
    path.write_text(f"# keys\n\n{line}\n")
    path.chmod(0o600)
    with pytest.raises(KeysError, match=f"{path}:3") as caught:
        keys.read_keys(path)
    assert line not in str(caught.value)


def test_bytes_that_are_no_text_are_told(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(KeysError, match="cannot be read"):
        keys.read_keys(path)


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(KeysError, match="cannot be written"):
        keys.write_keys(tmp_path / "file" / "keys", keys.KeyFile())


@pytest.mark.parametrize("name", ["", "-daq", "a b", "a/b", 65 * "a", "a\n"])
def test_names_that_cannot_be_a_nodes_are_refused(name: str) -> None:
    with pytest.raises(KeysError, match="cannot be the name"):
        keys.new_key(name)
    with pytest.raises(KeysError, match="cannot be the name"):
        keys.allow(keys.KeyFile(), name, keys.new_key("daq").public)


def test_keys_are_allowed_replaced_and_forgotten() -> None:
    first, second = keys.new_key("daq").public, keys.new_key("daq").public
    content = keys.allow(keys.KeyFile(), "daq", first)
    assert keys.allow(content, "daq", second).known == {"daq": second}
    with pytest.raises(KeysError, match="known as 'daq'"):
        keys.allow(content, "other", first)
    assert keys.forget(content, "daq").known == {}
    with pytest.raises(KeysError, match="no key is known as 'dag'; known are: daq"):
        keys.forget(content, "dag")
    with pytest.raises(KeysError, match="none is known here"):
        keys.forget(keys.KeyFile(), "daq")


@given(st.text(max_size=50).filter(lambda text: len(text) != 40))
def test_what_is_no_public_key_is_refused(text: str) -> None:
    with pytest.raises(KeysError, match="40 characters"):
        keys.check_public(text)


def test_bundles_know_each_other() -> None:
    made = keys.bundles(["daq", "filter", "storage"])
    for name, content in made.items():
        assert content.own is not None
        assert content.own.name == name
        assert set(content.known) == {"daq", "filter", "storage"} - {name}
        for other, public in content.known.items():
            assert (own := made[other].own) is not None
            assert own.public == public


def test_the_path_is_the_variables_or_in_the_folder_for_configurations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIMOCORB_KEYS", str(tmp_path / "mine"))
    assert keys.key_path() == tmp_path / "mine"
    monkeypatch.delenv("MIMOCORB_KEYS")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert keys.key_path() == tmp_path / "mimocorb" / "keys"
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert keys.key_path() == tmp_path / ".config" / "mimocorb" / "keys"


def test_security_without_an_own_key_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIMOCORB_KEYS", str(tmp_path / "keys"))
    with pytest.raises(KeysError, match="mimocorb-node keys new"):
        own_security()
    keys.write_keys(tmp_path / "keys", keys.KeyFile(keys.new_key("daq")))
    assert own_security() == Secured(str(tmp_path / "keys"))


def test_security_goes_through_a_job_file() -> None:
    public = keys.new_key("daq").public
    for security in (None, "none", Secured("/k"), Secured("/k", public), Secured("/k", None, (public,))):
        assert security_from_plain(security_to_plain(security)) == security  # type: ignore[arg-type]
