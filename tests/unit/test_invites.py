"""Which links lead to a room and which never may, each form by its name."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from locum.core.invites import (
    DESCRIPTION_LIMIT,
    LINKS_LIMIT,
    LOCATION_LIMIT,
    LinkPolicy,
    RoomFinding,
    find_room,
    room_from_url,
    unescaped,
)
from locum.core.model import Platform, Room

CODE = "abc-mnop-xyz"
URL = f"https://meet.google.com/{CODE}"
MEET = Room(Platform.GOOGLE_MEET, CODE, URL)
MEET_URL = re.compile(r"https://meet\.google\.com/[a-z]{3}-[a-z]{4}-[a-z]{3}")
ZOOM_URL = re.compile(r"https://([a-z0-9-]+\.)?zoom\.us/j/[0-9]{9,11}")

thorough = settings(max_examples=1000, derandomize=True, deadline=None)
some = settings(max_examples=200, derandomize=True, deadline=None)

codes = st.text("abcdefghijklmnopqrstuvwxyz", min_size=10, max_size=10).map(
    lambda letters: f"{letters[:3]}-{letters[3:7]}-{letters[7:]}"
)
any_text = st.text(st.characters())  # Lone surrogates and NULs are among them.
fragments = st.lists(
    st.sampled_from(
        [
            "https://", "http:/", "meet.google.com", "/", CODE, "zoom.us", "/j/", "123456789",
            "?pwd=", "?q=", "&", "@", ":", "\\", "<", ">", '"', "&amp;", "&#", "%2F", "\0",
            "\u200b", "\u202e", "\ud800", "google.com/url", "safelinks.protection.outlook.com",
            "/?url=", "/_meet/", ".", " ", "\n", "е", "。", "g.co/meet", "/lookup/",
        ]
    ),
    max_size=40,
).map("".join)  # fmt: skip
hostile = any_text | fragments


def find(
    *,
    conference: tuple[str, ...] = (),
    hangout: str = "",
    location: str = "",
    description: str = "",
    allow: LinkPolicy | None = None,
) -> RoomFinding:
    """Call find_room with every field empty but those given."""
    return find_room(
        conference_video_uris=conference,
        hangout_link=hangout,
        location=location,
        description=description,
        allow=allow or LinkPolicy(),
    )


def wrapped(inner: str) -> str:
    """Wrap as Google Calendar does."""
    return f"https://www.google.com/url?q={quoted(inner)}&sa=D&source=calendar&usg=AOvVaw0"


def safelinked(inner: str) -> str:
    """Wrap as Outlook does."""
    host = "nam02.safelinks.protection.outlook.com"
    return f"https://{host}/?url={quoted(inner)}&data=05%7C01&reserved=0"


def quoted(text: str) -> str:
    """Percent-encode everything but letters and digits."""
    return re.sub("[^A-Za-z0-9.]", lambda m: "".join(f"%{b:02X}" for b in m[0].encode()), text)


ACCEPTED = {
    "as Google writes it": URL,
    "http": f"http://meet.google.com/{CODE}",
    "upper case": URL.upper(),
    "mixed case host": f"https://Meet.Google.com/{CODE}",
    "authuser": f"{URL}?authuser=0",
    "authuser with an address": f"{URL}?authuser=ada@example.com",
    "several parameters": f"{URL}?hs=122&authuser=1&pli=1",
    "fragment": f"{URL}#top",
    "trailing slash": f"{URL}/",
    "slash and query": f"{URL}/?authuser=0",
    "trailing full stop": f"Join {URL}.",
    "trailing parenthesis": f"Call ({URL})",
    "trailing parenthesis and full stop": f"(see {URL}).",
    "trailing angle bracket": f"Ada <{URL}>",
    "trailing comma and text": f"{URL},then lunch",
    "trailing semicolon": f"{URL};",
    "trailing exclamation mark": f"{URL}!",
    "trailing question mark": f"{URL}?",
    "trailing colon": f"{URL}:",
    "trailing ellipsis": f"{URL}…",
    "trailing apostrophe": f"'{URL}'",
    "trailing typographic quotes": f"“{URL}”",
    "bold in Markdown": f"**{URL}**",
    "link in Markdown": f"[Join]({URL})",
    "Slack's angle brackets": f"<{URL}|Join>",
    "Japanese brackets": f"会議（{URL}）",
    "Japanese full stop": f"会議：{URL}。参加してください",
    "glued to a word of another script": f"加入{URL}",
    "after a label": f"Link:{URL}",
    "no-break space after it": f"{URL}\u00a0now",
    "no scheme": f"meet.google.com/{CODE}",
    "no scheme, in brackets": f"(meet.google.com/{CODE})",
    "no scheme, after a room's name": f"Room 5, meet.google.com/{CODE}",
    "_meet": f"https://meet.google.com/_meet/{CODE}?ijlm=1",
    "wrapped by Google": wrapped(URL),
    "wrapped by Google, not encoded": f"https://www.google.com/url?q={URL}&sa=D",
    "wrapped by Google without www": f"http://google.com/url?sa=D&q={quoted(URL)}",
    "wrapped by Outlook": safelinked(URL),
    "wrapped by Outlook's applications": (
        "https://eur01.safelinks.protection.outlook.com/ap/t-59584e83/?url=" + quoted(URL)
    ),
    "wrapped by Google twice": wrapped(wrapped(URL)),
    "wrapped by Outlook, then Google": wrapped(safelinked(URL)),
    "wrapped by Google, then Outlook": safelinked(wrapped(URL)),
    "wrapper in upper case": f"HTTPS://WWW.GOOGLE.COM/url?q={quoted(URL)}",
    "behind an unrelated link": f"https://docs.example.com/x {URL}",
    "behind a refused link": f"https://meet.google.com/new {URL}",
}

REFUSED = {
    "meet.google.com as a subdomain": f"https://meet.google.com.evil.com/{CODE}",
    "subdomain without scheme": f"meet.google.com.evil.com/{CODE}",
    "meet.google.com in a path": f"https://evil.com/meet.google.com/{CODE}",
    "path without scheme": f"evil.com/meet.google.com/{CODE}",
    "a whole link in a path": f"https://evil.com/{URL}",
    "a whole link in a path, no scheme": f"evil.com/{URL}",
    "a whole link in a query": f"https://evil.com/?u={URL}",
    "in a query, no scheme": f"evil.com?u={URL}",
    "meet.google.com as a user": f"https://meet.google.com@evil.com/{CODE}",
    "user without scheme": f"meet.google.com@evil.com/{CODE}",
    "any user": f"https://ada@meet.google.com/{CODE}",
    "user and password": f"https://ada:secret@meet.google.com/{CODE}",
    "backslash after the host": f"https://meet.google.com\\@evil.com/{CODE}",
    "backslash as the slash": f"https://meet.google.com\\{CODE}",
    "backslashes in the scheme": f"https:\\\\meet.google.com\\{CODE}",
    "backslash at the end": f"{URL}\\",
    "port": f"https://meet.google.com:8443/{CODE}",
    "the usual port": f"https://meet.google.com:443/{CODE}",
    "empty port": f"https://meet.google.com:/{CODE}",
    "xmeet": f"https://xmeet.google.com/{CODE}",
    "xmeet without scheme": f"xmeet.google.com/{CODE}",
    "hyphenated": f"https://x-meet.google.com/{CODE}",
    "stream": f"https://stream.meet.google.com/stream/{CODE}",
    "Cyrillic e in the host": f"https://mееt.google.com/{CODE}",
    "Cyrillic o in the host": f"https://meet.gооgle.com/{CODE}",
    "Cyrillic host without scheme": f"mееt.google.com/{CODE}",
    "Cyrillic letter before the host": f"хmeet.google.com/{CODE}",
    "Cyrillic a in the code": "https://meet.google.com/аbc-mnop-xyz",
    "Cyrillic letter behind the code": f"{URL}а",
    "full-width host": f"https://ｍｅｅｔ.google.com/{CODE}",
    "full-width code": "https://meet.google.com/ａｂｃ-mnop-xyz",
    "full-width dots": f"https://meet．google．com/{CODE}",
    "ideographic dots": f"https://meet.google.com。evil.com/{CODE}",
    "full-width slash": f"https://meet.google.com／{CODE}",
    "long s in the scheme": f"httpſ://meet.google.com/{CODE}",
    "hyphens of another kind": "https://meet.google.com/abc‐mnop‐xyz",
    "right-to-left override": f"https://meet.google.com/\u202e{CODE}",
    "right-to-left override in front": f"\u202e{URL}",
    "right-to-left mark": f"{URL}\u200f",
    "zero-width space in the host": f"https://meet.goo\u200bgle.com/{CODE}",
    "zero-width space in the code": "https://meet.google.com/abc-\u200bmnop-xyz",
    "zero-width joiner behind": f"{URL}\u200d",
    "byte-order mark": f"\ufeff{URL}",
    "soft hyphen": "https://meet.google.com/abc-mn\u00adop-xyz",
    "NUL in the host": f"https://meet.google.com\0.evil.com/{CODE}",
    "NUL behind": f"{URL}\0",
    "lone surrogate": f"{URL}\ud800",
    "/new": "https://meet.google.com/new",
    "/new with a query": f"https://meet.google.com/new?{CODE}",
    "/landing": "https://meet.google.com/landing",
    "no path": "https://meet.google.com/",
    "ten letters without hyphens": "https://meet.google.com/abcmnopxyz",
    "eleven letters without hyphens": "https://meet.google.com/abcmnopxyzq",
    "code too long": f"{URL}z",
    "code too short": "https://meet.google.com/abc-mnop-xy",
    "code with a digit": "https://meet.google.com/abc-mn0p-xyz",
    "another part behind": f"{URL}-def",
    "another path behind": f"{URL}/evil",
    "a file's name": f"{URL}.exe",
    "encoded code": "https://meet.google.com/%61bc-mnop-xyz",
    "encoded host": f"https://meet%2egoogle.com/{CODE}",
    "dot behind the host": f"https://meet.google.com./{CODE}",
    "two slashes before the code": f"https://meet.google.com//{CODE}",
    "tel.meet": f"https://tel.meet/{CODE}?pin=1234567890",
    "tel.meet without scheme": f"tel.meet/{CODE}",
    "/lookup/": f"https://meet.google.com/lookup/{CODE}",
    "/lookup/ with a nickname": "https://meet.google.com/lookup/standup",
    "g.co/meet": f"https://g.co/meet/{CODE}",
    "g.co/meet with a nickname": "g.co/meet/standup",
    "another scheme": f"xhttps://meet.google.com/{CODE}",
    "ftp": f"ftp://meet.google.com/{CODE}",
    "scheme without slashes": f"https:meet.google.com/{CODE}",
    "no scheme but slashes": f"//meet.google.com/{CODE}",
    "two schemes": f"https://https://meet.google.com/{CODE}",
    "three slashes": f"https:///meet.google.com/{CODE}",
    "wrapped three times": wrapped(wrapped(wrapped(URL))),
    "wrapped three times, mixed": wrapped(safelinked(wrapped(URL))),
    "wrapped look-alike": wrapped(f"https://meet.google.com.evil.com/{CODE}"),
    "wrapped user": safelinked(f"https://meet.google.com@evil.com/{CODE}"),
    "wrapped backslash": wrapped(f"https://meet.google.com\\@evil.com/{CODE}"),
    "wrapped port": wrapped(f"https://meet.google.com:1/{CODE}"),
    "wrapped zero-width space": wrapped(f"https://meet.google.com/\u200b{CODE}"),
    "wrapped NUL": wrapped(f"https://meet.google.com/\0{CODE}"),
    "wrapped space": wrapped(f"https://meet.google.com/ {CODE}"),
    "wrapped space in a query": wrapped(f"{URL}?a b"),
    "wrapped backslash in a query": wrapped(f"{URL}?a\\b"),
    "wrapped right-to-left override in a query": safelinked(f"{URL}?\u202e"),
    "wrapped line end": wrapped(f"https://evil.com/\n{URL}"),
    "wrapped tel:": wrapped("tel:+1-555-0100#meet.google.com"),
    "wrapped without scheme": wrapped(f"meet.google.com/{CODE}"),
    "wrapped look-alike of a wrapper": f"https://www.google.com.evil.com/url?q={quoted(URL)}",
    "wrapper with a user": f"https://ada@www.google.com/url?q={quoted(URL)}",
    "wrapper with a port": f"https://www.google.com:8/url?q={quoted(URL)}",
    "another subdomain's wrapper": f"https://evil.google.com/url?q={quoted(URL)}",
    "Google's other redirect": f"https://www.google.com/amp?q={quoted(URL)}",
    "safelinks as a path": f"https://evil.com/safelinks.protection.outlook.com/?url={quoted(URL)}",
    "safelinks look-alike": f"https://a.safelinks.protection.outlook.com.evil.com/?url={URL}",
    "safelinks with an unknown path": (
        f"https://a.safelinks.protection.outlook.com/x/?url={quoted(URL)}"
    ),
    "encoded twice": wrapped(quoted(URL)),
}

# These are no links at all: nothing is refused, there is just nothing.
NOTHING = {
    "empty": "",
    "words": "Room 5, second floor",
    "tel:": "tel:+1-555-0100",
    "bare code": CODE,
    "another site": "https://docs.example.com/abc-mnop-xyz",
    "another site, wrapped": wrapped("https://docs.example.com/x"),
    "Meet's name": "Google Meet (link follows)",
    "Zoom's downloads": "https://zoom.us/download",
}


@pytest.mark.parametrize("text", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_rule_48_and_50_accepted(text: str) -> None:
    """It is taken, in a location and in a description, and built anew."""
    assert RoomFinding(MEET, source="location") == find(location=text)
    assert RoomFinding(MEET, source="description") == find(description=f"Agenda\n{text}\nBye")


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED.keys())
def test_rule_49_refused(text: str) -> None:
    """No field takes it, and the refusal is said in printable ASCII words."""
    for field in ("hangout", "location", "description"):
        found = find(**{field: text})  # type: ignore[arg-type]
        assert found.room is None
        assert found.problem is not None
        assert re.fullmatch(r"[ -~…]+", found.problem)
    assert find(conference=(text,)).room is None
    with pytest.raises(ValueError, match=r"Give a link such as|not one single link"):
        room_from_url(text)


@pytest.mark.parametrize("text", NOTHING.values(), ids=NOTHING.keys())
def test_no_link(text: str) -> None:
    """A text without a meeting's link is neither a room nor a problem."""
    assert RoomFinding() == find(location=text, description=text)


