"""Reads what PikaStream answers into values, and trusts none of it. Pure.

The service's shapes are known from its public client only, so whatever isn't needed is
ignored, and whatever is needed is checked: a session id becomes part of an address, a
balance decides over money, and a detail ends up in front of a person.
"""

from __future__ import annotations

import base64
import contextlib
import enum
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from locum.core.model import SessionHandle
from locum.ports import EngineNote

LONGEST_DETAIL = 300
LONGEST_BODY_KEPT = 64 * 1024
LARGEST_DRAWING = 8 * 1024 * 1024
"""Bytes; a PNG of 1024 by 1024 that isn't compressed at all has half as many."""
NOTE_KEYS = ("summary", "notes", "transcript")

_SESSION_ID = re.compile(r"[A-Za-z0-9._:-]{1,200}")
_LARGEST_BALANCE = 1e15
_LONGEST_ADDRESS = 2000


class UnreadableError(ValueError):
    """An answer doesn't hold what it should; the message says what was found instead."""


class SessionStatus(enum.Enum):
    PREPARING = "preparing"  #: Any status that isn't one of the following, known or not.
    READY = "ready"  #: In the meeting.
    FAILED = "error"
    CLOSED = "closed"
    GONE = "gone"  #: The service knows no such session (any more).

    @property
    def over(self) -> bool:
        return self in {SessionStatus.FAILED, SessionStatus.CLOSED, SessionStatus.GONE}


@dataclass(frozen=True)
class SessionState:
    """One look at a session; `detail` is for people, bounded and printable."""

    status: SessionStatus
    detail: str


@dataclass(frozen=True)
class Product:
    """A package of credits that can be bought."""

    product_id: str
    credits: float


def parse_object(body: bytes) -> Mapping[str, object]:
    """Parse a JSON object, unwrapped from `data` where the service wraps it.

    Raises:
        UnreadableError: It is something else, or too deep, or holds NaN or an endless number.
    """
    try:
        value = json.loads(body, parse_constant=_refuse_constant)
    except UnreadableError:
        raise
    except RecursionError:
        raise UnreadableError("JSON nested too deeply") from None
    except ValueError as error:
        raise UnreadableError(
            f"not JSON ({type(error).__name__}): {printable(decoded(body[:200]), 80)!r}"
        ) from None
    if not isinstance(value, dict):
        raise UnreadableError(f"a JSON {type(value).__name__} instead of an object")
    inner = value.get("data")
    return {**value, **inner} if isinstance(inner, dict) else value


def _refuse_constant(name: str) -> object:
    raise UnreadableError(f"{name} is no JSON number")


def read_balance(body: bytes) -> float:
    """Read the credits left.

    Raises:
        UnreadableError: There is no finite number.
    """
    return _credits(parse_object(body).get("balance"), "balance")


def _credits(value: object, name: str) -> float:
    if isinstance(value, str) and len(value) <= 32:
        with contextlib.suppress(ValueError):
            value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UnreadableError(f"{name} is {_shown(value)}, not a number")
    # Compared before any conversion, as an int of 4,000 digits fits no float; NaN is never within.
    if not -_LARGEST_BALANCE <= value <= _LARGEST_BALANCE:
        raise UnreadableError(f"{name} is {_shown(value)}")
    return float(value)


def read_products(body: bytes) -> tuple[Product, ...]:
    """Read the packages of credits, smallest first; malformed ones are left out.

    Raises:
        UnreadableError: There is no list at all.
    """
    listed = parse_object(body).get("products")
    if not isinstance(listed, list):
        raise UnreadableError(f"products is {_shown(listed)}, not a list")
    products = []
    for item in listed:
        if not isinstance(item, dict):
            continue
        # Versions of the public client read one spelling each.
        product_id = item.get("productId", item.get("product_id"))
        if not isinstance(product_id, str) or not 0 < len(product_id) <= 200:
            continue
        try:
            size = _credits(item.get("numCredits", item.get("num_credits")), "numCredits")
            products.append(Product(product_id, size))
        except UnreadableError:
            continue
    return tuple(sorted(products, key=lambda product: product.credits))


