"""What somebody meets before the room: which button, which form, or a refusal. No state."""

from __future__ import annotations

from dataclasses import dataclass

from locum.rehearsal.meet.accounts import Account
from locum.rehearsal.meet.protocol import ToPage
from locum.rehearsal.meet.settings import Guests, JoinButton, Modal, PageSettings


@dataclass(frozen=True)
class Visitor:
    """Who stands at the door."""

    account: Account | None = None
    invited: bool = False
    observer: bool = False
    elsewhere: bool = False  #: The account is in the call already, in another browser.


@dataclass(frozen=True)
class Doorway:
    """How one comes in: at once (`direct`) or by the lobby, unless `refused`."""

    button: JoinButton
    direct: bool
    name_field: bool
    modals: tuple[Modal, ...] = ()
    refused: str | None = None

    def as_json(self) -> ToPage:
        return {
            "refused": self.refused,
            "button": self.button.value,
            "name_field": self.name_field,
            "modals": [modal.value for modal in self.modals],
        }


def doorway(room: str, settings: PageSettings, visitor: Visitor) -> Doorway:
    """Answer how `visitor` comes into `room`, whoever is in there."""
    known = visitor.invited or visitor.observer
    direct = known or settings.guests is Guests.OPEN
    button = settings.join_button or _natural_button(visitor, direct=direct)
    return Doorway(
        button=button,
        direct=direct,
        name_field=visitor.account is None,
        modals=settings.modals,
        refused=_refusal(room, settings, visitor),
    )


def _natural_button(visitor: Visitor, *, direct: bool) -> JoinButton:
    if visitor.elsewhere:
        return JoinButton.SWITCH_HERE
    return JoinButton.JOIN_NOW if direct else JoinButton.ASK


def _refusal(room: str, settings: PageSettings, visitor: Visitor) -> str | None:
    if room in settings.unknown_rooms:
        return "unknown"
    if room in settings.expired_rooms:
        return "expired"
    if visitor.invited or visitor.observer:
        return None
    if settings.guests is Guests.SIGN_IN:
        # One who is signed in as somebody else is not helped by signing in.
        return "sign_in" if visitor.account is None else "blocked"
    return "blocked" if settings.guests is Guests.BLOCKED else None