def test_a_refusal_names_the_link_and_the_reason() -> None:
    """The words say what was refused and why; the field stands beside them."""
    found = find(location=f"https://meet.google.com.evil.com/{CODE}?pwd=secret")
    assert found.source == "location"
    assert found.problem == (
        f'"https://meet.google.com.evil.com/{CODE}" was refused: '
        "its host is meet.google.com.evil.com, not meet.google.com."
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"https://ada@meet.google.com/{CODE}", "user's name"),
        (f"https://meet.google.com:443/{CODE}", "port"),
        (f"{URL}\\", "backslash"),
        (f"{URL}\u202e", "invisible"),
        (f"https://mееt.google.com/{CODE}", "plain letters"),
        (f"mееt.google.com/{CODE}", "only like it"),
        ("https://meet.google.com/new", "new meeting"),
        ("https://meet.google.com/landing", "start page"),
        ("https://meet.google.com/abcmnopxyz", "hyphens"),
        (f"https://meet.google.com/lookup/{CODE}", "nickname"),
        (f"https://g.co/meet/{CODE}", "shortened"),
        (f"evil.com/{URL}", "part of another address"),
        (f"xhttps://meet.google.com/{CODE}", "right in front"),
        (wrapped(wrapped(wrapped(URL))), "more than 2 times"),
        (wrapped(f"meet.google.com/{CODE}"), "not one single web address"),
        (URL + "?" + "x" * 5000, "longer than"),
        (f"https://-_-/{URL}", "no valid host"),
    ],
)
def test_each_reason_has_its_words(text: str, reason: str) -> None:
    """Somebody who reads the problem knows what is wrong with the link."""
    assert reason in (find(description=text).problem or "")


