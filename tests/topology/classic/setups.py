"""Setups of mimoCoRB 1 for tests."""

from __future__ import annotations

BUFFERS = """\
RingBuffer:
  - RB_1:
      number_of_slots: 16
      channel_per_slot: 100
      data_type: {1: [chA, float], 3: [chB, int32]}
  - RB_2:
      number_of_slots: 8
      channel_per_slot: 1
      data_type: float64
"""
MAIN = "Functions:\n  - Fkt_main: {}\n"
WORKERS = """\
  - Fkt_1: {file_name: modules/user, fkt_name: take, num_process: 1, RB_assign: {RB_1: write}}
  - Fkt_2: {file_name: modules/user, fkt_name: find, num_process: 3, RB_assign: {RB_2: write, RB_1: read}}
  - Fkt_3: {file_name: modules/user, fkt_name: save, num_process: 1, RB_assign: {RB_2: read}}
  - Fkt_4: {file_name: modules/user, fkt_name: scope, num_process: 1, RB_assign: {RB_1: observe}}
  - Fkt_5: {file_name: modules/user, fkt_name: watch, num_process: 1}
"""
SETUP = BUFFERS + MAIN + WORKERS
