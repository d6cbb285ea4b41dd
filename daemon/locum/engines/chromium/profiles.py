"""One browser profile per account, in the state directory, for one session at a time.

A profile holds a sign-in: whoever can read its folder is that account. So it is for its
owner's eyes alone, copies go when their session ends, and what a killed process left is swept.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import re
import secrets
import shutil
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from locum.engines.chromium import processes
from locum.errors import PermanentError, TransientError
from locum.files import UnreadableError, read_regular, replace_file

_log = structlog.get_logger(__name__)

_ACCOUNT = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9_.-]{1,64}")
_LARGEST = 256 * 1024 * 1024
_LONGEST_NOTE = 4096
_GOING = timedelta(seconds=10)
_COPY_TRIES = 3
_ABANDONED_S = 3600.0

_SIGN_IN = (
    "Local State",
    "Default/Preferences",
    "Default/Secure Preferences",
    "Default/Cookies",
    "Default/Cookies-journal",
    "Default/Network",
    "Default/Local Storage",
    "Default/Account Web Data",
    "Default/Login Data",
    "Default/Trust Tokens",
    "Default/Web Data",
)
"""What a copy takes along, and what stays of a profile that has grown too large."""

_CACHES = (
    "BrowserMetrics",
    "Default/Cache",
    "Default/Code Cache",
    "Default/DawnGraphiteCache",
    "Default/DawnWebGPUCache",
    "Default/GPUCache",
    "Default/Service Worker/CacheStorage",
    "Default/Service Worker/ScriptCache",
    "Default/Sessions",
    "Default/Shared Dictionary",
    "GPUPersistentCache",
    "GrShaderCache",
    "GraphiteDawnCache",
    "ShaderCache",
    "component_crx_cache",
    "optimization_guide_model_store",
    "segmentation_platform",
    "xdg",
)
"""What a browser makes anew: it holds no sign-in, and grows."""

_HOLDS = ("SingletonCookie", "SingletonLock", "SingletonSocket")
_COOKIES = ("Default/Cookies", "Default/Network/Cookies")


@dataclass(frozen=True)
class ProfileNote:
    """What is known of an account's profile; `signed_in` is None where nobody ever looked."""

    signed_in: bool | None = None
    at: datetime | None = None
    where: str = ""  #: The address at which it was seen, without what follows a "?".


