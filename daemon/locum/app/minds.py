"""Who thinks in a meeting: with `[brain]`'s model or without one, for one persona and audience."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from importlib.util import find_spec
from pathlib import Path

import structlog

from locum.config.model import Config
from locum.core.briefing import Briefing, Piece
from locum.core.mandate import Mandate
from locum.core.model import Meeting
from locum.core.secret import Secret
from locum.files import UnreadableError, read_regular
from locum.minds import Bounds, Brief, Known, ModelMind, Patience, PlainMind
from locum.minds.brief import sentences_of
from locum.minds.prompts import rules_of
from locum.persona import PersonaCard, compile_prompt, manners_of
from locum.ports import Finding, Health, Mind, Toolbox
from locum.providers import ModelAddress, find_key

_log = structlog.get_logger(__name__)

_LARGEST_UPDATE = 64 * 1024
_REMEMBERED = re.compile(r"memory: (?P<title>.*), (?P<day>\d{4}-\d{2}-\d{2})", re.DOTALL)
_WORKSPACE = re.compile(r"workspace (?P<name>[^:]*): (?P<file>.*)", re.DOTALL)


@dataclass(frozen=True)
class Minds:
    """What minds are made from."""

    config: Config
    environ: Mapping[str, str]

    def mind(
        self,
        card: PersonaCard,
        meeting: Meeting,
        briefing: Briefing,
        *,
        toolbox: Toolbox | None = None,
    ) -> Mind:
        """Make the mind of one meeting; blocking, for as long as a small file takes to be read.

        `briefing` is what its audience may know. Raises nothing: an update that can't be read is
        logged, and missing.
        """
        brief = self.brief(card, meeting, briefing)
        address = self.address()
        if address is None:
            return PlainMind(brief)
        return ModelMind(brief, address, toolbox=toolbox, bounds=self._bounds())

    def brief(self, card: PersonaCard, meeting: Meeting, briefing: Briefing) -> Brief:
        conduct = self.config.personas.get(card.name)
        update = "" if conduct is None else _update(conduct.update)
        known = tuple(map(_known, briefing.told))
        mandate = Mandate(
            name=card.display_name,
            owner=card.owner,
            may_say=() if conduct is None else conduct.may_say,
            may_commit=() if conduct is None else conduct.may_commit,
            must_defer=() if conduct is None else conduct.must_defer,
            known=(
                *(f"{each.about}: {each.text}" for each in known),
                *sentences_of(update),
                *sentences_of(meeting.decision.brief),
                f"{meeting.title}, {meeting.start:%A %Y-%m-%d %H:%M}",
            ),
        )
        # Not the owner's own words: these may be meant to be said.
        mandate = replace(mandate, rules=f"{manners_of(card)}\n{rules_of(mandate)}")
        prompt = compile_prompt(card, meeting, briefing.text)
        return Brief(mandate, prompt=prompt, update=update, known=known)

    def address(self) -> ModelAddress | None:
        """Answer where the model is that thinks in meetings; None where none does."""
        table = self.config.brain
        if table is None or not table.live.enabled:
            return None
        return ModelAddress(
            model=table.live.model or table.model,
            key=self._key(table.api_key_file),
            base_url=table.base_url,
            key_file=table.api_key_file,
        )

    def _key(self, file: Path | None) -> Callable[[], Secret | None]:
        return lambda: find_key(file, self.environ)

    def _bounds(self) -> Bounds:
        table = self.config.brain
        if table is None:
            return Bounds()
        live = table.live
        return Bounds(
            answer_tokens=live.answer_tokens,
            answers_per_minute=live.answers_per_minute,
            meeting_tokens=live.meeting_tokens,
            patience=Patience(first=live.first_word),
        )

    def check(self) -> Iterator[Finding]:
        """Look, for `locum doctor`, whether what a meeting takes is there. Blocking."""
        for name, persona in self.config.personas.items():
            if persona.update is None:
                continue
            subject = f"update of {name}"
            try:
                text = _read(persona.update)
            except UnreadableError as error:
                step = f"Write it, or take personas.{name}.update out of the config."
                yield Finding(subject, Health.WARNING, f"{persona.update}: {error}", step)
            else:
                yield Finding(subject, Health.OK, f"{len(sentences_of(text))} sentences")
        if self.address() is not None and find_spec("pydantic_ai") is None:
            step = "pip install 'locum[brain]', or live = { enabled = false } in [brain]."
            yield Finding("mind", Health.BROKEN, "the model's package isn't installed", step)


def _update(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        return _read(path)
    except UnreadableError as error:
        _log.error("update_unreadable", file=str(path), problem=str(error))
        return ""


def _read(path: Path) -> str:
    content, _ = read_regular(path, limit=_LARGEST_UPDATE)
    return content.decode("utf-8", "replace").strip()


def _known(piece: Piece) -> Known:
    """Answer a piece of a briefing with its source as one says it."""
    remembered = _REMEMBERED.fullmatch(piece.origin)
    if remembered is not None:
        day = date.fromisoformat(remembered["day"])
        return Known(piece.title, piece.text, f"“{remembered['title']}”", day)
    place = _WORKSPACE.fullmatch(piece.origin)
    if place is not None:
        return Known(piece.title, piece.text, f"{place['name']}, {place['file']}")
    return Known(piece.title, piece.text)
