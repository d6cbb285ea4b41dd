"""The voices of a PikaStream account: samples that were uploaded, and what was cloned of them.

Behind PikaStream's proxy is MiniMax, so the codes, the rules for names and the length of a
sample are those of MiniMax's own documentation. Assumptions, documented by neither: a join
with a voice counts as its use, one that is deleted is refused like one that never was, and a
sample stays until the account ends. Only WAV is measured; of mp3 and m4a the stage looks at
the first bytes, because it has nothing to decode them with.
"""

from __future__ import annotations

import enum
import io
import itertools
import re
import wave
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

CLONED_VOICE_KEPT = timedelta(days=7)  #: Without use; the service deletes it then.
LARGEST_SAMPLE = 20 * 1024 * 1024

_SHORTEST_S, _LONGEST_S = 10.0, 300.0
# 8 to 256 characters, a letter first, no - or _ at the end.
_VOICE_ID = re.compile(r"[A-Za-z][A-Za-z0-9_-]{6,254}[A-Za-z0-9]")


class Code(enum.IntEnum):
    """What `base_resp.status_code` says."""

    OK = 0
    BAD_PARAMETER = 2013
    BAD_LENGTH = 2037
    TAKEN = 2039


@dataclass(frozen=True)
class Voice:
    """A cloned voice. It is deleted at `kept_until` unless it is used before."""

    voice_id: str
    file_id: int
    cloned_at: datetime
    used_at: datetime
    noise_reduction: bool

    @property
    def kept_until(self) -> datetime:
        return self.used_at + CLONED_VOICE_KEPT


@dataclass(frozen=True)
class Refusal:
    """Why MiniMax says no: the two fields of `base_resp`."""

    code: Code
    message: str


class Voices:
    """Not thread-safe: whoever holds the account holds its lock."""

    def __init__(self, serial: itertools.count[int]) -> None:
        self._serial = serial
        self._files: set[int] = set()
        self._voices: dict[str, Voice] = {}

    def keep_sample(self, sound: bytes) -> int | Refusal:
        """Take an upload; answers its file id, a 64-bit integer as MiniMax has it."""
        kind = _kind(sound)
        if kind is None:
            return Refusal(Code.BAD_PARAMETER, "invalid params: file is no mp3, m4a or wav")
        lasts = _wav_seconds(sound) if kind == "wav" else None
        if kind == "wav" and lasts is None:
            return Refusal(Code.BAD_PARAMETER, "invalid params: file can't be decoded")
        if lasts is not None and lasts < _SHORTEST_S:
            return Refusal(Code.BAD_LENGTH, "voice duration too short")
        if lasts is not None and lasts > _LONGEST_S:
            return Refusal(Code.BAD_LENGTH, "voice duration too long")
        file_id = 310_000_000_000_000 + next(self._serial)
        self._files.add(file_id)
        return file_id

    def clone(
        self, file_id: object, voice_id: str, *, noise_reduction: bool, now: datetime
    ) -> Voice | Refusal:
        """Make a voice from an uploaded sample, under a name that no living voice has."""
        if not isinstance(file_id, int) or file_id not in self._files:
            return Refusal(Code.BAD_PARAMETER, "invalid params: no such file_id")
        if not _VOICE_ID.fullmatch(voice_id):
            return Refusal(Code.BAD_PARAMETER, "invalid params: voice_id")
        if self._living(voice_id, now) is not None:
            return Refusal(Code.TAKEN, "voice clone voice id duplicate")
        voice = Voice(voice_id, file_id, now, now, noise_reduction)
        self._voices[voice_id] = voice
        return voice

    def has(self, voice_id: str, now: datetime) -> bool:
        return self._living(voice_id, now) is not None

    def use(self, voice_id: str, now: datetime) -> None:
        """Note that a voice is used, if it is a cloned one."""
        voice = self._living(voice_id, now)
        if voice is not None:
            self._voices[voice_id] = replace(voice, used_at=now)

    def living(self, now: datetime) -> tuple[Voice, ...]:
        return tuple(voice for voice in self._voices.values() if now < voice.kept_until)

    def _living(self, voice_id: str, now: datetime) -> Voice | None:
        voice = self._voices.get(voice_id)
        return voice if voice is not None and now < voice.kept_until else None


def _kind(sound: bytes) -> str | None:
    if sound[:4] == b"RIFF" and sound[8:12] == b"WAVE":
        return "wav"
    if sound[4:8] == b"ftyp":
        return "m4a"
    framed = len(sound) > 1 and sound[0] == 0xFF and sound[1] & 0xE0 == 0xE0
    return "mp3" if framed or sound[:3] == b"ID3" else None


def _wav_seconds(sound: bytes) -> float | None:
    try:
        with wave.open(io.BytesIO(sound)) as opened:
            # By the bytes that came, not by the length that the header claims.
            frame = opened.getnchannels() * opened.getsampwidth()
            sound_bytes = len(opened.readframes(opened.getnframes()))
            return float(sound_bytes / frame / opened.getframerate())
    except (wave.Error, EOFError, ZeroDivisionError, ValueError):
        return None