@dataclass(frozen=True)
class Profiles:
    """The profiles below one state directory. Two processes can use the same ones."""

    state_dir: Path

    @property
    def _accounts(self) -> Path:
        return self.state_dir / "chromium" / "accounts"

    @property
    def _sessions(self) -> Path:
        return self.state_dir / "chromium" / "sessions"

    # ── for a meeting ────────────────────────────────────────────────────────────────────

    @contextlib.asynccontextmanager
    async def taken(self, account: str) -> AsyncIterator[Path]:
        """Give one session a folder for its browser; "" is a guest, who gets an empty one.

        It is the account's own, or, while another session has that, a copy which is removed
        afterwards: what a page writes into a copy (a renewed cookie) is lost. End the browser
        before the block ends.

        Raises:
            PermanentError: The account has no name that a folder could have, or its folder
                can't be used.
            TransientError: A browser of a session that is gone won't end, or a copy of what
                another one is writing can't be had; again in a moment.
        """
        await self.sweep()
        if not account:
            async with self._session(None) as folder:
                yield folder
            return
        home = _made(self._home(account))
        with _locked(home / "lock") as is_ours:
            if is_ours:
                async with _held(home) as folder:
                    yield folder
                return
        async with self._session(home) as folder:
            yield folder

    @contextlib.asynccontextmanager
    async def _session(self, home: Path | None) -> AsyncIterator[Path]:
        """Make a folder that goes with its session; a copy of `home`'s profile, if that is."""
        sessions = _made(self._sessions)
        name = secrets.token_hex(8)
        making, place = sessions / f".making-{name}", sessions / name
        _made(making)
        try:
            with _locked(making / "lock"):
                # Under its real name it is always locked: nobody sweeps what is in use.
                making.rename(place)
                folder = _made(place / "profile")
                if home is not None:
                    newest = home / "next"
                    source = newest if newest.is_dir() else home / "profile"
                    await asyncio.to_thread(_copy_sign_in, source, folder)
                yield folder
        finally:
            await _end_browser(place / "profile", patient=False)
            await asyncio.to_thread(shutil.rmtree, place, ignore_errors=True)
            await asyncio.to_thread(shutil.rmtree, making, ignore_errors=True)

    async def sweep(self) -> None:
        """Remove the folders of sessions whose process is gone, and end their browsers."""
        if not self._sessions.is_dir():
            return
        for place in await asyncio.to_thread(lambda: tuple(self._sessions.iterdir())):
            if place.name.startswith(".making-") and not _is_abandoned(place):
                continue
            with contextlib.suppress(OSError), _locked(place / "lock") as is_ours:
                if is_ours:
                    await _end_browser(place / "profile", patient=False)
                    await asyncio.to_thread(shutil.rmtree, place, ignore_errors=True)
                    _log.info("profile_swept", folder=place.name)

    # ── for a sign-in ────────────────────────────────────────────────────────────────────

    @contextlib.asynccontextmanager
    async def signing_in(self, account: str) -> AsyncIterator[Path]:
        """Give a folder to sign in with, which becomes the account's when the block ends well.

        It begins as the account's profile is, so that the other side meets a browser it knows.
        A meeting may be going on meanwhile: its session keeps what it has, and the next one
        gets the new sign-in. End the browser before the block ends; raise to change nothing.

        Raises:
            PermanentError: As `taken`; or somebody else is signing in this account now.
        """
        home = _made(self._home(account))
        with _locked(home / "signing.lock") as is_ours:
            if not is_ours:
                raise PermanentError(
                    f'Somebody is signing in "{account}" at this moment; let that end first.'
                )
            folder = home / "signing"
            await _end_browser(folder, patient=True)
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            _made(folder)
            if (home / "profile").is_dir():
                with contextlib.suppress(TransientError):
                    await asyncio.to_thread(_copy_sign_in, home / "profile", folder)
            try:
                yield folder
            except BaseException:
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
                raise
            await asyncio.to_thread(_clean, folder)
            await asyncio.to_thread(shutil.rmtree, home / "next", ignore_errors=True)
            folder.rename(home / "next")
            with _locked(home / "lock") as is_free:
                if is_free:
                    await asyncio.to_thread(_adopt_next, home)

    def note(self, account: str, *, signed_in: bool, at: datetime, where: str = "") -> None:
        """Write down whether a page took the account as signed in.

        Raises:
            PermanentError: As `taken`.
        """
        content = {
            "signed_in": signed_in,
            "at": at.isoformat(),
            "where": where.partition("?")[0][:300],
        }
        home = _made(self._home(account))
        try:
            replace_file(home / "note.json", json.dumps(content).encode())
        except OSError as error:
            raise PermanentError(f"{home} can't be written: {error.strerror}.") from error

    def noted(self, account: str) -> ProfileNote:
        """Answer what was last known; nothing if nobody looked, or it can't be read."""
        with contextlib.suppress(UnreadableError, ValueError, KeyError, TypeError):
            content, _ = read_regular(self._home(account) / "note.json", limit=_LONGEST_NOTE)
            known = json.loads(content)
            return ProfileNote(
                signed_in=bool(known["signed_in"]),
                at=datetime.fromisoformat(known["at"]),
                where=str(known["where"]),
            )
        return ProfileNote()

    async def forget(self, account: str) -> bool:
        """Delete the account's profile, and so its sign-in here; False if there was none.

        At the other side it goes on until that ends it.

        Raises:
            PermanentError: A session is using it.
        """
        home = self._home(account)
        if not home.is_dir():
            return False
        with _locked(home / "lock") as is_ours, _locked(home / "signing.lock") as is_quiet:
            if not (is_ours and is_quiet):
                raise PermanentError(
                    f'The profile of "{account}" is in use: leave that meeting first'
                    " (`locum leave`), or let the sign-in end."
                )
            existed = any((home / name).exists() for name in ("profile", "next", "note.json"))
            await _end_browser(home / "profile", patient=True)
            await asyncio.to_thread(shutil.rmtree, home)
        return existed

    def _home(self, account: str) -> Path:
        if not _ACCOUNT.fullmatch(account):
            raise PermanentError(
                f"The account {account!r} can't have a profile: name it with letters, digits"
                ' and "_.-" in the config.'
            )
        return self._accounts / account


# ── the account's own ────────────────────────────────────────────────────────────────────


