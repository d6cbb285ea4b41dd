"""Fuzzed readers of a persona's folder: every file in it may have been put there by others."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

from locum.errors import HumanNeededError, PermanentError
from locum.persona.consent import ConsentKey, Scope, Statement, check_consent
from locum.persona.folder import SETTINGS, read_snapshot
from locum.persona.headers import HeaderError, read_header
from locum.persona.versions import held, record, restore, versions_of
from locum.persona.voices import Clone, clones_of, keep_clone
from locum.rehearsal.face import face_png
from tests.fuzz.promises import promise, promise_text
from tests.fuzz.reader import Read, Reader, pure

_NOW = datetime(2026, 11, 23, 9, tzinfo=timezone.utc)
_SETTINGS = b"""\
display_name = "Robin"
owner = "Alex Example"
face = "photo"
voice = "English_radiant_girl"
locked = false
"""
_HASH = "0123456789abcdef" * 4
_MANIFEST = b"""\
{"schema": 1, "version": 1, "at": "2026-11-23T09:00:00Z", "why": "made",
 "identity": "%(hash)s", "files": {"persona.toml": "%(hash)s"}}
""" % {b"hash": _HASH.encode()}


def _made(folder: Path) -> Path:
    persona = folder / "robin"
    persona.mkdir()
    (persona / SETTINGS).write_bytes(_SETTINGS)
    (persona / "face.png").write_bytes(face_png(128))
    with held(persona):
        record(read_snapshot(persona), at=_NOW, why="made")
    return persona


@contextlib.contextmanager
def _file(
    folder: Path,
    name: str,
    look: Callable[[Path], None],
    *,
    prepared: Callable[[bytes], bytes] = bytes,
) -> Iterator[Read]:
    persona = _made(folder)

    def read(content: bytes) -> None:
        (persona / name).write_bytes(prepared(content))
        try:
            look(persona)
        except (HumanNeededError, PermanentError) as error:
            promise_text(str(error), "the refusal", most=2000)

    yield read


def _settings(folder: Path) -> contextlib.AbstractContextManager[Read]:
    def look(persona: Path) -> None:
        snapshot = read_snapshot(persona)
        promise(len(snapshot.digest) == 64, "no digest")
        promise(snapshot.card.tile.endswith(")"), "a tile that doesn't say what it is")
        promise(snapshot.card.tile.isprintable(), "a tile that hides something")

    return _file(folder, SETTINGS, look)


def _manifest(folder: Path) -> contextlib.AbstractContextManager[Read]:
    def look(persona: Path) -> None:
        versions_of(persona)
        restore(persona, 1, at=_NOW)
        promise((persona / SETTINGS).read_bytes() == _SETTINGS, "another file was restored")

    return _file(folder, "versions/0001.json", look)


def _statement() -> Statement:
    return Statement(
        persona="robin",
        scope=Scope.FACE,
        person="Alex",
        given_to="Alex",
        asset=_HASH,
        given=_NOW,
        expires=_NOW + timedelta(days=30),
        how="in writing",
    )


def _consent(folder: Path) -> contextlib.AbstractContextManager[Read]:
    key = ConsentKey(folder / "keys")
    original = _statement()

    def look(persona: Path) -> None:
        found = check_consent(persona, Scope.FACE, _HASH, key, at=_NOW)
        promise(bool(found.trouble) or found.statement == original, "a forged consent counts")
        promise_text(found.trouble, "the trouble", most=2000)

    signature = json.dumps(key.sign(original)).encode()
    return _file(
        folder,
        Scope.FACE.file_name,
        look,
        # Spoiled words under a good signature are what a forger has.
        prepared=lambda content: content.replace(b'"AAAA"', signature),
    )


def _voices(folder: Path) -> contextlib.AbstractContextManager[Read]:
    def look(persona: Path) -> None:
        found = clones_of(persona)
        keep_clone(persona, Clone("pika", "voice_1", _HASH, _NOW, _NOW))
        promise(clones_of(persona).keys() == {*found, "pika"}, "a clone was lost")

    return _file(folder, "voices.json", look)


def _sound(content: bytes) -> None:
    try:
        found = read_header(content)
    except HeaderError as error:
        promise_text(str(error), "the refusal", most=1000)
    else:
        promise(found is None or (math.isfinite(found.duration_s)), "an odd length")


_VOICES = b"""\
{"voices": {"pika": {"voice_id": "voice_1", "sample": "x",
 "cloned_at": "2026-11-23T09:00:00Z", "used_at": "2026-11-23T09:00:00Z"}}}
"""
_CONSENT = b"""\
persona = "robin"
scope = "face"
person = "Alex"
given_to = "Alex"
asset = "%s"
given = "2026-11-23T09:00:00Z"
expires = "2026-12-23T09:00:00Z"
how = "in writing"
signature = "AAAA"
""" % _HASH.encode()
_WAV = (
    b"RIFF\x34\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x80\x3e\0\0\2\0\x10\0data\x10\0\0\0"
)

PERSONAS = (
    Reader("persona_settings", (_SETTINGS,), _settings),
    Reader("persona_manifest", (_MANIFEST,), _manifest),
    Reader("persona_consent", (_CONSENT,), _consent),
    Reader("persona_voices", (_VOICES,), _voices),
    pure(
        "persona_sound",
        _sound,
        (
            _WAV + b"\1\2" * 8,
            b"ID3\4\0\0\0\0\0\0" + b"\xff\xfb\x90\0" * 300,
            b"\0\0\0\x18ftypM4A ",
        ),
    ),
)
