"""What page and server say to each other, over one WebSocket at `/ws`: JSON objects, one a frame.

Whoever can say this is in the meeting, with or without a page; the stage's own observer is
without. Every message has a `type`. A frame of over 128 KiB ends the connection; anything else
that isn't understood, or comes when it makes no sense, is answered with an `error` and changes
nothing. Ids are those of participants, "spaces/CODE/devices/N"; each knows only its own, and
nothing that is sent can name another's.

From the page
    hello      {room, resume?, observer?}: first, once. `resume` is what `welcome` gave, to come
               back after a dropped connection. An `observer` isn't counted among the bots,
               and walks in without asking.
    knock      {name?, microphone, camera}: the join button. Guests must give a name.
    consent    {accept}: the answer to `consent`.
    offer      {sdp, id?}: WebRTC, whole (no trickling), once admitted; again to start anew.
               The answer bears the offer's `id`.
    microphone {on}, camera {on}, hand {up}, captions {on}: what was switched.
    chat       {text}: at most 500 characters.
    leave      {}: also from the lobby. The socket may then be closed.
    ping       {}: answered with `pong`; the server closes what is silent for 30 s.

From the server
    welcome    {resume, account: {email, name} | null, door: {refused, button, name_field,
               modals}, people: [name]}: how the page before joining looks.
    lobby      {text}: waiting; `text` is which words ("asking", "brings", "admits").
    consent    {kinds, entering}: agree, or leave. Not `entering`: it came up in the call.
    admitted   {id, name, composer, captions, notices, microphone, camera}: in. A `roster`
               follows.
    roster     {people: [{id, name, host, muted, camera, hand, speaking}]}: whole, at every
               change.
    caption    {line, id, name, text, final}: what line number `line` reads now.
    chat       {number, id, name, text, at}: also our own; `at` is ISO 8601.
    mute       {by}: the host has muted us. We may unmute ourselves.
    unmute     {by}: the host asks us to unmute; we needn't.
    notice     {kind, on}: "recorded", "transcribed" or "notes" began or ended.
    answer     {sdp, id}, refused_offer {why, id}
    slots      {video: [{mid, participant}]}: whose picture each receiving section carries now.
    refused    {why}: "denied", "unanswered", "blocked", "unknown", "expired", "full",
               "ended" or "sign_in". Final, as the next three.
    removed    {by}
    ended      {by}
    replaced   {}: the same account has switched to another browser.
    left       {}: the answer to `leave`.
    error      {what}, pong {}
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import ConfigDict, Field, StrictBool, TypeAdapter, ValidationError

LARGEST_FRAME = 128 * 1024
LONGEST_CHAT = 500
LONGEST_NAME = 60
SILENCE_S = 30.0

_LENIENT = ConfigDict(extra="ignore")  # A page of tomorrow may say more.
Code = Annotated[str, Field(strict=True, pattern=r"^[a-z]{3}-[a-z]{4}-[a-z]{3}$")]


@dataclass(frozen=True)
class Hello:
    __pydantic_config__ = _LENIENT
    type: Literal["hello"]
    room: Code
    resume: Annotated[str, Field(strict=True, max_length=64)] | None = None
    observer: StrictBool = False


@dataclass(frozen=True)
class Knock:
    __pydantic_config__ = _LENIENT
    type: Literal["knock"]
    microphone: StrictBool
    camera: StrictBool
    name: Annotated[str, Field(strict=True, max_length=LONGEST_NAME)] = ""


@dataclass(frozen=True)
class Agreed:
    __pydantic_config__ = _LENIENT
    type: Literal["consent"]
    accept: StrictBool


@dataclass(frozen=True)
class Offer:
    __pydantic_config__ = _LENIENT
    type: Literal["offer"]
    sdp: Annotated[str, Field(strict=True, min_length=1, max_length=LARGEST_FRAME)]
    id: Annotated[int, Field(strict=True, ge=0, le=2**31)] | None = None


@dataclass(frozen=True)
class Switched:
    __pydantic_config__ = _LENIENT
    type: Literal["microphone", "camera", "captions"]
    on: StrictBool


@dataclass(frozen=True)
class Hand:
    __pydantic_config__ = _LENIENT
    type: Literal["hand"]
    up: StrictBool


@dataclass(frozen=True)
class Chat:
    __pydantic_config__ = _LENIENT
    type: Literal["chat"]
    text: Annotated[str, Field(strict=True, min_length=1, max_length=LONGEST_CHAT)]


@dataclass(frozen=True)
class Bare:
    __pydantic_config__ = _LENIENT
    type: Literal["leave", "ping"]


FromPage: TypeAlias = Hello | Knock | Agreed | Offer | Switched | Hand | Chat | Bare
ToPage: TypeAlias = dict[str, Any]


class NotUnderstoodError(ValueError):
    """A frame that is none of the messages above; the text says why, for whoever sent it."""


def read_frame(frame: str) -> FromPage:
    """Read what a page sent.

    Raises:
        NotUnderstoodError: It isn't one of the messages.
    """
    try:
        payload = json.loads(frame)
    except (ValueError, RecursionError):
        raise NotUnderstoodError("not JSON") from None
    if not isinstance(payload, dict):
        raise NotUnderstoodError("not a JSON object")
    try:
        return _adapter().validate_python(payload)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"][1:])[:60]
        raise NotUnderstoodError(f"{where or 'type'}: {first['msg'][:200]}") from None


@functools.lru_cache(maxsize=1)
def _adapter() -> TypeAdapter[FromPage]:
    return TypeAdapter(Annotated[FromPage, Field(discriminator="type")])
