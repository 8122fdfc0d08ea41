"""The same functions in the manual's second form: `ufunc`, and a call."""

import time

import numpy as np
from mimocorb.buffer_control import BufferToBuffer, BufferToParquetfile, BufferToTxtfile, SourceToBuffer
from older_first import choose, look  # noqa: F401


def source(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    def waveforms(nchan=2):
        for number in range(1, config_dict["eventcount"] + 1):
            time.sleep(0.002)
            yield np.full((nchan, 8), number) + np.arange(nchan)[:, None] / 2

    SourceToBuffer(sink_list=sink_list, config_dict=config_dict, ufunc=waveforms, **rb_info)()


def find(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    chosen = choose(config_dict, sink_list)
    BufferToBuffer(
        source_list=source_list, sink_list=sink_list, config_dict=config_dict, ufunc=chosen, **rb_info
    )()


def to_text(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    BufferToTxtfile(source_list=source_list, config_dict=config_dict, **rb_info)()


def to_parquet(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    BufferToParquetfile(source_list=source_list, config_dict=config_dict, **rb_info)()
