"""Functions as the first manual shows them, with methods of their own names."""

import sys
import time

import numpy as np
from mimocorb.buffer_control import (
    BufferToBuffer,
    BufferToParquetfile,
    BufferToTxtfile,
    ObserverData,
    SourceToBuffer,
)


def source(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    event_count = 0

    def waveforms(nchan=2):
        nonlocal event_count
        event_count += 1
        if event_count > config_dict["eventcount"]:
            sys.exit()
        time.sleep(0.002)
        return np.full((nchan, 8), event_count) + np.arange(nchan)[:, None] / 2

    capture = SourceToBuffer(
        source_list, sink_list, observe_list, config_dict, data_source=waveforms, **rb_info
    )
    capture.start_data_capture()


def choose(config_dict, sink_list):
    def chosen(data):
        number = int(data["chA"][0])
        result = np.zeros((1,), dtype=sink_list[1]["dtype"])
        result["number"] = number
        result["sum"] = data["chA"].sum() + data["chB"].sum()
        return {0: None, 1: 1}.get(number % config_dict["modulo"], [data, result])

    return chosen


def find(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    chosen = choose(config_dict, sink_list)
    BufferToBuffer(source_list, sink_list, observe_list, config_dict, filter=chosen, **rb_info).process_data()


def to_text(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    BufferToTxtfile(source_list, sink_list, observe_list, config_dict, **rb_info).start()


def to_parquet(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    BufferToParquetfile(source_list, sink_list, observe_list, config_dict, **rb_info).start()


def look(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    observer = ObserverData(observe_list=observe_list, config_dict=config_dict, **rb_info)
    with open(config_dict["directory_prefix"] + "look.txt", "w") as file:
        for event in observer():
            if event is None:
                break
            data, metadata = event
            print(int(metadata["counter"][0]), int(data["chA"][0]), file=file)
        print("end", file=file)
