"""`config` and `base_config`: mappings and files, merged in their order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .content import content_hash
from .document import read_document
from .findings import shown
from .paths import YAML_SUFFIXES, is_file

if TYPE_CHECKING:
    from pathlib import Path

    from .document import Entry, Item
    from .findings import Findings
    from .paths import Folder


class ConfigReader:
    """Reads configs of a setup; each file once.

    Parameters
    ----------
    findings
        Gets the mistakes.
    folder
        The setup's folder.

    Attributes
    ----------
    hashes
        Name of each file that was read, as in the setup -> hash of what it says.
    """

    def __init__(self, findings: Findings, folder: Folder) -> None:
        self.hashes: dict[str, str] = {}
        self._findings = findings
        self._folder = folder
        self._files: dict[Path, dict[Any, Entry]] = {}

    def merged(self, label: str, *items: Item | None) -> dict[Any, Entry]:
        """Merge configs: later ones replace keys of earlier ones.

        Parameters
        ----------
        label
            What messages call them: ``worker 'find'``.
        items
            Mappings, names of YAML files, or lists of both; None is passed over.

        Returns
        -------
        dict
            Each key with its place and value.
        """
        config: dict[Any, Entry] = {}
        for item in items:
            for part in [] if item is None else item.value if isinstance(item.value, list) else [item]:
                config.update(self._part(label, part))
        return config

    def _part(self, label: str, item: Item) -> dict[Any, Entry]:
        if isinstance(item.value, dict):
            return item.value
        if isinstance(item.value, str) and item.value:
            return self.file(label, item)
        what = f"{label}: config is {shown(item.value)}"
        self._findings.mistake(
            item.place, what, "write a mapping, the name of a YAML file, or a list of those"
        )
        return {}

    def file(self, label: str, item: Item) -> dict[Any, Entry]:
        """Return what a YAML file holds.

        Parameters
        ----------
        label
            What messages call who needs it: ``worker 'find'``.
        item
            Its name: a text.
        """
        path = self._folder.find(item.value)
        if path in self._files:
            return self._files[path]
        self._files[path] = {}
        if not is_file(path):
            self._findings.mistake(
                item.place,
                f"{label}: there is no config file '{item.value}'",
                self._folder.remedy(item.value, YAML_SUFFIXES),
            )
            return {}
        document = read_document(path, self._folder.show(item.value), self._findings)
        if document is None:
            return {}
        self.hashes[item.value] = content_hash(document.plain())
        if document.value is None:
            return {}
        if not isinstance(document.value, dict):
            what = f"the config file of {label} holds {shown(document.value)}, not a mapping"
            self._findings.mistake(document.place, what, "write lines of the form 'name: value'")
            return {}
        self._files[path] = document.value
        return self._files[path]
