"""Which room does an invitation name? A hostile text must never send us anywhere else.

Anybody can put a link into an invitation, so nothing here is copied: a link is recognised
as a whole, or refused with a reason, and the address that is opened is built anew from the
room's code. Nothing is looked up, followed or repaired: a shortened link stays shut.

Every function takes any text at all (NULs, lone surrogates, half links by the thousand) in
time linear in its length, and reads only so much of it: see `LINK_LIMIT`,
`LOCATION_LIMIT` and `DESCRIPTION_LIMIT`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html.entities import html5
from urllib.parse import unquote

from locum.core.model import Platform, Room

LINK_LIMIT = 4096
"""The longest single link that is read, in characters; so too a field that is one link."""

LOCATION_LIMIT = 4096
"""Characters of a location that are read; what lies behind is ignored."""

DESCRIPTION_LIMIT = 65_536
"""Characters of a description that are read; what lies behind is ignored."""

LINKS_LIMIT = 1000
"""Links of one field that are looked at, good or bad."""

_MEET_HOST = "meet.google.com"
_MAX_WRAPPERS = 2
_MAX_ENTRIES = 8
_ASCII_ANY_CASE = re.ASCII | re.IGNORECASE  # Without ASCII, "ſ" is an "s" in any case.

_CODE = r"[a-z]{3}-[a-z]{4}-[a-z]{3}"

# What no URL may hold, plus the brackets and quotes of texts written without spaces. The
# ideographic full stop is missing on purpose: to a browser it is a dot within a host.
_TOKEN = re.compile(r"[^\s<>\"{}|^`“”„‘’«»…、，；！？（）「」『』【】《》〈〉]+")  # fmt: skip

# Where a link may begin. The last one is a code under a host that is none of these: it is
# never taken, but a look-alike shall be named rather than passed over.
_NEEDLE = re.compile(
    r"https?://|meet\.google\.com|zoom\.us|google\.com/url\?|safelinks\.protection\.outlook\.com"
    rf"|g\.co/meet|tel\.meet/|/{_CODE}",
    _ASCII_ANY_CASE,
)
_SHORTEST_NEEDLE = len("g.co/meet")
_LONG_TOKEN = re.compile(f"{_TOKEN.pattern[:-1]}{{{_SHORTEST_NEEDLE},}}")
_SCHEME = re.compile(r"https?://", _ASCII_ANY_CASE)
_HOST_CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-"

# Control characters and lone surrogates, and whatever has no width or turns the direction:
# such a text isn't what its reader sees. (Variation selectors stay out: emoji carry them.)
_HIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ud800-\udfff\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e007f]"
)

# What may follow a code: the end, a query, a fragment, or punctuation of the text around.
_CLOSERS = r")\](\[,;'*!。"
_TAIL = rf"/?[.:_~]*(?:\Z|[?#{_CLOSERS}])"
_MEET_PATH = re.compile(rf"/(?:_meet/)?({_CODE}){_TAIL}", _ASCII_ANY_CASE)
_LOOKUP_PATH = re.compile(rf"/lookup/({_CODE}){_TAIL}", _ASCII_ANY_CASE)
_SHORT_PATH = re.compile(rf"/meet/({_CODE}){_TAIL}", _ASCII_ANY_CASE)
_ZOOM_PATH = re.compile(rf"/j/([0-9]{{9,11}}){_TAIL}", _ASCII_ANY_CASE)
_ZOOM_HOST = re.compile(r"(?:(?!xn--)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)?zoom\.us")
_ZOOM_PASSWORD = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SAFELINKS_HOST = re.compile(r"(?:[a-z0-9-]{1,63}\.)?safelinks\.protection\.outlook\.com")
_SAFELINKS_PATH = re.compile(r"(?:/|/ap/[a-z]-[0-9a-f]{1,32}/)?\?", _ASCII_ANY_CASE)
_HOST = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+")

_REFERENCE = re.compile(r"&(#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")

_LOOKS_LIKE_MEETING = re.compile(
    r"meet\.google\.com|zoom\.us/(?:j|my|s|w|wc)/|g\.co/meet|tel\.meet/|stream\.meet",
    _ASCII_ANY_CASE,
)
_NAMES_A_PLATFORM = re.compile(r"meet|zoom", _ASCII_ANY_CASE)
_CODE_IN_PATH = re.compile(rf"/{_CODE}(?![a-z0-9-])", _ASCII_ANY_CASE)


@dataclass(frozen=True)
class LinkPolicy:
    """Forms of Meet link that are refused unless somebody asks for them.

    Both lead through a name that a Workspace can give to any room. We take them only where
    the name is itself a room's code, since a nickname says nothing about where it leads.
    """

    lookup: bool = False  #: meet.google.com/lookup/CODE
    short: bool = False  #: g.co/meet/CODE


STRICT = LinkPolicy()


@dataclass(frozen=True)
class RoomFinding:
    """The room that an event names, or (in words, for a person) why its link was refused.

    `source` is the field that `room` or `problem` stems from: "conferenceData",
    "hangoutLink", "location" or "description"; empty where there was no link at all.
    """

    room: Room | None = None
    problem: str | None = None
    source: str = ""


def find_room(
    *,
    conference_video_uris: Sequence[str],
    hangout_link: str,
    location: str,
    description: str,
    allow: LinkPolicy = STRICT,
) -> RoomFinding:
    """Find the room of an event: the first field with a valid link decides.

    The order is `conferenceData`'s video entries, `hangoutLink`, `location`, `description`;
    within one field a Google Meet link wins over a Zoom link, then the first one wins. Of
    the first two, 8 entries of 4,096 characters are read; of the location 4,096, of the
    description (plain or HTML) 65,536; in a field, 1,000 links. What lies behind isn't seen.

    Never raises. `problem` names the first refused link, and only where no field had a valid
    one; in the first two fields whatever can't be used counts as refused.
    """
    entries = [uri for uri in conference_video_uris[:_MAX_ENTRIES] if uri.strip()]
    hangout = [hangout_link] if hangout_link.strip() else []
    fields: tuple[tuple[str, Iterable[str], bool], ...] = (
        ("conferenceData", [_first(uri, LINK_LIMIT) for uri in entries], True),
        ("hangoutLink", [_first(uri, LINK_LIMIT) for uri in hangout], True),
        ("location", [_first(location, LOCATION_LIMIT)], False),
        ("description", [unescaped(_first(description, DESCRIPTION_LIMIT))], False),
    )
    refused = RoomFinding()
    for source, texts, is_link in fields:
        found = _scan(texts, source=source, is_link=is_link, allow=allow)
        if found.room is not None:
            return found
        if refused.problem is None:
            refused = found
    return refused


def room_from_url(text: str, *, allow: LinkPolicy = STRICT) -> Room:
    """Read the one link, or the bare code of a Google Meet room, that a person typed.

    Raises:
        ValueError: It is neither; the message says why and what to give instead.
    """
    wanted = "Give a link such as https://meet.google.com/abc-mnop-xyz, or its code alone."
    text = text.strip()
    if not text:
        raise ValueError(f"There is no link. {wanted}")
    if re.fullmatch(_CODE, text, _ASCII_ANY_CASE):
        return _meet_room(text)
    tokens = _TOKEN.findall(text[: LINK_LIMIT + 1])
    if len(tokens) != 1:
        raise ValueError(f'"{_shown(text)}" is not one single link. {wanted}')
    judged = _judge_token(tokens[0], allow)
    if isinstance(judged, Room):
        return judged
    reason = "it is no link to a Google Meet or Zoom meeting." if judged is None else judged
    raise ValueError(f'"{_shown(tokens[0])}" was refused: {reason} {wanted}')


# ── texts ────────────────────────────────────────────────────────────────────────────────


def _first(text: str, limit: int) -> str:
    """Cut to `limit`, without a link that the cut has shortened: half a link lies."""
    if len(text) <= limit:
        return text
    kept = text[:limit]
    shortened = _TOKEN.match(kept[::-1]) if _TOKEN.match(text[limit]) else None
    return kept[: limit - shortened.end()] if shortened else kept


def unescaped(html: str) -> str:
    """Resolve HTML's character references, once; those without a semicolon stay.

    `html.unescape` would do, but for a number of thousands of digits: that it can't read.
    """
    return _REFERENCE.sub(_referred, html)


def _referred(match: re.Match[str]) -> str:
    name = match[1]
    if not name.startswith("#"):
        return html5.get(f"{name};", match[0])
    number = int(f"0{name[1:]}", 0) if name[1] in "xX" else int(name[1:])
    if number == 0 or 0xD800 <= number <= 0xDFFF or number > 0x10FFFF:
        return "\ufffd"
    return chr(number)


def _scan(
    texts: Iterable[str], *, source: str, is_link: bool, allow: LinkPolicy
) -> RoomFinding:
    zoom: Room | None = None
    problem: str | None = None
    looked_at = 0
    for text in texts:
        before = looked_at
        for match in _LONG_TOKEN.finditer(text):
            token = match[0]
            judged = _judge_token(token, allow)
            if judged is None:
                continue
            if looked_at == LINKS_LIMIT:
                break
            looked_at += 1
            if isinstance(judged, Room):
                if judged.platform is Platform.GOOGLE_MEET:
                    return RoomFinding(room=judged, source=source)
                zoom = zoom or judged
            elif problem is None and (is_link or _looks_like_meeting(token)):
                problem = f'"{_shown(token)}" was refused: {judged}'
        if is_link and looked_at == before and problem is None:
            problem = f'"{_shown(text)}" was refused: it is no link that locum knows.'
    if zoom is not None:
        return RoomFinding(room=zoom, source=source)
    return RoomFinding(problem=problem, source=source if problem else "")


def _looks_like_meeting(token: str) -> bool:
    """Tell whether its reader would take it for a link to a meeting."""
    seen = token[:LINK_LIMIT]
    if seen.isascii() and not _NAMES_A_PLATFORM.search(seen):
        return False  # The usual case, and the rest is slow.
    for _ in range(_MAX_WRAPPERS + 1):
        seen = unquote(seen) if "%" in seen else seen
    plain = seen.isascii()
    if not plain:
        seen = unicodedata.normalize("NFKC", _HIDDEN.sub("", seen))
    if _LOOKS_LIKE_MEETING.search(seen):
        return True
    return bool(_CODE_IN_PATH.search(seen)) and (not plain or "meet" in seen.lower())


def _shown(text: str) -> str:
    """Write it for a message: short, in ASCII, and without a query, which may hold a password."""
    start = text[:120].split("?", 1)[0].strip()
    cut = start[:80]
    return ascii(cut)[1:-1] + ("…" if len(start) > len(cut) else "")


# ── links ────────────────────────────────────────────────────────────────────────────────


def _judge_token(token: str, allow: LinkPolicy) -> Room | str | None:
    """Answer the room, the reason for refusing, or None if it isn't a link."""
    needle = _NEEDLE.search(token)
    if needle is None:
        return None
    if needle[0].startswith("/"):
        return "its host is not meet.google.com, only like it."
    start = needle.start()
    has_scheme = needle[0].endswith("://")
    if not has_scheme:
        start = len(token[:start].rstrip(_HOST_CHARACTERS))
    if len(token) - start > LINK_LIMIT:
        return f"it is longer than {LINK_LIMIT} characters."
    return (
        _hostile_characters(token)
        or _lead_problem(token[:start], has_scheme=has_scheme)
        or _judge_link(token[start:], allow, wrappers=0)
    )