# ── fields ───────────────────────────────────────────────────────────────────────────────


def test_rule_47_fields_in_their_order() -> None:
    """Conference entry, then hangoutLink, then location, then description."""
    links = [
        f"https://meet.google.com/{name}-mnop-xyz" for name in ("aaa", "bbb", "ccc", "ddd")
    ]
    fields: dict[str, str | tuple[str, ...]] = {
        "conference": (links[0],),
        "hangout": links[1],
        "location": links[2],
        "description": links[3],
    }
    seen = []
    while fields:
        found = find(**fields)  # type: ignore[arg-type]
        assert found.room is not None
        seen.append((found.source, found.room.url))
        del fields[next(iter(fields))]
    names = ("conferenceData", "hangoutLink", "location", "description")
    assert seen == list(zip(names, links, strict=True))


def test_rule_47_an_earlier_field_without_a_valid_link_gives_way() -> None:
    """What was refused above doesn't matter once a valid link is found below."""
    found = find(conference=("https://meet.google.com/new",), location="x", description=URL)
    assert found == RoomFinding(MEET, source="description")


def test_the_first_problem_is_told() -> None:
    """With nothing valid anywhere, the most telling field's refusal is the one given."""
    found = find(hangout="https://meet.google.com/new", location=f"https://tel.meet/{CODE}")
    assert found.source == "hangoutLink"
    assert "/new" in (found.problem or "")


