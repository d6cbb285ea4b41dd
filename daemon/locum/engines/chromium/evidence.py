"""What is kept of a failure, for a person to look at: the page as it was, and no secrets.

Each has a folder of its own, state/failures/TIME-ROOM: a picture, and what could be pressed. At
most so many are kept; the oldest goes. Addresses lose what follows "?" and "#", and texts what
looks like a token.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog

from locum.core.model import instant_label
from locum.engines.chromium.looks import Look
from locum.files import replace_file

_log = structlog.get_logger(__name__)

MOST_FOLDERS = 20
_LARGEST_PICTURE = 2 * 1024 * 1024
_MOST_BUTTONS = 100
_LONGEST_TEXT = 300

_AFTER_ADDRESS = re.compile(r"(https?://[^\s?#\"'<>]*)[?#][^\s\"'<>]*")
_LIKE_A_TOKEN = re.compile(r"(?<![A-Za-z0-9])(?=[A-Za-z0-9_.~+/=-]*\d)[A-Za-z0-9_.~+/=-]{24,}")


@dataclass(frozen=True)
class Evidence:
    """What was there when it failed. `picture` is a JPEG, None where none could be had."""

    verdict: str
    detail: str
    look: Look | None
    picture: bytes | None
    errors: tuple[str, ...] = ()


def scrubbed(text: str) -> str:
    """Take out of a text what may open something: queries of addresses, and tokens."""
    short = _AFTER_ADDRESS.sub(r"\1", text)
    return _LIKE_A_TOKEN.sub("(left out)", short)[:_LONGEST_TEXT]


class FailureFolders:
    """The folders below one state directory. A disk that is full costs the evidence alone."""

    def __init__(self, state_dir: Path) -> None:
        self._folder = state_dir / "failures"

    def keep(self, room: str, evidence: Evidence, at: datetime) -> Path | None:
        """Keep it, and answer where; None if it couldn't be. Raises nothing."""
        safe = re.sub(r"[^A-Za-z0-9-]", "", room)[:40] or "room"
        place = self._folder / f"{instant_label(at)}-{safe}"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            place.mkdir(mode=0o700, exist_ok=True)
            if evidence.picture and len(evidence.picture) <= _LARGEST_PICTURE:
                replace_file(place / "page.jpg", evidence.picture)
            told = json.dumps(_told(evidence, at), ensure_ascii=False, indent=2)
            replace_file(place / "page.json", f"{told}\n".encode())
            self._drop_oldest()
        except OSError as error:
            _log.warning("evidence_not_kept", problem=str(error))
            return None
        _log.info("evidence_kept", folder=str(place), verdict=evidence.verdict)
        return place

    def _drop_oldest(self) -> None:
        kept = sorted(each for each in self._folder.iterdir() if each.is_dir())
        for each in kept[:-MOST_FOLDERS]:
            shutil.rmtree(each, ignore_errors=True)


def _told(evidence: Evidence, at: datetime) -> dict[str, object]:
    look = evidence.look or Look()
    return {
        "at": at.isoformat(),
        "verdict": evidence.verdict,
        "detail": scrubbed(evidence.detail),
        "address": scrubbed(look.address),
        "locale": look.language,
        "where": look.where.value,
        "screen": None if look.screen is None else look.screen.value,
        "buttons": [
            {"role": role, "name": scrubbed(name)} for role, name in _some(look.buttons)
        ],
        "console_errors": [scrubbed(each) for each in evidence.errors],
    }


def _some(buttons: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return list(buttons)[:_MOST_BUTTONS]
