"""`Workers:` of a setup."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from .code import check_function, functions_remedy, read_user_code
from .drafts import WorkerDraft
from .fields import Fields, Reference, section
from .prebuilt import ports_of, problem_with

if TYPE_CHECKING:
    from .configs import ConfigReader
    from .document import Entry, Item
    from .findings import Findings
    from .model import OnError
    from .paths import Folder
    from .user_files import Code

WORKER_KEYS = (
    *("node", "file", "function", "config", "base_config", "number_of_processes"),
    *("sources", "sinks", "observes", "on_error"),
)
WORKER_LEFTOVERS = ("overwrite", "debug")
_RENAMED = {
    "source_list": "sources",
    "sink_list": "sinks",
    "observe_list": "observes",
    "file_name": "file",
    "fkt_name": "function",
    "num_process": "number_of_processes",
    "config_file": "config",
}
_EXAMPLE = "Workers: {save: {function: exporters.csv, sources: [raw]}}"
MAX_PROCESSES = 250


class WorkerReader:
    """Reads `Workers:`.

    Parameters
    ----------
    findings
        Gets the mistakes.
    configs
        Reads configs.
    folder
        The setup's folder.
    base_config
        `base_config:` of the top level, that all workers get.
    """

    def __init__(
        self, findings: Findings, configs: ConfigReader, folder: Folder, base_config: Item | None
    ) -> None:
        self._findings = findings
        self._configs = configs
        self._folder = folder
        self._base_config = base_config

    def read(self, top: Fields) -> dict[str, WorkerDraft]:
        """Read `Workers:` from the top level of a setup."""
        entries = top.named_section("Workers", "worker", _EXAMPLE)
        return {name: self._read_worker(name, entry) for name, entry in entries.items()}

    def _read_worker(self, name: str, entry: Entry) -> WorkerDraft:
        label = f"worker '{name}'"
        entries = section(
            self._findings, entry.item, label, f"{name}: {{function: exporters.csv, sources: [raw]}}"
        )
        if entries is None:
            return WorkerDraft(name, entry.key_place, entry.key_place)
        fields = Fields(self._findings, label, entry.key_place, entries)
        mistakes_before = len(self._findings)
        fields.check_keys(WORKER_KEYS, WORKER_LEFTOVERS, _RENAMED)
        sources, sinks, observes = (fields.names(key, "buffer") for key in ("sources", "sinks", "observes"))
        complete = len(self._findings) == mistakes_before
        file = fields.text("file", "modules/find.py")
        code = read_user_code(self._findings, self._folder, label, file) if file else None
        function = self._read_function(label, fields, file, code)
        ports = None
        if function is not None and not fields.given("file"):
            problem = problem_with(function.name, (len(sources), len(sinks), len(observes)))
            if problem is None:
                ports = ports_of(function.name)
            else:
                self._findings.mistake(function.place, f"{label}: {problem[0]}", problem[1])
        processes = fields.item("number_of_processes")
        base = self._configs.merged(label, self._base_config, fields.item("base_config"))
        own = self._configs.merged(label, fields.item("config"))
        config = {**base, **own}
        return WorkerDraft(
            name=name,
            place=entry.key_place,
            processes_place=processes.place if processes else entry.key_place,
            function=function,
            file=file,
            file_path=self._folder.find(file.name) if file else None,
            ports=ports,
            config={key: entry.item.plain() for key, entry in config.items()},
            config_places={key: entry.item.place for key, entry in config.items()},
            own_keys=tuple((key, entry.key_place) for key, entry in own.items()),
            processes=fields.integer("number_of_processes", 1, MAX_PROCESSES) or 1,
            nodes=fields.names("node", "node", one_allowed=True),
            sources=sources,
            sinks=sinks,
            observes=observes,
            on_error=cast("OnError", fields.choice("on_error", ("stop", "skip", "restart"), "stop")),
            complete=complete,
        )

    def _read_function(
        self, label: str, fields: Fields, file: Reference | None, code: Code | None
    ) -> Reference | None:
        remedy = functions_remedy(file, code) if file and code else ""
        item = fields.required("function", "exporters.csv", remedy)
        function = fields.text("function", "exporters.csv") if item else None
        if function and file and code:
            check_function(self._findings, label, function, file, code, "io")
        return function
