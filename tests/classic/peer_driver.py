"""Runs a setup in the peer, without losing an event. For the peer's Python; it imports nothing of ours.

The peer's own loop is not used: without a window any command ends it with an error, and `stop()` with a
backlog loses events. So this waits for the end of the source, then until all buffers are quiet, and only
then stops.
"""

import os
import sys
import threading
import time

from mimocorb.buffer_control import run_mimoDAQ

QUIET_S = 1.0


def main(setup):
    daq = run_mimoDAQ(setup, verbose=0)
    daq.setup()
    control = daq.bc
    processes = control.start_workers()
    processes[-1].join()  # of the first function
    counts, since_s = None, time.monotonic()
    while time.monotonic() - since_s < QUIET_S:
        now = [buffer.cumulative_event_count for buffer in daq.ringbuffers.values()]
        if now != counts:
            counts, since_s = now, time.monotonic()
        time.sleep(0.02)
    control.stop()
    end = threading.Thread(target=control.shutdown, daemon=True)
    end.start()
    end.join(20.0)
    statuses = {process.name: process.exitcode for process in processes}
    for process in processes:
        if process.is_alive():
            process.kill()
            process.join()
    print(statuses)
    sys.stdout.flush()
    # Threads of buffers may wait for ever.
    os._exit(end.is_alive() or any(statuses.values()))


if __name__ == "__main__":
    main(sys.argv[1])
