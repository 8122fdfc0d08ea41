"""Observers, written for mimoCoRB2."""

import time

from mimocorb2 import IsAlive, Observer
from shapes import number_of


def watch(buffer_io):
    observer = Observer(buffer_io)
    with open(buffer_io.run_dir / "watch.txt", "w") as file:
        for data, metadata in observer():
            if data is None:
                print("end", file=file)
                break
            print(int(metadata["counter"][0]), number_of(data), file=file)


def is_alive(buffer_io):
    alive = IsAlive(buffer_io)
    asked = 0
    while alive():
        asked += 1
        time.sleep(0.05)
    (buffer_io.run_dir / "alive.txt").write_text(f"{asked}\n")
