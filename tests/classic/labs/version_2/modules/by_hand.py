"""Readers, writers and observers of mimoCoRB2, used without templates."""

import json
import time


def write(buffer_io):
    writer = buffer_io.write[0]
    assert (writer.name, writer.slot_count) == ("raw", 8)
    for number in range(buffer_io["events"]):
        time.sleep(0.002)
        with writer as (metadata, data):
            data["value"] = [number, number / 2, number / 4, -number]
            metadata["counter"] = 2 * number
            metadata["timestamp"] = 4000 + number / 8
            metadata["deadtime"] = 0.25
    buffer_io.shutdown_sinks()


def transfer(buffer_io):
    """Two events from each."""
    reader, writer = buffer_io.read[0], buffer_io.write[0]
    while True:
        with reader as (metadata, data):
            if metadata is None:
                break
            for half in (0, 1):
                with writer as (new_metadata, new_data):
                    new_data["value"] = data["value"][2 * half : 2 * half + 2]
                    new_data["at"] = half
                    new_metadata[:] = metadata
    writer.send_flush_event()


def read(buffer_io):
    reader = buffer_io.read[0]
    facts = {
        "name": buffer_io.name,
        "in": list(buffer_io.buffer_names_in),
        "out": list(buffer_io.buffer_names_out),
        "observe": list(buffer_io.buffer_names_observe),
        "missing": buffer_io.get("missing", 5),
        "example": str(buffer_io.data_in_examples[0].dtype),
        "metadata_example": list(buffer_io.metadata_in_examples[0].dtype.names),
        "setup_dir": str(buffer_io.setup_dir),
        "slot_count": reader.slot_count,
        "events": [],
    }
    while True:
        with reader as (metadata, data):
            if metadata is None and data is None:
                break
            facts["events"].append(
                [
                    *metadata[0].tolist(),
                    *data["value"].tolist(),
                    *data["at"].tolist(),
                ]
            )
    facts["is_shutdown"] = bool(reader.is_shutdown.value)
    with open(buffer_io.run_dir / "read.json", "w") as file:
        json.dump(facts, file)


def observe(buffer_io):
    observer = buffer_io.observe[0]
    with open(buffer_io.run_dir / "watch.txt", "w") as file:
        while True:
            with observer as (metadata, data):
                if metadata is None:
                    print("end", file=file)
                    break
                number = int(data["value"][0])
                print(int(metadata["counter"][0]), 2 * number, file=file)
            time.sleep(0.01)