def _hostile_characters(token: str) -> str | None:
    if "\\" in token:
        return "it has a backslash."
    if _HIDDEN.search(token):
        return "it has invisible characters, or ones that turn the reading direction."
    return None


def _lead_problem(lead: str, *, has_scheme: bool) -> str | None:
    """Refuse a link that is a part of another address, not one of its own."""
    if not lead:
        return None
    if any(mark in lead for mark in "/@?&#%"):
        return "it is a part of another address."
    last = lead[-1]
    if has_scheme:
        # "xhttps" would be another scheme. Other scripts go without spaces: "加入https://…".
        glued = last.isascii() and (last.isalnum() or last in "+.-")
    else:
        glued = last.isalnum() or last in "+._-:"
    return "something is written right in front of it." if glued else None


def _judge_link(link: str, allow: LinkPolicy, *, wrappers: int) -> Room | str:
    scheme = _SCHEME.match(link)
    rest = link[scheme.end() :] if scheme else link
    end = min((at for mark in "/?#" if (at := rest.find(mark)) >= 0), default=len(rest))
    authority, tail = rest[:end], rest[end:]
    problem = _authority_problem(authority)
    if problem is not None:
        return problem
    host = authority.lower()
    if host == _MEET_HOST:
        return _judge_meet(tail, allow)
    if host == "g.co" and tail[:6].lower() == "/meet/":
        return _judge_short(tail, allow)
    if _ZOOM_HOST.fullmatch(host):
        return _judge_zoom(host, tail)
    inner = _wrapped(host, tail)
    if inner is None:
        return f"its host is {_shown(host)}, not {_MEET_HOST}."
    return _judge_wrapped(inner, allow, wrappers=wrappers)


