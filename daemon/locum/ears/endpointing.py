"""Tells whether somebody has finished, without a model to pull: by the words, and by the tone.

The words are judged by their last few: nobody ends on "and" or "the". The tone is judged by how a
stretch of speech ends (see `tone`): low, falling and soft is an end, level and loud is none.

The tone's weights were fitted to 1,968 cuts in recorded prompts of five speakers in five languages
(Asterisk's, CC-BY-SA 3.0): half to whether the prompt was over there, half to what smart-turn v3.2
makes of it. Tried on a speaker and a language left out, it tells an end from a gap inside with an
area under the curve of 0.84. What is assumed beforehand, and what pauses and length weigh, was set by
hand, on the recordings of `tests.bench.endpointers`, so those don't prove it.
"""

from __future__ import annotations

import asyncio
import math
import re
from itertools import takewhile

from locum.core.address_words import word_set
from locum.core.speech import Sound

_WEIGHTS = (
    # Feature, its mean and deviation in those recordings, and its weight, in log-odds.
    ("final_pitch", -3.741, 5.125, -0.680),
    ("final_level", -5.506, 5.023, -0.663),
    ("level_slope", -5.243, 5.025, 0.266),
    ("last_voiced", 0.326, 0.266, -0.083),
    ("unvoiced_end", 0.015, 0.032, 0.190),
    ("phrase", 1.862, 1.019, 0.239),
)
_FARTHEST = 3.0
_BEFOREHAND = 1.0
"""Most silences that are asked about end a turn, …"""
_A_PAUSE = -0.5
"""… but who has paused and gone on in these 8 s is likely to do so again, …"""
_MOST_PAUSES = 3
_A_SECOND = -0.2
"""… and who has been telling something for long is likely to go on, for each second …"""
_SHORT_S = 3.0
"""… over this much of speech."""

_GOES_ON = -3.0
_MAY_GO_ON = -1.5
_WHOLE = 0.7
_ASKED = 1.2
_STATED = -0.5
"""A statement is whole, and still its speaker may go on: nobody was asked anything."""
_SHORT_ANSWER = 1.0

_SENTENCE_END = re.compile(r"(?<=[.?!])\s+")
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*|\d+")


def blended(by_sound: float, words: float) -> float:
    """Move a certainty by what the words say: `words` is in log-odds, 0 where they say nothing."""
    return 1 / (1 + math.exp(-(odds(by_sound) + words)))


def odds(certainty: float) -> float:
    """Answer a certainty in log-odds; none is taken for surer than 99 %."""
    bounded = min(max(certainty, 0.01), 0.99)
    return math.log(bounded / (1 - bounded))


class WordsAndTone:
    """Implements `ports.Endpointer`. A call takes some 3 ms, in a thread.

    Args:
        trust: How far the words can be believed, from 0 (not at all) to 1 (as if typed).
    """

    def __init__(self, *, trust: float = 1.0) -> None:
        self._trust = trust

    @property
    def name(self) -> str:
        return "by the words and the tone"

    async def certainty(self, sound: Sound, text: str) -> float:
        """See `ports.Endpointer`."""
        by_tone = await asyncio.to_thread(tone_certainty, sound)
        return blended(by_tone, self.by_words(text))

    def close(self) -> None:
        """See `ports.Endpointer`: it holds nothing."""

    def by_words(self, text: str) -> float:
        """See `ports.Endpointer`."""
        return self._trust * words_evidence(text)


# ── the tone ─────────────────────────────────────────────────────────────────────────────


def tone_certainty(sound: Sound) -> float:
    """Answer how sure the tone is that the turn is over: 0.5 where nobody speaks."""
    import numpy as np

    from locum.ears.tone import FEATURES, RATE_HZ, tone

    if sound.rate != RATE_HZ:
        raise ValueError(f"sound of {sound.rate} Hz; {RATE_HZ} are needed")
    pcm = sound.pcm[-16 * RATE_HZ :]
    found = tone(np.frombuffer(pcm, "<i2").astype(np.float32) * np.float32(1 / 32_768))
    if found is None:
        return 0.5
    values = dict(zip(FEATURES, found.tolist(), strict=True))
    by_tone = sum(
        weight * _within((values[name] - mean) / deviation, _FARTHEST)
        for name, mean, deviation, weight in _WEIGHTS
    )
    odds = _BEFOREHAND + by_tone
    odds += _A_PAUSE * min(values["pauses"], _MOST_PAUSES)
    odds += _A_SECOND * max(0.0, values["spoken"] - _SHORT_S)
    return 1 / (1 + math.exp(-odds))


def _within(value: float, most: float) -> float:
    return min(max(value, -most), most)


# ── the words ────────────────────────────────────────────────────────────────────────────

# English and German together: where a word of one is one of the other ("an", "in", "war"), it is
# left out if it often ends a sentence there. A misjudged language costs a wait, no more.

_FILLERS = word_set("um uh er erm hmm hm äh ähm öh mhm tja")

