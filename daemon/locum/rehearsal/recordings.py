"""Records each stand-in of our own engine as the others see and hear it, for as long as it is in."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from locum.errors import PermanentError
from locum.rehearsal.meet.participants import Phase
from locum.rehearsal.meet.voices import StageVoices
from locum.rehearsal.stage import Stage

if TYPE_CHECKING:
    from locum.rehearsal.meet.media.recorder import Recorder

_ODD = re.compile(r"[^a-z0-9-]+")


class Recordings:
    """Files in `folder`, one for each time that somebody's browser is in a room."""

    def __init__(self, stage: Stage, folder: Path) -> None:
        self._stage = stage
        self._folder = folder
        self._running: dict[str, Recorder] = {}
        self._files: list[Path] = []

    def look(self) -> None:
        """Begin with whoever has come in since the last look.

        Raises:
            PermanentError: The folder can't be written.
        """
        for event in self._stage.scenario.events:
            for seen in self._stage.meet.participants(event.meet or ""):
                if seen.phase is Phase.IN and seen.id not in self._running:
                    self._begin(seen.room, seen.id)

    def _begin(self, room: str, participant: str) -> None:
        voices = self._stage.meet.sound
        if not isinstance(voices, StageVoices):
            return
        file = self._folder / f"{_ODD.sub('-', room.lower())}-{len(self._files) + 1}.webm"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._running[participant] = voices.record(room, participant, file)
        except OSError as error:
            raise PermanentError(f"{file} can't be written: {error.strerror}.") from error
        self._files.append(file)

    def finish(self) -> tuple[Path, ...]:
        """End them all, and answer the files."""
        voices = self._stage.meet.sound
        if isinstance(voices, StageVoices):
            for recorder in self._running.values():
                voices.stop_recording(recorder)
        return tuple(self._files)
