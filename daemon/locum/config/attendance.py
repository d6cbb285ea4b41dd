"""The tables about going: to which meetings, who goes, and what it may cost."""

from __future__ import annotations

from datetime import timedelta
from enum import Enum
from typing import Annotated

from pydantic import Field

from locum.config.tables import Dollars, Duration, LocalPath, Organizer, ShownName, Table
from locum.config.talking import Conduct
from locum.config.values import Between
from locum.core.model import Platform


class Attend(Table):
    """`[attend]`: which invitations are accepted as a reason to be there, and how."""

    lead: Annotated[Duration, Between(most="1h")] = timedelta(seconds=30)
    """How long before the start we join."""
    grace: Annotated[Duration, Between(most="24h")] = timedelta(minutes=10)
    """How long a failed join is tried again, and a lobby waited in; never past the end."""
    capacity: int = Field(default=4, ge=1, le=1000)
    """How many meetings at the same time."""
    max_length: Annotated[Duration, Between(above="0s", most="24h")] = timedelta(hours=4)
    """The longest presence in one meeting, whatever the calendar says."""
    merge_window: Annotated[Duration, Between(most="4h")] = timedelta(minutes=2)
    """Meetings in the same room with at most this gap are one presence."""
    trusted_organizers: tuple[Organizer, ...] = ()
    """Addresses ("boss@example.com") or domains ("example.com") whose invitations need no answer."""
    join_unanswered: bool = False
    """Whether to join invitations from strangers that nobody answered."""
    join_all_day: bool = False
    """Whether to join all-day events that carry a link."""
    leave_when_cancelled: bool = True
    """Whether to leave a running meeting that is cancelled or declined while we are in it.
    If not, we stay to its end, or until an engine that sees the participants sees none."""
    stay_with_people: bool = True
    """Whether to stay with people who are still in the room when their meeting is moved away
    (until the room empties) or cut short (to its former end). Only an engine that sees the
    participants can: another one leaves as if nobody were there."""
    platforms: tuple[Platform, ...] = (Platform.GOOGLE_MEET,)
    """Where to go by default; a rule can allow another platform for what it matches."""
    persona: str | None = None
    """The persona where nothing else names one; may stay out if there is only one."""
    engine: str | None = None
    """The engine where nothing else names one; may stay out if there is only one."""


class Match(Table):
    """What a rule applies to; every key given must fit. Texts are shell patterns, any case."""

    title: str | None = None
    """The event's title."""
    organizer: str | None = None
    """An address, a domain ("example.com") or a pattern ("*@example.com")."""
    attendee: str | None = None
    """Somebody on the guest list, written like an organizer."""
    calendar: str | None = None
    """A calendar's id or an account's name."""
    platform: Platform | None = None
    """Where the meeting is held; needed to allow one that attend.platforms leaves out."""


class RuleAction(Enum):
    JOIN = "join"
    SKIP = "skip"
    USE = "use"  #: Only set persona or engine; whether to join is decided as usual.


class Rule(Table):
    """`[[rules]]`: skip beats join; among equals the first that matches."""

    name: str = ""
    """What decisions call it when they give it as their reason."""
    match: Match = Match()
    """What it applies to; without any key, to everything."""
    action: RuleAction
    """"join" or "skip" what matches, or only "use" another persona or engine for it."""
    persona: str | None = None
    """Who goes to what matches."""
    engine: str | None = None
    """Which engine carries it there."""


class PersonaTable(Conduct):
    """`[personas.NAME]`: who goes. Either a folder, or all of it here.

    With nothing but `folder`, or with nothing at all, it is what `locum persona new NAME` made:
    its face, voice and consents are kept there, version by version. Written here instead, it
    needs display_name, owner and image.
    """

    folder: LocalPath | None = None
    """The persona's folder. Default: personas/NAME in the state directory."""
    display_name: ShownName | None = None
    """The stand-in's own name. The tile always says whose stand-in it is."""
    owner: ShownName | None = None
    """Whom it stands in for: "(AI stand-in for OWNER)" is added to the name."""
    image: LocalPath | None = None
    """The face: one local PNG or JPEG, of more than 1 KB and at most 16 MB."""
    voice_id: str = "English_radiant_girl"
    """A voice of the engine's own; a cloned one needs a persona's folder, and its consent."""
    instructions: str = Field(default="", max_length=8000)
    """How to behave and what to know, in the owner's words."""

    @property
    def is_in_folder(self) -> bool:
        return self.display_name is None and self.owner is None and self.image is None


class Budget(Table):
    """`[budget]`: the most that may be spent, in US dollars. What is left out isn't capped.

    Before a join, all that the stay may cost is set aside, with five minutes more; what was
    not needed comes free when it is over. A meeting that doesn't fit isn't joined. Days and
    months are the calendar's, in this machine's time zone; a presence counts where it began.
    """

    per_meeting: Dollars | None = None
    """For one meeting, however often it is entered, with what follows it in its room."""
    per_day: Dollars | None = None
    """For all that is joined on one day."""
    per_month: Dollars | None = None
    """For all that is joined in one month."""
    per_organizer_month: Dollars | None = None
    """For what one and the same organizer invites to in one month. What you ask for with
    `locum join` is nobody's."""
    check_ahead: Annotated[Duration, Between(most="24h")] = timedelta(minutes=30)
    """How long before a billed join its engine's account is asked whether it can pay for what
    is planned by then; "0s" is never."""
