"""Reader, Writer and Observer of mimoCoRB 1, used directly."""

import time

from mimocorb import mimo_buffer as bm


def counts(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    """Counters of its own in RB_1; in RB_2 those that the writer gives."""
    values, numbers = (bm.Writer(sink) for sink in sink_list)  # the order is that of RB_assign
    assert list(rb_info.items()) == [("RB_2", "write"), ("RB_1", "write")]
    assert sink_list[0]["dtype"] == [("value", "float64")]
    for number in range(100):
        slot = numbers.get_new_buffer()
        slot[:] = [number, 2 * number, 3 * number, -number]
        numbers.set_metadata(number + 5, 3000 + number / 4, 0.5)
        slot = values.get_new_buffer()
        slot["value"] = number / 4
        time.sleep(0.002)
    numbers.process_buffer()
    values.process_buffer()


def join(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    numbers, values = (bm.Reader(source) for source in source_list)
    results = bm.Writer(sink_list[0])
    while True:
        four = numbers.get()
        one = values.get()
        counter, timestamp, deadtime = values.get_metadata()
        assert timestamp > 1e9
        result = results.get_new_buffer()
        result["total"] = four.sum()
        result["value"] = one["value"]
        result["own_counter"] = counter
        result["own_deadtime"] = deadtime
        results.set_metadata(*numbers.get_metadata())
        results.process_buffer()


def look(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    observer = bm.Observer(observe_list[0])
    with open(config_dict["directory_prefix"] + "look.txt", "w") as file:
        while (event := observer.get()) is not None:
            data, metadata = event
            print(int(metadata["counter"][0]), int(4 * data["value"][0]), file=file)
        print("end", file=file)


def poll(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    """Asks before it reads."""
    source = source_list[0]
    assert (source["number_of_slots"], source["values_per_slot"]) == (8, 4)
    assert not source["debug"]
    reader = bm.Reader(source)
    with open(config_dict["directory_prefix"] + "poll.txt", "w") as file:
        while source["active"].is_set():
            if reader.data_available():
                data = reader.get()
                print(reader.get_metadata()[0], *data, file=file)
                file.flush()
            else:
                time.sleep(0.001)
