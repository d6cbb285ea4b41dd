"""The files of a persona's folder: what they are called, and how each is read.

    persona.toml                    names, what the face is, which voice, locked or not
    instructions.md                 how to behave and what to know
    face.png, face.jpg              the picture, exactly as it is sent
    voice.wav, voice.mp3, voice.m4a the recording that the voice is cloned from
    consent-face.toml, consent-voice.toml
    versions/, blobs/               what it was before (see `versions`)
    voices.json                     what engines call the voice, and when it was last used

A folder is read whole before anything is made of it, so that a persona is never half of one
version and half of another one; every file may have been put there by somebody else.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from locum.core.identity import Features, digest_of, sha256
from locum.core.names import parse_shown_name
from locum.errors import HumanNeededError
from locum.files import UnreadableError, read_regular
from locum.persona.card import PersonaCard
from locum.ports import Picture

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SETTINGS = "persona.toml"
INSTRUCTIONS = "instructions.md"
FACES = ("face.png", "face.jpg")
VOICES = ("voice.wav", "voice.mp3", "voice.m4a")
KEPT = (SETTINGS, INSTRUCTIONS, *FACES, *VOICES)
"""What makes up a version."""

STOCK_VOICE = "English_radiant_girl"
CLONED = "cloned"
SMALLEST_IMAGE = 1024
LARGEST_IMAGE = 16 * 1024 * 1024
LARGEST_SAMPLE = 20 * 1024 * 1024
"""Bytes; what the service takes of a recording to clone from."""

# A TOML parser takes seconds over long dotted keys: what is small can't hold any.
_LARGEST_TOML = 4096
_LARGEST_INSTRUCTIONS = 32 * 1024
_LONGEST_INSTRUCTIONS = 8000
_MAGIC = {"face.png": b"\x89PNG\r\n\x1a\n", "face.jpg": b"\xff\xd8\xff"}
_VOICE_ID = re.compile(r"[A-Za-z][A-Za-z0-9_() -]{0,99}")
_CLONES = re.compile(r"voice_", re.IGNORECASE)

NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}")
"""A persona's name is its folder's too, so it begins with no dot."""


class FaceKind(Enum):
    """What a picture shows, as its owner says."""

    PHOTO = "photo"
    DRAWN = "drawn"
    GENERATED = "generated"
    MASCOT = "mascot"
    LOGO = "logo"

    @property
    def is_somebodys(self) -> bool:
        """Whether it is a real person's, who must have consented."""
        return self is FaceKind.PHOTO


_DRAWN_BY_LOCUM = b"tEXtSoftware\0locum, drawn"


def is_drawn_by_locum(image: Path) -> bool:
    """Whether a picture says of itself that it is one of locum's own drawings."""
    try:
        start, _ = read_regular(image, limit=256)
    except UnreadableError:
        return False
    return _DRAWN_BY_LOCUM in start


def is_clone(voice_id: str) -> bool:
    """Whether an engine's voice is a clone, going by the names that clones are given."""
    return _CLONES.match(voice_id) is not None


def is_voice(voice_id: str) -> bool:
    """Whether it could be the name of a voice of an engine's own."""
    return _VOICE_ID.fullmatch(voice_id) is not None and not is_clone(voice_id)


def _parse_voice(value: str) -> str:
    if not _VOICE_ID.fullmatch(value):
        raise ValueError('a voice is "cloned", or the name of one of the engine\'s own')
    if is_clone(value):
        raise ValueError(
            "that is a cloned voice's name; clone it here, from its recording, so that it can "
            "be made anew (`locum persona voice clone`)"
        )
    return value


ShownName = Annotated[str, Field(min_length=1, max_length=60), AfterValidator(parse_shown_name)]


class Settings(BaseModel):
    """persona.toml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    display_name: ShownName
    owner: ShownName
    face: FaceKind = FaceKind.PHOTO
    voice: Annotated[str, AfterValidator(_parse_voice)] = STOCK_VOICE
    locked: bool = False

    @property
    def is_cloned(self) -> bool:
        return self.voice == CLONED


@dataclass(frozen=True)
class Snapshot:
    """A persona's folder as it was read. `files` are the SHA-256 of each, by name."""

    folder: Path
    settings: Settings
    instructions: str
    face: Picture
    face_name: str
    files: dict[str, str]
    sample_name: str = ""
    sample: str = ""
    contents: dict[str, bytes] = field(default_factory=dict, repr=False)

    @property
    def digest(self) -> str:
        settings = self.settings
        return digest_of(
            Features(
                display_name=settings.display_name,
                owner=settings.owner,
                face=settings.face.value,
                image=self.face.sha256,
                instructions=self.instructions,
                voice_id="" if settings.is_cloned else settings.voice,
                sample=self.sample if settings.is_cloned else "",
            )
        )

    @property
    def card(self) -> PersonaCard:
        settings = self.settings
        return PersonaCard(
            name=self.folder.name,
            display_name=settings.display_name,
            owner=settings.owner,
            image=self.folder / self.face_name,
            voice_id="" if settings.is_cloned else settings.voice,
            instructions=self.instructions,
            folder=self.folder,
        )


