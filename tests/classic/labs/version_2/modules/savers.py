"""Savers, written for mimoCoRB2: with the template, and without."""

import os

from mimocorb2 import Exporter


def save_sums(buffer_io):
    exporter = Exporter(buffer_io)
    with open(buffer_io.run_dir / f"sums.{os.getpid()}.csv", "w") as file:
        for data, metadata in exporter:
            print(int(metadata["counter"][0]), data["ch1"].sum(), data["ch2"].sum(), sep=",", file=file)
            file.flush()
        print("end", file=file)


def save_by_hand(buffer_io):
    reader = buffer_io.read[0]
    with open(buffer_io.run_dir / f"peaks.{os.getpid()}.txt", "w") as file:
        while True:
            with reader as (metadata, data):
                if metadata is None:
                    break
                print(
                    metadata["counter"][0],
                    data["position"][0],
                    data["peak_heights"][0],
                    file=file,
                )
        print("end", file=file)