def _judge_wrapped(inner: str, allow: LinkPolicy, *, wrappers: int) -> Room | str:
    if wrappers == _MAX_WRAPPERS:
        return f"it is wrapped more than {_MAX_WRAPPERS} times."
    if not _SCHEME.match(inner) or not _TOKEN.fullmatch(inner):
        return "what it wraps is not one single web address."
    return _hostile_characters(inner) or _judge_link(inner, allow, wrappers=wrappers + 1)


def _authority_problem(authority: str) -> str | None:
    if "@" in authority:
        return "it has a user's name in front of the host."
    if not authority.isascii():
        return "its host is not written in plain letters."
    host, colon, _ = authority.partition(":")
    if colon:
        return f"it names a port at {_shown(host)}."
    if not _HOST.fullmatch(authority.lower()):
        return "it has no valid host."
    return None


def _wrapped(host: str, tail: str) -> str | None:
    """Answer the address inside a known wrapper, decoded once; None if this is none."""
    value = None
    if host in {"google.com", "www.google.com"} and tail.startswith("/url?"):
        value = _parameter(tail, "q")
    elif _SAFELINKS_HOST.fullmatch(host) and _SAFELINKS_PATH.match(tail):
        value = _parameter(tail, "url")
    return None if value is None else unquote(value)


