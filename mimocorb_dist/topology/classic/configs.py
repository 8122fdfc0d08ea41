"""The config of a function in a setup of mimoCoRB 1: one of three sources, whole, never a mixture.

`FunctionConfigs` of the setup, the common config file that `Fkt_main` names, and the function's own config
file: of those that have something for the function, the last one wins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mimocorb_dist.topology.findings import shown

from .items import MAIN

if TYPE_CHECKING:
    from mimocorb_dist.topology.configs import ConfigReader
    from mimocorb_dist.topology.document import Entry, Item
    from mimocorb_dist.topology.fields import Fields, Reference
    from mimocorb_dist.topology.findings import Findings

GENERAL = "general"


class Configs:
    """The configs of a setup.

    Parameters
    ----------
    findings
        Gets the mistakes.
    reader
        Reads config files.
    top, main
        The top level of the setup, and its `Fkt_main`.
    """

    def __init__(self, findings: Findings, reader: ConfigReader, top: Fields, main: Fields) -> None:
        self._findings = findings
        self._reader = reader
        self._inline = self._mapping(top.item("FunctionConfigs"), "FunctionConfigs")
        self._common: dict[Any, Entry] = {}
        self.files: dict[str, None] = {}
        name = main.text("config_file", "config/common.yaml")
        item = main.item("config_file")
        if name and item:
            self.files[name.name] = None
            self._common = reader.file(f"'{MAIN}'", item)

    @property
    def general(self) -> tuple[dict[Any, Entry], Item | None]:
        """The block `general` of the common config file, and where it stands."""
        entry = self._common.get(GENERAL)
        return self._block(self._common, GENERAL) or {}, entry.item if entry else None

    def of(self, label: str, function: Reference | None, fields: Fields) -> dict[Any, Entry]:
        """Return the config of a function.

        Parameters
        ----------
        label
            What messages call it.
        function
            The Python function: blocks of configs are named after it.
        fields
            Its keys in the setup.
        """
        own, item = fields.text("config_file", "config/filter.yaml"), fields.item("config_file")
        if own and item:
            self.files[own.name] = None
            return self._reader.file(label, item)
        if function is None:
            return {}
        blocks = (self._block(source, function.name) for source in (self._common, self._inline))
        return next((block for block in blocks if block is not None), {})

    def _block(self, source: dict[Any, Entry], name: str) -> dict[Any, Entry] | None:
        """Return what a source has under a name; None if it has nothing."""
        entry = source.get(name)
        return None if entry is None else self._mapping(entry.item, f"the config '{name}'")

    def _mapping(self, item: Item | None, what: str) -> dict[Any, Entry]:
        if item is None or item.value is None:
            return {}
        if isinstance(item.value, dict):
            return item.value
        remedy = "write lines of the form 'name: value' below it"
        self._findings.mistake(item.place, f"{what} is {shown(item.value)}, not a mapping", remedy)
        return {}
