"""Functions of version 1 that say little."""

import os
import time

from mimocorb.buffer_control import (
    rb_toTxtfile,
    rbDrain,
    rbExport,
    rbImport,
    rbObserver,
    rbProcess,
    rbPut,
    rbTransfer,
)


def numbers(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    """Ends without a word."""

    def events():
        for number in range(1, config_dict["events"] + 1):
            yield [[number]], None
            time.sleep(config_dict["pause_s"])

    rbImport(sink_list=sink_list, config_dict=config_dict, ufunc=events, **rb_info)()


def triples(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    def events():
        for number in range(1, 21):
            yield [[number, 2 * number, 3 * number]], None
        yield None, None

    rbImport(sink_list=sink_list, config_dict=config_dict, ufunc=events, **rb_info)()


def pass_triples(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    rbTransfer(
        source_list=source_list,
        sink_list=sink_list,
        config_dict=config_dict,
        ufunc=lambda data: 1 if data[0] % 2 else None,
        **rb_info,
    )()


def save_triples(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    export = rbExport(source_list=source_list, config_dict=config_dict, **rb_info)
    with open(config_dict["directory_prefix"] + "triples.csv", "w") as file:
        for event in export():
            if event is None:
                break
            print(*event[0].tolist(), sep=",", file=file)


def nothing(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    rbProcess(
        source_list=source_list,
        sink_list=sink_list,
        config_dict=config_dict,
        ufunc=lambda data: [None],
        **rb_info,
    )()


def drain(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    rbDrain(source_list=source_list, config_dict=config_dict, **rb_info)()


def save_to_txt(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    rb_toTxtfile(source_list=source_list, config_dict=config_dict, **rb_info)()


def _look(name, observe_list, config_dict, rb_info):
    observer = rbObserver(observe_list=observe_list, config_dict=config_dict, **rb_info)
    with open(config_dict["directory_prefix"] + name, "w") as file:
        for event in observer():
            if event is None:
                print("end", file=file)
                break
            data, metadata = event
            print(int(metadata["counter"][0]), int(data["number"][0]), file=file)


def look(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    _look("look.txt", observe_list, config_dict, rb_info)


def look_again(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    _look("look_again.txt", observe_list, config_dict, rb_info)


def look_in_vain(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    _look("look_in_vain.txt", observe_list, config_dict, rb_info)


def put(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    """Notes each answer before the next event is put."""
    putter = rbPut(sink_list=sink_list, config_dict=config_dict, **rb_info)
    with open(config_dict["directory_prefix"] + "answers.txt", "w") as file:
        for number in range(1, config_dict["events"] + 1):
            active = putter([[number]], None)
            print(number, active, time.time(), file=file, flush=True)
            if not active:
                break
            time.sleep(config_dict["pause_s"])
        putter(None, None)


def save_slowly(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    export = rbExport(source_list=source_list, config_dict=config_dict, **rb_info)
    with open(config_dict["directory_prefix"] + f"saved.{os.getpid()}.txt", "w") as file:
        for event in export():
            if event is None:
                break
            print(int(event[0]["number"][0]), file=file, flush=True)
            time.sleep(config_dict["takes_s"])
