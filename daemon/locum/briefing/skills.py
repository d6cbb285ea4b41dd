"""Skills: folders with a SKILL.md, by the specification of agentskills.io.

Read leniently, named strictly: what is wrong with one skill is said, and costs only that one.
Of a skill its name and description are told; its text is for when it is needed. A skill counts
in the state in which its owner approved it: a changed one waits to be approved again. Nothing
of a skill is run here, and what it says that it may use ("allowed-tools") grants nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from locum.errors import PermanentError
from locum.files import DigestFile, UnreadableError, read_regular

_LARGEST_HEAD = 16 * 1024
_LARGEST_SKILL = 256 * 1024
_LARGEST_FOLDER = 8 * 1024 * 1024
_MOST_SKILLS = 200
_MOST_FILES = 500
_LONGEST_DESCRIPTION = 1024
_DEEPEST = 4

_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_UNSEEN = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")


@dataclass(frozen=True)
class Skill:
    """`digest` is the SHA-256 of all that is in its folder; `remarks` is what is odd about it."""

    name: str
    description: str
    folder: Path
    digest: str
    remarks: tuple[str, ...] = ()

    def text(self) -> str:
        """Read its instructions: SKILL.md without the head.

        Raises:
            PermanentError: It isn't any more what it was when it was looked at.
        """
        self.recheck()
        return _parts(_read(self.folder / "SKILL.md"), self.folder)[1]

    def recheck(self) -> None:
        """Make sure that it is what it was.

        Raises:
            PermanentError: It has changed.
        """
        if _digest(self.folder) != self.digest:
            raise PermanentError(f'The skill "{self.name}" has changed meanwhile.')

    def files(self) -> tuple[str, ...]:
        """Name the files in its folder, but for SKILL.md."""
        names = (path.relative_to(self.folder).as_posix() for path in _files(self.folder))
        return tuple(name for name in names if name != "SKILL.md")

    def file(self, name: str) -> str:
        """Read one of its files, as text.

        Raises:
            PermanentError: There is none of that name, or it is no text; or the skill changed.
        """
        self.recheck()
        if name not in self.files():
            raise PermanentError(f'The skill "{self.name}" has no file {name[:200]!r}.')
        content = _content(self.folder / name, _LARGEST_SKILL)
        if b"\0" in content:
            raise PermanentError(f"{name} is no text.")
        return content[:_LARGEST_SKILL].decode("utf-8", "replace")


@dataclass(frozen=True)
class BadSkill:
    folder: Path
    problem: str


def read_skills(folder: Path) -> tuple[tuple[Skill, ...], tuple[BadSkill, ...]]:
    """Read the skills in a folder of folders. Blocking.

    Raises:
        PermanentError: The folder isn't there, or can't be read.
    """
    try:
        places = sorted(each for each in folder.iterdir() if (each / "SKILL.md").exists())
    except OSError as error:
        raise PermanentError(f"Skills in {folder} can't be read: {error.strerror}.") from error
    good: list[Skill] = []
    bad: list[BadSkill] = []
    for place in places[:_MOST_SKILLS]:
        try:
            good.append(_skill(place))
        except PermanentError as error:
            bad.append(BadSkill(place, str(error)))
        except OSError as error:
            bad.append(BadSkill(place, f"it can't be read: {error.strerror}."))
    return tuple(good), tuple(bad)


class SkillBook(DigestFile):
    """Which skills their owner approved, and in which state."""

    def approve(self, skill: Skill) -> None:
        self.put({skill.name: skill.digest})


def _skill(folder: Path) -> Skill:
    if folder.is_symlink():
        raise PermanentError("its folder is a link; copy it here instead.")
    head, _ = _parts(_read(folder / "SKILL.md"), folder)
    fields = _fields(head)
    name = fields.get("name", "")
    if len(name) > 64 or not _NAME.fullmatch(name):
        raise PermanentError(
            'its "name" must be 1 to 64 lower-case letters, digits and single hyphens.'
        )
    if name != folder.name:
        raise PermanentError(f'its "name" is "{name}", and its folder "{folder.name}".')
    description = " ".join(fields.get("description", "").split())
    if not description:
        raise PermanentError('its "description" is missing: what it is for, and when.')
    remarks = []
    if len(description) > _LONGEST_DESCRIPTION:
        description = description[:_LONGEST_DESCRIPTION]
        remarks.append(f"its description is longer than {_LONGEST_DESCRIPTION}: cut")
    if "allowed-tools" in fields:
        remarks.append('"allowed-tools" grants nothing here')
    return Skill(name, description, folder, _digest(folder), tuple(remarks))


def _read(path: Path) -> str:
    content = _content(path, _LARGEST_SKILL)
    if len(content) > _LARGEST_SKILL:
        raise PermanentError(f"its SKILL.md is larger than {_LARGEST_SKILL // 1024} KB.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise PermanentError("its SKILL.md isn't UTF-8.") from None
    if _UNSEEN.search(text):
        raise PermanentError("its SKILL.md has invisible or direction-turning characters.")
    return text.replace("\r\n", "\n")


def _content(path: Path, limit: int) -> bytes:
    """Read a file, and a byte more than `limit` where it is larger."""
    try:
        return read_regular(path, limit=limit + 1, follow=False)[0]
    except UnreadableError as error:
        raise PermanentError(f"its {path.name} can't be read: {error}.") from error


def _parts(text: str, folder: Path) -> tuple[str, str]:
    """Answer the head (YAML) and the text below it."""
    found = re.match(r"---[ \t]*\n(.*?)\n---[ \t]*(?:\n|\Z)(.*)", text, re.DOTALL)
    if found is None:
        raise PermanentError(
            f'{folder.name}/SKILL.md doesn\'t begin with a head between "---".'
        )
    if len(found[1].encode()) > _LARGEST_HEAD:
        raise PermanentError(f"its head is larger than {_LARGEST_HEAD // 1024} KB.")
    return found[1], found[2].strip()


def _fields(head: str) -> dict[str, str]:
    """Parse a head: strings only, no aliases, nothing nested deeply."""
    import yaml

    try:
        depth = 0
        for event in yaml.parse(head, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                raise PermanentError("its head has a YAML alias.")
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST:
                raise PermanentError("its head is nested too deeply.")
        # The base loader makes strings of everything: `no` and `1.10` stay what they are.
        read = yaml.load(head, Loader=yaml.BaseLoader)  # noqa: S506 - It builds nothing else.
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise PermanentError(f"its head is no YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(read, dict):
        raise PermanentError("its head isn't a list of names and values.")
    return {
        str(name): value if isinstance(value, str) else json.dumps(value)
        for name, value in read.items()
    }


def _digest(folder: Path) -> str:
    """Hash every file in a folder, with its name."""
    total = hashlib.sha256()
    size = 0
    for count, path in enumerate(_files(folder)):
        content = _content(path, _LARGEST_FOLDER - size)
        size += len(content)
        if size > _LARGEST_FOLDER or count >= _MOST_FILES:
            raise PermanentError(
                f"its folder has more than {_LARGEST_FOLDER // 1024 // 1024} MB or "
                f"{_MOST_FILES} files."
            )
        name = str(path.relative_to(folder)).encode(errors="surrogateescape")
        total.update(hashlib.sha256(name).digest() + hashlib.sha256(content).digest())
    return total.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder, followlinks=False):
        folders.sort()
        for name in sorted([*files, *(each for each in folders)]):
            path = Path(place) / name
            if path.is_symlink():
                raise PermanentError(f"it has a link in it: {path.relative_to(folder)}.")
            if path.is_file():
                yield path
