"""Classic import names, in processes of their own: the finder must not stay in this one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from mimocorb_dist.compat import CLASSIC_MODULES


def run(code: str, path: Path | None = None) -> str:
    start = "from mimocorb_dist import compat\ncompat.install()\n"
    if path is not None:
        start += f"import sys\nsys.path.insert(0, {str(path)!r})\n"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", start + dedent(code)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_name_of_the_table_is_there():
    run(
        """
        import importlib
        from mimocorb_dist.compat import CLASSIC_MODULES
        for module, names in CLASSIC_MODULES.items():
            for name in names:
                assert getattr(importlib.import_module(module), name) is not None, (module, name)
        """
    )
    assert set(CLASSIC_MODULES["mimocorb2"]) >= {
        "BufferIO", "Exporter", "Filter", "Importer", "IsAlive", "Observer", "Processor",
        "SetupError", "UfuncError",
    }  # fmt: skip


@pytest.mark.parametrize(
    "line",
    [
        "from mimocorb2 import BufferIO, Importer, Exporter, Filter, Processor, Observer, IsAlive",
        "from mimocorb2 import SetupError, UfuncError",
        "from mimocorb2 import Control",
        "from mimocorb2.control import Control; import mimocorb2; assert mimocorb2.Control is Control",
        "from mimocorb2 import *; Importer, BufferIO",
        "import mimocorb2; mimocorb2.Importer; mimocorb2.__version__",
        "import mimocorb2.worker_templates as templates; templates.Importer",
        "from mimocorb2.worker_templates import Importer, Base, SetupError",
        "from mimocorb2.mimo_worker import BufferIO",
        "from mimocorb2.mimo_buffer import mimoBuffer, BufferReader, BufferWriter, BufferObserver",
        "from mimocorb2.function_templates import Importer, Filter",
        "from mimocorb2.functions import misc",
        "from mimocorb2.functions.misc import copy",
        "import mimocorb2.functions.misc; mimocorb2.functions.misc.copy",
        "import mimocorb; mimocorb.mimo_buffer.NewBuffer; mimocorb.buffer_control.rbImport",
        "from mimocorb import mimo_buffer as bm; bm.NewBuffer, bm.Writer, bm.Reader, bm.Observer",
        "from mimocorb import *; mimo_buffer.NewBuffer, plot_buffer.plot_buffer, parquetReader.parquetReader",
        "import mimocorb.mimo_buffer as bm; bm.NewBuffer",
        "from mimocorb.buffer_control import rbImport, rbPut, rbTransfer, rbProcess, rbExport, rbDrain",
        "from mimocorb.buffer_control import rbObserver, rbWSObserver, rb_toTxtfile, rb_toParquetfile",
        "from mimocorb.buffer_control import run_mimoDAQ, buffer_control",
        "from mimocorb import buffer_control; buffer_control.run_mimoDAQ",
        "from mimocorb.buffer_control import SourceToBuffer, BufferToBuffer, ObserverData",
        "from mimocorb.access_classes import BufferToTxtfile, BufferToParquetfile",
        "from mimocorb.plot_buffer import plot_buffer",
        "from mimocorb.histogram_buffer import histogram_buffer, plot_Histograms",
        "from mimocorb.bufferinfoGUI import bufferinfoGUI",
        "from mimocorb.pulseSimulator import pulseSimulator",
        "from mimocorb.parquetReader import parquetReader",
        "from mimocorb.activity_logger import Gen_logger",
    ],
)
def test_lines_as_they_stand_in_user_files(line):
    run(line)


def test_importing_needs_no_display_and_nothing_heavy():
    printed = run(
        """
        import os, sys
        os.environ.pop("DISPLAY", None)
        from mimocorb import mimo_buffer as bm
        from mimocorb.buffer_control import rbImport, rbTransfer, rbExport
        bm.NewBuffer
        print([name for name in ("zmq", "pandas", "matplotlib", "tkinter", "scipy") if name in sys.modules])
        """
    )
    assert printed == "[]\n"


def test_they_are_ours_and_not_copies():
    run(
        """
        import mimocorb2, mimocorb_dist, mimocorb_dist.errors, mimocorb2.functions.misc, sys
        from mimocorb2.worker_templates import Importer
        assert Importer is mimocorb2.Importer is mimocorb_dist.Importer
        assert mimocorb2.UfuncError is mimocorb_dist.errors.UfuncError
        import mimocorb_dist.functions.misc as ours
        assert mimocorb2.functions.misc is ours
        assert ours.__name__ == ours.__spec__.name == "mimocorb_dist.functions.misc"
        assert sys.modules["mimocorb2.functions"] is sys.modules["mimocorb_dist.functions"]
        """
    )


def test_they_come_before_packages_that_are_installed(tmp_path):
    for name in ("mimocorb2", "mimocorb"):
        package = tmp_path / name
        package.mkdir()
        (package / "__init__.py").write_text("raise RuntimeError('this is the real one')")
    run("import mimocorb, mimocorb2\nfrom mimocorb2 import Importer", tmp_path)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("from mimocorb2 import Controls", "does not provide 'Controls' of mimocorb2; it provides: BufferIO"),
        ("from mimocorb2 import Imported", "does not provide 'Imported' of mimocorb2"),
        ("import mimocorb2; mimocorb2.Controls", "does not provide 'Controls' of mimocorb2"),
        (
            "import mimocorb2.gui",
            "does not provide the module mimocorb2.gui; of mimocorb2 it provides: mimocorb2, ",
        ),
        ("from mimocorb2 import gui", "does not provide 'gui' of mimocorb2"),
        ("import mimocorb2.functions.nothing", "does not provide the module mimocorb2.functions.nothing"),
        (
            "from mimocorb import appl_lib",
            "does not provide 'appl_lib' of mimocorb; it provides: __version__, ",
        ),
        (
            "from mimocorb.buffer_control import rbExporter",
            "does not provide 'rbExporter' of mimocorb.buffer_control; it provides: BufferToBuffer, ",
        ),
        (
            "import mimocorb.appl_lib",
            "does not provide the module mimocorb.appl_lib; of mimocorb it provides: ",
        ),
    ],
)
def test_names_that_are_not_provided_are_told(line, told):
    printed = run(
        f"""
        try:
            exec({line!r})
        except ImportError as error:
            print(error)
        """
    )
    assert printed.startswith("mimocorb_dist ")
    assert told in printed


def test_questions_about_a_module_are_answered_as_usual():
    run(
        """
        import mimocorb2
        assert not hasattr(mimocorb2, "__wrapped__")
        assert mimocorb2.__path__ is not None
        assert "Importer" in mimocorb2.__all__
        """
    )


def test_installing_imports_nothing_heavy_and_installing_twice_is_harmless():
    printed = run(
        """
        import sys
        compat.install()
        print(sum(type(finder).__name__ == "ClassicFinder" for finder in sys.meta_path))
        print([name for name in ("numpy", "zmq", "mimocorb_dist.workers") if name in sys.modules])
        """
    )
    assert printed.split("\n") == ["1", "[]", ""]


def test_the_package_itself_is_light_and_names_are_found_when_used():
    code = """
        import sys
        import mimocorb_dist
        assert not any(name in sys.modules for name in ("numpy", "asyncio", "logging"))
        assert "Importer" in dir(mimocorb_dist)
        from mimocorb_dist import *
        from mimocorb_dist import BatchFilter, BufferIO, connect, __version__
        assert Importer is mimocorb_dist.workers.Importer
        try:
            mimocorb_dist.Imported
        except AttributeError as error:
            print(error)
    """
    done = subprocess.run([sys.executable, "-c", dedent(code)], capture_output=True, text=True, check=True)
    assert done.stdout == "module 'mimocorb_dist' has no attribute 'Imported'\n"
