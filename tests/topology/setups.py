"""Pieces of setups that several tests use."""

RAW = "raw: {slot_count: 8, data_length: 4, data_dtype: {ch1: float32}}"
BUFFERS = f"Buffers:\n  {RAW}\n"
TAKE = "take: {file: modules/user.py, function: take, sinks: [raw]}"
SAVE = "save: {function: exporters.parquet, sources: [raw]}"
WORKERS = f"Workers:\n  {TAKE}\n  {SAVE}\n"
SETUP = BUFFERS + WORKERS

NODES = """\
Nodes:
  daq: {host: 192.168.1.10}
  filter: {host: 192.168.1.11}
  storage: {host: 192.168.1.12}
security: none
"""


def with_buffer(buffer: str) -> str:
    """Return a setup whose only buffer is given, named raw."""
    return f"Buffers:\n  {buffer}\n{WORKERS}"


def with_worker(worker: str) -> str:
    """Return a setup with a further worker."""
    return f"{SETUP}  {worker}\n"


def other(worker: str) -> str:
    """Return a setup with a second reader of raw, given by some of its keys."""
    return with_worker(f"other: {{sources: [raw], {worker}}}")
