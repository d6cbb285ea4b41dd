"""The process in which espeak-ng speaks: `python -m locum.voices.espeak_process`.

Its library keeps one state for a whole process, and a fault in it would end ours. How it is asked
and answers stands in `locum.voices.pipe`; a request has `voice` and `words_per_minute`, too.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from typing import Any

from locum.voices.pipe import ProblemError, Request, serve

LIBRARY = "libespeak-ng.so.1"

# From speak_lib.h (espeak-ng 1.51).
_RETRIEVAL = 1
_PHONEME_EVENTS_IN_IPA = 0x0001 | 0x0002
_DONT_EXIT = 0x8000
_UTF8 = 1
_PHONEMES_IN_IPA = 0x02
_EVENT_END, _EVENT_WORD, _EVENT_PHONEME = 0, 1, 7
_RATE = 1

_BUFFER_MS = 60
_PIECE_MS = 240
"""Pieces are cut between phones, no earlier than this; the first one, at the first chance."""


class _Id(ctypes.Union):
    _fields_ = (
        ("number", ctypes.c_int),
        ("name", ctypes.c_char_p),
        ("string", ctypes.c_char * 8),
    )


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),  # In milliseconds.
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    )


class _Voice(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_char_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("xx1", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


class Pieces:
    """Cuts a stream of sound into pieces that end where a phone ends."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._pcm = bytearray()
        self._began_ms = 0.0
        self._phones: list[tuple[str, float]] = []
        self._words: list[tuple[int, int, float]] = []
        self._given = 0

    def add(self, pcm: bytes, events: Events) -> Iterator[Piece]:
        """Take sound and what begins in it (in ms of the whole), and give what is ready."""
        self._pcm += pcm
        self._phones += events.phones
        self._words += events.words
        least = _PIECE_MS if self._given else _BUFFER_MS
        while True:
            cut = self._cut_after(self._began_ms + least)
            if cut is None:
                return
            yield self._take(cut)
            least = _PIECE_MS

    def _cut_after(self, instant_ms: float) -> float | None:
        have = self._began_ms + len(self._pcm) / 2 * 1000 / self._rate
        return next((at for _, at in self._phones if instant_ms <= at <= have), None)

    def finish(self) -> Iterator[Piece]:
        if self._pcm:
            yield self._take(self._began_ms + len(self._pcm) / 2 * 1000 / self._rate)

    def _take(self, until_ms: float) -> Piece:
        size = min(2 * round((until_ms - self._began_ms) * self._rate / 1000), len(self._pcm))
        pcm = bytes(self._pcm[:size])
        del self._pcm[:size]
        inside = [(symbol, at) for symbol, at in self._phones if at < until_ms]
        self._phones = self._phones[len(inside) :]
        ends = [at for _, at in inside[1:]] + [until_ms]
        words = [word for word in self._words if word[2] < until_ms]
        self._words = self._words[len(words) :]
        began = self._began_ms
        self._began_ms = until_ms
        self._given += 1
        return Piece(
            self._rate,
            pcm,
            [
                [symbol, round(at - began, 1), round(end - began, 1)]
                for (symbol, at), end in zip(inside, ends, strict=True)
            ],
            [[start, stop, round(max(at - began, 0.0), 1)] for start, stop, at in words],
        )


class Events:
    """What begins in a stretch of sound: phones, and words by their characters."""

    def __init__(self) -> None:
        self.phones: list[tuple[str, float]] = []
        self.words: list[tuple[int, int, float]] = []


class Piece:
    def __init__(
        self, rate: int, pcm: bytes, phones: list[list[Any]], words: list[list[Any]]
    ) -> None:
        self.rate = rate
        self.pcm = pcm
        self.phones = phones
        self.words = words


def _ignore(_pcm: bytes, _events: Events) -> bool:
    return False


class Espeak:
    """The library; one a process.

    Raises:
        ProblemError: It isn't installed, or has no data.
    """

    def __init__(self) -> None:
        try:
            self._library = ctypes.CDLL(LIBRARY)
        except OSError as error:
            told = f"espeak-ng can't be used: {error}"
            raise ProblemError(told, missing=True) from error
        flags = _PHONEME_EVENTS_IN_IPA | _DONT_EXIT
        self.rate: int = self._library.espeak_Initialize(_RETRIEVAL, _BUFFER_MS, None, flags)
        if self.rate <= 0:
            raise ProblemError("espeak-ng has no data", missing=True)
        self._take: Callable[[bytes, Events], bool] = _ignore
        # Kept, because the library keeps only its address.
        self._callback = _CALLBACK(self._heard)
        self._library.espeak_SetSynthCallback(self._callback)

    def _heard(self, samples: Any, count: int, events: Any) -> int:
        begun = Events()
        number = 0
        while events[number].type != _EVENT_END:
            event = events[number]
            at = float(event.audio_position)
            if event.type == _EVENT_PHONEME:
                raw = bytes(event.id.string).split(b"\0")[0]
                begun.phones.append((raw.decode("utf-8", "ignore"), at))
            elif event.type == _EVENT_WORD:
                start = event.text_position - 1  # It counts from 1.
                begun.words.append((start, start + event.length, at))
            number += 1
        pcm = ctypes.string_at(samples, count * 2) if samples and count > 0 else b""
        return int(self._take(pcm, begun))  # 1 stops it.

    def _choose(self, voice: str) -> None:
        """Take a voice by its name or file, else the best for a language, with its variant."""
        if self._library.espeak_SetVoiceByName(voice.encode()) == 0:
            return
        wanted = _Voice(languages=voice.encode())
        if self._library.espeak_SetVoiceByProperties(ctypes.byref(wanted)) != 0:
            raise ProblemError(f'espeak-ng has no voice "{voice}"')

    def speak(self, request: Request) -> None:
        """Say it.

        Raises:
            ProblemError: There is no such voice.
        """
        if not request.text:
            return
        self._choose(str(request.values["voice"]))
        self._library.espeak_SetParameter(_RATE, int(request.values["words_per_minute"]), 0)
        pieces = Pieces(self.rate)

        def give(piece: Piece) -> None:
            request.give(piece.rate, piece.pcm, piece.phones, piece.words)

        def take(pcm: bytes, events: Events) -> bool:
            for piece in pieces.add(pcm, events):
                give(piece)
            return request.stopped

        self._take = take
        raw = request.text.encode() + b"\0"
        self._library.espeak_Synth(raw, len(raw), 0, 1, 0, _UTF8, None, None)
        self._library.espeak_Synchronize()
        if not request.stopped:
            for piece in pieces.finish():
                give(piece)

    def phonemes(self, text: str, voice: str) -> str:
        """Answer how `text` is said, in IPA, with its stresses; clauses apart by a space.

        Raises:
            ProblemError: There is no such voice.
        """
        self._choose(voice)
        convert = self._library.espeak_TextToPhonemes
        convert.restype = ctypes.c_char_p
        rest = ctypes.c_char_p(text.encode())
        found = []
        while rest.value:
            raw = convert(ctypes.byref(rest), _UTF8, _PHONEMES_IN_IPA)
            found.append((raw or b"").decode("utf-8", "ignore"))
        return " ".join(" ".join(found).split())


def main() -> None:
    serve(Espeak)
