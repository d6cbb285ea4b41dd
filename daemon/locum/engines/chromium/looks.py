"""What one look at the page has found: values, parsed from what `scripts/look.js` answers.

Where we are is read from these alone, so every screen can be tested without a browser. What
people in the meeting wrote or are called (captions, chat, lists) never tells where we are.
"""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from locum.engines.chromium import texts
from locum.engines.chromium.captions import Line
from locum.engines.chromium.texts import Control, Screen, folded, is_called


@dataclass(frozen=True)
class Shown:
    """A control that can be seen. `id` is the same for as long as it is the same element."""

    id: int
    role: str
    name: str
    enabled: bool = True
    pressed: bool = False
    filled: bool = False  #: Of a field: whether anything is in it.
    dialog: int = 0  #: In which dialog it is; 0 in none.


@dataclass(frozen=True)
class Block:
    """An item of a list, or a part of a region: its texts in order, buttons' apart."""

    id: int
    label: str
    leaves: tuple[str, ...]


@dataclass(frozen=True)
class Region:
    role: str
    name: str
    blocks: tuple[Block, ...] = ()


@dataclass(frozen=True)
class Announced:
    """A dialog, an alert or another part that a page reads out by itself."""

    id: int
    role: str
    name: str
    text: str


_FIELDS = frozenset({Control.NAME, Control.COMPOSER, Control.CODE})


class Where(enum.Enum):
    LOADING = "loading"  #: Nothing is shown yet that we know.
    DOOR = "door"  #: One can ask to join, or join.
    LOBBY = "lobby"
    IN_CALL = "in the call"
    TOLD = "told"  #: The page says why we aren't, or can't be, in: see `Look.screen`.


@dataclass(frozen=True)
class Look:
    """The page at one instant."""

    address: str = ""
    language: str = ""
    ready: bool = True
    controls: tuple[Shown, ...] = ()
    texts: tuple[str, ...] = ()
    announced: tuple[Announced, ...] = ()
    regions: tuple[Region, ...] = ()

    # ── controls ─────────────────────────────────────────────────────────────────────────

    def all(self, control: Control) -> tuple[Shown, ...]:
        is_field = control in _FIELDS
        return tuple(
            shown
            for shown in self.controls
            if (shown.role == "textbox") == is_field and is_called(shown.name, control)
        )

    def find(self, *controls: Control, dialog: int | None = None) -> Shown | None:
        """Answer the first control that goes by one of these names, those named first first."""
        for control in controls:
            for shown in self.all(control):
                if dialog is None or shown.dialog == dialog:
                    return shown
        return None

    @property
    def buttons(self) -> tuple[tuple[str, str], ...]:
        """Answer what could be pressed or filled in, as role and name."""
        return tuple((shown.role, shown.name) for shown in self.controls)

    # ── where we are ─────────────────────────────────────────────────────────────────────

    @property
    def where(self) -> Where:
        """Tell where we are. Only what the lobby hasn't got counts as being in the call.

        Before the door the page shows who is inside: what those are called says nothing.
        """
        if self.find(Control.CHAT) is not None and self.find(Control.LEAVE) is not None:
            return Where.IN_CALL
        door, screen = self.door, self.screen
        if screen is Screen.HOME:
            return Where.TOLD
        if door is not None and door.enabled:
            return Where.DOOR
        if screen is Screen.LOBBY:
            return Where.LOBBY
        if door is not None:
            return Where.DOOR
        return Where.LOADING if screen is None else Where.TOLD

    @property
    def screen(self) -> Screen | None:
        """Answer what the page says of where we are; means nothing while we are in a call."""
        if self.find(Control.CODE) is not None:
            return Screen.HOME
        said = texts.screen_of((*self.texts, *(each.text for each in self.announced)))
        return said or self._elsewhere

    @property
    def _elsewhere(self) -> Screen | None:
        """Google's own sign-in, to which one is sent from a room that takes no guests."""
        host = re.sub(r"^https?://([^/:?#]*).*", r"\1", self.address)
        return Screen.SIGN_IN if host == "accounts.google.com" else None

    @property
    def door(self) -> Shown | None:
        return self.find(Control.JOIN, Control.ASK, Control.JOIN_TOO, Control.SWITCH)

    @property
    def in_already(self) -> bool:
        """Whether the page says that this account is in the room already, elsewhere."""
        return self.find(Control.JOIN_TOO, Control.SWITCH) is not None

    @property
    def reconnecting(self) -> bool:
        """Whether the page says so itself: a name or a message that says it doesn't count."""
        return any(texts.begins_with(each.text, texts.RECONNECTING) for each in self._alerts)

    @property
    def muted_by_host(self) -> bool:
        return any(texts.holds(each.text, texts.MUTED_BY_HOST) for each in self._alerts)

    @property
    def comings_and_goings(self) -> tuple[str, ...]:
        """Answer what the page announces that may be somebody's coming or going."""
        return tuple(e.text for e in self._alerts if texts.holds(e.text, texts.CAME_OR_WENT))

    @property
    def hands(self) -> tuple[str, ...]:
        """Answer what the page announces that says of a hand that it was raised."""
        return tuple(e.text for e in self._alerts if texts.holds(e.text, texts.HAND_RAISED))

    @property
    def asked_to_unmute(self) -> bool:
        return any(texts.holds(each.text, texts.ASKED_TO_UNMUTE) for each in self.announced)

    @property
    def _alerts(self) -> Iterator[Announced]:
        return (each for each in self.announced if each.role != "log")

    @property
    def dialogs(self) -> tuple[Announced, ...]:
        return tuple(each for each in self.announced if each.role in {"dialog", "alertdialog"})

    # ── people and words ─────────────────────────────────────────────────────────────────

    def region(self, names: Iterable[str]) -> Region | None:
        wanted = {folded(name) for name in names}
        return next((each for each in self.regions if folded(each.name) in wanted), None)

    @property
    def captions(self) -> tuple[Line, ...] | None:
        """Answer the lines of the captions' region, None if there is none."""
        region = self.region(texts.CAPTIONS_REGION)
        if region is None:
            return None
        return tuple(line for block in region.blocks for line in _line(block))

    @property
    def people(self) -> tuple[str, ...] | None:
        """Answer everybody in the list of participants, ourselves too; None if it is closed."""
        lists = [each for each in self.regions if each.role == "list"]
        named = [e for e in lists if texts.begins_with(e.name, texts.PARTICIPANTS_LIST)]
        marked = [e for e in lists if any(_has_our_mark(block) for block in e.blocks)]
        found = [*named, *marked]
        if not found:
            return None
        return tuple(name for block in found[0].blocks if (name := _person(block)))

    @property
    def messages(self) -> tuple[Block, ...] | None:
        """Answer the messages of the chat; None where its panel is closed."""
        found = [
            each
            for each in self.regions
            if each.role in {"list", "log", "feed"}
            and texts.begins_with(each.name, texts.MESSAGES_LIST)
        ]
        return found[0].blocks if found else None

    @property
    def headcount(self) -> int | None:
        """Answer how many the people button says are in the room, ourselves among them."""
        for shown in self.all(Control.PEOPLE):
            found = re.search(r"\d{1,4}", shown.name)
            if found is not None:
                return int(found[0])
        return None


