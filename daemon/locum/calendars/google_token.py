"""One Google sign-in: its settings, and the file that keeps it between runs.

The token file is the only secret that locum writes. Several processes share it (the daemon,
`locum auth`, `locum doctor`), so a refresh holds a lock, and whoever comes second takes
what the first one was given. Nothing here imports Google's libraries: that costs a second.
"""

from __future__ import annotations

import contextlib
import fcntl
import ipaddress
import json
import os
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from locum.errors import ConfigError, HumanNeededError, PermanentError, TransientError

CALENDAR_SCOPE = "https://www.googleapis.com/auth/calendar.events.readonly"
"""What every sign-in needs: reading the events of calendars whose ids the config gives."""

BROADER_SCOPES = frozenset(
    f"https://www.googleapis.com/auth/calendar{suffix}"
    for suffix in ("", ".readonly", ".events")
)


@dataclass(frozen=True)
class Permission:
    """Something beyond reading calendars that a config may make use of.

    `broader` are scopes that hold it too; `what` completes "doesn't allow locum …".
    """

    name: str
    scope: str
    what: str
    broader: frozenset[str] = frozenset()

    def is_in(self, scopes: Iterable[str]) -> bool:
        return any(each == self.scope or each in self.broader for each in scopes)


PERMISSIONS = {
    each.name: each
    for each in (
        Permission(
            "docs",
            "https://www.googleapis.com/auth/drive.file",
            "to file documents",
            frozenset({"https://www.googleapis.com/auth/drive"}),
        ),
        Permission(
            "events",
            "https://www.googleapis.com/auth/calendar.events",
            "to write on events where a summary is",
            frozenset({"https://www.googleapis.com/auth/calendar"}),
        ),
        Permission(
            "transcripts",
            "https://www.googleapis.com/auth/meetings.space.readonly",
            "to read Google Meet's transcripts",
        ),
    )
}
"""By the names that `locum auth login --with` takes. A sign-in asks for those, and only those,
that the account's part of the config makes use of."""

GOOGLE_API_ROOT = "https://www.googleapis.com/"
GOOGLE_MEET_ROOT = "https://meet.googleapis.com/"
GOOGLE_TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105 - An address, no secret.

_FILE_LIMIT = 64 * 1024


@dataclass(frozen=True)
class GoogleAccount:
    """One sign-in and the calendars read through it.

    `permissions` are names of `PERMISSIONS`: what it is for beyond reading. A person's sign-in
    asks for all of them at once, and `service_scopes` is what a service account's token is
    for: one by one, since Google refuses all where an administrator left one out.

    `request_timeout` bounds each silence of the server, `read_deadline` a whole reading with
    all its pages, in the host's time. `auth_uri` overrides the client file's.

    Raises:
        ConfigError: An address isn't https (http is for loopback only), or no calendar is
            named.
    """

    name: str
    calendars: tuple[str, ...]
    token_file: Path
    client_secrets: Path | None = None
    service_account: Path | None = None
    subject: str | None = None
    api_root: str = GOOGLE_API_ROOT
    token_uri: str = GOOGLE_TOKEN_URI
    auth_uri: str | None = None
    permissions: frozenset[str] = frozenset()
    service_scopes: tuple[str, ...] = (CALENDAR_SCOPE,)
    request_timeout: timedelta = timedelta(seconds=20)
    read_deadline: timedelta = timedelta(minutes=2)

    def __post_init__(self) -> None:
        addresses = {
            "api_root": self.api_root,
            "token_uri": self.token_uri,
            "auth_uri": self.auth_uri,
        }
        problems = [
            f"account {self.name}: {key} {address!r} must begin with https:// "
            "(http:// is for this machine only)"
            for key, address in addresses.items()
            if address is not None and not is_safe_address(address)
        ]
        if not self.calendars:
            problems.append(f"account {self.name}: calendars is empty; name at least one id")
        if problems:
            raise ConfigError(tuple(problems))

    @property
    def scopes(self) -> tuple[str, ...]:
        """Answer what a person is asked to allow."""
        wanted = [each.scope for each in PERMISSIONS.values() if each.name in self.permissions]
        return (CALENDAR_SCOPE, *wanted)

    def missing(self, scopes: Iterable[str]) -> tuple[Permission, ...]:
        """Answer the permissions that a sign-in with these scopes lacks."""
        given = tuple(scopes)
        return tuple(
            each
            for each in PERMISSIONS.values()
            if each.name in self.permissions and not each.is_in(given)
        )

    @property
    def meet_root(self) -> str:
        """Answer where Meet's API is: a stage or a proxy has all of Google's under one root."""
        return GOOGLE_MEET_ROOT if self.api_root == GOOGLE_API_ROOT else self.api_root

    @property
    def login_hint(self) -> str:
        """Say how this account is signed in anew."""
        if self.service_account is not None:
            return f"Check the service account's key in {self.service_account}."
        return f"Run `locum auth login {self.name}`."


