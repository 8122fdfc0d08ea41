"""Observers, written for mimoCoRB 1, and a function without buffers."""

from mimocorb.buffer_control import rbObserver, rbWSObserver
from shapes import number_of


def _note(observer, name, config_dict):
    with open(config_dict["directory_prefix"] + name, "w") as file:
        for event in observer():
            if event is None:
                print("end", file=file)
                break
            data, metadata = event
            print(int(metadata["counter"][0]), number_of(data), file=file)
            file.flush()


def watch(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    _note(rbObserver(observe_list=observe_list, config_dict=config_dict, **rb_info), "watch.txt", config_dict)


def watch_slowly(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    observer = rbWSObserver(observe_list=observe_list, config_dict=config_dict, **rb_info)
    _note(observer, "watch_slowly.txt", config_dict)


def without_buffers(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    lists = f"{source_list} {sink_list} {observe_list} {rb_info}"
    with open(config_dict["directory_prefix"] + "without_buffers.txt", "w") as file:
        file.write(f"{config_dict['text']} {lists}\n")
