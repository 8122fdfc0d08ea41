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
        "BufferObserver": "mimocorb_dist.workers:BufferObserver",
        "BufferReader": "mimocorb_dist.workers:BufferReader",
        "BufferWriter": "mimocorb_dist.workers:BufferWriter",
        "Interface": "mimocorb_dist.ring:Interface",
        "Observer": "mimocorb_dist.workers:BufferObserver",
        "Reader": "mimocorb_dist.workers:BufferReader",
        "Writer": "mimocorb_dist.workers:BufferWriter",
        "mimoBuffer": "mimocorb_dist.compat.buffer:mimoBuffer",
    },
    "mimocorb": {},
}
"""Names in each classic module. Its submodules are those listed here."""

CLASSIC_PACKAGES = {"mimocorb2.functions": "mimocorb_dist.functions"}
"""Packages of ours that stand for classic ones with all their modules."""

ROOTS = ("mimocorb", "mimocorb2")
"""Packages that are served from here only."""