@contextlib.asynccontextmanager
async def _held(home: Path) -> AsyncIterator[Path]:
    """Make ready the account's own profile, which is locked; clean it afterwards."""
    folder = home / "profile"
    # The lock ended with its process; its browser may not have, where that was killed.
    await _end_browser(folder, patient=True)
    await asyncio.to_thread(_adopt_next, home)
    _made(folder)
    for name in _HOLDS:
        (folder / name).unlink(missing_ok=True)
    try:
        yield folder
    finally:
        await _end_browser(folder, patient=False)
        await asyncio.to_thread(_clean, folder)


def _adopt_next(home: Path) -> None:
    """Let a new sign-in take the profile's place; what is killed half-way is done next time."""
    newer, profile, old = home / "next", home / "profile", home / "old"
    if newer.is_dir():
        shutil.rmtree(old, ignore_errors=True)
        if profile.is_dir():
            profile.rename(old)
        newer.rename(profile)
    shutil.rmtree(old, ignore_errors=True)


async def _end_browser(folder: Path, *, patient: bool) -> None:
    """End what still runs on a folder.

    Raises:
        TransientError: It doesn't end, and we are `patient`: nothing is to be taken then.
    """
    tree = await asyncio.to_thread(processes.tree_of, folder)
    if not tree:
        return
    _log.warning("browser_left_over_ended", processes=len(tree))
    stuck = await processes.end(tree, patience=_GOING)
    if stuck and patient:
        raise TransientError(
            f"A browser of an earlier session (process {stuck[0].pid}) doesn't end."
        )


# ── folders ──────────────────────────────────────────────────────────────────────────────


def _made(folder: Path) -> Path:
    """Make a folder for our eyes alone, with those above it.

    Raises:
        PermanentError: It can't be made.
    """
    try:
        # `parents=True` would leave those above open to everybody.
        for part in (*reversed(folder.parents), folder):
            part.mkdir(mode=0o700, exist_ok=True)
        folder.chmod(0o700)
    except OSError as error:
        raise PermanentError(
            f"The browser's folder {folder} can't be used: {error.strerror}. Mend that, or"
            " name another state_dir."
        ) from error
    return folder


@contextlib.contextmanager
def _locked(file: Path) -> Iterator[bool]:
    """Hold a lock for the block, or answer False if another has it. Never waits.

    The kernel lets go of it when the process is gone, however that ended.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(file, flags, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def _is_abandoned(place: Path) -> bool:
    try:
        return time.time() - place.stat().st_mtime > _ABANDONED_S
    except OSError:
        return False


def _copy_sign_in(source: Path, target: Path) -> None:
    """Copy what makes a browser signed in, from a profile that may be in use.

    Raises:
        TransientError: No whole copy could be had; again in a moment.
    """
    for _ in range(_COPY_TRIES):
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(mode=0o700)
        try:
            for name in _SIGN_IN:
                _copy(source / name, target / name)
        except OSError:
            continue  # A file went while we were at it.
        if all(_is_whole(target / name) for name in _COOKIES):
            return
    raise TransientError(
        "The account's browser profile is being written, and can't be copied now.",
        retry_after=timedelta(seconds=2),
    )


def _copy(source: Path, target: Path) -> None:
    if source.is_symlink() or not source.exists():
        return
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if source.is_dir():
        # "LOCK" is the database's own hold; a copy makes its own.
        shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns("LOCK"))
    else:
        shutil.copy2(source, target, follow_symlinks=False)


def _is_whole(database: Path) -> bool:
    """Answer whether a copied database isn't half of two states."""
    if not database.exists():
        return True
    try:
        with contextlib.closing(sqlite3.connect(database)) as opened:
            found: tuple[str] = opened.execute("PRAGMA quick_check(1)").fetchone()
            return found == ("ok",)
    except sqlite3.Error:
        return False


def _clean(folder: Path) -> None:
    """Take away caches; and all but the sign-in, where a profile is too large even so."""
    for name in (*_CACHES, *_HOLDS):
        _remove(folder / name)
    if _size(folder) <= _LARGEST:
        return
    keep = {*_SIGN_IN, "Default"}
    for inside in (*folder.iterdir(), *(folder / "Default").glob("*")):
        if str(inside.relative_to(folder)) not in keep:
            _remove(inside)
    _log.warning("profile_shrunk", limit_mib=_LARGEST // (1024 * 1024))


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def _size(folder: Path) -> int:
    total = 0
    for inside, _, files in os.walk(folder):
        for name in files:
            with contextlib.suppress(OSError):
                total += (Path(inside) / name).lstat().st_size
    return total
