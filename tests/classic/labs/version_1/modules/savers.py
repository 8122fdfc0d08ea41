"""Savers, written for mimoCoRB 1."""

import os

import numpy as np
from mimocorb.buffer_control import rb_toParquetfile, rb_toTxtfile, rbDrain, rbExport


def save_to_txt(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    rb_toTxtfile(source_list=source_list, config_dict=config_dict, **rb_info)()


def save_parquet(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    rb_toParquetfile(source_list=source_list, config_dict=config_dict, **rb_info)()


def drain(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    rbDrain(source_list=source_list, config_dict=config_dict, **rb_info)()


def save_sums(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    """One line for each event; one generator for all."""
    prefix = config_dict["directory_prefix"]
    export = rbExport(source_list=source_list, config_dict=config_dict, **rb_info)
    with open(f"{prefix}/{config_dict['filename']}.{os.getpid()}.csv", "w") as file:
        for event in export():
            if event is None:
                break
            data, metadata = event
            counter, timestamp, deadtime = metadata
            print(int(counter), timestamp, deadtime, data["ch1"].sum(), data["ch2"].sum(), sep=",", file=file)
            file.flush()
        print("end", file=file)


def save_arrays(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    """All waveforms in one file; a generator is made anew for each event."""
    export = rbExport(source_list=source_list, config_dict=config_dict, **rb_info)
    waveforms = []
    while True:
        event = next(export())
        if event is None:
            break
        data, _ = event
        waveforms.append(data["ch2"].astype("int32") + config_dict["offset"])
    name = config_dict["directory_prefix"] + config_dict["filename"]
    np.save(f"{name}.{os.getpid()}.npy", np.array(waveforms))