def read_checkout_url(body: bytes) -> str:
    """Read the link under which a person can pay. It is shown, never opened.

    Raises:
        UnreadableError: It isn't an https link of bearable length, plainly printable.
    """
    return _link(parse_object(body).get("checkout_url"), "checkout_url")


def _link(url: object, name: str) -> str:
    if not isinstance(url, str) or len(url) > _LONGEST_ADDRESS:
        raise UnreadableError(f"{name} is {_shown(url)}")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise UnreadableError(f"{name} holds characters that no link does")
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError as error:
        raise UnreadableError(f"{name} is no link: {error}") from None
    loopback = parts.scheme == "http" and host in {"127.0.0.1", "localhost", "::1"}
    # A login in front of the host would make it look like another one.
    if not host or "@" in parts.netloc or not (parts.scheme == "https" or loopback):
        raise UnreadableError(f"{name} is {_shown(url)}, not an https link")
    return url


# ── faces and voices ─────────────────────────────────────────────────────────────────────


def read_image(body: bytes) -> bytes | str:
    """Read a drawn picture, or the address that came instead: shown, never opened.

    Whether the picture's inside is sound is for whoever decodes it.

    Raises:
        UnreadableError: It is neither PNG nor JPEG, too large, or no link.
    """
    listed = parse_object(body).get("data")
    first = listed[0] if isinstance(listed, list) and listed else None
    if not isinstance(first, dict):
        raise UnreadableError("data holds no picture")
    text = first.get("b64_json")
    if text is None and first.get("url") is not None:
        return _link(first["url"], "url")
    if not isinstance(text, str):
        raise UnreadableError(f"b64_json is {_shown(text)}")
    if len(text) > LARGEST_DRAWING * 4 // 3 + 4:
        raise UnreadableError(f"the picture is over {LARGEST_DRAWING} bytes")
    try:
        image = base64.b64decode(text, validate=True)
    except ValueError:
        raise UnreadableError("b64_json isn't base64") from None
    if not image.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")):
        raise UnreadableError("the picture is neither PNG nor JPEG")
    return image


def read_base_resp(body: bytes) -> tuple[int, str]:
    """Read MiniMax's outcome, which comes in a 200: its code (0 is good) and its words.

    Raises:
        UnreadableError: There is none, so that nothing is known to have happened.
    """
    outcome = parse_object(body).get("base_resp")
    code = outcome.get("status_code") if isinstance(outcome, dict) else None
    if not isinstance(outcome, dict) or isinstance(code, bool) or not isinstance(code, int):
        raise UnreadableError("there is no base_resp.status_code")
    told = outcome.get("status_msg")
    words = printable(told, LONGEST_DETAIL) if isinstance(told, str) else ""
    return (code if abs(code) < 10**9 else -1), words or "no reason given"


def read_file_id(body: bytes) -> int | str:
    """Read what an upload is called: MiniMax has a number; a text is kept a text.

    Raises:
        UnreadableError: It is neither.
    """
    file = parse_object(body).get("file")
    value = file.get("file_id") if isinstance(file, dict) else None
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63:
        return value
    if isinstance(value, str) and is_session_id(value):
        return value
    raise UnreadableError(f"file_id is {_shown(value)}")


def read_session_id(body: bytes) -> SessionHandle:
    """Read the name of a new session.

    Raises:
        UnreadableError: It can't be put into an address safely.
    """
    value = parse_object(body).get("session_id")
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**18:
        value = str(value)
    if not isinstance(value, str) or not is_session_id(value):
        raise UnreadableError(f"session_id is {_shown(value)}")
    return SessionHandle(value)


def is_session_id(text: str) -> bool:
    """Say whether a text can stand in an address as one segment that means itself."""
    return _SESSION_ID.fullmatch(text) is not None and text.strip(".") != ""


_OTHER_WORDS_FOR_CLOSED = frozenset({"ended", "left", "completed", "finished", "stopped"})
"""Not documented; none of them can mean a session that is getting ready."""