def is_loopback(address: str) -> bool:
    try:
        host = urlsplit(address).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_safe_address(address: str) -> bool:
    """Whether secrets may be sent there: over TLS, or without leaving this machine."""
    try:
        parts = urlsplit(address)
        port_is_readable = parts.port is None or parts.port > 0
    except ValueError:
        return False
    if parts.username is not None or not parts.hostname or not port_is_readable:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(address))


# ── the file ─────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class StoredToken:
    """What a token file holds. `expiry` is the access token's; `obtained_at` the sign-in's.

    `refresh_expires_at` is known only where Google said so (apps in "Testing").
    """

    client_id: str
    client_secret: str = field(repr=False)
    refresh_token: str = field(repr=False)
    access_token: str | None = field(default=None, repr=False)
    expiry: datetime | None = None
    scopes: tuple[str, ...] = ()
    obtained_at: datetime | None = None
    refresh_expires_at: datetime | None = None

    def as_json(self) -> str:
        """Write Google's "authorized_user" format, with our own two dates added."""
        shown: dict[str, object] = {
            "type": "authorized_user",
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "refresh_token": self.refresh_token,
            "token": self.access_token,
            "expiry": _written(self.expiry),
            "scopes": list(self.scopes),
            "obtained_at": _written(self.obtained_at),
            "refresh_expires_at": _written(self.refresh_expires_at),
        }
        present = {key: value for key, value in shown.items() if value is not None}
        return json.dumps(present, indent=2) + "\n"


def read_token(account: GoogleAccount) -> StoredToken:
    """Read the account's token file.

    Raises:
        HumanNeededError: There is none, or it can't be used; the message names the file.
    """
    path = account.token_file
    hint = account.login_hint
    try:
        stored = read_json_file(path, what="the sign-in")
    except FileNotFoundError as error:
        raise HumanNeededError(
            f"account {account.name}: not signed in (there is no {path}).", hint=hint
        ) from error
    except PermanentError as error:
        if isinstance(error.__cause__, PermissionError):
            # Signing in anew would end as badly, if it is root who asks, or asked before.
            hint = "Make it readable for the user that locum runs as, and ask as that user."
        raise HumanNeededError(f"account {account.name}: {error}.", hint=hint) from error
    texts = {key: stored.get(key) for key in ("client_id", "client_secret", "refresh_token")}
    missing = [key for key, value in texts.items() if not isinstance(value, str) or not value]
    if missing:
        raise HumanNeededError(
            f"account {account.name}: the sign-in in {path} has no usable {missing[0]}.",
            hint=hint,
        )
    token = stored.get("token")
    return StoredToken(
        client_id=str(texts["client_id"]),
        client_secret=str(texts["client_secret"]),
        refresh_token=str(texts["refresh_token"]),
        access_token=token if isinstance(token, str) and token else None,
        expiry=_read_instant(stored.get("expiry")),
        scopes=read_scopes(stored.get("scopes")),
        obtained_at=_read_instant(stored.get("obtained_at")),
        refresh_expires_at=_read_instant(stored.get("refresh_expires_at")),
    )


def read_json_file(path: Path, *, what: str) -> Mapping[str, Any]:
    """Read a small JSON object that a person put there; it may be anything.

    Raises:
        FileNotFoundError: There is no such file.
        PermanentError: It can't be read, is too large, or is no JSON object.
    """
    try:
        # Without O_NONBLOCK, a FIFO of that name would hold us for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise PermanentError(f"{what} in {path} is no regular file")
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                content = file.read(_FILE_LIMIT + 1)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise PermanentError(f"{what} in {path} can't be read ({_reason(error)})") from error
    if len(content) > _FILE_LIMIT:
        raise PermanentError(f"{what} in {path} is over {_FILE_LIMIT} bytes long")
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        # The parser's own message would quote the file, which holds secrets.
        raise PermanentError(f"{what} in {path} is no JSON") from error
    if not isinstance(value, dict):
        raise PermanentError(f"{what} in {path} is no JSON object")
    return value


