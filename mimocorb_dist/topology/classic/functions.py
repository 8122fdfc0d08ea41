"""`Functions:` of a setup of mimoCoRB 1, but for `Fkt_main`."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from mimocorb_dist.topology.code import check_function, functions_remedy, read_user_code
from mimocorb_dist.topology.drafts import WorkerDraft
from mimocorb_dist.topology.fields import Reference
from mimocorb_dist.topology.findings import shown, suggest
from mimocorb_dist.topology.workers import MAX_PROCESSES

from .items import check_keys, fields_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mimocorb_dist.topology.document import Entry
    from mimocorb_dist.topology.fields import Fields
    from mimocorb_dist.topology.findings import Findings
    from mimocorb_dist.topology.model import OnError
    from mimocorb_dist.topology.paths import Folder
    from mimocorb_dist.topology.user_files import Code

    from .configs import Configs

KEYS = ("file_name", "fkt_name", "num_process", "RB_assign", "config_file", "node", "on_error")
MODES = ("read", "write", "observe")
_RENAMED = {
    "file": "file_name",
    "function": "fkt_name",
    "number_of_processes": "num_process",
    "config": "config_file",
    "sources": "RB_assign",
    "sinks": "RB_assign",
    "observes": "RB_assign",
}
_SUFFIX = ".py"


class FunctionReader:
    """Reads functions.

    Parameters
    ----------
    findings
        Gets the mistakes.
    configs
        The configs of the setup.
    folder
        The working directory.
    """

    def __init__(self, findings: Findings, configs: Configs, folder: Folder) -> None:
        self._findings = findings
        self._configs = configs
        self._folder = folder

    def read(self, entries: Mapping[str, Entry]) -> dict[str, WorkerDraft]:
        """Read the functions of a setup, by name."""
        return {name: self._read(name, entry) for name, entry in entries.items()}

    def _read(self, name: str, entry: Entry) -> WorkerDraft:
        label = f"function '{name}'"
        example = f"{name}: {{file_name: modules/find, fkt_name: find, num_process: 1, RB_assign: {{...}}}}"
        fields = fields_of(self._findings, label, entry, example)
        if fields is None:
            return WorkerDraft(name, entry.key_place, entry.key_place)
        before = len(self._findings)
        check_keys(fields, KEYS, _RENAMED)
        assigned = self._read_assigned(fields)
        complete = len(self._findings) == before
        file = self._read_file(fields)
        code = read_user_code(self._findings, self._folder, label, file) if file else None
        function = self._read_function(fields, file, code)
        processes = fields.required("num_process", "1")
        number = fields.whole_number(processes, "num_process", 1, MAX_PROCESSES) if processes else None
        config = self._configs.of(label, function, fields)
        return WorkerDraft(
            name=name,
            place=entry.key_place,
            processes_place=processes.place if processes else entry.key_place,
            function=function,
            file=file,
            file_path=self._folder.find(file.name) if file else None,
            config={key: value.item.plain() for key, value in config.items()},
            config_places={key: value.item.place for key, value in config.items()},
            processes=number or 1,
            nodes=fields.names("node", "node", one_allowed=True),
            sources=tuple(buffer for buffer, mode in assigned if mode == "read"),
            sinks=tuple(buffer for buffer, mode in assigned if mode == "write"),
            observes=tuple(buffer for buffer, mode in assigned if mode == "observe"),
            assigned=tuple((buffer.name, mode) for buffer, mode in assigned),
            on_error=cast("OnError", fields.choice("on_error", ("stop", "skip", "restart"), "stop")),
            call="classic1",
            complete=complete,
        )

    def _read_assigned(self, fields: Fields) -> list[tuple[Reference, str]]:
        """Return the buffers of a function, each with what it does with it, in the order of the setup."""
        item = fields.item("RB_assign")
        if item is None:
            return []
        label = fields.label
        if not isinstance(item.value, dict):
            what = f"{label}: RB_assign is {shown(item.value)}, not a mapping"
            self._findings.mistake(item.place, what, "write for example 'RB_assign: {RB_1: write}'")
            return []
        assigned = []
        for name, entry in item.value.items():
            mode = entry.item.value
            if not isinstance(name, str):
                what = f"{label}: RB_assign names {shown(name)}, not a buffer"
                self._findings.mistake(entry.key_place, what, "write for example 'RB_1: read'")
            elif not isinstance(mode, str) or mode not in MODES:
                what = f"{label}: RB_assign of '{name}' is {shown(mode)}"
                self._findings.mistake(
                    entry.key_place if mode is None else entry.item.place,
                    what,
                    suggest(mode, MODES, "allowed"),
                )
            else:
                assigned.append((Reference(name, entry.key_place), mode))
        return assigned

    def _read_file(self, fields: Fields) -> Reference | None:
        item = fields.required("file_name", "modules/find")
        file = fields.text("file_name", "modules/find") if item else None
        return file and Reference(file.name.removesuffix(_SUFFIX) + _SUFFIX, file.place)

    def _read_function(self, fields: Fields, file: Reference | None, code: Code | None) -> Reference | None:
        remedy = functions_remedy(file, code) if file and code else ""
        item = fields.required("fkt_name", "find_pulses", remedy)
        function = fields.text("fkt_name", "find_pulses") if item else None
        if function and file and code:
            check_function(self._findings, fields.label, function, file, code, "classic1")
        return function