def _line(block: Block) -> Iterator[Line]:
    leaves = list(block.leaves)
    speaker = block.label
    if not speaker and len(leaves) > 1:
        speaker = leaves.pop(0)
    elif speaker and leaves and folded(leaves[0]) == folded(speaker):
        leaves.pop(0)
    text = " ".join(leaves).strip()
    if text:
        yield Line(block.id, speaker.strip(), text)


def _person(block: Block) -> str:
    """Answer the name in an entry of the list, with the "(You)" that stands beside ours."""
    name = block.label or (block.leaves[0] if block.leaves else "")
    if _has_our_mark(block) and not texts.means_us(name):
        return f"{name} (You)"
    return name


def _has_our_mark(block: Block) -> bool:
    """Whether "(You)" stands in it, in brackets: a chat marks our messages without."""
    return any(folded(leaf) in _MARKS for leaf in block.leaves)


_MARKS = {f"({folded(each)})" for each in texts.YOU}


# ── parsing ──────────────────────────────────────────────────────────────────────────────


def parse_look(answer: str) -> Look:
    """Read what the script answered.

    Raises:
        ValueError: It isn't what the script answers.
    """
    try:
        seen = json.loads(answer)
        return Look(
            address=str(seen["address"]),
            language=str(seen["language"]),
            ready=seen["ready"] != "loading",
            controls=tuple(_shown(each) for each in seen["controls"]),
            texts=tuple(str(each) for each in seen["texts"]),
            announced=tuple(
                Announced(int(e["id"]), str(e["role"]), str(e["name"]), str(e["text"]))
                for e in seen["loud"]
            ),
            regions=tuple(
                Region(str(e["role"]), str(e["name"]), tuple(_block(b) for b in e["blocks"]))
                for e in seen["regions"]
            ),
        )
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"the look can't be read: {error!r}") from error


def _shown(item: Any) -> Shown:
    return Shown(
        id=int(item["id"]),
        role=str(item["role"]),
        name=str(item["name"]),
        enabled=item["enabled"] is True,
        pressed=item["pressed"] == "true",
        filled=item.get("filled") is True,
        dialog=int(item["dialog"]),
    )


def _block(item: Any) -> Block:
    return Block(
        int(item["id"]), str(item["label"]), tuple(str(leaf) for leaf in item["leaves"])
    )
