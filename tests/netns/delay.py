"""A cable that takes its time: frames between two devices are passed on late.

``python delay.py DEVICE DEVICE SECONDS``; says ``ready``, and goes on until it is killed.
"""

from __future__ import annotations

import select
import socket
import sys
from collections import deque
from time import monotonic

_ALL_PROTOCOLS = 0x0003
_SOL_PACKET, _PACKET_VNET_HDR, _PACKET_IGNORE_OUTGOING = 263, 15, 23
_SO_RCVBUFFORCE, _SO_SNDBUFFORCE = 33, 32
_ROOM_BYTES = 1 << 25
_LONGEST_FRAME = 1 << 17


def _open(device: str) -> socket.socket:
    made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL_PROTOCOLS))
    # With what the kernel notes before each frame, checksums and cutting into packets may be left to it.
    made.setsockopt(_SOL_PACKET, _PACKET_VNET_HDR, 1)
    made.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
    made.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _ROOM_BYTES)
    made.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, _ROOM_BYTES)
    made.bind((device, 0))
    made.setblocking(False)
    return made


def main() -> None:
    """Pass frames on."""
    one, other = _open(sys.argv[1]), _open(sys.argv[2])
    delay_s = float(sys.argv[3])
    towards = {one: other, other: one}
    under_way: deque[tuple[float, socket.socket, bytes]] = deque()
    print("ready", flush=True)
    while True:
        wait_s = max(0.0, under_way[0][0] - monotonic()) if under_way else None
        for source in select.select([one, other], [], [], wait_s)[0]:
            under_way.append((monotonic() + delay_s, towards[source], source.recv(_LONGEST_FRAME)))
        while under_way and under_way[0][0] <= monotonic():
            _, target, frame = under_way.popleft()
            try:
                target.send(frame)
            except OSError:  # no room, or the device is down: a frame may be lost
                continue


if __name__ == "__main__":
    main()
