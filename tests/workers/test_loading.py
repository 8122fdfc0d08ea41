"""Finding prebuilt functions. Those in user files are found in worker processes: test_process_failures."""

from __future__ import annotations

from pathlib import Path

import pytest
from mimocorb_dist.functions import data, misc

from mimocorb_dist.errors import SetupError
from mimocorb_dist.workers.loading import load_function


def test_prebuilt_functions_are_found():
    assert load_function("misc.copy", None) is misc.copy
    assert load_function("data.clocked_importer", None) is data.clocked_importer


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("exporters.cvs", "exporters has no function 'cvs'; do you mean 'csv'?"),
        ("exporter.csv", "there is no prebuilt module 'exporter'; do you mean 'exporters'?"),
        ("importers.nowhere.waveform", "there is no prebuilt module 'importers.nowhere'"),
        ("csv", "function 'csv' is no prebuilt one: they are named module.function"),
    ],
)
def test_names_that_are_not_there_are_told_with_the_nearest(name, told):
    with pytest.raises(SetupError) as caught:
        load_function(name, None)
    assert told in str(caught.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path):
    with pytest.raises(SetupError, match=r"find\.py: there is no such file; correct `file` of the worker"):
        load_function("find", tmp_path / "find.py")
