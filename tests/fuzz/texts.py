"""Fuzzed readers of texts: what invitations and people write, and systemd's environment."""

from __future__ import annotations

import os
import re

from locum.calendars.google_return import _NotOursError, _read_return
from locum.core.commands import BRIEF_LIMIT, parse_commands
from locum.core.invites import LinkPolicy, find_room, room_from_url
from locum.core.model import Platform, Room
from locum.systemd import Notifier, watchdog_interval
from tests.fuzz.promises import promise, promise_text
from tests.fuzz.reader import Reader, as_text, pure

FIELD_END = "\x1e"
ENTRY_END = "\x1d"

_MEET = re.compile(r"https://meet\.google\.com/([a-z]{3}-[a-z]{4}-[a-z]{3})")
_ZOOM = re.compile(r"https://(?:[a-z0-9-]+\.)?zoom\.us/j/([0-9]{9,11})")

_LINK = "https://meet.google.com/abc-mnop-xyz"
_WRAPPED = "https://www.google.com/url?q=https%3A%2F%2Fmeet.google.com%2Fabc-mnop-xyz&sa=D"
_SAFELINK = (
    "https://eur02.safelinks.protection.outlook.com/?url=https%3A%2F%2Fmeet.google.com%2F"
    "abc-mnop-xyz&data=05%7C02%7C&reserved=0"
)
_ZOOM_LINK = "https://us02web.zoom.us/j/1234567890?pwd=aB.c-9"
_HTML = f'<p>Join: <a href="{_WRAPPED}">{_LINK}</a>&nbsp;or<br>g.co/meet/abc-mnop-xyz &amp; more</p>'


def read_invitation(content: bytes) -> None:
    """Find a room in the four fields of an event, divided by U+001E."""
    entries, hangout, location, description, *_ = [
        *as_text(content).split(FIELD_END),
        *[""] * 3,
    ]
    for allow in (LinkPolicy(), LinkPolicy(lookup=True, short=True)):
        found = find_room(
            conference_video_uris=entries.split(ENTRY_END),
            hangout_link=hangout,
            location=location,
            description=description,
            allow=allow,
        )
        promise(found.room is None or found.problem is None, "a room with a problem")
        if found.room is not None:
            promise_room(found.room)
        if found.problem is not None:
            promise_text(found.problem, "the problem", most=1000)
            promise(found.problem.isprintable(), f"it can't be shown: {found.problem!a}")


def promise_room(room: Room) -> None:
    """Raise unless the room's address is one of the two forms, built from its code."""
    form = _MEET if room.platform is Platform.GOOGLE_MEET else _ZOOM
    found = form.fullmatch(room.url)
    promise(found is not None and found[1] == room.code, f"the room is {room.url!r}")


def read_link(content: bytes) -> None:
    try:
        room = room_from_url(as_text(content))
    except ValueError as error:
        promise(type(error) is ValueError, f"it raises {type(error).__name__}")
        promise_text(str(error), "the reason", most=1000)
    else:
        promise_room(room)


def read_commands(content: bytes) -> None:
    commands = parse_commands(as_text(content))
    promise(len(commands.problems) <= 10, "too many problems")
    for problem in commands.problems:
        promise_text(problem, "a problem", most=300)
    promise_text(commands.persona or "", "the persona", most=64)
    promise_text(commands.brief, "the brief", most=BRIEF_LIMIT, one_line=False)


def read_sign_in_return(content: bytes) -> None:
    """Read what a person pastes, or a browser asks for, at the end of a sign-in."""
    try:
        answer = _read_return(as_text(content), "s-T_4te")
    except _NotOursError as error:
        promise_text(str(error), "the reason", most=100)
    else:
        promise(answer.code is None or answer.code, "an empty code")
        promise_text(answer.refusal, "the refusal", most=100)


def read_environment(content: bytes) -> None:
    """Read systemd's variables, divided by U+001E; the fourth is a status text."""
    # No variable can hold a NUL; a status can.
    values = content.split(FIELD_END.encode())
    address, limit, process = (
        os.fsdecode(value.replace(b"\0", b"")) for value in [*values, b"", b"", b""][:3]
    )
    environ = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": limit, "WATCHDOG_PID": process}
    interval = watchdog_interval(environ)
    promise(interval is None or interval.total_seconds() >= 0, "a watchdog fed before it barks")
    sent = Notifier(environ).status(as_text(FIELD_END.encode().join(values[3:])))
    promise(not sent, "something listened")


def _fields(*fields: str) -> bytes:
    return FIELD_END.join(fields).encode()


TEXTS: tuple[Reader, ...] = (
    pure(
        "invitation",
        read_invitation,
        (
            _fields(_LINK + ENTRY_END + _ZOOM_LINK, _LINK, "Room 4", "Agenda"),
            _fields("", "", f"Berlin, {_ZOOM_LINK}", _HTML),
            _fields(
                "", "", "", f"Bitte hier: {_SAFELINK}. Danke! 加入https://meet.google.com/a"
            ),
            _fields("https://meet.google.com/lookup/abc-mnop-xyz", "", "tel.meet/abc-mnop-xyz"),
            _fields(
                "", "", "", "http://meet.google.com/_meet/abc-mnop-xyz?authuser=0#x (soon)"
            ),
        ),
    ),
    pure(
        "link",
        read_link,
        (
            *(each.encode() for each in (_LINK, _WRAPPED, _SAFELINK, _ZOOM_LINK)),
            b"ABC-mnop-xyz",
            b"  meet.google.com/abc-mnop-xyz?pli=1  ",
        ),
    ),
    pure(
        "commands",
        read_commands,
        (
            b'Agenda\nlocum: join, persona=robin, listen\nlocum: brief="Say hello, and\ngo."\n',
            b"<p>locum: skip</p><ul><li>locum: persona=&quot;Robin&quot;</li></ul>",
            "\u2022 Locum : jion, brief=\u201eGruß an alle\u201c; locum: brief".encode(),
            b"locum: brief='x', persona=" + b"n" * 70 + b"\r\n * locum:skip.\r\n",
        ),
    ),
    pure(
        "sign_in_return",
        read_sign_in_return,
        (
            b"http://127.0.0.1:4000/?state=s-T_4te&code=4/0AeanS0&scope=https://www.googleapis.com",
            b"/?error=access_denied&state=s-T_4te",
            b"/?state=other&code=1",
        ),
    ),
    pure(
        "environment",
        read_environment,
        (
            _fields("/nowhere/notify", "30000000", str(os.getpid()), "In 2 meetings"),
            _fields("@nobody", "3000", "", "Weekly\nREADY=1"),
            _fields("vsock:2:1234", "x", "1", ""),
        ),
    ),
)
