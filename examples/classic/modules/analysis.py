"""A filter, a processor and an observer, written for mimoCoRB2."""

import time

from mimocorb2 import Filter, Observer, Processor


def both_channels(buffer_io):
    """Keep events with a pulse in both channels."""
    filter = Filter(buffer_io)
    threshold = buffer_io['threshold']

    def ufunc(data):
        return bool(data['ch1'].max() > threshold and data['ch2'].max() > threshold)

    filter(ufunc)


def pulse_heights(buffer_io):
    """Heights of both pulses, and their ratio."""
    processor = Processor(buffer_io)
    result = buffer_io.data_out_examples[0].copy()

    def ufunc(data):
        result['ch1_height'] = data['ch1'].max()
        result['ch2_height'] = data['ch2'].max()
        result['ratio'] = result['ch2_height'] / result['ch1_height']
        return [result]

    processor(ufunc)


def count_pulses(buffer_io):
    """Say now and then how far the run is."""
    observer = Observer(buffer_io)
    for data, metadata in observer():
        if data is None:
            break
        print(f"event {metadata['counter'][0]}: {data['ch1'].max():.2f} V")
        time.sleep(1)
