"""How a good input is spoiled: steps that shrink well, drawn by hypothesis or by chance.

Random bytes die in the first parser. So every mutation begins with something valid, and
knows what JSON, TOML and HTTP are made of: a value is swapped for a hostile one and the rest
stays whole, which reaches the code behind the parser.
"""

from __future__ import annotations

import enum
import json
import random
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

LARGEST = 4 * 1024
"""Bytes that an input may grow to, unless more is asked for."""


class Kind(enum.Enum):
    """What a step does at its place."""

    FLIP = "flip"  #: One bit.
    DELETE = "delete"
    INSERT = "insert"  #: A token out of the dictionary.
    OVERWRITE = "overwrite"  #: As many bytes as the token has.
    SPLICE = "splice"  #: A piece of another seed.
    CUT = "cut"  #: Nothing behind it.
    REPEAT = "repeat"  #: A piece, again and again, as far as there is room.
    NUMBER = "number"  #: As REPEAT, but each piece with names of its own.
    LINES = "lines"  #: Two lines change places.
    ASSIGN = "assign"  #: What stands behind a "=" becomes a hostile value.
    SWAP = "swap"  #: A JSON value becomes a hostile one.
    REMOVE = "remove"  #: A JSON member goes.
    MOVE = "move"  #: A JSON value stands where another stood.
    BREED = "breed"  #: A JSON array's item comes a thousand times.


@dataclass(frozen=True)
class Step:
    """One change. The numbers are taken modulo whatever there is, so that any do."""

    kind: Kind
    at: int
    span: int
    pick: int


TOKENS: tuple[bytes, ...] = tuple(
    token.encode("utf-8", "surrogatepass")
    for token in (
        "\0", "\n", "\r\n", "\r\n\r\n", "\t", " ", '"', "'", "\\", "=", "[", "]]", "{", "}", ",", "#",
        "<", ">", "&", ";", "%", "/", "?", "@", ":", ".", "-1", "0", "1e999", "NaN", "Infinity", "null",
        "true", "0x" + "f" * 300, "9" * 400, "1e-400", "\ud800", "\udfff", "\u202e", "\u200b", "\ufeff",
        "\x1b[2J", "\x85", "\u2028", "ſ", "İ", "ß", "Ａ", "meet。google。com", "\U0010ffff", "\ufdfa" * 20,
        "e\u0301" * 30, "&#0;", "&#xd800;", "&amp;", "&NotEqualTilde;", "%00", "%ff", "%2525", "https://",
        "https://meet.google.com/abc-mnop-xyz", "meet.google.com@evil.example", "locum:", 'brief="', "skip",
        "[[", '"""', "'''", "2026-11-22T09:00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59",
        "__init__/x", "../../etc/passwd", "Europe/Berlin", "\\u0000", "\\ud800", "\\U00110000", "data",
        "Content-Length: -1\r\n", "Transfer-Encoding: chunked\r\n", "-1\r\n", "Content-Encoding: gzip\r\n",
        "Retry-After: Mon, 01 Jan 2024 00:00:00 +99999999999999\r\n", "Host: evil.example\r\n", " HTTP/1.1",
    )
)  # fmt: skip

HOSTILE_JSON: tuple[str, ...] = (
    "null", "true", "false", "0", "-1", "1", "-0.0", "1e999", "-1e999", "NaN", "Infinity", "1e-400",
    "9" * 400, "9" * 4300, "9223372036854775808", "1.7976931348623157e308", '""', '" "', '"x"', '"\\u0000"',
    '"\\ud800"', '"\\udc00\\ud800"', '"\\u202e"', '"\\n"', '"\\u001b[2J"', '"\\ufdfa"', "[]", "{}", "[[]]",
    '[{"":null}]', "[" * 300 + "]" * 300, "[" * 5000 + "]" * 5000, '{"a":' * 900 + "1" + "}" * 900,
    '"' + "a" * 5000 + '"', '"' + "\\ud83d\\ude00" * 300 + '"', '"' + "<p " * 1000 + '"', '"__init__/x"',
    '"0001-01-01T00:00:00+23:59"', '"9999-12-31T23:59:59-23:59"', '"2026-11-23T10:00:60Z"', '"9999-99-99"',
    '"https://meet.google.com/abc-mnop-xyz"', '"locum: skip, brief=\\"x"', '"cancelled"', '"needsAction"',
    '"ready"', '"error"', '"-1"', '"1e15"', '"nan"', '"../.."', '"https://a@b"', '"https://["', '"self"',
)  # fmt: skip

