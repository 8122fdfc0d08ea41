"""A source of waveforms, written for mimoCoRB 1."""

import time

from mimocorb.buffer_control import rbImport
from shapes import channel_1, channel_2


def waveforms(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    samples = sink_list[0]["values_per_slot"]

    def events():
        for number in range(1, config_dict["events"] + 1):
            time.sleep(config_dict["pause_s"])
            data = [channel_1(number, samples), channel_2(number, samples)]
            # Every second event brings its own metadata.
            metadata = None if number % 2 else (number, 1000 + number / 8, number % 16 / 16)
            yield data, metadata
        time.sleep(config_dict.get("linger_s", 0))
        yield None, None

    rbImport(sink_list=sink_list, config_dict=config_dict, ufunc=events, **rb_info)()