def write_token(path: Path, token: StoredToken) -> None:
    """Replace the token file, readable by its owner only, whole or not at all.

    Raises:
        OSError: The folder can't be written.
    """
    # A symlink stays one: what it points to is replaced.
    target = Path(os.path.realpath(path))
    _make_private(target.parent)
    descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o600)
            _leave_to_owner(file.fileno(), target if target.exists() else target.parent)
            file.write(token.as_json())
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)  # noqa: PTH105 - os.replace says what happens.
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108 - Its partner is mkstemp, not Path.
        raise
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _make_private(folder: Path) -> None:
    """Make a folder and what lies above it, for their owner only: `mkdir` opens the latter."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(mode=0o700, exist_ok=True)
        _leave_to_owner(each, each.parent)


def _leave_to_owner(made: int | Path, of: Path) -> None:
    """Give what root has just made, and nothing else, to whom the rest belongs.

    Else a `locum doctor` of root's would lock the daemon out of its own sign-in.
    """
    if os.geteuid() == 0:
        owner = of.stat()
        with contextlib.suppress(OSError):  # A user namespace may not know that owner.
            # Never what somebody put in its place: links aren't followed.
            follow = isinstance(made, int)
            os.chown(made, owner.st_uid, owner.st_gid, follow_symlinks=follow)


def delete_token(path: Path) -> bool:
    """Delete the token file (and what a symlink points to); answer whether there was one."""
    target = Path(os.path.realpath(path))
    existed = target.exists()
    target.unlink(missing_ok=True)
    path.unlink(missing_ok=True)
    return existed


def permission_problem(path: Path) -> str | None:
    """Say so if others than its owner can read the file."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return None
    if mode & 0o077 == 0:
        return None
    return f"{path} can be read by others (mode {mode:04o}); run `chmod 600 {path}`"


@contextlib.contextmanager
def token_lock(path: Path, *, within: timedelta) -> Iterator[None]:
    """Keep every other process (and thread) from refreshing this token meanwhile.

    Where no lock file can be made (a read-only credentials folder) nobody can write the
    token either, and there is nothing to guard.

    Raises:
        TransientError: Somebody else held the lock for all that time.
    """
    target = Path(os.path.realpath(path))
    lock_path = target.with_name(f"{target.name}.lock")
    try:
        _make_private(lock_path.parent)
        descriptor = _open_lock(lock_path)
    except OSError:
        yield
        return
    try:
        _acquire(descriptor, lock_path, within)
        yield
    finally:
        os.close(descriptor)  # Which also ends the lock.


def _open_lock(path: Path) -> int:
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return os.open(path, flags)
    _leave_to_owner(descriptor, path.parent)
    return descriptor


def _acquire(descriptor: int, lock_path: Path, within: timedelta) -> None:
    # Polled, since flock knows no timeout, and an alarm signal is for main threads only.
    give_up_at = time.monotonic() + within.total_seconds()
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() >= give_up_at:
                raise TransientError(
                    f"another process has held {lock_path} for over {within.total_seconds():g} s"
                ) from error
            time.sleep(0.05)
        else:
            return


def read_scopes(value: object) -> tuple[str, ...]:
    """Read scopes as Google writes them: a list, or one text with blanks."""
    match value:
        case str():
            return tuple(value.split())
        case list():
            return tuple(each for each in value if isinstance(each, str))
        case _:
            return ()


def can_read_events(scopes: tuple[str, ...]) -> bool:
    return CALENDAR_SCOPE in scopes or not BROADER_SCOPES.isdisjoint(scopes)


def _written(instant: datetime | None) -> str | None:
    if instant is None:
        return None
    return f"{instant.astimezone(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"


def _read_instant(value: object) -> datetime | None:
    """Read what we, google-auth or a script wrote; anything else counts as unknown."""
    if not isinstance(value, str):
        return None
    try:
        # Python 3.10 reads no "Z". google-auth writes no zone at all, and means UTC.
        read = datetime.fromisoformat(value.removesuffix("Z"))
        zoned = read if read.tzinfo is not None else read.replace(tzinfo=timezone.utc)
        instant = zoned.astimezone(timezone.utc)
    except (ValueError, OverflowError):
        return None
    # Programs in Go write the year 1 for "never"; google-auth subtracts minutes from it, and
    # we add days to the other end.
    return instant if 1970 <= instant.year < 9000 else None


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