HOSTILE_TOML: tuple[str, ...] = (
    "0", "-1", "true", "nan", "-inf", "1e999", "9" * 400, "0x" + "f" * 300, "0x" + "f" * 5000, "''", '""', '" "',
    '"\\u0000"', '"\\u202e"', "[]", "{}", "[[]]", "[{}]", "[1, 'a', []]", "{a = 1}", "{a.b.c.d = 1}", "1979-05-27",
    "07:32:00", "1979-05-27T07:32:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", '"90s"', '"1d1d"',
    '"999999999d"' , '"~nobody/x"', '"~"', '"\\u007f"', '"/dev/zero"', '"https://[/"', '"http://127.0.0.1:99999"',
    '"' + "a" * 5000 + '"', "[" * 40 + "]" * 40, '"""\n\n"""', "'''\n'''", '"google_meet"', '"always"', '"dk_abcdefghijkl"',
)  # fmt: skip

_ASSIGNED = re.compile(rb"=[^\n]*")
_NAME = re.compile(rb"([A-Za-z]{3,})")


def mutated(
    seeds: Sequence[bytes], begin: int, steps: Sequence[Step], *, largest: int
) -> bytes:
    """Apply `steps` to one of the seeds; the others are what pieces are taken from."""
    content = seeds[begin % len(seeds)]
    for step in steps:
        head, rest = _split_http(content)
        if step.kind in _JSON_STEPS:
            content = head + _json_step(step, rest)
        elif step.kind is Kind.SPLICE:
            content = _spliced(step, content, seeds[step.pick % len(seeds)])
        else:
            content = _byte_step(step, content, largest)
    return content[: max(largest, len(seeds[begin % len(seeds)]))]


