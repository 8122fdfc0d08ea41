import numpy as np

from mimocorb.buffer_control import rbTransfer
from pulses import first_pulse  # a file beside this one


def coincidences(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    """Pass on waveforms with a pulse in both channels, and write down what is known of the pulses."""
    threshold = config_dict["threshold"]
    result_type = sink_list[1]["dtype"]

    def find(data):
        sample_a, height_a = first_pulse(data["chA"], threshold)
        sample_b, height_b = first_pulse(data["chB"], threshold)
        if sample_a is None or sample_b is None:
            return None  # rejected
        # One item for two sinks: the waveform goes to the first, the item to the second.
        return [np.array([(min(sample_a, sample_b), height_a, height_b)], dtype=result_type)]

    rbTransfer(source_list=source_list, sink_list=sink_list, config_dict=config_dict, ufunc=find, **rb_info)()
