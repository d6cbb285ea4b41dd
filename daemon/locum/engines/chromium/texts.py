"""What Google Meet's page says, as data, and how its texts are compared.

The data is `texts.toml`, and nothing else that knows the page has a text of it: the rest goes
by roles and by the meanings here. No class name stands anywhere.
"""

from __future__ import annotations

import enum
import functools
import importlib.resources
import sys
import unicodedata
from collections.abc import Iterable, Mapping

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class Control(enum.Enum):
    """Something to press, to fill in, or to read, by its accessible name."""

    NAME = "name field"
    JOIN = "join"
    ASK = "ask to join"
    JOIN_TOO = "join here too"
    SWITCH = "switch here"
    MICROPHONE_ON = "turn the microphone on"
    MICROPHONE_OFF = "turn the microphone off"
    CAMERA_ON = "turn the camera on"
    CAMERA_OFF = "turn the camera off"
    USE_DEVICES = "use microphone and camera"
    DISMISS = "dismiss"
    AGREE = "agree"
    SIGN_IN = "sign in"
    LEAVE = "leave"
    HOME = "return to the home screen"
    REJOIN = "rejoin"
    CODE = "code of a meeting"
    CHAT = "chat"
    COMPOSER = "message"
    SEND = "send"
    UNMUTE = "unmute, as a host asks"
    PEOPLE = "people"
    HAND_UP = "raise the hand"
    HAND_DOWN = "take the hand down"
    CAPTIONS_ON = "turn captions on"
    CAPTIONS_OFF = "turn captions off"


class Screen(enum.Enum):
    """What the page says of where we are, once it isn't a meeting's own words."""

    LOBBY = "lobby"
    DENIED = "denied"
    NO_ANSWER = "no answer"
    BLOCKED = "blocked"
    SIGN_IN = "sign in"
    EXPIRED = "expired code"
    UNKNOWN_CODE = "unknown code"
    FULL = "full"
    REMOVED = "removed"
    ENDED = "ended"
    LEFT = "left"
    REPLACED = "replaced"
    HOME = "Meet's home page"
    TROUBLE = "trouble"


_DATA: Mapping[str, Mapping[str, list[str]]] = tomllib.loads(
    (importlib.resources.files("locum.engines.chromium") / "texts.toml").read_text("utf-8")
)

CAPTIONS_REGION = tuple(_DATA["parts"]["captions"])
PARTICIPANTS_LIST = tuple(_DATA["parts"]["participants"])
MESSAGES_LIST = tuple(_DATA["parts"]["messages"])
YOU = tuple(_DATA["parts"]["you"])
"""What our own entry, captions and messages are marked with, alone or in brackets."""

RECONNECTING = tuple(_DATA["announced"]["reconnecting"])
CAME_OR_WENT = tuple(_DATA["announced"]["came_or_went"])
MUTED_BY_HOST = tuple(_DATA["announced"]["muted_by_host"])
HAND_RAISED = tuple(_DATA["announced"]["hand_raised"])
ASKED_TO_UNMUTE = tuple(_DATA["announced"]["asked_to_unmute"])
CONSENTS: Mapping[str, list[str]] = _DATA["consents"]

_EXACT = frozenset(
    {Control.DISMISS, Control.AGREE, Control.SEND, Control.SIGN_IN, Control.UNMUTE}
)
"""Controls whose names are so short that others begin with them: they must be the whole."""

_UNFOLLOWED = frozenset({Control.PEOPLE})
"""Controls whose names no other word may follow: "People - 3 joined", and no "People search"."""


def folded(text: str) -> str:
    """Answer a text as texts are compared: one kind of quote and blank, no case."""
    plain = unicodedata.normalize("NFKC", text).translate(_ALIKE)
    return " ".join(plain.casefold().split())


_ALIKE = str.maketrans({"’": "'", "‘": "'", "ʼ": "'", "\u00ad": "", "\u200b": "", "…": ""})


@functools.lru_cache(maxsize=4096)  # The same few dozen names, twice a second.
def is_called(name: str, control: Control) -> bool:
    """Whether a control with that accessible name is `control`."""
    shown = folded(name)
    if shown in _whole(control):
        return True
    if control in _EXACT:
        return False
    return any(
        shown.startswith(wanted)
        and _may_follow(shown[len(wanted) :], by_words=control not in _UNFOLLOWED)
        for wanted in _beginnings(control)
    )


def _may_follow(rest: str, *, by_words: bool) -> bool:
    return not rest[:1].isalnum() and (by_words or not rest.lstrip()[:1].isalpha())


@functools.cache
def _whole(control: Control) -> frozenset[str]:
    more = _DATA["whole"].get(control.name.lower(), [])
    return frozenset((*_beginnings(control), *(folded(each) for each in more)))


@functools.cache
def _beginnings(control: Control) -> tuple[str, ...]:
    return tuple(folded(each) for each in _DATA["controls"][control.name.lower()])


def begins_with(text: str, beginnings: Iterable[str]) -> bool:
    """Whether `text` is one of `beginnings`, or goes on after one at a word's end."""
    shown = folded(text)
    for beginning in beginnings:
        wanted = folded(beginning)
        if shown.startswith(wanted) and not shown[len(wanted) : len(wanted) + 1].isalnum():
            return True
    return False


def holds(text: str, pieces: Iterable[str]) -> bool:
    shown = folded(text)
    return any(folded(piece) in shown for piece in pieces)


def screen_of(texts: Iterable[str]) -> Screen | None:
    """Answer what a page says of where we are; never ask of a page that is in a call."""
    shown = [folded(text) for text in texts]
    for screen, pieces in _SCREENS:
        if any(piece in text for piece in pieces for text in shown):
            return screen
    return None


_SCREENS = tuple(
    (Screen[name.upper()], tuple(folded(piece) for piece in pieces))
    for name, pieces in _DATA["screens"].items()
)


def means_us(name: str) -> bool:
    """Whether a name is what the page calls us: "You", or "Ada Example (You)"."""
    shown = folded(name)
    return any(shown == each or shown.endswith(f"({each})") for each in _YOU)


_YOU = tuple(folded(each) for each in YOU)