def test_rule_47_the_first_valid_one_in_a_text() -> None:
    """Several links in one text, the first valid one counts."""
    other = "https://meet.google.com/def-mnop-xyz"
    found = find(description=f"https://meet.google.com/new {URL} {other}")
    assert found.room == MEET


@pytest.mark.parametrize(
    "uri", ["tel:+1-555-0100", "https://teams.example.com/l/meetup-join/1", "rubbish"]
)
def test_an_unknown_conference_entry_is_a_problem(uri: str) -> None:
    """A conference entry is a meeting's link by nature: we say that we don't know it."""
    found = find(conference=(uri,))
    assert found.source == "conferenceData"
    assert uri in (found.problem or "")


def test_the_second_conference_entry_is_seen() -> None:
    """An entry that can't be used doesn't hide the next one."""
    assert find(conference=("tel:+1-555-0100", "", URL)).room == MEET


def test_blank_fields_are_no_problem() -> None:
    """Fields of spaces are empty fields."""
    assert RoomFinding() == find(
        conference=(" ",), hangout="\n", location=" ", description="\t"
    )


# ── HTML ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "html",
    [
        f'<p>Hi<br><a href="{URL}">Join</a></p>',
        f"<a href='{URL}'>Join</a>",
        f"<a href={URL}>Join</a>",
        f'<a href="{URL}?authuser=0&amp;hs=1">Join</a>',
        f'<a href="{wrapped(URL).replace("&", "&amp;")}">Join</a>',
        f'<a href="{safelinked(URL).replace("&", "&amp;")}">Join</a>',
        f"<span>{URL}</span>",
        f"Join:<b>{URL}</b>now",
        f"{URL}<br/>Bye",
        f"{URL}&nbsp;now",
        f"&lt;{URL}&gt;",
        f"&quot;{URL}&quot;",
        f"https:&#x2F;&#47;meet.google.com&#x2f;{CODE}",
        f'<a href="https://evil.com/">{URL}</a>',
    ],
)
def test_links_in_html(html: str) -> None:
    """Descriptions may be HTML: attributes, entities and tags around a link."""
    assert find(description=html) == RoomFinding(MEET, source="description")


