"""Words that point: at what was said before, at a day, at whom; and what they point at."""

from __future__ import annotations

import re
from collections.abc import Iterable

from locum.brains.rules.listening import Heard, Turn
from locum.brains.rules.notes import keys
from locum.core.minutes import Evidence

IS_STATE = re.compile(
    r"^(?:probably|likely|never|not|be (?!in touch|responsible)|have to wait|love|like|hate|know|want|need|come|win|lose|see|"
    r"think|cost|happen|join|leave|arrive|start an|send heartbeats|become|stay|remain|both|all|always|only|continue|work with)\b",
    re.IGNORECASE,
)
POINTING = re.compile(
    r"\w+(?: (?:to|ich|about|for|with))?(?: (?:ich|auch|dann|noch))? (?:it|him|her|them|that|this|those|these|there|one|es|sie|ihn|das|die|den)\b",
    re.IGNORECASE,
)
CORRECTING = re.compile(
    r"(?:er|um|uh|ah|oh)?[,. ]*(?:no\b|sorry|actually|wait|i mean|i meant|make (?:it|that)|rather|nein|nee|quatsch|ich meine|entschuldigung|moment)",
    re.IGNORECASE,
)
OTHER_DATE = re.compile(
    r"\b(?:meeting|call|session|sitzung|treffen|termin|see you|bis bald|weekend|holiday|closed|out|away|off)\b",
    re.IGNORECASE,
)
WHEN = re.compile(r"\b(?:when|how soon|wann)\b", re.IGNORECASE)
SAYS_NOTHING = re.compile(
    r"(?:so |and |but |und |also )*(?:it|that|they|this|das|es|die|der)(?:'s)? ", re.IGNORECASE
)
POINTING_THING = re.compile(r"\w+ (?:it|that|them|those|this|one|these)\b", re.IGNORECASE)
PLEASED = re.compile(
    r"(?:oh|ah|and)?[,. ]*(?:great|perfect|cool|lovely|good|nice|exactly|works|thanks|right|prima|super|sehr gut|genau)\b(?! (?:will do|i'll|ich))",
    re.IGNORECASE,
)
WHEN_ASKED = re.compile(
    r"\b(?:when|deadline|how soon|wann|by what)\b[^?]{0,40}\?", re.IGNORECASE
)
TELLING = re.compile(r"(?:tell|ask|inform|let|write to|call|sage|frage)\b", re.IGNORECASE)
CONTACT = re.compile(
    r"(?:write|talk|speak|call|ask|tell|mail|email|ping|chase)(?: to| with)? (?:him|her|them)\b",
    re.IGNORECASE,
)
CONTACT_VERB = re.compile(
    r"(?:write|talk|speak|call|ask|tell|mail|email|ping|chase)\b", re.IGNORECASE
)
NOT_PROMISED = re.compile(
    r"\b(?:not|nicht|whether|ob|can't|cannot|might|vielleicht|if|would like)\b", re.IGNORECASE
)


def context(turn: Turn, recent: Iterable[Turn], shown: Evidence) -> Heard | None:
    """Answer the last sentence before `shown` that says what things are about."""
    for before in (turn, *reversed(list(recent))):
        if turn.place - before.place > 4:
            return None
        said = list(before.heard)
        if before is turn:
            places = [n for n, h in enumerate(said) if h.sentence.evidence == shown]
            said = said[: places[0]] if places else []
        for heard in reversed(said):
            if SAYS_NOTHING.match(heard.masked) is not None:
                continue
            if len(keys(heard.masked, before.lexicon)) >= 2:
                return heard
    return None
