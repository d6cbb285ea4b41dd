"""As whom a persona appears: read, judged, given its voice, and named for the record.

Everything that a join sends is read here in one go, so that the bytes that were hashed are the
bytes that are sent. Nobody goes whose consent isn't on file, and nobody gets another voice than
its own: a clone that may be gone is made anew, or the join waits for a person.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import structlog

from locum.core.identity import Features, Identity, Standing, digest_of
from locum.errors import HumanNeededError, LocumError, PermanentError, TransientError
from locum.files import UnreadableError, read_regular
from locum.persona.card import PersonaCard
from locum.persona.consent import (
    Checked,
    ConsentKey,
    Scope,
    assets_needing_consent,
    check_consent,
    next_step,
)
from locum.persona.folder import (
    KEPT,
    LARGEST_IMAGE,
    SMALLEST_IMAGE,
    Snapshot,
    is_clone,
    read_snapshot,
)
from locum.persona.versions import Version, held, newest_version, record, refuse_if_locked
from locum.persona.voices import FILE as VOICES_FILE
from locum.persona.voices import WARN_AFTER, Clone, clones_of, keep_clone
from locum.ports import Face, Picture, VoiceCloner

_log = structlog.get_logger(__name__)

_Stamps = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Appearance:
    """Who joins: the words, the face with its bytes and voice, and the hashes of all that."""

    card: PersonaCard
    face: Face
    identity: Identity


@dataclass(frozen=True)
class _Known:
    """A folder as it was last read, without the files that no join sends."""

    stamps: _Stamps
    card: PersonaCard
    picture: Picture
    digest: str
    sample: str
    version: int | None
    needs: Mapping[Scope, str]


class Wardrobe:
    """Dresses personas. Belongs to one event loop; `cloners` are by the engine's name.

    Args:
        state: The state directory, where the key is that signs consents.
        cloners: Where voices are cloned; an engine without one can't carry a cloned voice.
        ours: Engines for which a voice of ours speaks, which reads the recording itself.
    """

    def __init__(
        self,
        state: Path | None = None,
        cloners: Mapping[str, VoiceCloner] | None = None,
        ours: Collection[str] = (),
    ) -> None:
        self._key = None if state is None else ConsentKey(state)
        self.cloners: Mapping[str, VoiceCloner] = cloners or {}
        self._ours = frozenset(ours)
        self._known: dict[Path, _Known] = {}
        self._inline: dict[Path, tuple[tuple[int, ...], Picture]] = {}
        self._cloning: dict[tuple[Path, str], asyncio.Lock] = {}

    async def appear(
        self,
        card: PersonaCard,
        *,
        engine: str,
        now: datetime,
        begins: datetime | None = None,
    ) -> Appearance:
        """Answer who goes, ready to be sent; its voice lasts until the meeting `begins`.

        Raises:
            HumanNeededError: No consent, a locked persona that was changed, files that can't be
                used, or a voice that can't be made anew; `hint` says what to do.
            PermanentError: The image of a persona that stands in the config can't be used.
            TransientError: The voice can't be cloned now.
        """
        if card.folder is None:
            return await self._appear_inline(card)
        known = await self._look(card.folder, now)
        consents = await asyncio.to_thread(self._consents, card.folder, known, now)
        refused = next((each for each in consents if each.trouble), None)
        if refused is not None:
            raise HumanNeededError(
                f"The persona {card.name} may not go: {refused.trouble}.",
                hint=next_step(card.folder.name, refused.scope),
            )
        voice_id = known.card.voice_id
        if known.sample and engine not in self._ours:
            clone = await self._clone(known, engine, now, begins or now)
            voice_id = clone.voice_id
        dressed = replace(known.card, name=card.name)
        return Appearance(
            card=dressed,
            face=Face(dressed.tile, known.picture, voice_id),
            identity=Identity(
                digest=known.digest,
                image=known.picture.sha256,
                tile=dressed.tile,
                voice_id=voice_id,
                sample=known.sample,
                version=known.version,
                consents=tuple(each.digest for each in consents),
            ),
        )

    # ── written in the config ────────────────────────────────────────────────────────────

    async def _appear_inline(self, card: PersonaCard) -> Appearance:
        if is_clone(card.voice_id):
            raise HumanNeededError(inline_clone(card), hint=inline_clone_step(card))
        picture = self._inline_picture(card.image)
        if picture is None:
            picture = await asyncio.to_thread(self._read_inline, card.image)
        features = Features(
            display_name=card.display_name,
            owner=card.owner,
            face="",
            image=picture.sha256,
            instructions=card.instructions,
            voice_id=card.voice_id,
        )
        return Appearance(
            card,
            Face(card.tile, picture, card.voice_id),
            Identity(digest_of(features), picture.sha256, card.tile, card.voice_id),
        )

    def _inline_picture(self, path: Path) -> Picture | None:
        """Answer what was read before, if the file is the same. A stat costs less than a thread."""
        found = self._inline.get(path)
        return found[1] if found is not None and found[0] == _stamp(path, follow=True) else None

    def _read_inline(self, path: Path) -> Picture:
        stamp = _stamp(path, follow=True)
        try:
            content, _ = read_regular(path, limit=LARGEST_IMAGE + 1)
        except UnreadableError as error:
            raise PermanentError(f"{path}: the persona's image: {error}.") from None
        if not SMALLEST_IMAGE < len(content) <= LARGEST_IMAGE:
            raise PermanentError(
                f"{path}: the persona's image has {len(content):,} bytes; more than 1 KB and at "
                "most 16 MB are taken."
            )
        if not content.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")):
            raise PermanentError(f"{path}: the persona's image is neither PNG nor JPEG.")
        picture = Picture.of(content)
        self._inline[path] = stamp, picture
        return picture

    # ── in a folder ──────────────────────────────────────────────────────────────────────

    async def _look(self, folder: Path, now: datetime) -> _Known:
        stamps = _stamps(folder)
        known = self._known.get(folder)
        if known is None or known.stamps != stamps:
            known = await asyncio.to_thread(_read_known, folder, stamps, now)
            self._known[folder] = known
        return known

    def _consents(self, folder: Path, known: _Known, now: datetime) -> tuple[Checked, ...]:
        if self._key is None:
            raise PermanentError("There is no state directory, and so no key for consents.")
        return checked_consents(folder, known.needs, self._key, now)

    # ── voices ───────────────────────────────────────────────────────────────────────────

    async def _clone(
        self, known: _Known, engine: str, now: datetime, begins: datetime
    ) -> Clone:
        folder = known.card.folder
        if folder is None:  # pragma: no cover - Only folders have recordings.
            raise PermanentError("There is no recording.")
        # Several meetings can begin at once: one clone serves them all.
        lock = self._cloning.setdefault((folder, engine), asyncio.Lock())
        async with lock:
            clone = (await asyncio.to_thread(clones_of, folder)).get(engine)
            if clone is not None and clone.sample == known.sample and clone.lasts_at(begins):
                return clone
            clone = await self._make_clone(folder, engine, now)
            try:
                await asyncio.to_thread(_keep, folder, clone)
            except OSError as error:
                # The next join makes another one: that costs a moment, and is never wrong.
                _log.warning("voice_not_noted", persona=folder.name, problem=str(error))
            _log.info(
                "voice_cloned", persona=folder.name, engine=engine, voice_id=clone.voice_id
            )
            if clone.sample != known.sample:
                raise TransientError(f"The persona {folder.name} was changed just now.")
            return clone

    async def clone_anew(self, folder: Path, *, engine: str, now: datetime) -> Clone:
        """Clone a persona's voice from its recording, whether there is a clone or not.

        Raises:
            HumanNeededError: No consent to it is on file, it has no recording, or the engine
                doesn't take it.
            TransientError: Not now.
            PermanentError: It was cloned, and that can't be written down.
        """
        clone = await self._make_clone(folder, engine, now)
        try:
            await asyncio.to_thread(_keep, folder, clone)
        except OSError as error:
            raise PermanentError(
                f"The voice is cloned, and {folder} can't be written: {error.strerror}."
            ) from error
        return clone

    async def _make_clone(self, folder: Path, engine: str, now: datetime) -> Clone:
        snapshot = await asyncio.to_thread(read_snapshot, folder)
        needs = assets_needing_consent(snapshot)
        if not snapshot.settings.is_cloned or self._key is None:
            raise HumanNeededError(
                f"The persona {folder.name} has no recording to clone a voice from.",
                hint=f"Give it one: `locum persona voice clone {folder.name} AUDIO`.",
            )
        spoken = {Scope.VOICE: needs[Scope.VOICE]}
        (consent,) = await asyncio.to_thread(checked_consents, folder, spoken, self._key, now)
        if consent.trouble:
            raise HumanNeededError(
                f"The voice of {folder.name} may not be cloned: {consent.trouble}.",
                hint=next_step(folder.name, Scope.VOICE),
            )
        voice_id = await self._cloned(snapshot, engine)
        return Clone(engine, voice_id, snapshot.sample, cloned_at=now, used_at=now)

    async def _cloned(self, snapshot: Snapshot, engine: str) -> str:
        folder = snapshot.folder
        cloner = self.cloners.get(engine)
        if cloner is None:
            raise HumanNeededError(
                f"The engine {engine} can't clone the voice of the persona {folder.name}.",
                hint=f"Take another engine, or a voice of its own: `locum persona voice set "
                f"{folder.name} ID`.",
            )
        try:
            return await cloner.clone(
                snapshot.contents[snapshot.sample_name],
                snapshot.sample_name,
                name=folder.name,
                noise_reduction=False,  # That is done, or left, when the recording is prepared.
            )
        except PermanentError as error:
            raise HumanNeededError(
                f"The voice of the persona {folder.name} can't be cloned: {error}",
                hint=f"Give it another recording: `locum persona voice clone {folder.name} AUDIO`.",
            ) from error

    async def used(
        self, identity: Identity, card: PersonaCard, *, engine: str, now: datetime
    ) -> None:
        """Write down that a cloned voice was in a meeting: from now on its days count anew."""
        if card.folder is not None and identity.sample:
            await asyncio.to_thread(_note_use, card.folder, engine, identity, now)


def _stamp(path: Path, *, follow: bool = False) -> tuple[int, ...]:
    """Answer what differs whenever a file was written or replaced; nothing if there is none."""
    try:
        seen = path.stat(follow_symlinks=follow)
    except (OSError, ValueError):
        return ()
    return seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns


def _stamps(folder: Path) -> _Stamps:
    return tuple(_stamp(folder / name) for name in KEPT)


def _read_known(folder: Path, stamps: _Stamps, now: datetime) -> _Known:
    snapshot = read_snapshot(folder)
    newest = newest_version(folder)
    refuse_if_locked(snapshot, newest)
    version: Version | None
    try:
        with held(folder):
            version = record(snapshot, at=now, why="its files were changed")
    except OSError as error:
        # It goes as what it is now: the digest in the record says what that was.
        _log.warning("persona_version_not_kept", persona=folder.name, problem=str(error))
        version = newest if newest and newest.identity == snapshot.digest else None
    if version is not None and newest is not None and version.number != newest.number:
        _log.warning(
            "persona_changed",
            persona=folder.name,
            version=version.number,
            identity=snapshot.digest,
        )
    return _Known(
        stamps=stamps,
        card=snapshot.card,
        picture=snapshot.face,
        digest=snapshot.digest,
        sample=snapshot.sample if snapshot.settings.is_cloned else "",
        version=None if version is None else version.number,
        needs=assets_needing_consent(snapshot),
    )


def checked_consents(
    folder: Path, needs: Mapping[Scope, str], key: ConsentKey, at: datetime
) -> tuple[Checked, ...]:
    """Judge every consent that a persona needs."""
    return tuple(
        check_consent(folder, scope, asset, key, at=at) for scope, asset in needs.items()
    )


def _keep(folder: Path, clone: Clone) -> None:
    with held(folder):
        keep_clone(folder, clone)


def _note_use(folder: Path, engine: str, identity: Identity, now: datetime) -> None:
    try:
        with held(folder):
            clone = clones_of(folder).get(engine)
            if clone is not None and clone.voice_id == identity.voice_id:
                keep_clone(folder, replace(clone, used_at=max(now, clone.used_at)))
    except OSError as error:
        _log.warning("voice_not_noted", persona=folder.name, problem=str(error))


# ── judging ahead of time ────────────────────────────────────────────────────────────────


def inline_clone(card: PersonaCard) -> str:
    return (
        f"[personas.{card.name}] names the cloned voice {card.voice_id}, and nobody's consent "
        "to that is on file"
    )


def inline_clone_step(card: PersonaCard) -> str:
    return (
        f"Make a persona with a folder (`locum persona new {card.name}`), clone the voice and "
        "put the consent on file there; or name one of the engine's own voices."
    )


def standing_of(card: PersonaCard, state: Path, now: datetime) -> Standing:
    """Judge whether a persona may go, and until when; changes nothing, and asks nobody."""
    if card.folder is None:
        if is_clone(card.voice_id):
            return Standing(f"{inline_clone(card)}. {inline_clone_step(card)}")
        return Standing()
    try:
        snapshot = read_snapshot(card.folder)
        refuse_if_locked(snapshot, newest_version(card.folder))
        needs = assets_needing_consent(snapshot)
        consents = checked_consents(card.folder, needs, ConsentKey(state), now)
    except LocumError as error:
        return Standing(str(error))
    for each in consents:
        if each.trouble:
            step = next_step(card.folder.name, each.scope)
            return Standing(f"the persona {card.name} may not go: {each.trouble}. {step}")
    return _until(card, card.folder, consents)


def _until(card: PersonaCard, folder: Path, consents: tuple[Checked, ...]) -> Standing:
    dated = [each.statement for each in consents if each.statement is not None]
    if not dated:
        return Standing()
    first = min(dated, key=lambda statement: statement.expires)
    return Standing(
        until=first.expires,
        afterwards=(
            f"the persona {card.name} may not go: {first.person}'s consent ends on "
            f"{first.expires:%Y-%m-%d}, before this meeting. "
            f"{next_step(folder.name, first.scope)}"
        ),
    )


def ageing_clones(card: PersonaCard, now: datetime) -> tuple[Clone, ...]:
    """Answer the clones of its voice that nobody has used for six days or longer."""
    if card.folder is None:
        return ()
    found = clones_of(card.folder).values()
    return tuple(clone for clone in found if clone.unused_for(now) >= WARN_AFTER)


_WATCHED = (*KEPT, VOICES_FILE, *(scope.file_name for scope in Scope))


def stamps_of(card: PersonaCard) -> object:
    """Answer what differs whenever a persona's folder has changed."""
    if card.folder is None:
        return ()
    return tuple(_stamp(card.folder / name) for name in _WATCHED)