def test_entities_can_hide_nothing() -> None:
    """An entity is what it stands for, also where it stands for something invisible."""
    assert find(description="https://meet.google.com/abc-&#8203;mnop-xyz").room is None
    assert find(description=f"https://meet.google.com&#64;evil.com/{CODE}").room is None


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("&amp;lt;", "&lt;"),
        ("&#65;&#x42;&#X43;", "ABC"),
        ("&nosuchthing; &amp &;", "&nosuchthing; &amp &;"),
        ("&#0;&#xD800;&#1114112;", "\ufffd" * 3),
        ("&#" + "1" * 5000 + ";", "&#" + "1" * 5000 + ";"),
    ],
)
def test_unescaped(html: str, text: str) -> None:
    """References are resolved once; what is none stays as it is."""
    assert text == unescaped(html)


# ── Zoom ─────────────────────────────────────────────────────────────────────────────────

ZOOM = {
    "plain": ("https://zoom.us/j/123456789", "zoom.us", "123456789", None),
    "subdomain": ("https://us02web.zoom.us/j/12345678901", "us02web.zoom.us", "12345678901", None),
    "password": ("https://acme.zoom.us/j/1234567890?pwd=aB1._-", "acme.zoom.us", "1234567890", "aB1._-"),
    "password at a sentence's end": ("https://zoom.us/j/123456789?pwd=aB1.1.", "zoom.us", "123456789", "aB1.1"),
    "password in brackets": ("(https://zoom.us/j/123456789?pwd=aB1)", "zoom.us", "123456789", "aB1"),
    "password among others": ("http://zoom.us/j/123456789?uname=x&pwd=a1#success", "zoom.us", "123456789", "a1"),
    "password that is none": ("https://zoom.us/j/123456789?pwd=a%00b", "zoom.us", "123456789", None),
    "password too long": ("https://zoom.us/j/123456789?pwd=" + "a" * 65, "zoom.us", "123456789", None),
    "upper case keeps the password": ("HTTPS://ZOOM.US/J/123456789?pwd=aB", "zoom.us", "123456789", "aB"),
    "no scheme": ("zoom.us/j/123456789.", "zoom.us", "123456789", None),
    "wrapped": (wrapped("https://zoom.us/j/123456789?pwd=a1"), "zoom.us", "123456789", "a1"),
}  # fmt: skip

