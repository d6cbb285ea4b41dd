"""What a person said of memory: what is to be forgotten, which lines are right or settled.

Memory itself is made anew from the ledger's summaries where it is damaged; without this file,
what was forgotten would come back with them, and what was settled by hand. It holds no name
and no word of what it forgets, only hashes.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from locum.core.remembered import LineId, Ruling, Standing
from locum.database import read_instant, write_instant
from locum.errors import TransientError
from locum.files import UnreadableError, read_regular, replace_file
from locum.memory.file import MemoryFileError

_MOST_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Wishes:
    """`forgotten` maps what was asked for (see `mark`) to when: what came before it is gone."""

    forgotten: dict[str, datetime]
    approved: frozenset[LineId]
    rulings: dict[LineId, Ruling] = field(default_factory=dict)

    def forgets(self, what: str, key: str, at: datetime) -> bool:
        asked_at = self.forgotten.get(mark(what, key))
        return asked_at is not None and at <= asked_at


def mark(what: str, key: str) -> str:
    return f"{what}:{sha256(key.encode(errors='surrogatepass')).hexdigest()[:32]}"


class WishFile:
    def __init__(self, path: Path) -> None:
        """Read the file; one that isn't there holds no wish.

        Raises:
            MemoryFileError: It is there and can't be read.
        """
        self.path = path
        self.wishes = self._read()

    def forget(self, marks: list[str], *, at: datetime) -> None:
        """Note that this is to be forgotten, durably.

        Raises:
            TransientError: It can't be written.
        """
        known = dict.fromkeys(marks, at)
        self._write(replace(self.wishes, forgotten={**self.wishes.forgotten, **known}))

    def approve(self, line: LineId, *, approved: bool) -> None:
        """As `forget`."""
        lines = self.wishes.approved
        self._write(
            replace(self.wishes, approved=lines | {line} if approved else lines - {line})
        )

    def rule(self, lines: Collection[LineId], ruling: Ruling | None) -> None:
        """Note how commitments stand; None takes back what was said of them. As `forget`."""
        kept = {line: r for line, r in self.wishes.rulings.items() if line not in lines}
        if ruling is not None:
            kept |= dict.fromkeys(lines, ruling)
        self._write(replace(self.wishes, rulings=kept))

    def rename(self, names: Mapping[LineId, LineId]) -> None:
        """Let what was said of a commitment hold for the line that it has become. As `forget`."""
        known = {names.get(line, line): r for line, r in self.wishes.rulings.items()}
        self._write(replace(self.wishes, rulings=known))

    def _read(self) -> Wishes:
        with contextlib.suppress(FileNotFoundError):
            self.path.lstat()
            try:
                content, _ = read_regular(self.path, limit=_MOST_BYTES)
                return _parsed(json.loads(content))
            except (UnreadableError, ValueError, KeyError, TypeError, AttributeError) as error:
                raise MemoryFileError(
                    f"{self.path}, which says what memory is to forget, can't be read: {error}. "
                    "Restore it, or move it away: then a memory that is made anew forgets nothing."
                ) from error
        return Wishes({}, frozenset())

    def _write(self, wishes: Wishes) -> None:
        content = {
            "version": 1,
            "forgotten": {key: write_instant(at) for key, at in wishes.forgotten.items()},
            "approved": sorted(wishes.approved),
            "rulings": {
                line: {"standing": ruling.standing.value, "at": write_instant(ruling.at)}
                for line, ruling in wishes.rulings.items()
            },
        }
        try:
            replace_file(self.path, json.dumps(content, indent=1).encode())
        except OSError as error:
            raise TransientError(
                f"{self.path} can't be written: {error.strerror}. Nothing was changed."
            ) from error
        self.wishes = wishes


def _parsed(content: Any) -> Wishes:
    return Wishes(
        {str(key): read_instant(at) for key, at in content["forgotten"].items()},
        frozenset(LineId(str(each)) for each in content["approved"]),
        {
            LineId(str(line)): Ruling(Standing(each["standing"]), read_instant(each["at"]))
            for line, each in content.get("rulings", {}).items()
        },
    )