_LINKS = word_set(
    "and or but because if when while whereas although unless until than which whose as "
    "the a my your our their its his of from with without into about between i'm we're "
    "they're it's that's there's i'd i'll we'll i've we've gonna und oder aber sondern denn "
    "weil dass wenn ob obwohl damit sodass bevor nachdem während der die das den dem des ein "
    "eine einen einem einer eines mein meine meinen unser unsere ihre kein keine keinen von "
    "vom zum zur beim für ohne gegen zwischen wegen sehr"
)
"""Words that nobody ends on."""

_LEANS = word_set(
    "so to in on at for by is are was were am be been will would could should can may might "
    "must have has had do does did i we he she they very just maybe perhaps also well like "
    "actually basically let's need want our these those that also dann ich wir er man ist sind war "
    "waren hat haben hatte wird werden würde kann können könnte soll sollte muss müssen "
    "müsste will wollen vielleicht eigentlich halt naja zum mit bei nach"
)
"""Words that seldom end what isn't a question."""

_TRAILS = (
    "you know", "i mean", "kind of", "sort of", "going to", "used to", "a lot of",
    "on the one hand", "first of all", "for example", "such as", "in order to",
    "das heißt", "zum beispiel", "ich meine", "sowohl als", "in bezug auf",
)  # fmt: skip

_ASKS = word_set(
    "what who where when why how which whose do does did is are was were can could would will "
    "should have has had may shall isn't aren't don't doesn't didn't can't couldn't won't wer "
    "was wo wann warum wieso weshalb wie welche welcher welches wohin woher kannst könntest "
    "können könnten hast haben bist sind ist gibt weißt wissen möchtest möchten sollen darf "
    "dürfen würdest würden"
)

_ASKS_CALLED = word_set("what who where when how which wer wo wann warum wie welche welcher")
"""Of these, what asks after a name, too: "Robin, what is left?" """

_ASKS_YOU = ("can you", "could you", "would you", "will you", "do you", "have you", "are you")

_REQUESTS = word_set(
    "please tell show give let let's go stop wait check look send write remind add move "
    "explain repeat try start open take put make call ask read bitte sag sagen zeig zeigen "
    "gib geben schick schicken schreib schau prüf prüfen erklär erklären lies nimm mach"
)

_OPENERS = word_set("hey hi hello okay ok so and but well now right hallo na und aber also ja")

_SHORT_ANSWERS = word_set(
    "yes no yeah yep nope okay ok sure thanks thank exactly right agreed correct done perfect "
    "great please bye goodbye stop ja nein doch genau klar danke gut richtig stimmt tschüss "
    "einverstanden gerne bitte"
)

_DEPENDENT = word_set(
    "if when because although while unless since once wenn weil obwohl falls nachdem bevor "
    "sobald während"
)
_SHORTEST_WITH_MAIN_CLAUSE = 7


def words_evidence(text: str) -> float:
    """Answer what words say of whether they are all, in log-odds: 0 where they say nothing.

    Of several sentences the last counts. A comma at the very end says nothing: recognisers put
    one where the sound breaks off.
    """
    bare = _SENTENCE_END.split(text.rstrip(" ,\"'”»)"))[-1].lower()
    words = _WORD.findall(bare.replace("’", "'"))
    if not words:
        return 0.0
    if words[-1] in _FILLERS:
        return _GOES_ON
    if bare.endswith(("…", "...", "-", "–", "—", ":", ";")):
        return _MAY_GO_ON
    if bare.endswith("?") or (_asks(words) and words[-1] not in _LINKS):
        return _ASKED  # Also on "for" or "is": "What are you waiting for".
    return _of_no_question(words, punctuated=bare.endswith((".", "!")))


def _of_no_question(words: list[str], *, punctuated: bool) -> float:
    if words[-1] in _LINKS or " ".join(words).endswith(_TRAILS):
        return _GOES_ON
    if words[-1] in _LEANS:
        return _MAY_GO_ON
    if words[0] in _REQUESTS:
        return _WHOLE
    return 0.0 if punctuated else _unpunctuated(words)


def _asks(words: list[str]) -> bool:
    """Whether it begins as a question does, after words that only open it, or call somebody."""
    opening = len(list(takewhile(lambda word: word in _OPENERS, words)))
    rest = words[opening:]
    if len(rest) < 3:
        return False
    return (
        rest[0] in _ASKS
        or rest[1] in _ASKS_CALLED
        or any(each in " ".join(rest[:4]) for each in _ASKS_YOU)
    )


def _unpunctuated(words: list[str]) -> float:
    if len(words) <= 3 and words[-1] in _SHORT_ANSWERS:
        return _SHORT_ANSWER
    halves = (("either", "or"), ("both", "and"), ("entweder", "oder"), ("sowohl", "auch"))
    if any(one in words and other not in words for one, other in halves):
        return _MAY_GO_ON
    if words[0] in _DEPENDENT and len(words) < _SHORTEST_WITH_MAIN_CLAUSE:
        return _MAY_GO_ON
    if re.fullmatch(r"(one|two|three|first|second|third|erstens|zweitens|drittens)", words[-1]):
        return _MAY_GO_ON
    return _STATED
