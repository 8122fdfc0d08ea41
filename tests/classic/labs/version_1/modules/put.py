"""A source that is called, and does not call."""

import json

from mimocorb.buffer_control import rbPut


def put(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    putter = rbPut(sink_list=sink_list, config_dict=config_dict, **rb_info)
    answers = []
    for number in range(1, config_dict["events"] + 1):
        data = [[number, -number, 0], [number / 2, number / 4, number / 8]]
        metadata = None if number % 2 else (number, 1000 + number / 8, number % 16 / 16)
        answers.append(putter(data, metadata))
    answers.append(putter(None, None))
    with open(config_dict["directory_prefix"] + "put.json", "w") as file:
        json.dump({"answers": answers, "config": config_dict}, file)
