"""A stand-in for a neural renderer's process: speaks the protocol of neural.py, or breaks it.

Run as a program; its argument is what it does with sound and portraits.
"""

from __future__ import annotations

import json
import struct
import sys
import time
from typing import Any

LENGTHS = struct.Struct(">II")
PICTURE = b"\xff\xd8 a patch"


def receive() -> tuple[dict[str, Any], bytes]:
    lengths = sys.stdin.buffer.read(LENGTHS.size)
    if len(lengths) < LENGTHS.size:
        sys.exit(0)
    head, body = LENGTHS.unpack(lengths)
    return json.loads(sys.stdin.buffer.read(head)), sys.stdin.buffer.read(body)


def send(header: dict[str, Any], body: bytes = b"") -> None:
    head = json.dumps(header).encode()
    sys.stdout.buffer.write(LENGTHS.pack(len(head), len(body)) + head + body)
    sys.stdout.buffer.flush()


def patches(header: dict[str, Any], pcm: bytes) -> None:
    """Answer a patch for each 40 ms of sound."""
    for i in range(len(pcm) // 1280):
        at = header["at_ms"] + 40 * i
        box = [500, 200, 256, 256]
        send(
            {"kind": "patch", "utterance": header["utterance"], "at_ms": at, "box": box},
            PICTURE,
        )


def main(manner: str) -> None:
    header, portrait = receive()
    if manner == "mute":
        time.sleep(600)
    if manner == "refuses":
        send({"kind": "failed", "why": "no card"})
        return
    whole = header["kind"] == "portrait" and portrait.startswith(b"\x89PNG")
    send({"kind": "ready", "protocol": 7 if manner == "newer" or not whole else 1})
    while True:
        header, body = receive()
        if header["kind"] != "sound":
            continue
        if manner == "dies":
            return
        if manner == "floods":
            sys.stdout.buffer.write(LENGTHS.pack(20, 1 << 30))
            sys.stdout.buffer.flush()
            continue
        if manner == "babbles":
            send({"kind": "patch", "utterance": -3, "at_ms": 0, "box": [1]})
            continue
        patches(header, body)
        if manner == "draws_and_dies":
            return


if __name__ == "__main__":
    main(sys.argv[1])
