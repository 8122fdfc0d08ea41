"""A whole setup of mimoCoRB 1."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mimocorb_dist.topology.configs import ConfigReader
from mimocorb_dist.topology.disk import read_disk
from mimocorb_dist.topology.drafts import SetupDraft
from mimocorb_dist.topology.fields import Fields
from mimocorb_dist.topology.findings import nearest, shown
from mimocorb_dist.topology.hosts import read_hosts
from mimocorb_dist.topology.model import RunRules
from mimocorb_dist.topology.paths import Folder
from mimocorb_dist.topology.target import read_target

from .buffers import read_buffers
from .configs import GENERAL, Configs
from .copies import copies_of
from .functions import FunctionReader
from .items import MAIN, check_keys, limit, numbered_items, truth

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mimocorb_dist.topology.document import Entry, Item
    from mimocorb_dist.topology.drafts import WorkerDraft
    from mimocorb_dist.topology.findings import Findings

KEYS = (
    *("output_directory", "GUI_control", "KBD_control"),
    *("RingBuffer", "Functions", "FunctionConfigs"),
    *("Nodes", "Broker", "security", "Disk"),
)
MAIN_KEYS = ("config_file", "runtime", "runevents")
FIRST_BUFFER, FIRST_FUNCTION = "RB_1", "Fkt_1"
_LIMITS = ("runtime", "runevents")
_OF_MIMOCORB2 = {
    "Buffers": "RingBuffer",
    "Workers": "Functions",
    "target_directory": "output_directory",
    "base_config": "FunctionConfigs",
}


def is_classic(document: Item) -> bool:
    """Tell whether a document, a mapping, is a setup of mimoCoRB 1."""
    entries: Mapping[object, Entry] = document.value
    functions = entries.get("Functions")
    return "RingBuffer" in entries or (functions is not None and isinstance(functions.item.value, list))


def read_classic(findings: Findings, document: Item, path: Path) -> SetupDraft:
    """Read a setup of mimoCoRB 1.

    Parameters
    ----------
    findings
        Gets mistakes and warnings.
    document
        The setup, a mapping.
    path
        Its file, absolute.

    Returns
    -------
    SetupDraft
        As far as it could be read.
    """
    top = Fields(findings, "setup", document.place, document.value)
    _check_top_level(findings, top)
    folder = Folder(Path.cwd(), Path(), "the working directory")
    functions = _read_functions(findings, top)
    main = _read_main(findings, functions.pop(MAIN, None), top)
    reader = ConfigReader(findings, folder)
    configs = Configs(findings, reader, top, main)
    max_events, max_time_s = _read_limits(findings, top, main, configs)
    workers = FunctionReader(findings, configs, folder).read(functions)
    target_directory, target_path = read_target(findings, top, folder, "output_directory")
    _check_counted(findings, main, max_events, workers)
    return SetupDraft(
        hosts=read_hosts(findings, top),
        buffers=read_buffers(findings, top),
        workers=workers,
        target_directory=target_directory,
        target_path=target_path,
        dialect="mimoCoRB 1",
        disk=read_disk(findings, top),
        config_files=reader.hashes,
        rules=RunRules(
            max_events=max_events,
            max_time_s=max_time_s,
            counted=FIRST_BUFFER,
            ends_with=FIRST_FUNCTION,
            holds=True,
            run_name=_run_name(path),
            copied=copies_of(path, (folder.find(name) for name in configs.files)),
            kbd=truth(top, "KBD_control", True),
            gui=truth(top, "GUI_control", True),
        ),
    )


def _check_top_level(findings: Findings, top: Fields) -> None:
    """Find keys of the other dialect, and mistyped ones; all others may hold templates and anchors."""
    absent = [key for key in KEYS if key not in top.entries]
    for key, entry in top.entries.items():
        if key in KEYS:
            continue
        if key in ("Buffers", "Workers"):
            what = f"'{key}:' stands in a setup of mimoCoRB 1, which has 'RingBuffer:' and 'Functions:'"
            findings.mistake(entry.key_place, what, f"move what it holds to '{_OF_MIMOCORB2[key]}:'")
        elif _OF_MIMOCORB2.get(key) in absent:
            what = f"the key '{key}' means nothing in a setup of mimoCoRB 1"
            findings.mistake(entry.key_place, what, f"it is called '{_OF_MIMOCORB2[key]}' there")
        elif meant := nearest(key, absent, cutoff=0.75):
            what = f"the key '{key}' means nothing at the top level"
            if meant in ("RingBuffer", "Functions"):
                findings.mistake(entry.key_place, what, f"write '{meant}:', names of keys are exact")
                top.mistyped.add(meant)
            else:
                findings.warn(entry.key_place, what, f"did you mean '{meant}'?")


def _read_functions(findings: Findings, top: Fields) -> dict[str, Entry]:
    remedy = f"list the functions: '- {MAIN}: {{}}', then '- Fkt_1: {{...}}'"
    item = top.required("Functions", "[...]", remedy)
    entries = numbered_items(findings, item, "Functions", "Fkt_") if item else {}
    if item and entries and not set(entries) - {MAIN}:
        what = f"Functions has no function besides '{MAIN}'"
        findings.mistake(entries[MAIN].key_place, what, "add one: '- Fkt_1: {...}'")
    return entries


def _read_main(findings: Findings, entry: Entry | None, top: Fields) -> Fields:
    label = f"'{MAIN}'"
    if entry is None or entry.item.value is None:
        return Fields(findings, label, entry.key_place if entry else top.place, {})
    if not isinstance(entry.item.value, dict):
        what = f"{label} is {shown(entry.item.value)}, not a mapping"
        findings.mistake(entry.item.place, what, f"write for example '{MAIN}: {{runevents: 1000}}'")
        return Fields(findings, label, entry.key_place, {})
    main = Fields(findings, label, entry.key_place, entry.item.value)
    check_keys(main, MAIN_KEYS, {"max_events": "runevents", "max_time": "runtime"})
    return main


def _read_limits(
    findings: Findings, top: Fields, main: Fields, configs: Configs
) -> tuple[int | None, float | None]:
    """Return the most events and the longest time of a run; the common config file has the last word."""
    block, item = configs.general
    general = Fields(
        findings, f"'{GENERAL}' of the common config file", item.place if item else top.place, block
    )
    found = {}
    for key in _LIMITS:
        fields = general if key in general.entries else main
        found[key] = limit(fields, key, whole=key == "runevents")
        if key in top.entries and key not in fields.entries:
            what = f"the key '{key}' means nothing at the top level"
            findings.warn(top.entries[key].key_place, what, f"move it to '{MAIN}'")
    events, time_s = found["runevents"], found["runtime"]
    return None if events is None else int(events), time_s


def _check_counted(
    findings: Findings, main: Fields, max_events: int | None, workers: Mapping[str, WorkerDraft]
) -> None:
    """Note a limit on events that nobody writes."""
    complete = workers and all(worker.complete for worker in workers.values())
    written = {sink.name for worker in workers.values() for sink in worker.sinks}
    if max_events is not None and complete and FIRST_BUFFER not in written:
        what = f"runevents counts the events of '{FIRST_BUFFER}', which no function writes"
        findings.mistake(main.place, what, "let the first buffer be the one to count, or remove runevents")


def _run_name(path: Path) -> str:
    """Return what names of run directories begin with: the name of the setup up to the word setup."""
    before, word, _ = path.stem.partition("setup")
    return before if word else f"{before}_"
