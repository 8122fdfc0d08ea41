"""Which classic names there are, and which names of ours stand for them.

To add a name, add a line: classic module -> classic name -> ``module:name`` of ours.
"""

from __future__ import annotations

_TEMPLATES = {
    name: f"mimocorb_dist.workers:{name}"
    for name in ("Exporter", "Filter", "Importer", "IsAlive", "Observer", "Processor")
}
_ERRORS = {name: f"mimocorb_dist.errors:{name}" for name in ("SetupError", "UfuncError")}
_IO = {"BufferIO": "mimocorb_dist.workers:BufferIO"}

_CONTROL = {"Control": "mimocorb_dist.control:Control"}

_1 = "mimocorb_dist.compat.classic1"
_FILES = {name: f"{_1}.files:{name}" for name in ("rb_toParquetfile", "rb_toTxtfile")}
_OLDER = {
    name: f"{_1}.older:{name}"
    for name in ("BufferToBuffer", "BufferToParquetfile", "BufferToTxtfile", "ObserverData", "SourceToBuffer")
}
_BUFFER_CONTROL = {
    **{
        name: f"{_1}.templates:{name}"
        for name in (
            "rbDrain", "rbExport", "rbImport", "rbObserver",
            "rbProcess", "rbPut", "rbTransfer", "rbWSObserver",
        )
    },
    **_FILES,
    **_OLDER,
    "buffer_control": f"{_1}.control:buffer_control",
    "run_mimoDAQ": "mimocorb_dist.daq:run_mimoDAQ",
}  # fmt: skip

CLASSIC_MODULES: dict[str, dict[str, str]] = {
    "mimocorb2": {**_TEMPLATES, **_ERRORS, **_IO, **_CONTROL, "__version__": "mimocorb_dist:__version__"},
    "mimocorb2.control": {**_CONTROL, **_ERRORS},
    "mimocorb2.worker_templates": {
        **_TEMPLATES,
        **_ERRORS,
        **_IO,
        "Base": "mimocorb_dist.workers:Template",
        "Template": "mimocorb_dist.workers:Template",
    },
    "mimocorb2.function_templates": {**_TEMPLATES, "Template": "mimocorb_dist.workers:Template"},
    "mimocorb2.mimo_worker": {**_IO, "Config": "mimocorb_dist.workers:Config"},
    "mimocorb2.mimo_buffer": {
        **{
            name: f"mimocorb_dist.compat.interfaces:{name}"
            for name in ("BufferObserver", "BufferReader", "BufferWriter", "Observer", "Reader", "Writer")
        },
        "Interface": "mimocorb_dist.ring:Interface",
        "mimoBuffer": "mimocorb_dist.compat.buffer:mimoBuffer",
    },
    "mimocorb": {"__version__": "mimocorb_dist:__version__"},
    "mimocorb.access_classes": _OLDER,
    "mimocorb.activity_logger": {
        name: f"{_1}.activity_logger:{name}" for name in ("Gen_logger", "Logging_manager")
    },
    "mimocorb.buffer_control": _BUFFER_CONTROL,
    "mimocorb.bufferinfoGUI": {"bufferinfoGUI": f"{_1}.bufferinfoGUI:bufferinfoGUI"},
    "mimocorb.histogram_buffer": {
        name: f"{_1}.histogram_buffer:{name}" for name in ("histogram_buffer", "plot_Histograms")
    },
    "mimocorb.mimo_buffer": {
        name: f"{_1}.mimo_buffer:{name}" for name in ("NewBuffer", "Observer", "Reader", "Writer")
    },
    "mimocorb.parquetReader": {"parquetReader": f"{_1}.parquetReader:parquetReader"},
    "mimocorb.plot_buffer": {
        name: f"{_1}.plot_buffer:{name}" for name in ("animWaveformPlotter", "plot_buffer")
    },
    "mimocorb.pulseSimulator": {"pulseSimulator": f"{_1}.pulseSimulator:pulseSimulator"},
}
"""Names in each classic module. Its submodules are those listed here."""

CLASSIC_PACKAGES = {"mimocorb2.functions": "mimocorb_dist.functions"}
"""Packages of ours that stand for classic ones with all their modules."""

ROOTS = ("mimocorb", "mimocorb2")
"""Packages that are served from here only."""
