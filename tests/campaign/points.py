"""Named points of persistence, put into a process in memory: where it dies by its own hand.

A kill from outside comes whenever it comes. Here the process passes points (before and after
each commit, each call to the engine, each file), and at the chosen passing of the chosen one
it sends itself SIGKILL: nothing runs after that, no handler, no `finally`. The daemon's own
code knows nothing of it.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import json
import os
import signal
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from locum import files
from locum.app import reaper
from locum.app import state as state_module
from locum.app.daemon import Daemon
from locum.attendance import Attendance
from locum.controller import Controller
from locum.core.model import Phase
from locum.database import SQLiteFile
from locum.engines import http, pikastream_api
from locum.ledger import Database, Outbox, Sessions, backup
from locum.ledger.calendars import CalendarBook
from locum.sinks import markdown
from locum.sinks.markdown import MarkdownFolder

LEDGER = "ledger.sqlite3"

COMMITS = (
    *("calendar", "decisions", "claim", "claim-again", "missed", "amend", "named", "live"),
    *("ambiguous", "leaving", "attempt", "retry", "ended", "closed"),
    *("outbox-put", "outbox-filed", "outbox-failed", "refiled", "filed"),
)
"""What the ledger writes. Each has two points: just before its COMMIT, and just after it."""

_CALLS = ("post", "look", "delete")

POINTS = (
    *("schema.begun", "schema.step", "schema.done", "ledger.opened"),
    *(f"{commit}.{side}" for commit in COMMITS for side in ("commit", "committed")),
    *(f"{call}.{side}" for call in _CALLS for side in ("before", "sent", "after")),
    *("sync.before", "sync.after", "sink.before", "sink.twin", "sink.after"),
    *("backup.copied", "backup.kept", "stop.begun", "stop.left"),
    *("reap.begun", "reap.delete.sent", "reap.delete.after"),
    *("reap.ended.commit", "reap.ended.committed"),
)

_PHASES = {
    Phase.JOINING: "retry",
    Phase.AMBIGUOUS: "ambiguous",
    Phase.WAITING: "named",
    Phase.LIVE: "live",
    Phase.LEAVING: "leaving",
    Phase.ENDED: "ended",
    Phase.FILED: "filed",
}


class Diary:
    """What the process says of itself before it dies: whole lines, each in one write."""

    def __init__(self, path: Path) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(path, flags, 0o600)

    def write(self, **facts: Any) -> None:
        os.write(self._descriptor, json.dumps(facts).encode() + b"\n")


class Points:
    """Passes them, and dies at the `count`-th passing of `name`."""

    def __init__(self, diary: Diary, name: str | None, count: int, *, prefix: str = "") -> None:
        self.diary = diary
        self._name = name
        self._left = count
        self._prefix = prefix

    def __call__(self, name: str) -> None:
        if self._prefix + name != self._name:
            return
        self._left -= 1
        if self._left == 0:
            self.diary.write(died=self._name)
            os.kill(os.getpid(), signal.SIGKILL)


def install(passed: Points) -> None:
    """Put the points into this process, for good."""
    _into_commits(passed)
    _into_calls(passed)
    _into_the_schema(passed)
    _into_files(passed)
    _into_backups(passed)
    _into_the_course(passed)


def _around(
    owner: Any,
    name: str,
    *,
    before: Callable[[], None] = lambda: None,
    after: Callable[[], None] = lambda: None,
) -> None:
    real = getattr(owner, name)

    @functools.wraps(real)
    def instead(*given: Any, **named: Any) -> Any:
        before()
        answer = real(*given, **named)
        after()
        return answer

    setattr(owner, name, instead)


def _around_async(
    owner: Any,
    name: str,
    *,
    before: Callable[[], None] = lambda: None,
    after: Callable[[], None] = lambda: None,
) -> None:
    real: Callable[..., Awaitable[Any]] = getattr(owner, name)

    @functools.wraps(real)
    async def instead(*given: Any, **named: Any) -> Any:
        before()
        answer = await real(*given, **named)
        after()
        return answer

    setattr(owner, name, instead)


# ── commits ──────────────────────────────────────────────────────────────────────────────


class _Label:
    """What the commit in progress is for. No commit waits for anything, so there is one."""

    text = "other"


def _into_commits(passed: Points) -> None:
    for owner, methods in (
        (Sessions, {"claim": "claim", "claim_again": "claim-again", "amend": "amend"}),
        (Sessions, {"record_missed": "missed", "close_attempt": "attempt"}),
        (CalendarBook, {"apply": "calendar", "record_decisions": "decisions"}),
        (Outbox, {"put": "outbox-put", "filed": "outbox-filed", "failed": "outbox-failed"}),
    ):
        for method, label in methods.items():
            _around(owner, method, before=functools.partial(_label, label))
    transition = Sessions.transition

    @functools.wraps(transition)
    def labelled(self: Sessions, key: Any, to: Phase, **changes: Any) -> Any:
        waits = to is Phase.ENDED and changes.get("retry_at") is not None
        _label("refiled" if waits else _PHASES.get(to, "closed"))
        return transition(self, key, to, **changes)

    Sessions.transition = labelled  # type: ignore[method-assign]
    Database.transaction = _dying(passed, Database.transaction)  # type: ignore[method-assign]


def _label(text: str) -> None:
    _Label.text = text


def _dying(passed: Points, real: Any) -> Any:
    @contextlib.contextmanager
    def transaction(self: Database, *, durable: bool = True) -> Iterator[None]:
        if self._within:
            yield
            return
        if self.path.name != LEDGER:  # A restored one in the making.
            with real(self, durable=durable):
                yield
            return
        with real(self, durable=durable):
            last = _last_transition(self)
            yield
            label, _Label.text = _Label.text, "other"
            passed(f"{label}.commit")
        # From here on it was promised: a kill may not take it back.
        passed.diary.write(**_acknowledged(self, last, label))
        passed(f"{label}.committed")

    return transaction


def _last_transition(database: Database) -> int:
    row = database.row("SELECT coalesce(max(id), 0) FROM transitions")
    return 0 if row is None else int(row[0])


def _acknowledged(database: Database, last: int, label: str) -> dict[str, Any]:
    told: dict[str, Any] = {"committed": label}
    moves = database.rows("SELECT id, session, after FROM transitions WHERE id > ?", (last,))
    told["moves"] = [tuple(row) for row in moves]
    if label == "named":
        rows = database.rows("SELECT session, handle FROM attempts WHERE handle IS NOT NULL")
        told["handles"] = [tuple(row) for row in rows]
    elif label.startswith("outbox"):
        rows = database.rows("SELECT session, meeting, sink, filed_at FROM filings")
        told["filings"] = [tuple(row) for row in rows]
    return told


# ── calls ────────────────────────────────────────────────────────────────────────────────

_call: contextvars.ContextVar[str] = contextvars.ContextVar("call", default="")


def _into_calls(passed: Points) -> None:
    send, note = http.BoundedClient.send, http._Progress.note

    @functools.wraps(send)
    async def sending(self: Any, method: str, path: str, **given: Any) -> Any:
        call = _name_of(method, path)
        _call.set(call)
        passed(f"{call}.before")
        answer = await send(self, method, path, **given)
        passed(f"{call}.after")
        return answer

    @functools.wraps(note)
    async def noting(self: http._Progress, step: str, _facts: Mapping[str, object]) -> None:
        await note(self, step, _facts)
        if step.endswith("send_request_body.complete"):
            passed(f"{_call.get()}.sent")

    http.BoundedClient.send = sending  # type: ignore[method-assign]
    http._Progress.note = noting  # type: ignore[method-assign]


def _name_of(method: str, path: str) -> str:
    if path == pikastream_api.CREATE:
        return "post"
    if path.startswith(f"{pikastream_api.SESSIONS}/"):
        return "delete" if method == "DELETE" else "look"
    return "other"


# ── files ────────────────────────────────────────────────────────────────────────────────


def _into_the_schema(passed: Points) -> None:
    migrate = Database._migrate

    @functools.wraps(migrate)
    def migrating(self: SQLiteFile, *, read_only: bool) -> None:
        def statement(text: str) -> None:
            if "PRAGMA user_version =" in text:
                passed("schema.step")

        new = not self._connection.execute("PRAGMA user_version").fetchone()[0]
        if new:
            passed("schema.begun")
            self._connection.set_trace_callback(statement)
        migrate(self, read_only=read_only)
        self._connection.set_trace_callback(None)
        if new:
            passed("schema.done")

    Database._migrate = migrating  # type: ignore[method-assign]


def _into_files(passed: Points) -> None:
    for module in (state_module, reaper):
        _around(module, "open_ledger", after=lambda: passed("ledger.opened"))
    _around_async(
        Database,
        "_sync_all",
        before=lambda: passed("sync.before"),
        after=lambda: passed("sync.after"),
    )
    _around_async(
        MarkdownFolder,
        "file",
        before=lambda: passed("sink.before"),
        after=lambda: passed("sink.after"),
    )
    replace = files.replace_file

    def replacing(path: Path, content: bytes, *, mode: int = 0o600) -> None:
        replace(path, content, mode=mode)
        if path.suffix == ".json":
            passed("sink.twin")

    markdown.replace_file = replacing  # type: ignore[attr-defined]


def _into_backups(passed: Points) -> None:
    keep, copy = backup.keep_backup, backup._copy

    @functools.wraps(keep)
    def keeping(*given: Any, **named: Any) -> Any:
        kept = keep(*given, **named)
        passed("backup.kept")
        return kept

    @functools.wraps(copy)
    def copying(source: Path, target: Path) -> None:
        copy(source, target)
        if target.parent.name == "backups":  # And not for a restore.
            passed("backup.copied")

    backup._copy = copying
    state_module.keep_backup = keeping  # type: ignore[attr-defined]


# ── the course of a life ─────────────────────────────────────────────────────────────────


def _into_the_course(passed: Points) -> None:
    _around(Daemon, "_begin", after=lambda: passed.diary.write(up=True))
    _around_async(Daemon, "_stop", before=lambda: passed("stop.begun"))
    _around_async(Controller, "stop", after=lambda: passed("stop.left"))
    _around_async(reaper.Reaper, "end_all", before=lambda: passed("begun"))
    for name in ("_take_up", "_settle"):
        _around_async(Attendance, name, before=lambda: passed.diary.write(resumed=True))
