"""The buffers that scripts of mimoCoRB 1 make for themselves, in real processes."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.compat.scripts import START_METHODS, run, run_any, started
from tests.support import eventually

UNIT_TEST = """
    N = 200

    def analyze(source_dict, sink_dict):
        source, sink = bm.Reader(source_dict), bm.Writer(sink_dict)
        while True:
            data = source.get()
            result = sink.get_new_buffer()
            result[0], result[1] = data[0], time.time()
            sink.process_buffer()

    if __name__ == "__main__":
        multiprocessing.set_start_method(sys.argv[1])
        numbers, results = bm.NewBuffer(10, 1, np.int32), bm.NewBuffer(10, 2, np.float32)
        numbers_dict, results_dict = numbers.new_reader_group(), results.new_reader_group()
        total = multiprocessing.Value("i", 0)
        processes = [multiprocessing.Process(target=add_up, args=(results_dict, total))]
        sink_dict = results.new_writer()
        for _ in range(2):
            processes.append(multiprocessing.Process(target=analyze, args=(numbers_dict, sink_dict)))
        processes.append(multiprocessing.Process(target=write, args=(numbers.new_writer(), N, 0.001)))
        for process in processes:
            process.start()
        while processes[-1].exitcode != 0:
            time.sleep(0.02)
        numbers.shutdown()
        results.shutdown()
        del numbers, results
        for process in processes:
            process.join()
        print([process.exitcode for process in processes], total.value == N * (N + 1) // 2)
"""


@pytest.mark.parametrize("method", START_METHODS)
def test_generator_two_analyzers_and_a_checker(tmp_path, method):
    assert run(tmp_path, UNIT_TEST, method) == "[0, 0, 0, 0] True\n"


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_every_group_gets_every_event_whether_made_before_or_after_the_writer(tmp_path, method):
    printed = run(
        tmp_path,
        """
        def add_up_field(source_dict, total):
            source = bm.Reader(source_dict)
            while True:
                total.value += int(source.get()["number"][0])

        if __name__ == "__main__":
            multiprocessing.set_start_method(sys.argv[1])
            buffer = bm.NewBuffer(4, 1, [("number", "i4")])
            totals = [multiprocessing.Value("i", 0) for _ in range(3)]
            def start_reader(total):
                group = buffer.new_reader_group()
                process = multiprocessing.Process(target=add_up_field, args=(group, total))
                process.start()
                return process
            first = start_reader(totals[0])
            writer = multiprocessing.Process(target=write, args=(buffer.new_writer(), 100))
            writer.start()
            others = [start_reader(total) for total in totals[1:]]
            writer.join()
            buffer.shutdown()
            for process in (first, *others):
                process.join()
            print([total.value for total in totals], buffer.buffer_status()[:2])
        """,
        method,
    )
    assert printed == "[5050, 5050, 5050] (100, 0)\n"


def test_one_process_can_hold_all_ends(tmp_path):
    printed = run(
        tmp_path,
        """
        buffer = bm.NewBuffer(4, 3, "float32", debug=False)
        source_dict, sink_dict, observe_dict = (
            buffer.new_reader_group(), buffer.new_writer(), buffer.new_observer()
        )
        print(source_dict["dtype"], source_dict["number_of_slots"], source_dict["values_per_slot"])
        print(all(item["active"].is_set() for item in (source_dict, sink_dict, observe_dict)))
        print(buffer.buffer_status())
        sink, source, observer = bm.Writer(sink_dict), bm.Reader(source_dict), bm.Observer(observe_dict)
        print(source.data_available(), source.get_metadata())
        sink.get_new_buffer()[:] = 1.5
        sink.set_metadata(7, 2.5, 0.25)
        sink.process_buffer()
        before = time.time()
        sink.get_new_buffer()[:] = 2.5
        sink.process_buffer()
        print(source.data_available(), source.get(), source.get_metadata())
        second = source.get(), source.get_metadata()
        print(second[0], second[1][0], before <= second[1][1] <= time.time(), second[1][2])
        data, metadata = observer.get()
        print(data, metadata["counter"], observer.latest())
        print(buffer.buffer_status()[:2])
        buffer.shutdown()
        print(buffer.buffer_status()[:2])
        print(source._active.is_set(), sink._active.is_set(), observe_dict["active"].is_set(), observer.get())
        for end in (source.get, sink.get_new_buffer):
            try:
                end()
            except SystemExit as ended:
                print("ended", ended.code)
        buffer.close()
        """,
    )
    assert printed.splitlines() == [
        "float32 4 3",
        "True",
        "(0, 0, 0.0, 0.0)",
        "False (0, -1, -1)",
        "True [1.5 1.5 1.5] (7, 2.5, 0.25)",
        "[2.5 2.5 2.5] 1 True -1.0",
        "[2.5 2.5 2.5] [1] None",
        "(2, 1)",
        "(2, 0)",
        "False False False None",
        "ended None",
        "ended None",
    ]


def test_a_stop_with_a_backlog_loses_nothing(tmp_path):
    """All buffers are ended at once, as mimoCoRB 1 does it, when events wait in every one of them."""
    printed = run(
        tmp_path,
        """
        def transfer(source_dict, sink_dict):
            source, sink = bm.Reader(source_dict), bm.Writer(sink_dict)
            while True:
                data = source.get()
                sink.get_new_buffer()[:] = data
                sink.process_buffer()
                time.sleep(0.005)

        if __name__ == "__main__":
            buffers = [bm.NewBuffer(20, 1, "i4") for _ in range(2)]
            total = multiprocessing.Value("i", 0)
            processes = [
                multiprocessing.Process(target=add_up, args=(buffers[1].new_reader_group(), total, 0.01)),
                multiprocessing.Process(
                    target=transfer, args=(buffers[0].new_reader_group(), buffers[1].new_writer())
                ),
                multiprocessing.Process(target=write, args=(buffers[0].new_writer(), 100000)),
            ]
            for process in processes:
                process.start()
            while buffers[1].buffer_status()[1] < 10:
                time.sleep(0.01)
            for buffer in buffers:
                buffer.set_ending()
            for buffer in buffers:
                buffer.shutdown()
            for process in processes:
                process.join()
            counts = [buffer.buffer_status()[0] for buffer in buffers]
            print(counts[0] == counts[1], total.value == counts[0] * (counts[0] + 1) // 2)
        """,
    )
    assert printed == "True True\n"


def test_a_killed_reader_and_a_killed_writer_harm_nothing(tmp_path):
    printed = run(
        tmp_path,
        """
        def hold(source_dict, held):
            source = bm.Reader(source_dict)
            held.value = int(source.get()[0])
            time.sleep(100)

        def half(sink_dict, begun):
            sink = bm.Writer(sink_dict)
            sink.get_new_buffer()[:] = 1000000
            begun.value = 1
            time.sleep(100)

        if __name__ == "__main__":
            buffer = bm.NewBuffer(3, 1, "i4")
            group = buffer.new_reader_group()
            held, begun, total = (multiprocessing.Value("i", 0) for _ in range(3))
            holder = multiprocessing.Process(target=hold, args=(group, held))
            half_writer = multiprocessing.Process(target=half, args=(buffer.new_writer(), begun))
            half_writer.start()
            while not begun.value:
                time.sleep(0.005)
            holder.start()
            writer = multiprocessing.Process(target=write, args=(buffer.new_writer(), 50))
            writer.start()
            while not held.value:
                time.sleep(0.005)
            holder.kill()
            half_writer.kill()
            reader = multiprocessing.Process(target=add_up, args=(group, total))
            reader.start()
            writer.join()
            buffer.shutdown()
            reader.join()
            print(total.value, buffer.buffer_status()[:2])
        """,
    )
    assert printed == "1275 (50, 0)\n"


def test_shutdown_does_not_wait_for_a_group_whose_readers_are_gone(tmp_path):
    done = run_any(
        tmp_path,
        """
        def read_two(source_dict):
            source = bm.Reader(source_dict)
            for _ in range(2):
                source.get()

        if __name__ == "__main__":
            buffer = bm.NewBuffer(10, 1, "i4", name="numbers")
            reader = multiprocessing.Process(target=read_two, args=(buffer.new_reader_group(),))
            reader.start()
            write(buffer.new_writer(), 7)
            reader.join()
            begin = time.monotonic()
            buffer.shutdown()
            print(time.monotonic() - begin < 5)
        """,
    )
    assert (done.returncode, done.stdout) == (0, "True\n")
    assert "numbers: 5 events have not been read by group_1, for its readers have all gone" in done.stderr


def test_an_event_on_which_a_reader_fails_goes_to_another_one(tmp_path):
    done = run_any(
        tmp_path,
        """
        def fail(source_dict):
            source = bm.Reader(source_dict)
            source.get()
            raise ValueError("no")

        if __name__ == "__main__":
            buffer = bm.NewBuffer(10, 1, "i4")
            group, total = buffer.new_reader_group(), multiprocessing.Value("i", 0)
            write(buffer.new_writer(), 5)
            failing = multiprocessing.Process(target=fail, args=(group,))
            failing.start()
            failing.join()
            reader = multiprocessing.Process(target=add_up, args=(group, total))
            reader.start()
            buffer.shutdown()
            reader.join()
            print(total.value, failing.exitcode)
        """,
    )
    assert done.stdout == "15 1\n"


WAITING = """
    def observe(observe_dict):
        observer = bm.Observer(observe_dict)
        while observer.get() is not None:
            pass

    if __name__ == "__main__":
        multiprocessing.set_start_method(sys.argv[1])
        buffer = bm.NewBuffer(10, 1, "i4")
        total = multiprocessing.Value("i", 0)
        processes = [
            multiprocessing.Process(target=add_up, args=(buffer.new_reader_group(), total)),
            multiprocessing.Process(target=observe, args=(buffer.new_observer(),)),
            multiprocessing.Process(target=write, args=(buffer.new_writer(), 1000000, 0.01)),
        ]
        for process in processes:
            process.start()
        while buffer.buffer_status()[0] < 5:
            time.sleep(0.01)
        print(*(process.pid for process in processes), buffer._directory, flush=True)
        {end}
    """


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize(
    ("number", "to_all"), [(signal.SIGINT, True), (signal.SIGINT, False), (signal.SIGKILL, False)]
)
def test_nothing_waits_for_ever_when_the_script_is_interrupted_or_killed(tmp_path, method, number, to_all):
    with started(tmp_path, WAITING.format(end="time.sleep(100)"), method) as process:
        assert process.stdout is not None
        *pids, directory = process.stdout.readline().split()
        (os.killpg if to_all else os.kill)(process.pid, number)
        process.wait(20)
        eventually(lambda: not any(Path("/proc", pid).exists() for pid in pids), 20.0)
    if number != signal.SIGKILL:
        assert not Path(directory).exists()
    shutil.rmtree(directory, ignore_errors=True)  # as `mimocorb-node clean` does it


def test_the_end_of_the_script_ends_its_processes_and_removes_the_memory(tmp_path):
    *_, directory = run(tmp_path, WAITING.format(end="pass"), "fork").split()
    assert not Path(directory).exists()


def test_a_second_observer_gets_events_too_and_one_without_events_can_be_ended(tmp_path):
    printed = run(
        tmp_path,
        """
        def observe(observe_dict, count):
            observer = bm.Observer(observe_dict)
            while observer.get() is not None:
                count.value += 1

        if __name__ == "__main__":
            buffer, silent = bm.NewBuffer(10, 1, "i4"), bm.NewBuffer(10, 1, "i4")
            counts = [multiprocessing.Value("i", 0) for _ in range(3)]
            dicts = [buffer.new_observer(), buffer.new_observer(), silent.new_observer()]
            total = multiprocessing.Value("i", 0)
            processes = [multiprocessing.Process(target=observe, args=pair) for pair in zip(dicts, counts)]
            processes.append(multiprocessing.Process(target=add_up, args=(buffer.new_reader_group(), total)))
            for process in processes:
                process.start()
            write(buffer.new_writer(), 100, 0.01)
            buffer.shutdown()
            silent.shutdown()
            for process in processes:
                process.join()
            print(total.value, [count.value > 5 for count in counts[:2]], counts[2].value)
        """,
    )
    assert printed == "5050 [True, True] 0\n"


def test_a_pause_holds_writers_and_loses_nothing(tmp_path):
    printed = run(
        tmp_path,
        """
        def say_and_write(sink_dict, has_begun):
            has_begun.set()
            write(sink_dict, 200, 0.002)

        if __name__ == "__main__":
            buffer = bm.NewBuffer(10, 1, "i4")
            total, has_begun = multiprocessing.Value("i", 0), multiprocessing.Event()
            reader = multiprocessing.Process(target=add_up, args=(buffer.new_reader_group(), total))
            writer = multiprocessing.Process(target=say_and_write, args=(buffer.new_writer(), has_begun))
            buffer.pause()
            reader.start()
            writer.start()
            has_begun.wait(20)
            writer.join(0.5)  # which it does not: it waits
            print(writer.is_alive(), buffer.buffer_status()[0])
            buffer.resume()
            while buffer.buffer_status()[0] < 50:
                time.sleep(0.005)
            buffer.pause()
            count = None
            while count != buffer.buffer_status()[0]:  # until it is at rest; else it has written all 200
                count = buffer.buffer_status()[0]
                writer.join(0.2)
            print(writer.is_alive(), count < 200)
            buffer.resume()
            writer.join()
            buffer.shutdown()
            reader.join()
            print(total.value)
        """,
    )
    assert printed == "True 0\nTrue True\n20100\n"


def test_what_cannot_be_is_told(tmp_path):
    printed = run(
        tmp_path,
        """
        def told(call, *arguments):
            try:
                call(*arguments)
            except Exception as error:
                print(type(error).__name__, error)

        told(bm.NewBuffer, 0, 1, "i4")
        told(bm.NewBuffer, 60000, 1 << 40, "i4")
        buffer = bm.NewBuffer(4, 1, "i4", name="numbers")
        told(bm.Reader, buffer.new_writer())
        told(bm.Reader, {})
        first = buffer.new_reader_group()
        write(buffer.new_writer(), 2)
        told(buffer.new_reader_group)
        bm.Reader(first).get(), bm.Reader(first).get()
        buffer.close()
        told(buffer.new_writer)
        buffer.shutdown()
        """,
    ).splitlines()
    assert [line.split()[0] for line in printed] == [
        "RingError", "RingError", "SetupError", "SetupError", "RingError", "RingError",
    ]  # fmt: skip
    assert "slot_count is 0" in printed[0]
    assert "GB" in printed[1] or "MB are free" in printed[1]
    assert "made from a dict to write a buffer" in printed[2]
    assert "new_reader_group()" in printed[3]
    assert "numbers: a reader group was made after the first event had been written" in printed[4]
    assert "numbers has been closed" in printed[5]


def test_readers_that_a_script_lets_go_of_do_not_hold_events(tmp_path):
    printed = run(
        tmp_path,
        """
        buffer = bm.NewBuffer(2, 1, "i4")
        group, sink = buffer.new_reader_group(), bm.Writer(buffer.new_writer())
        for number in range(1000):
            sink.get_new_buffer()[:] = number
            sink.process_buffer()
            assert bm.Reader(group).get()[0] == number
        buffer.shutdown()
        print(buffer.buffer_status()[:2])
        """,
    )
    assert printed == "(1000, 0)\n"