def steps_of(drawn: bytes) -> list[Step]:
    """Read steps out of bytes, seven each: to hypothesis one choice, which it shrinks well."""
    kinds = list(Kind)
    return [
        Step(kinds[kind % len(kinds)], at, span % 512, pick)
        for kind, at, span, pick in struct.iter_unpack(">BHHH", drawn[: len(drawn) // 7 * 7])
    ]


def drawn_steps(chance: random.Random) -> list[Step]:
    """Draw the steps of one mutation; mostly few, because many leave nothing valid."""
    kinds = list(Kind)
    return [
        Step(
            chance.choice(kinds),
            chance.getrandbits(16),
            chance.getrandbits(chance.randint(1, 10)),
            chance.getrandbits(16),
        )
        for _ in range(min(int(chance.expovariate(0.5)) + 1, 12))
    ]


# ── bytes ────────────────────────────────────────────────────────────────────────────────


def _byte_step(step: Step, content: bytes, largest: int) -> bytes:
    at = step.at % (len(content) + 1)
    before, behind = content[:at], content[at:]
    token = TOKENS[step.pick % len(TOKENS)]
    piece, rest = behind[: step.span + 1], behind[step.span + 1 :]
    if step.kind in {Kind.REPEAT, Kind.NUMBER}:
        room = max(largest - len(content), 0) // (len(piece) + 5)
        numbered = step.kind is Kind.NUMBER
        behind = _copies(piece, min(step.pick % 5000, room), numbered=numbered) + behind
    elif step.kind is Kind.FLIP:
        behind = bytes(byte ^ 1 << step.pick % 8 for byte in behind[:1]) + behind[1:]
    elif step.kind is Kind.LINES:
        return _with_lines_exchanged(step, content)
    elif step.kind is Kind.ASSIGN:
        return _assigned(step, content)
    else:
        behind = {
            Kind.DELETE: rest,
            Kind.INSERT: token + behind,
            Kind.OVERWRITE: token + behind[len(token) :],
            Kind.CUT: b"",
        }[step.kind]
    return before + behind


def _copies(piece: bytes, times: int, *, numbered: bool) -> bytes:
    if not numbered:
        return piece * times
    parts = _NAME.split(piece)  # Every other one is a name.
    return b"".join(
        part + (b"%d" % number if place % 2 else b"")
        for number in range(times)
        for place, part in enumerate(parts)
    )


def _with_lines_exchanged(step: Step, content: bytes) -> bytes:
    lines = content.splitlines(keepends=True) or [b""]
    one, other = step.at % len(lines), step.pick % len(lines)
    lines[one], lines[other] = lines[other], lines[one]
    return b"".join(lines)


def _assigned(step: Step, content: bytes) -> bytes:
    places = list(_ASSIGNED.finditer(content))
    if not places:
        return content
    place = places[step.at % len(places)]
    value = HOSTILE_TOML[step.pick % len(HOSTILE_TOML)].encode()
    return content[: place.start()] + b"= " + value + content[place.end() :]


def _spliced(step: Step, content: bytes, other: bytes) -> bytes:
    at = step.at % (len(content) + 1)
    since = step.pick % (len(other) + 1)
    return content[:at] + other[since : since + step.span + 1] + content[at + step.span + 1 :]


def _split_http(content: bytes) -> tuple[bytes, bytes]:
    """Answer a message's head and body; without a head, all of it is body."""
    if not content.startswith(b"HTTP/"):
        return b"", content
    head, gap, body = content.partition(b"\r\n\r\n")
    return head + gap, body


# ── JSON ─────────────────────────────────────────────────────────────────────────────────

_JSON_STEPS = frozenset({Kind.SWAP, Kind.REMOVE, Kind.MOVE, Kind.BREED})
_MARK = "(raw JSON stands here)"


def _json_step(step: Step, content: bytes) -> bytes:
    """Change one place in a JSON text; what is no JSON stays as it is."""
    try:
        root = [json.loads(content)]
        places = _places(root)
        raw = _change(step, places)
        text = json.dumps(root[0])
    except (ValueError, RecursionError):
        return content
    # Written as text, since no value in Python is as deep or as endless as some of these.
    return text.replace(f'"{_MARK}"', raw, 1).encode()


_Place = tuple[Any, Any]  # A list or an object, and where in it.


def _places(root: list[Any]) -> list[_Place]:
    found: list[_Place] = [(root, 0)]
    for container, key in found:  # It grows while it is walked.
        value = container[key]
        if isinstance(value, dict):
            found += [(value, name) for name in value]
        elif isinstance(value, list):
            found += [(value, number) for number in range(len(value))]
        if len(found) > 5000:
            break
    return found


def _change(step: Step, places: list[_Place]) -> str:
    """Change the value at one of the places, and answer what `_MARK` stands for."""
    container, key = places[step.at % len(places)]
    other, its_key = places[step.pick % len(places)]
    raw = HOSTILE_JSON[step.pick % len(HOSTILE_JSON)]
    if step.kind is Kind.SWAP:
        container[key] = _MARK
    elif step.kind is Kind.MOVE:
        container[key] = json.loads(json.dumps(other[its_key]))
    elif step.kind is Kind.REMOVE and isinstance(container, dict):
        del container[key]
    elif step.kind is Kind.BREED and isinstance(container[key], list) and container[key]:
        container[key] = container[key] * (step.span % 100 + 1)
    return raw
