"""A source of waveforms, written for mimoCoRB2."""

import time

from mimocorb2 import Importer
from shapes import channel_1, channel_2


def waveforms(buffer_io):
    importer = Importer(buffer_io)
    data = buffer_io.data_out_examples[0]

    def events():
        for number in range(buffer_io["events"]):
            time.sleep(buffer_io.get("pause_s", 0))
            data["ch1"] = channel_1(number, data.size)
            data["ch2"] = channel_2(number, data.size)
            yield data
        yield None

    importer(events)
