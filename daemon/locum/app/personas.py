"""The daemon's eye on its personas: who may go, what has changed, which voice grows old.

A persona's folder is changed by commands and by hand while the daemon runs. It is looked at
every few seconds by its files' stamps; what differs is judged anew, and told.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog

from locum.core.identity import Standing
from locum.core.model import Judged
from locum.errors import LocumError
from locum.persona import PersonaCard, Wardrobe
from locum.persona.folder import is_drawn_by_locum, read_snapshot
from locum.persona.rigging.store import RigStore
from locum.persona.states import forget_unconsented
from locum.persona.versions import newest_version
from locum.persona.voices import LIFETIME, Clone, clones_of
from locum.persona.wardrobe import ageing_clones, stamps_of, standing_of
from locum.ports import Clock, Finding, Health

_log = structlog.get_logger(__name__)

LOOK = timedelta(seconds=10)
"""How often folders are looked at, in the host's time."""

_AHEAD = timedelta(minutes=30)
"""How long before a meeting its voice is seen to: time enough to act, if it can't be cloned."""

_AGAIN = timedelta(minutes=5)
_WARN_AGAIN = timedelta(hours=24)


def card_in(folder: Path, name: str) -> PersonaCard:
    """Read who a folder's persona is; one that can't be used keeps its name alone."""
    try:
        found = read_snapshot(folder).card
    except LocumError:
        return PersonaCard(name, name, "somebody", folder / "face.png", "", folder=folder)
    return PersonaCard(
        name, found.display_name, found.owner, found.image, found.voice_id,
        found.instructions, folder,
    )  # fmt: skip


def standings_of(
    personas: Mapping[str, PersonaCard], state: Path, now: datetime
) -> dict[str, Standing]:
    """Judge each persona; only those that may ever be refused are named."""
    judged = {name: standing_of(card, state, now) for name, card in personas.items()}
    return {name: standing for name, standing in judged.items() if standing != Standing()}


def report(name: str, card: PersonaCard, state: Path, now: datetime) -> dict[str, Any]:
    """Tell of one persona what `status` and `persona show` tell; hashes are SHA-256, in hex."""
    trouble = standing_of(card, state, now).refusal(now)
    found: dict[str, Any] = {
        "name": name,
        "tile": card.tile,
        "folder": None if card.folder is None else str(card.folder),
        "version": None,
        "since": None,
        "why": None,
        "identity": None,
        "locked": False,
        "may_join": not trouble,
        "trouble": trouble,
        "voices": [],
        "rig": None,
    }
    if card.folder is None:
        return found
    version = newest_version(card.folder)
    if version is not None:
        found |= {
            "version": version.number,
            "since": version.at.isoformat(),
            "why": version.why,
            "identity": version.identity,
        }
    try:
        snapshot = read_snapshot(card.folder)
    except LocumError:
        return found
    found |= {"identity": snapshot.digest, "locked": snapshot.settings.locked}
    with contextlib.suppress(LocumError):
        kept = RigStore(state).known(snapshot.face.sha256)
        found["rig"] = None if kept is None else kept.rig
    if version is not None and version.identity != snapshot.digest:
        found |= {"version": None, "why": f"changed since version {version.number}"}
    if snapshot.settings.is_cloned:
        found["voices"] = [_voice(clone, now) for clone in clones_of(card.folder).values()]
    return found


def _voice(clone: Clone, now: datetime) -> dict[str, Any]:
    return {
        "engine": clone.place,
        "voice_id": clone.voice_id,
        "cloned_at": clone.cloned_at.isoformat(),
        "used_at": clone.used_at.isoformat(),
        "unused_days": clone.unused_for(now).days,
        "deleted_after": (clone.used_at + LIFETIME).isoformat(),
    }


def findings(name: str, card: PersonaCard, state: Path, now: datetime) -> Iterator[Finding]:
    """Tell `locum doctor` of one persona; changes nothing."""
    subject = f"persona {name}"
    trouble = standing_of(card, state, now).refusal(now)
    if trouble:
        yield Finding(subject, Health.BROKEN, trouble, f"See `locum persona check {name}`.")
        return
    for clone in ageing_clones(card, now):
        yield Finding(subject, Health.WARNING, ageing(card, clone, now))
    if card.folder is not None:
        digest = read_snapshot(card.folder).digest
        yield Finding(subject, Health.OK, f"{card.tile}, identity {digest[:16]}")
    elif is_drawn_by_locum(card.image):
        yield Finding(subject, Health.OK, card.tile)
    else:
        yield Finding(
            subject,
            Health.WARNING,
            f"its face {card.image} stands in the config, where no consent can be on file",
            f"If it shows a real person, keep it in a folder: `locum persona new {name}`.",
        )


