"""How the stage's meeting page behaves: every variant of it that a driver has to survive.

All of it can be changed while a meeting runs, and for one room alone; a change counts for what
begins after it.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import timedelta

from pydantic import ConfigDict


class Locale(enum.Enum):
    ENGLISH = "en"
    GERMAN = "de"
    FRENCH = "fr"


class Guests(enum.Enum):
    """What becomes of somebody who isn't signed in, or whose account isn't invited."""

    ASK = "ask"  #: They ask to join, and wait in the lobby.
    OPEN = "open"  #: They come in at once.
    SIGN_IN = "sign_in"  #: They must sign in first; there is no name field.
    BLOCKED = "blocked"  #: "You can't join this video call", without having been asked.


class Lobby(enum.Enum):
    """What those in the call do about somebody in the lobby, unless a person says otherwise."""

    ADMIT = "admit"  #: After `lobby_after`.
    DENY = "deny"  #: After `lobby_after`.
    IGNORE = "ignore"  #: Nobody answers; after `answer_within` Meet gives up.


class LobbyText(enum.Enum):
    """Each was seen; which one depends on the meeting's kind of host management."""

    ASKING = "asking"  #: "Asking to be let in", "You'll join the call when …".
    BRINGS = "brings"  #: "Please wait until a meeting host brings you into the call".
    ADMITS = "admits"  #: "Please wait until a meeting host admits you to the call".


class Modal(enum.Enum):
    """What lies over the page before one can join, in this order."""

    DEVICES = (
        "devices"  #: "Do you want people to see and hear you …": "Use microphone and camera".
    )
    GOT_IT = "got_it"
    SIGN_IN = "sign_in"  #: An offer to sign in, which can be closed.


class Consent(enum.Enum):
    RECORDED = "recorded"
    TRANSCRIBED = "transcribed"
    NOTES = "notes"  #: "Gemini is taking notes".


class JoinButton(enum.Enum):
    """The text of the button that joins, where it isn't what the situation would make it."""

    JOIN_NOW = "join_now"
    ASK = "ask_to_join"
    ASK_ANYWAY = "ask_to_join_anyway"
    JOIN_ANYWAY = "join_anyway"
    JOIN_THE_CALL_NOW = "join_the_call_now"
    JOIN_HERE_TOO = "join_here_too"
    SWITCH_HERE = "switch_here"
    WITHOUT_CAMERA = "ask_without_camera"  #: "Ask to join"; its accessible name says more.


class Composer(enum.Enum):
    """Where a chat message is typed."""

    TEXTAREA = "textarea"
    EDITABLE = "editable"  #: A contenteditable with the name on it.
    NESTED = "nested"  #: A contenteditable inside of what carries the name.
    OFF = "off"  #: The host doesn't let participants send messages.


class Policy(enum.Enum):
    """The page's Content-Security-Policy."""

    MEET = "meet"  #: As the real page's: nonces, Trusted Types, workers from its own origin.
    STRICT = "strict"  #: Stricter: connections to itself alone, no workers, one policy.
    NONE = "none"


_SHORTEST, _LONGEST = timedelta(0), timedelta(days=1)


@dataclass(frozen=True)
class PageSettings:
    """`[page]` of a scenario: how the page behaves, in stage time.

    Args:
        generation: The DOM: 1 or 2. Same roles and meanings, everything else is different.
        locale: What the page speaks where neither `?hl=` nor the browser asks for another.
        guests: What becomes of those who aren't invited, or not signed in.
        lobby: What those in the call do about the lobby, `lobby_after` the knock.
        answer_within: When Meet gives up on a knock that nobody answers.
        lobby_text: Which words wait.
        join_button: None is what the situation asks for ("Join now" for the invited).
        modals: What lies over the page before joining.
        devices_refused: The browser has no camera and microphone for the page.
        consents: What one must agree to on entering.
        notices: What those inside are told is going on; no consent is asked.
        composer: None is what the generation has: a textarea, or a nested contenteditable.
        captions: Whether there is a captions button.
        full_at: How many fit in a room.
        reconnect_within: How long somebody whose connection dropped stays in the roster, and
            may come back.
        policy: The page's Content-Security-Policy.
        host: Whose doing it is when this table admits, denies or ends.
        unknown_rooms, expired_rooms: Codes that lead nowhere.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")  # For reading it from TOML.

    generation: int = 1
    locale: Locale = Locale.ENGLISH
    guests: Guests = Guests.ASK
    lobby: Lobby = Lobby.ADMIT
    lobby_after: timedelta = timedelta(seconds=1)
    answer_within: timedelta = timedelta(minutes=10)
    lobby_text: LobbyText = LobbyText.ASKING
    join_button: JoinButton | None = None
    modals: tuple[Modal, ...] = ()
    devices_refused: bool = False
    consents: tuple[Consent, ...] = ()
    notices: tuple[Consent, ...] = ()
    composer: Composer | None = None
    captions: bool = True
    full_at: int = 500
    reconnect_within: timedelta = timedelta(seconds=10)
    policy: Policy = Policy.MEET
    host: str = "Host"
    unknown_rooms: tuple[str, ...] = ()
    expired_rooms: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.generation not in (1, 2):
            raise ValueError("generation must be 1 or 2")
        if not 1 <= self.full_at <= 500:
            raise ValueError("full_at must be from 1 to 500")
        for name in ("lobby_after", "answer_within", "reconnect_within"):
            if not _SHORTEST <= getattr(self, name) <= _LONGEST:
                raise ValueError(f"{name} must be from 0 to 86400 seconds")

    @property
    def composer_shown(self) -> Composer:
        if self.composer is not None:
            return self.composer
        return Composer.TEXTAREA if self.generation == 1 else Composer.NESTED
