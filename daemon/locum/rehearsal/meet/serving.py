"""Puts the meeting page on a port, with sound and picture where the extra `stage` is installed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from importlib.util import find_spec

from locum.rehearsal.meet.app import meet_app
from locum.rehearsal.meet.protocol import LARGEST_FRAME
from locum.rehearsal.meet.state import MeetStage
from locum.rehearsal.meet.voices import StageVoices
from locum.rehearsal.serving import Served, served


def can_serve() -> bool:
    """Answer whether the extra `stage` is installed."""
    return all(find_spec(name) is not None for name in ("websockets", "aiortc", "numpy"))


@contextlib.contextmanager
def served_meet(
    stage: MeetStage,
    *,
    port: int = 0,
    media: bool = True,
    addresses: Sequence[str] | None = None,
) -> Iterator[Served]:
    """Serve the page of `stage` on loopback until the block ends; its `url` is set meanwhile.

    Without `media`, one comes in, reads and writes, but sees and hears nobody. `addresses` are
    where WebRTC listens, None for every address of this machine.
    """
    voices = StageVoices(stage, addresses=addresses) if media else None
    app = meet_app(stage, voices)
    with served(app, port=port, largest_frame=4 * LARGEST_FRAME) as server:
        stage.url = server.base_url
        stage.sound = voices
        try:
            yield server
        finally:
            stage.url = ""
            stage.sound = None