ZOOM_REFUSED = {
    "eight digits": "https://zoom.us/j/12345678",
    "twelve digits": "https://zoom.us/j/123456789012",
    "letters": "https://zoom.us/j/12345678x",
    "other digits": "https://zoom.us/j/١٢٣٤٥٦٧٨٩",
    "personal name": "https://zoom.us/my/ada",
    "web client": "https://zoom.us/wc/123456789/join",
    "as a subdomain": "https://zoom.us.evil.com/j/123456789",
    "as an ending": "https://evilzoom.us/j/123456789",
    "as a user": "https://zoom.us@evil.com/j/123456789",
    "user": "https://ada@zoom.us/j/123456789",
    "in a path": "https://evil.com/zoom.us/j/123456789",
    "two subdomains": "https://a.b.zoom.us/j/123456789",
    "punycode": "https://xn--zom-0na.zoom.us/j/123456789",
    "port": "https://zoom.us:443/j/123456789",
    "backslash": "https://zoom.us\\j\\123456789",
    "zero-width space": "https://zoom.us/j/123\u200b456789",
    "another path behind": "https://zoom.us/j/123456789/x",
    "the government's": "https://zoomgov.com/j/123456789",
}


@pytest.mark.parametrize(("text", "host", "digits", "password"), ZOOM.values(), ids=ZOOM.keys())
def test_zoom(text: str, host: str, digits: str, password: str | None) -> None:
    """A Zoom link is taken with its host and password, and built anew."""
    room = Room(Platform.ZOOM, digits, f"https://{host}/j/{digits}", password)
    assert RoomFinding(room, source="location") == find(location=text)


@pytest.mark.parametrize("text", ZOOM_REFUSED.values(), ids=ZOOM_REFUSED.keys())
def test_zoom_refused(text: str) -> None:
    """The same hostile forms are refused for Zoom."""
    assert find(description=text).room is None
    found = find(hangout=text)
    assert found.room is None
    assert found.problem


def test_meet_wins_over_zoom_within_a_field_only() -> None:
    """A Meet link behind a Zoom link wins in the same text; an earlier field wins over both."""
    zoom = "https://zoom.us/j/123456789"
    assert find(description=f"{zoom} {URL}").room == MEET
    found = find(location=f"{zoom} https://meet.google.com/new", description=URL)
    assert found.room == Room(Platform.ZOOM, "123456789", zoom)
    assert found.problem is None


def test_a_password_is_in_no_message() -> None:
    """Neither a refusal nor the room's repr tells a meeting's password."""
    found = find(hangout="https://zoom.us:1/j/123456789?pwd=s3cret")
    assert "s3cret" not in (found.problem or "s3cret")
    assert "s3cret" not in repr(find(hangout="https://zoom.us/j/123456789?pwd=s3cret"))


