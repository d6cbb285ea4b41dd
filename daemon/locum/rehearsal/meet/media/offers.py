"""An offer of whoever comes, read with suspicion, and its answer.

Offers are a page's, and pages can be hostile: sizes and counts are bounded before the library
reads anything, and whatever it stumbles over is one error that says what to send instead.
"""

from __future__ import annotations

import asyncio
import contextlib
import re

from aiortc import RTCSessionDescription
from aiortc.exceptions import (
    InternalError,
    InvalidAccessError,
    InvalidStateError,
    OperationError,
)

from locum.errors import PermanentError
from locum.rehearsal.meet.media.connection import Connection, Section
from locum.rehearsal.meet.media.seams import CODECS

_MOST_BYTES = 256 * 1024
_MOST_SECTIONS = 40
_MOST_CANDIDATES = 200
_LONGEST = 10.0

# RFC 8839 and RFC 8122; browsers of today have no other digest.
_NEEDED = {
    "fingerprint": r"sha-256 [0-9A-Fa-f:]{95}",
    "ice-ufrag": r"[0-9A-Za-z+/]{4,256}",
    "ice-pwd": r"[0-9A-Za-z+/]{22,256}",
}

# What the library raises over text that is no SDP, or an SDP that isn't WebRTC's.
_STUMBLES = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    RuntimeError,  # A StopIteration in a coroutine becomes one.
    OSError,
    InternalError,
    InvalidAccessError,
    InvalidStateError,
    OperationError,
    asyncio.TimeoutError,
)


class OfferRefusedError(PermanentError):
    """An offer that can't be answered; the message says which part, and what to send."""


def check_offer(offer: object) -> str:
    """The offer's text, fit to be read.

    Names of the multicast kind (`….local`, by which browsers hide addresses) become the
    loopback address: they are never looked up, since who offers reaches us in any case.

    Raises:
        OfferRefusedError: What is wrong with it.
    """
    if not isinstance(offer, str):
        raise OfferRefusedError(f"an offer's sdp must be text, not {type(offer).__name__}.")
    if len(offer) > _MOST_BYTES:
        raise OfferRefusedError(
            f"an offer of {len(offer)} characters; {_MOST_BYTES} are taken."
        )
    if not offer.startswith("v=0"):
        raise OfferRefusedError("no SDP: an offer begins with v=0. Send localDescription.sdp.")
    sections = re.split(r"^m=", offer, flags=re.MULTILINE)[1:]
    if not sections:
        raise OfferRefusedError("an offer without media: add audio and video transceivers.")
    if len(sections) > _MOST_SECTIONS:
        raise OfferRefusedError(f"{len(sections)} sections; {_MOST_SECTIONS} are answered.")
    for number, section in enumerate(sections):
        _check_section(number, section, offer)
    _check_bundle(offer, sections)
    if "\na=candidate:" not in offer:
        raise OfferRefusedError(
            "an offer without candidates: wait for iceGatheringState complete, then send it."
        )
    if offer.count("\na=candidate:") > _MOST_CANDIDATES:
        raise OfferRefusedError(f"more than {_MOST_CANDIDATES} candidates.")
    return re.sub(r"(?<= )[0-9A-Za-z-]{1,63}\.local(?= )", "127.0.0.1", offer)


def _check_bundle(offer: str, sections: list[str]) -> None:
    """All sections have names of their own and go over one transport."""
    names = [
        name
        for section in sections
        for name in re.findall(r"^a=mid:(\S{1,64})\s*$", section, re.MULTILINE)
    ]
    if len(names) != len(sections) or len(set(names)) != len(names):
        raise OfferRefusedError("each section needs one a=mid of its own.")
    bundle = re.search(r"^a=group:BUNDLE (.*)$", offer.partition("\nm=")[0], re.MULTILINE)
    if bundle is None or sorted(bundle.group(1).split()) != sorted(names):
        raise OfferRefusedError("all sections must be bundled: a=group:BUNDLE with every mid.")


def _check_section(number: int, section: str, offer: str) -> None:
    kind = section.split(" ", 1)[0]
    if kind not in CODECS:
        raise OfferRefusedError(
            f"section {number} is {kind[:20]!r}; only audio and video are served."
        )
    codec = CODECS[kind].partition("/")[2]
    if not re.search(rf"^a=rtpmap:\d+ {codec}/", section, re.MULTILINE | re.IGNORECASE):
        raise OfferRefusedError(
            f"section {number} ({kind}) lacks {codec}, the only one served."
        )
    for name, value in _NEEDED.items():
        line = re.compile(rf"^a={name}:{value}\s*$", re.MULTILINE)
        if not line.search(section) and not line.search(offer.partition("\nm=")[0]):
            raise OfferRefusedError(f"section {number} ({kind}) lacks a={name}.")


async def answer_offer(connection: Connection, offer: object) -> tuple[str, list[Section]]:
    """Answer on a fresh connection: the answer's SDP and the sections as they were offered.

    Raises:
        OfferRefusedError: It can't be answered; the connection has been closed.
    """
    try:
        return await asyncio.wait_for(_answer(connection, check_offer(offer)), _LONGEST)
    except _STUMBLES as error:
        with contextlib.suppress(*_STUMBLES):  # It may stumble over the same thing again.
            await connection.close()
        raise OfferRefusedError(
            f"the offer can't be read ({type(error).__name__}: {str(error)[:120]}). "
            "Send localDescription.sdp as the browser made it."
        ) from error
    except BaseException:
        await connection.close()
        raise


async def _answer(connection: Connection, offer: str) -> tuple[str, list[Section]]:
    await connection.setRemoteDescription(RTCSessionDescription(sdp=offer, type="offer"))
    sections = connection.sections()
    taken: set[str] = set()
    for each in sections:
        take = each.they_send and each.kind not in taken
        if take:
            taken.add(each.kind)
        each.agree(take=take, give=each.they_receive)
    await connection.setLocalDescription(await connection.createAnswer())
    return connection.localDescription.sdp, sections