def broken(folder: Path, name: str, trouble: str, hint: str = "") -> HumanNeededError:
    step = hint or f"Mend it, or go back: `locum persona restore {folder.name}`."
    return HumanNeededError(
        f"The persona {folder.name} can't be used: {name}: {trouble}.", hint=step
    )


def read_snapshot(folder: Path) -> Snapshot:
    """Read a persona's folder whole.

    Raises:
        HumanNeededError: Something in it can't be used; the message says which file and why.
    """
    contents = {name: content for name in KEPT if (content := _read(folder, name)) is not None}
    if SETTINGS not in contents:
        raise broken(
            folder,
            SETTINGS,
            "no such file",
            f"Make the persona: `locum persona new {folder.name}`.",
        )
    settings = _parse_settings(folder, contents[SETTINGS])
    face_name = _only_one(folder, FACES, contents, "face")
    if not face_name:
        step = f"Give it one: `locum persona avatar set {folder.name} FILE`."
        raise broken(folder, FACES[0], "no such file", step)
    sample_name = _only_one(folder, VOICES, contents, "voice")
    if settings.is_cloned and not sample_name:
        step = f"Give it one: `locum persona voice clone {folder.name} AUDIO`."
        raise broken(folder, VOICES[0], 'no such file, and the voice is "cloned"', step)
    face = contents[face_name]
    _check_face(folder, face_name, face)
    files = {name: sha256(content) for name, content in contents.items()}
    return Snapshot(
        folder=folder,
        settings=settings,
        instructions=_text(folder, contents.get(INSTRUCTIONS, b"")),
        face=Picture(face, files[face_name]),
        face_name=face_name,
        files=files,
        sample_name=sample_name,
        sample=files.get(sample_name, ""),
        contents=contents,
    )


def _read(folder: Path, name: str) -> bytes | None:
    limit = _LARGEST_TOML if name == SETTINGS else _LARGEST_INSTRUCTIONS
    if name in FACES:
        limit = LARGEST_IMAGE
    elif name in VOICES:
        limit = LARGEST_SAMPLE
    try:
        content, _ = read_regular(folder / name, limit=limit + 1, follow=False)
    except UnreadableError as error:
        if str(error) == "no such file":
            return None
        raise broken(folder, name, str(error)) from None
    if len(content) > limit:
        raise broken(folder, name, f"more than {limit:,} bytes")
    return content


def _only_one(
    folder: Path, names: tuple[str, ...], contents: dict[str, bytes], what: str
) -> str:
    found = [name for name in names if name in contents]
    if len(found) > 1:
        raise broken(folder, found[1], f"there is {found[0]} too, and a persona has one {what}")
    return found[0] if found else ""


def _check_face(folder: Path, name: str, content: bytes) -> None:
    if not content.startswith(_MAGIC[name]):
        raise broken(folder, name, "by its first bytes it isn't what its name says")
    if len(content) <= SMALLEST_IMAGE:
        raise broken(folder, name, f"{len(content)} bytes; engines need more than 1 KB")


def parse_toml(folder: Path, name: str, content: bytes) -> dict[str, Any]:
    """Parse a small TOML file of a persona's folder.

    Raises:
        HumanNeededError: It isn't TOML.
    """
    try:
        return tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:
        # TOMLDecodeError and UnicodeDecodeError are ValueErrors.
        told = " ".join(str(error).split())[:200]
        raise broken(folder, name, f"not valid TOML: {told}") from None


def read_toml(folder: Path, name: str) -> dict[str, Any] | None:
    """Read a small TOML file of a persona's folder; None if there is none.

    Raises:
        HumanNeededError: It can't be read, or isn't TOML.
    """
    try:
        content, _ = read_regular(folder / name, limit=_LARGEST_TOML + 1, follow=False)
    except UnreadableError as error:
        if str(error) == "no such file":
            return None
        raise broken(folder, name, str(error)) from None
    if len(content) > _LARGEST_TOML:
        raise broken(folder, name, f"more than {_LARGEST_TOML:,} bytes")
    return parse_toml(folder, name, content)


def explain(error: ValidationError) -> str:
    """Say in one line what is wrong with a file's values."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "it"
    told = str(first["msg"]).removeprefix("Value error, ")
    return f"{where[:60]}: {told[:1].lower()}{told[1:]}"


def _parse_settings(folder: Path, content: bytes) -> Settings:
    values = parse_toml(folder, SETTINGS, content)
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise broken(folder, SETTINGS, explain(error)) from None


def _text(folder: Path, content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise broken(folder, INSTRUCTIONS, "not written in UTF-8") from None
    if len(text) > _LONGEST_INSTRUCTIONS:
        raise broken(folder, INSTRUCTIONS, f"more than {_LONGEST_INSTRUCTIONS:,} characters")
    return text


def as_toml(values: dict[str, Any], *, above: str = "") -> bytes:
    """Write flat values as TOML; texts must be printable, as all of ours are."""
    import json

    lines = [f"# {line}".rstrip() for line in above.splitlines()]
    # JSON's texts, numbers, true and false are TOML's, as long as no character is escaped in
    # two halves.
    lines += [
        f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()
    ]
    return ("\n".join(lines) + "\n").encode()
