"""Workers as they were written for mimoCoRB2 until the spring of 2025."""

import time

from mimocorb2.function_templates import Exporter, Filter, Importer, Observer, Processor
from shapes import channel_1, channel_2, number_of


def waveforms(*mimo_args):
    importer = Importer(mimo_args)
    data = importer.writer.data_example.copy()

    def events():
        for number in range(importer.config["events"]):
            time.sleep(0.002)
            data["ch1"] = channel_1(number, data.size)
            data["ch2"] = channel_2(number, data.size)
            yield data
        yield None

    importer(events)


def keep(*mimo_args):
    chooser = Filter(mimo_args)
    assert chooser.reader.data_example.size == chooser.writers[0].data_example.size == 32
    chooser(lambda data: number_of(data) % chooser.config["modulo"] != 0)


def analyse(sources, sinks, observes, config):
    processor = Processor((sources, sinks, observes, config))
    result = processor.writers[0].data_example.copy()

    def analysed(data):
        result["number"] = number_of(data)
        result["height"] = data["ch1"].max()
        return [result]

    processor(analysed)


def save(*mimo_args):
    exporter = Exporter(mimo_args)
    with open(exporter.config["filename"], "w") as file:
        for data, metadata in exporter:
            print(int(metadata["counter"][0]), int(data["number"][0]), float(data["height"][0]), file=file)
        print("end", file=file)


def watch(*mimo_args):
    observer = Observer(mimo_args)
    assert observer.observer.data_example.size == 32
    with open("watch.txt", "w") as file:
        for data, metadata in observer():
            if data is None:
                print("end", file=file)
                break
            print(int(metadata["counter"][0]), number_of(data), file=file)