def read_state(body: bytes) -> SessionState:
    """Read how a session is doing.

    `error` and `closed` outweigh the flags; both flags make an unknown status a ready one.

    Raises:
        UnreadableError: It is no object; that says nothing about the session.
    """
    found = parse_object(body)
    raw = found.get("status")
    word = raw.strip().lower() if isinstance(raw, str) else ""
    video = found.get("video_worker_connected") is True or found.get("video_connected") is True
    bot = found.get("meeting_bot_connected") is True
    word = "closed" if word in _OTHER_WORDS_FOR_CLOSED else word
    if word in {"error", "closed"}:
        message = found.get("error_message")
        told = printable(message, LONGEST_DETAIL) if isinstance(message, str) else ""
        return SessionState(
            SessionStatus(word), f"the service says {word}: {told or 'no reason given'}"
        )
    if word == "ready" or (video and bot):
        return SessionState(SessionStatus.READY, "in the meeting")
    shown = printable(word, 40) or "no status"
    return SessionState(
        SessionStatus.PREPARING,
        f"{shown}; video {'connected' if video else 'not yet connected'},"
        f" meeting bot {'connected' if bot else 'not yet connected'}",
    )


def harvest_notes(body: bytes, where: str) -> tuple[EngineNote, ...]:
    """Take what a body carries about the meeting itself, word for word; often nothing.

    Args:
        body: A raw answer, JSON or not.
        where: Which body this is, for the notes' source.
    """
    try:
        found = parse_object(body)
    except UnreadableError:
        return ()
    texts = ((key, _text_of(found.get(key))) for key in NOTE_KEYS)
    return tuple(
        EngineNote(source=f"pikastream {where}: {key}", text=_encodable(text))
        for key, text in texts
        if text
    )


def _encodable(text: str) -> str:
    """JSON can carry half a surrogate pair, which no file and no database takes."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _text_of(value: object) -> str:
    """Write a string, a list of strings or a list of {speaker, text} as lines."""
    if isinstance(value, str):
        return value.strip()
    if not isinstance(value, list):
        return ""
    lines = (_line_of(item) for item in value)
    return "\n".join(line for line in lines if line)


def _line_of(item: object) -> str:
    if isinstance(item, str):
        return item.strip()
    if not isinstance(item, dict):
        return ""
    speaker, text = item.get("speaker"), item.get("text")
    if not isinstance(text, str) or not text.strip():
        return ""
    if isinstance(speaker, str) and speaker.strip():
        return f"{speaker.strip()}: {text.strip()}"
    return text.strip()


def quote_detail(body: bytes) -> str:
    """Quote why a request was refused: the service's own words, bounded and printable."""
    try:
        found: object = parse_object(body)
    except UnreadableError:
        return printable(decoded(body[: 4 * LONGEST_DETAIL]), LONGEST_DETAIL)
    for key in ("detail", "error", "message", "error_message"):
        told = found.get(key) if isinstance(found, Mapping) else None
        if isinstance(told, Mapping):
            told = told.get("message")
        if isinstance(told, str) and told.strip():
            return printable(told, LONGEST_DETAIL)
    return printable(decoded(body[: 4 * LONGEST_DETAIL]), LONGEST_DETAIL)


def decoded(body: bytes) -> str:
    return body.decode("utf-8", "replace")


def printable(text: str, longest: int) -> str:
    """Make a stranger's text fit for one line of a log or a terminal.

    Control and bidirectional characters become spaces: they could rewrite what stands
    around them.
    """
    cut = text[: longest * 4]
    plain = " ".join("".join(c if c.isprintable() else " " for c in cut).split())
    return plain if len(plain) <= longest else plain[: longest - 1] + "…"


def _shown(value: object) -> str:
    if isinstance(value, dict | list):
        return f"a JSON {type(value).__name__}"
    if isinstance(value, int) and abs(value) > _LARGEST_BALANCE:
        return "out of any range"
    return printable(repr(value), 80)
