"""pocketsphinx in the process that listens, see `locum.ears.listening`.

One process for all speakers, with a few decoders, keeps it to one core.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, field
from typing import Any

DECODERS = 3
"""Each takes 95 MB. Who speaks besides is heard a little later."""
_MOST_KEPT = 45 * 32_000
_STEP = 64_000  # What is decoded at a time of what has waited: nobody else waits long for it.

# Measured on read speech: a fifth of the default's time, and no more errors.
_SETTINGS = {
    "fwdflat": False,
    "topn": 2,
    "maxhmmpf": 3000,
    "maxwpf": 10,
    "cmn": "live",
    "loglevel": "FATAL",
}
_VARIANT = re.compile(r"\(\d+\)")


@dataclass
class _Decoder:
    made: Any
    knows: int = 0  #: How many of the further words it was taught.


@dataclass
class _Stream:
    decoder: _Decoder | None = None
    sound: bytearray = field(default_factory=bytearray)  #: Of the stretch, for another pass.
    done: int = 0  #: Up to where its decoder has heard it.
    lost: bool = False
    cepstral_mean: str = ""  #: Of this voice and microphone, from what was said before.


class SphinxListener:
    """Makes words of several streams with a few decoders.

    Who has none waits, and takes one where it must have words: whoever has got least from theirs
    begins anew later, which costs a tenth of the time that was spoken.

    Raises:
        ImportError: pocketsphinx isn't installed.
        RuntimeError: Its model can't be read.
    """

    def __init__(self) -> None:
        self._words: list[tuple[str, str]] = []
        self._streams: dict[int, _Stream] = {}
        self._idle = [_decoder()]
        self._made = 1

    def words(self, words: list[tuple[str, str]]) -> None:
        """Know these words too, from the next stretch on."""
        self._words += [each for each in words if each not in self._words]

    def hear(self, number: int, pcm: bytes) -> None:
        stream = self._streams.setdefault(number, _Stream())
        stream.sound += pcm
        over = len(stream.sound) - _MOST_KEPT
        if over > 0:
            stream.lost = stream.lost or over > stream.done
            del stream.sound[:over]
            stream.done = max(stream.done - over, 0)
        if self._attend(stream, at_once=False):
            self._decode(stream, _STEP)

    def guess(self, number: int) -> str:
        stream = self._streams.get(number)
        if stream is None or not self._attend(stream, at_once=False):
            return ""
        return self._decode(stream, _MOST_KEPT)

    def finish(self, number: int) -> str:
        stream = self._streams.get(number)
        if stream is None or not stream.sound:
            return ""
        self._attend(stream, at_once=True)
        self._decode(stream, _MOST_KEPT)
        text = self._end(stream)
        shown = f"(…) {text}" if stream.lost and text else text
        self._streams[number] = _Stream(cepstral_mean=stream.cepstral_mean)
        return shown

    def close(self, number: int) -> None:
        stream = self._streams.pop(number, None)
        if stream is not None:
            self._end(stream)

    def _attend(self, stream: _Stream, *, at_once: bool) -> bool:
        """Answer whether the stream has a decoder; `at_once` takes one from another stream."""
        if stream.decoder is not None:
            return True
        if not self._idle and self._made < DECODERS:
            self._made += 1
            self._idle.append(_decoder())
        if not self._idle and at_once:
            others = [each for each in self._streams.values() if each.decoder is not None]
            self._end(min(others, key=lambda each: each.done))
        if not self._idle:
            return False
        stream.decoder = self._idle.pop()
        self._teach(stream.decoder)
        if stream.cepstral_mean:
            stream.decoder.made.set_cmn(stream.cepstral_mean)
        stream.decoder.made.start_utt()
        return True

    def _end(self, stream: _Stream) -> str:
        """Take its decoder away, and answer what that has heard."""
        decoder, stream.decoder, stream.done = stream.decoder, None, 0
        if decoder is None:
            return ""
        decoder.made.end_utt()
        stream.cepstral_mean = decoder.made.get_cmn(True)
        self._idle.append(decoder)
        return _text(decoder.made)

    def _decode(self, stream: _Stream, most: int) -> str:
        if stream.decoder is None:
            return ""
        part = bytes(stream.sound[stream.done : stream.done + most])
        stream.done += len(part)
        if part:
            stream.decoder.made.process_raw(part)
        return _text(stream.decoder.made)

    def _teach(self, decoder: _Decoder) -> None:
        """Let it know further words; one that can't be taken is one that isn't heard."""
        words, decoder.knows = self._words[decoder.knows :], len(self._words)
        new = [(word, phones) for word, phones in words if not decoder.made.lookup_word(word)]
        for number, (word, phones) in enumerate(new, 1):
            with contextlib.suppress(RuntimeError, ValueError):
                # Taking them into the search takes a tenth of a second: once for all of them.
                decoder.made.add_word(word, phones, number == len(new))


def _decoder() -> _Decoder:
    from pocketsphinx import Decoder

    return _Decoder(Decoder(**_SETTINGS))


def _text(decoder: Any) -> str:
    found = decoder.hyp()
    return "" if found is None else _VARIANT.sub("", found.hypstr)