# ── policy, and links by hand ────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "allow"),
    [
        (f"https://meet.google.com/lookup/{CODE}?hs=1", LinkPolicy(lookup=True)),
        (f"https://g.co/meet/{CODE}", LinkPolicy(short=True)),
        (f"g.co/meet/{CODE.upper()}.", LinkPolicy(short=True)),
    ],
)
def test_rule_49_allowed_forms(text: str, allow: LinkPolicy) -> None:
    """Configured, /lookup/ and g.co/meet are taken for a code, and only each its own."""
    assert RoomFinding(MEET, source="location") == find(location=text, allow=allow)
    other = LinkPolicy(lookup=allow.short, short=allow.lookup)
    assert find(location=text, allow=other).room is None
    assert find(location=text.replace(CODE, "standup"), allow=other).room is None


@pytest.mark.parametrize(
    "text", [CODE, CODE.upper(), f" {CODE}\n", URL, f"<{URL}>", f"meet.google.com/{CODE}"]
)
def test_room_from_url(text: str) -> None:
    """By hand, a bare code will do, too."""
    assert room_from_url(text) == MEET


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no link"),
        ("  ", "no link"),
        ("abcmnopxyz", "no link to a"),
        (f"{URL} {URL}", "not one single link"),
        ("the standup", "not one single link"),
        ("https://meet.google.com/new", "new meeting"),
        ("https://example.com/", "host is example.com"),
        ("tel:+1-555-0100", "no link to a"),
    ],
)
def test_room_from_url_says_what_is_wrong(text: str, reason: str) -> None:
    """A mistyped link gets its reason and the next step."""
    with pytest.raises(ValueError, match=reason) as caught:
        room_from_url(text)
    assert "https://meet.google.com/abc-mnop-xyz" in str(caught.value)


# ── bounds ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("field", "limit"), [("location", LOCATION_LIMIT), ("description", DESCRIPTION_LIMIT)]
)
def test_how_far_a_text_is_read(field: str, limit: int) -> None:
    """A link that ends at the limit is seen; one that the limit cuts is never half read."""
    read: Callable[[str], RoomFinding] = lambda text: find(**{field: text})  # type: ignore[arg-type]  # noqa: E731
    before = " " * (limit - len(URL))
    assert read(before + URL).room == MEET
    assert read(before + URL + " and more").room == MEET
    assert read(before + URL + "z").room is None
    assert read(before + " " + URL).room is None
    assert read(" " * limit + URL).room is None
    assert read(URL + "?" + "x" * limit).room is None


def test_how_many_links_are_looked_at() -> None:
    """A thousand links are looked at; the one behind them isn't."""
    bad = "https://x.y "
    assert find(description=bad * (LINKS_LIMIT - 1) + URL).room == MEET
    assert find(description=bad * LINKS_LIMIT + URL).room is None


