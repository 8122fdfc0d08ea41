"""Reading YAML so that every key and every value knows its place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import yaml

from .findings import shown
from .model import Place

if TYPE_CHECKING:
    from collections.abc import Hashable
    from pathlib import Path

    from .findings import Findings

_PREFIX = "tag:yaml.org,2002:"
_MERGE = _PREFIX + "merge"
_MAX_VALUES = 100_000  # aliases of aliases can make a small file endless
_FLOAT_WITHOUT_POINT = re.compile(r"[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+")


@dataclass(frozen=True)
class Item:
    """A value of a document and its place.

    Parameters
    ----------
    value
        A plain value; a list of items; or a dict of entries.
    place
        Where it begins.
    """

    value: Any
    place: Place

    def plain(self) -> Any:
        """Return the value without places: what a YAML reader gives."""
        if isinstance(self.value, dict):
            return {key: entry.item.plain() for key, entry in self.value.items()}
        if isinstance(self.value, list):
            return [item.plain() for item in self.value]
        return self.value


@dataclass(frozen=True)
class Entry:
    """A key's place, its value, and the places where the same mapping has the same key before (they lose)."""

    key_place: Place
    item: Item
    earlier: tuple[Place, ...] = ()


class _CannotReadError(Exception):
    """The document cannot be read on from here."""


def read_document(path: Path, shown_name: str, findings: Findings, text: str | None = None) -> Item | None:
    """Read a YAML file.

    Parameters
    ----------
    path
        The file.
    shown_name
        How messages name it.
    findings
        Gets a mistake if the file cannot be read or is not YAML, and warnings for keys that are given twice.
    text
        Its content, if it is known already.

    Returns
    -------
    Item or None
        The whole document (with value None if it is empty); None after a mistake.
    """
    if text is None:
        text = _read_text(path, shown_name, findings)
        if text is None:
            return None
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is None:
            return Item(None, Place(shown_name))
        return _Converter(shown_name, findings).item(node)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        column = error.position - text.rfind("\n", 0, error.position)
        findings.mistake(
            Place(shown_name, line, column),
            f"this is no text that YAML can hold (character U+{error.character:04X})"
            if isinstance(error.character, int)
            else "this is no text that YAML can hold",
            "remove the character",
        )
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(shown_name, mark.line + 1, mark.column + 1) if mark else Place(shown_name)
        said = ", ".join(part for part in (error.context, error.problem) if part)
        findings.mistake(place, f"this is not valid YAML ({said})", _syntax_remedy(said))
    except _CannotReadError:
        pass  # the converter has noted why
    except RecursionError:
        findings.mistake(
            Place(shown_name), "the values are nested too deeply", "a setup needs a few levels only"
        )
    return None


def _read_text(path: Path, shown_name: str, findings: Findings) -> str | None:
    try:
        content = path.read_bytes()
    except OSError as error:
        findings.mistake(
            Place(shown_name), f"the file cannot be read ({error.strerror})", "check its name and rights"
        )
        return None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        place = Place(shown_name, before.count(b"\n") + 1, error.start - before.rfind(b"\n"))
        findings.mistake(
            place, f"the file is no UTF-8 text (byte {content[error.start]:#04x})", "save it as UTF-8"
        )
        return None


def _syntax_remedy(said: str) -> str:
    if "'\\t'" in said:
        return "indent with spaces, not with tabs"
    if "undefined alias" in said:
        return "an anchor (&name) must stand before the alias (*name) that uses it"
    return "check indentation, colons, quotes and brackets, here and in the line above"


class _Converter:
    """Turns the nodes of one YAML document into items."""

    def __init__(self, file: str, findings: Findings) -> None:
        self._file = file
        self._findings = findings
        self._constructor = yaml.constructor.SafeConstructor()
        self._open: set[int] = set()
        self._count = 0

    def item(self, node: yaml.Node) -> Item:
        place = self._place(node)
        self._count += 1
        if self._count > _MAX_VALUES:
            self._stop(
                place, f"the document has more than {_MAX_VALUES} values", "look for aliases of aliases"
            )
        if isinstance(node, yaml.ScalarNode):
            return Item(self._scalar(node), place)
        if id(node) in self._open:
            self._stop(place, "this value contains itself through an alias", "remove the alias")
        if node.tag not in (_PREFIX + "map", _PREFIX + "seq"):
            self._stop(place, f"the tag '{node.tag}' is not allowed", "write a plain list or mapping")
        self._open.add(id(node))
        value = (
            self._mapping(node) if isinstance(node, yaml.MappingNode) else [self.item(e) for e in node.value]
        )
        self._open.discard(id(node))
        return Item(value, place)

    def _mapping(self, node: yaml.MappingNode) -> dict[Hashable, Entry]:
        own: dict[Hashable, Entry] = {}
        merged: dict[Hashable, Entry] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                for key, entry in self._merged(value_node).items():
                    merged.setdefault(key, entry)
                continue
            place = self._place(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                self._stop(place, "a key is a list or a mapping", "write a plain name as key")
            key = self._scalar(key_node)
            before = (*own[key].earlier, own[key].key_place) if key in own else ()
            own[key] = Entry(place, self.item(value_node), before)
        for key, entry in own.items():
            for place in entry.earlier:
                self._findings.warn(
                    entry.key_place,
                    f"the key {shown(key)} is given twice, first at line {place.line}, column {place.column}",
                    "the last one counts; remove one of them",
                )
        return {**merged, **own}

    def _merged(self, node: yaml.Node) -> dict[Hashable, Entry]:
        """Return the entries that a merge key (``<<``) brings: of several mappings the first one wins."""
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
        entries: dict[Hashable, Entry] = {}
        for part in nodes:
            if not isinstance(part, yaml.MappingNode):
                place = self._place(part)
                self._stop(
                    place, "'<<' merges mappings only", "give it an alias of a mapping: '<<: *template'"
                )
            for key, entry in self.item(part).value.items():
                entries.setdefault(key, entry)
        return entries

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        try:
            value = self._constructor.construct_object(node, deep=True)
        except (yaml.YAMLError, ValueError, KeyError, AttributeError, TypeError, IndexError) as error:
            reason = error.problem if isinstance(error, yaml.MarkedYAMLError) else error
            what = f"'{node.value}' cannot be read as {node.tag.removeprefix(_PREFIX)} ({reason})"
            self._stop(self._place(node), what, "put it in quotes if it is a text")
        if isinstance(value, bytes):
            self._stop(
                self._place(node),
                "binary values are not allowed",
                "write a number, a text, a list or a mapping",
            )
        if isinstance(value, str) and not node.style and _FLOAT_WITHOUT_POINT.fullmatch(value):
            mantissa, exponent = re.split("[eE]", value)
            sign = "" if exponent[0] in "+-" else "+"
            self._findings.warn(
                self._place(node),
                f"YAML reads {value} as a text, not as a number",
                f"write {mantissa}.0e{sign}{exponent} for the number, or put it in quotes for the text",
            )
        return value

    def _place(self, node: yaml.Node) -> Place:
        return Place(self._file, node.start_mark.line + 1, node.start_mark.column + 1)

    def _stop(self, place: Place, what: str, remedy: str) -> NoReturn:
        self._findings.mistake(place, what, remedy)
        raise _CannotReadError
