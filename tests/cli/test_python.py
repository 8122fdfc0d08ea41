"""``mimocorb-node python``: a program runs as under python, and finds the classic names."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support import mimocorb_node

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """\
import sys
import helper
from mimocorb.buffer_control import rbImport

def names():
    from mimocorb import mimo_buffer
    print("child", mimo_buffer.Reader.__name__, sys.argv[1:], flush=True)

if __name__ == "__main__":
    import multiprocessing, subprocess
    print(__name__, helper.NUMBER, rbImport.__name__, sys.argv, flush=True)
    for method in ("fork", "spawn", "forkserver"):
        process = multiprocessing.get_context(method).Process(target=names)
        process.start()
        process.join()
    subprocess.run([sys.executable, "-c", "import mimocorb2; print(mimocorb2.Importer.__name__)"], check=True)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "helper.py").write_text("NUMBER = 17\n")
    (tmp_path / "code" / "program.py").write_text(PROGRAM)
    (tmp_path / "code" / "fails.py").write_text("import sys\ndef f():\n    raise ValueError('no')\nf()\n")
    (tmp_path / "code" / "wrong.py").write_text("x = = 1\n")
    (tmp_path / "code" / "ends.py").write_text("import sys\nsys.exit(int(sys.argv[1]))\n")
    (tmp_path / "code" / "refused.py").write_text(
        "from mimocorb2 import SetupError\nraise SetupError('mine')\n"
    )
    (tmp_path / "code" / "interrupted.py").write_text("import os\nos.kill(os.getpid(), 2)\n")
    return tmp_path


def python(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, check=False)


def test_the_names_are_found_in_all_processes_of_a_program(folder):
    done = mimocorb_node("python", "code/program.py", "a", "--help", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "__main__ 17 rbImport ['code/program.py', 'a', '--help']",
        *["child Reader ['a', '--help']"] * 3,
        "Importer",
    ]


@pytest.mark.parametrize("name", ["fails.py", "wrong.py", "ends.py"])
def test_errors_and_exit_status_are_those_of_python(folder, name):
    ours = mimocorb_node("python", f"code/{name}", "5", cwd=folder)
    pythons = python(f"code/{name}", "5", cwd=folder)
    assert ours.stdout == pythons.stdout == ""
    assert ours.stderr.replace(str(folder) + "/", "") == pythons.stderr.replace(str(folder) + "/", "")
    assert ours.returncode == pythons.returncode


def test_an_error_of_ours_is_the_programs_own(folder):
    done = mimocorb_node("python", "code/refused.py", cwd=folder)
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == "Traceback (most recent call last):"
    assert done.stderr.splitlines()[-1] == "mimocorb_dist.errors.SetupError: mine"


def test_an_interrupt_ends_it_as_it_does_under_python(folder):
    done = mimocorb_node("python", "code/interrupted.py", cwd=folder)
    assert done.returncode == -signal.SIGINT
    assert "KeyboardInterrupt" in done.stderr and "script.py" not in done.stderr


def test_a_module_runs_by_its_name(folder):
    done = mimocorb_node("python", "-m", "program", "x", cwd=folder / "code")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0].startswith("__main__ 17 rbImport")
    assert done.stdout.splitlines()[1:] == [*["child Reader ['x']"] * 3, "Importer"]


def test_what_cannot_run_is_told(folder):
    missing = mimocorb_node("python", "nothing.py", cwd=folder)
    assert missing.returncode == 2
    assert f"can't open file '{folder}{os.sep}nothing.py'" in missing.stderr
    assert mimocorb_node("python").returncode == 2
    assert "Usage: mimocorb-node python SCRIPT" in mimocorb_node("python", "--help").stdout
    assert mimocorb_node("python", "-m", "no_such_module").returncode == 1


def test_another_sitecustomize_is_read_too(folder):
    (folder / "site").mkdir()
    (folder / "site" / "sitecustomize.py").write_text("import os\nos.environ['SEEN'] = 'yes'\n")
    (folder / "code" / "site_program.py").write_text(
        "import subprocess, sys\n"
        "subprocess.run([sys.executable, '-c', "
        "\"import os, mimocorb; print(os.environ['SEEN'])\"], check=True)\n"
    )
    done = mimocorb_node(
        "python", "code/site_program.py", cwd=folder, env={"PYTHONPATH": str(folder / "site")}
    )
    assert (done.stdout, done.stderr) == ("yes\n", "")
