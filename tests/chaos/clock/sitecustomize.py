"""A clock of its own for each host: namespaces share that of the machine.

Python imports this at its start, where the folder is in PYTHONPATH. What `time.time` and `time.time_ns` tell
is shifted by the seconds that stand, as eight bytes, in the file that MIMOCORB_CHAOS_CLOCK names. It may
change at any moment. Monotonic time stays as it is, and so does `datetime.now`: libraries need the real one.
"""

import mmap
import os
import struct
import time

_real_time, _real_time_ns = time.time, time.time_ns
_unpack = struct.Struct("=d").unpack_from

with open(os.environ["MIMOCORB_CHAOS_CLOCK"], "rb") as _file:
    _shift = mmap.mmap(_file.fileno(), 8, access=mmap.ACCESS_READ)


def _time():
    return _real_time() + _unpack(_shift)[0]


def _time_ns():
    return _real_time_ns() + int(_unpack(_shift)[0] * 1e9)


time.time, time.time_ns = _time, _time_ns