def _parameter(tail: str, name: str) -> str | None:
    query = tail.partition("#")[0].partition("?")[2]
    for pair in query.split("&"):
        key, _, value = pair.partition("=")
        if key.lower() == name:
            return value
    return None


def _meet_room(code: str) -> Room:
    code = code.lower()
    return Room(Platform.GOOGLE_MEET, code, f"https://{_MEET_HOST}/{code}")


def _judge_meet(tail: str, allow: LinkPolicy) -> Room | str:
    match = _MEET_PATH.match(tail)
    if match is None and allow.lookup:
        match = _LOOKUP_PATH.match(tail)
    if match is not None:
        return _meet_room(match[1])
    path = re.split(r"[?#]", tail, maxsplit=1)[0].lower()
    first = path.strip("/.,;:)").partition("/")[0]
    known = {
        "": "it names no meeting.",
        "new": "it would open a new meeting.",
        "landing": "it is Google Meet's start page, and names no meeting.",
        "lookup": "it is a nickname, not a meeting's code.",
    }
    if first in known:
        return known[first]
    if re.fullmatch(r"[a-z]{10,11}", first):
        return "its code has no hyphens: a code looks like abc-mnop-xyz."
    return "it has no meeting's code: a code looks like abc-mnop-xyz."


def _judge_short(tail: str, allow: LinkPolicy) -> Room | str:
    match = _SHORT_PATH.match(tail) if allow.short else None
    if match is None:
        return "it is a shortened link or a nickname, not a meeting's code."
    return _meet_room(match[1])


def _judge_zoom(host: str, tail: str) -> Room | str:
    match = _ZOOM_PATH.match(tail)
    if match is None:
        return "it is no Zoom meeting's address (https://zoom.us/j/ and 9 to 11 digits)."
    # A sentence's punctuation isn't part of the password.
    given = re.split(rf"[{_CLOSERS}]", _parameter(tail, "pwd") or "", maxsplit=1)[0]
    password = _ZOOM_PASSWORD.fullmatch(given.rstrip("."))
    digits = match[1]
    return Room(
        Platform.ZOOM,
        digits,
        f"https://{host}/j/{digits}",
        password[0] if password else None,
    )