@pytest.mark.parametrize(
    "unit",
    [
        "meet.google.com ", "https://", "https:// ", "zoom.us/j/ ", "g.co/meet ", "a ", "-.", "&lt;",
        "&#", "&#" + "1" * 100_000, '<a href="', "<div>", "\0", "\ud800 https://", "/abc-mnop-xyz",
        wrapped("https://x") + " ", "https://google.com/url?q=", "https://mееt.google.com/abc-mnop-xyz ",
        "https://\ufdfa/abc-mnop-xyz ", "加入https://meet.google.com/ab、", "google.com/url?&&&&",
    ],
)  # fmt: skip
def test_hostile_texts_are_quick(unit: str) -> None:
    """100 KB of anything takes milliseconds; a quadratic step would take minutes."""
    text = (unit * (100_000 // len(unit) + 1))[:100_000]
    taken = []
    for _ in range(3):
        began = time.process_time()
        found = find(conference=(text,) * 100, hangout=text, location=text, description=text)
        taken.append(time.process_time() - began)
        assert found.room is None
    # Measured: under 0.04 s. The bound leaves room for a busy machine.
    assert min(taken) < 0.25


# ── properties ───────────────────────────────────────────────────────────────────────────


@thorough
@given(
    st.tuples(hostile, hostile),
    st.sampled_from([LinkPolicy(), LinkPolicy(lookup=True, short=True)]),
)
def test_rule_50_nothing_raises_and_every_room_is_genuine(
    texts: tuple[str, str], allow: LinkPolicy
) -> None:
    """For any text: a room's address is one that we built, or there is none."""
    found = find(
        conference=texts[:1],
        hangout=texts[1],
        location=texts[0],
        description=texts[1],
        allow=allow,
    )
    assert found.room is None or found.problem is None
    assert bool(found.source) == (found.room is not None or found.problem is not None)
    if found.room is not None:
        genuine = MEET_URL if found.room.platform is Platform.GOOGLE_MEET else ZOOM_URL
        assert genuine.fullmatch(found.room.url)
        assert found.room.url.endswith(found.room.code)
    if found.problem is not None:
        found.problem.encode()


@thorough
@given(hostile)
def test_a_link_by_hand_is_a_room_or_a_clear_error(text: str) -> None:
    """Whatever is typed, the answer is a genuine room or a ValueError."""
    try:
        room = room_from_url(text)
    except ValueError:
        with pytest.raises(ValueError, match="Give a link such as"):
            room_from_url(text)
    else:
        assert MEET_URL.fullmatch(room.url) or ZOOM_URL.fullmatch(room.url)


safe_text = st.text(
    st.sampled_from("abcxyz ABC 019 .,:;!?()[]'\"<>-_=+*/&#@\n\t éßдא日本。、🎥"), max_size=200
).filter(lambda text: "meet.google" not in text)
before_link = st.sampled_from([" ", "\n", "(", "<", '"', "Link: ", "\u00a0"])
after_link = st.sampled_from(
    ["", " ", "\n", ")", ">", '"', ".", ".)", ", ", "?authuser=1", "#x", "/"]
)


@thorough
@given(safe_text, before_link, codes, after_link, safe_text)
@example("https://example.com/", " ", "abc-mnop-xyz", "", "")
def test_a_valid_link_is_found_in_any_safe_text(
    before: str, opening: str, code: str, closing: str, after: str
) -> None:
    """Words, punctuation and other scripts around it don't hide a link."""
    text = f"{before} {opening}https://meet.google.com/{code}{closing} {after}"
    for found in (find(location=text), find(description=text)):
        assert found.room == Room(Platform.GOOGLE_MEET, code, f"https://meet.google.com/{code}")


@thorough
@given(codes, st.integers(0, len(URL)), st.characters(), st.sampled_from(["insert", "replace"]))
@example(CODE, len("https://meet.google.com"), "@", "insert")
@example(CODE, len("https://meet.google.com"), "\\", "replace")
def test_rule_49_one_wrong_character_never_changes_the_room(
    code: str, at: int, character: str, how: str
) -> None:
    """A mutated link is refused, or it still is (to a reader, too) a link to a room on Meet."""
    url = f"https://meet.google.com/{code}"
    mutated = url[:at] + character + url[at + (how == "replace") :]
    found = find(location=mutated)
    if found.room is None:
        return
    got = found.room.code
    # The only ways to stay valid: another letter of the code, or what may stand around it.
    assert got in mutated.lower()
    assert got == code or (how == "replace" and got == mutated[-12:].lower())
    assert mutated.lower().find("meet.google.com/" + got) >= 0


@thorough
@given(
    codes,
    st.integers(0, len(f"meet.google.com/{CODE}") - 1),
    st.characters(min_codepoint=128).filter(lambda char: not char.isspace()),
)
def test_rule_49_a_look_alike_letter_is_refused_everywhere(
    code: str, at: int, letter: str
) -> None:
    """No letter beyond ASCII may stand in for one of the host's or the code's."""
    target = f"meet.google.com/{code}"
    mutated = "https://" + target[:at] + letter + target[at + 1 :]
    assume(letter not in "“”„‘’«»…、，；！？（）「」『』【】《》〈〉")  # These end a link.
    assert find(location=mutated, description=mutated, hangout=mutated).room is None


@some
@given(codes, st.lists(st.sampled_from([wrapped, safelinked]), max_size=4))
def test_rule_48_wrapped_at_most_twice(code: str, wrappers: list[Callable[[str], str]]) -> None:
    """Two wrappers are opened, a third never is."""
    url = f"https://meet.google.com/{code}"
    text = url
    for wrap in wrappers:
        text = wrap(text)
    found = find(location=text)
    if len(wrappers) > 2:
        assert found.room is None
        assert "more than 2 times" in (found.problem or "")
    else:
        assert found.room == Room(Platform.GOOGLE_MEET, code, url)
