"""`locum persona check`: every hash of a persona, and everything that is to be said of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from locum.app.personas import ageing
from locum.core.identity import Features, digest_of, sha256
from locum.errors import HumanNeededError, LocumError, PermanentError
from locum.files import UnreadableError, read_regular
from locum.persona import PersonaCard
from locum.persona.avatar import tile_png
from locum.persona.consent import Checked, ConsentKey, assets_needing_consent, next_step
from locum.persona.folder import (
    LARGEST_IMAGE,
    Snapshot,
    is_clone,
    is_drawn_by_locum,
    read_snapshot,
)
from locum.persona.rigging.store import RigStore
from locum.persona.versions import changed_files, newest_version
from locum.persona.voices import clones_of
from locum.persona.wardrobe import (
    ageing_clones,
    checked_consents,
    inline_clone,
    inline_clone_step,
)
from locum.ports import Finding, Health

_SOON = timedelta(days=30)


@dataclass(frozen=True)
class Check:
    """What was found. `hashes` are SHA-256, in hex; empty where there is no such thing."""

    name: str
    tile: str
    version: int | None
    hashes: dict[str, str]
    findings: tuple[Finding, ...]
    is_usable: bool = True

    @property
    def may_join(self) -> bool:
        return self.is_usable and all(f.health is not Health.BROKEN for f in self.findings)

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "tile": self.tile,
            "version": self.version,
            "may_join": self.may_join,
            "hashes": self.hashes,
            "findings": [
                {
                    "subject": each.subject,
                    "health": each.health.value,
                    "detail": each.detail,
                    "next_step": each.next_step,
                }
                for each in self.findings
            ],
        }


def checked(name: str, card: PersonaCard, state: Path, now: datetime) -> Check:
    """Look at everything of a persona; changes nothing, and raises nothing on purpose."""
    if card.folder is None:
        return _inline(card)
    try:
        snapshot = read_snapshot(card.folder)
        tile_png(snapshot.face.content, card.tile)
    except LocumError as error:
        told = error.args[0] if error.args else str(error)
        step = getattr(error, "hint", "") or f"Go back: `locum persona restore {name}`."
        finding = Finding("files", Health.BROKEN, str(told), step)
        return Check(name, card.tile, None, {}, (finding,), is_usable=False)
    statements = {
        each.scope.file_name: each.digest
        for each in _checked(snapshot, state, now)
        if each.digest
    }
    newest = newest_version(card.folder)
    same = newest is not None and newest.identity == snapshot.digest
    return Check(
        name=name,
        tile=card.tile,
        version=newest.number if newest is not None and same else None,
        hashes={
            "identity": snapshot.digest,
            **snapshot.files,
            **statements,
            **_rig_hash(snapshot, state),
        },
        findings=(
            Finding("files", Health.OK, f"{len(snapshot.files)} files, all of them whole"),
            _version(snapshot),
            *_consents(snapshot, state, now),
            *_voice(card, snapshot, now),
            *_rig(snapshot, state),
        ),
    )


def _version(snapshot: Snapshot) -> Finding:
    newest = newest_version(snapshot.folder)
    name = snapshot.folder.name
    if newest is None:
        return Finding("version", Health.WARNING, "none is recorded yet; the next join does")
    if newest.identity == snapshot.digest:
        locked = ", locked" if snapshot.settings.locked else ""
        told = f"version {newest.number} since {newest.at:%Y-%m-%d}: {newest.why}{locked}"
        return Finding("version", Health.OK, told)
    changed = ", ".join(changed_files(snapshot, newest))
    told = f"changed since version {newest.number}: {changed}"
    step = f"To go back: `locum persona restore {name}`."
    if snapshot.settings.locked:
        return Finding("version", Health.BROKEN, f"locked, and {told}", step)
    told += "; it becomes the next version when it joins"
    return Finding("version", Health.WARNING, told, step)


def _consents(snapshot: Snapshot, state: Path, now: datetime) -> Iterator[Finding]:
    needs = assets_needing_consent(snapshot)
    name = snapshot.folder.name
    if not needs:
        told = f"none is needed: the face is {snapshot.settings.face.value}, the voice the engine's"
        yield Finding("consent", Health.OK, told)
    for each in _checked(snapshot, state, now):
        subject, step = f"consent to the {each.scope.value}", next_step(name, each.scope)
        if each.trouble or each.statement is None:
            yield Finding(subject, Health.BROKEN, each.trouble, step)
            continue
        statement = each.statement
        told = f"{statement.person}'s, until {statement.expires:%Y-%m-%d}"
        if statement.expires - now < _SOON:
            yield Finding(subject, Health.WARNING, f"{told}: that is soon", step)
        elif statement.passcode_recording and not statement.heard_by:
            told += "; nobody has listened to its spoken passcode yet"
            step = f"Listen, then `locum persona consent {name} --heard-by YOU`."
            yield Finding(subject, Health.WARNING, told, step)
        else:
            yield Finding(subject, Health.OK, told)


def _checked(snapshot: Snapshot, state: Path, now: datetime) -> tuple[Checked, ...]:
    needs = assets_needing_consent(snapshot)
    try:
        return checked_consents(snapshot.folder, needs, ConsentKey(state), now)
    except PermanentError as error:  # The key that signed them can't be read.
        return tuple(Checked(scope, str(error)) for scope in needs)


def _voice(card: PersonaCard, snapshot: Snapshot, now: datetime) -> Iterator[Finding]:
    if not snapshot.settings.is_cloned:
        yield Finding("voice", Health.OK, f"the engine's own: {snapshot.settings.voice}")
        return
    clones = clones_of(snapshot.folder).values()
    current = [clone for clone in clones if clone.sample == snapshot.sample]
    if not current:
        yield Finding("voice", Health.OK, "cloned from the recording before the next meeting")
    ageing_ones = {clone.place for clone in ageing_clones(card, now)}
    for clone in current:
        if clone.place in ageing_ones:
            yield Finding("voice", Health.WARNING, ageing(card, clone, now))
        else:
            told = f"{clone.voice_id} at {clone.place}, used {clone.used_at:%Y-%m-%d %H:%M} UTC"
            yield Finding("voice", Health.OK, told)


def _rig_hash(snapshot: Snapshot, state: Path) -> dict[str, str]:
    try:
        kept = RigStore(state).known(snapshot.face.sha256)
    except LocumError:
        return {}  # `_rig` says what is wrong.
    return {} if kept is None else {"rig": kept.rig}


def _rig(snapshot: Snapshot, state: Path) -> Iterator[Finding]:
    """Say what the face's rig is, where it has one: not every engine needs one."""
    try:
        rig = RigStore(state).load(snapshot.face)
    except HumanNeededError as error:
        step = error.hint.replace("NAME", snapshot.folder.name)
        yield Finding("rig", Health.BROKEN, str(error.args[0]), step)
        return
    if rig is not None:
        told = "a face that speaks" if rig.kind == "face" else "a mascot's motion"
        yield Finding("rig", Health.OK, f"{told}, whole")


def _inline(card: PersonaCard) -> Check:
    """Check a persona that the config says all of; it has hashes, and no versions."""
    try:
        content, _ = read_regular(card.image, limit=LARGEST_IMAGE + 1)
    except UnreadableError as error:
        finding = Finding("files", Health.BROKEN, f"{card.image}: {error}")
        return Check(card.name, card.tile, None, {}, (finding,), is_usable=False)
    image = sha256(content)
    digest = digest_of(
        Features(
            display_name=card.display_name,
            owner=card.owner,
            face="",
            image=image,
            instructions=card.instructions,
            voice_id=card.voice_id,
        )
    )
    findings = [Finding("files", Health.OK, "it stands in the config: no versions are kept")]
    if is_clone(card.voice_id):
        findings.append(
            Finding("consent", Health.BROKEN, inline_clone(card), inline_clone_step(card))
        )
    elif not is_drawn_by_locum(card.image):
        step = (
            f"If it shows a real person, keep it in a folder: `locum persona new {card.name}`."
        )
        told = "whose face this is isn't on file"
        findings.append(Finding("consent", Health.WARNING, told, step))
    hashes = {"identity": digest, card.image.name: image}
    return Check(card.name, card.tile, None, hashes, tuple(findings))