def ageing(card: PersonaCard, clone: Clone, now: datetime) -> str:
    """Say that a voice is about to be deleted, or has been."""
    days = clone.unused_for(now).days
    end = "is deleted after seven" if clone.lasts_at(now) else "was deleted after seven"
    return (
        f"the voice of {card.name} at {clone.place} has not been used for {days} days, and "
        f"{end}; it is cloned anew before the next meeting"
    )


@dataclass
class PersonaKeeper:
    """Watches the personas of one daemon. `on_change` is called when somebody's standing moves."""

    clock: Clock
    state: Path
    wardrobe: Wardrobe
    on_change: Callable[[], None]
    personas: dict[str, PersonaCard] = field(default_factory=dict)
    standings: dict[str, Standing] = field(default_factory=dict)
    _stamps: dict[str, object] = field(default_factory=dict)
    _seen_to: dict[tuple[str, str], datetime] = field(default_factory=dict)
    _warned: dict[tuple[str, str], datetime] = field(default_factory=dict)

    def take(self, personas: Mapping[str, PersonaCard]) -> None:
        """Take the personas of a config, and judge them."""
        self.personas = dict(personas)
        self._stamps = {name: stamps_of(card) for name, card in personas.items()}
        self.standings = standings_of(personas, self.state, self.clock.now())

    async def watch(self, upcoming: Callable[[], Iterable[Judged]]) -> None:
        """Look at the folders for ever; `upcoming` are the meetings to be joined."""
        while True:
            await asyncio.sleep(LOOK.total_seconds())
            try:
                await self.look()
                await self._see_to_voices(upcoming())
            except Exception:  # noqa: BLE001 - The task's outermost frame: it looks again soon.
                _log.exception("personas_watch_failed")

    async def look(self) -> None:
        """Judge anew whatever has changed on the disk."""
        before = self.personas
        seen = await asyncio.to_thread(self._seen, dict(before), dict(self._stamps))
        if seen is None or self.personas is not before:
            return  # Nothing moved; or a reload came in between, which judged all by itself.
        self.personas, self._stamps, standings = seen
        if standings == self.standings:
            return
        self.standings = standings
        for name, standing in standings.items():
            if standing.trouble:
                _log.error("persona_unfit", persona=name, problem=standing.trouble)
        self.on_change()

    def _seen(
        self, personas: dict[str, PersonaCard], stamps: dict[str, object]
    ) -> tuple[dict[str, PersonaCard], dict[str, object], dict[str, Standing]] | None:
        now = self.clock.now()
        folders = (card.folder for card in personas.values() if card.folder is not None)
        forget_unconsented(self.state, now, folders)
        self._warn_of_age(personas, now)
        changed = {
            name: stamp
            for name, card in personas.items()
            if (stamp := stamps_of(card)) != stamps.get(name)
        }
        if not changed:
            return None
        for name in changed:
            folder = personas[name].folder
            if folder is not None:
                personas[name] = card_in(folder, name)
        return personas, {**stamps, **changed}, standings_of(personas, self.state, now)

    def _warn_of_age(self, personas: Mapping[str, PersonaCard], now: datetime) -> None:
        for name, card in personas.items():
            for clone in ageing_clones(card, now):
                last = self._warned.get((name, clone.place))
                if last is None or now - last >= _WARN_AGAIN:
                    self._warned[name, clone.place] = now
                    _log.warning("voice_ageing", detail=ageing(card, clone, now))

    async def _see_to_voices(self, upcoming: Iterable[Judged]) -> None:
        """Clone anew, ahead of time, what would be gone when its meeting begins."""
        now = self.clock.now()
        for item in upcoming:
            decision, start = item.decision, item.event.start
            card = self.personas.get(decision.persona)
            if not decision.join or card is None or not now <= start <= now + _AHEAD:
                continue
            key = decision.persona, decision.engine
            last = self._seen_to.get(key)
            if card.folder is None or (last is not None and now - last < _AGAIN):
                continue
            self._seen_to[key] = now
            try:
                await self.wardrobe.appear(card, engine=decision.engine, now=now, begins=start)
            except LocumError as error:
                # Told ahead of time, so that a person can act before the meeting begins.
                _log.error("persona_needs_attention", persona=card.name, problem=str(error))

    async def reports(self) -> list[dict[str, Any]]:
        """Tell of every persona; recordings are hashed for that, beside the loop."""
        now, personas = self.clock.now(), dict(self.personas)
        return await asyncio.to_thread(
            lambda: [report(name, card, self.state, now) for name, card in personas.items()]
        )
