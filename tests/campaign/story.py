"""What happened, line by line, in the world's time: equal for equal seeds."""

from __future__ import annotations

import contextlib
import hashlib
import re
import sys
import traceback
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

import structlog

BREAKAGES = frozenset(
    {
        "pass_failed",
        "debrief_crashed",
        "attendance_crashed",
        "task_crashed",
        "poll_failed",
        "tick_failed",
    }
)
"""What the daemon logs when something was raised that nobody expected."""

_HANDLE = re.compile(r"(sess_\d{4})[0-9a-f]{12}")


class Crash(BaseException):
    """The process dies here; nothing that runs after it has any effect."""


class Story:
    def __init__(self, elapsed: Callable[[], float], *, folder: str) -> None:
        self._elapsed = elapsed
        self._folder = folder
        self.lines: list[str] = []
        self.breakages: list[str] = []
        self.muted = False

    def tell(self, text: str) -> None:
        at = self._elapsed()
        text = _HANDLE.sub(r"\1", text.replace(self._folder, ""))
        self.lines.append(f"{int(at // 60):4d}:{at % 60:06.3f}  {text}")

    @property
    def hash(self) -> str:
        return hashlib.sha256("\n".join(self.lines).encode()).hexdigest()[:16]

    # ── what the daemon logs ─────────────────────────────────────────────────────────────

    def __call__(self, _: Any, method: str, facts: MutableMapping[str, Any]) -> Any:
        if not self.muted:
            self._log(method, dict(facts))
        raise structlog.DropEvent

    def _log(self, method: str, facts: dict[str, Any]) -> None:
        event = str(facts.pop("event", ""))
        raised = facts.pop("exc_info", None)
        error = raised if isinstance(raised, BaseException) else sys.exc_info()[1]
        if isinstance(error, Crash):
            return
        text = " ".join(f"{name}={facts[name]}" for name in sorted(facts))
        self.tell(f"  log {method} {event} {text}")
        if event in BREAKAGES:
            told = "".join(traceback.format_exception(error)) if error else ""
            self.tell(f"  {type(error).__name__}: {error}")
            self.breakages.append(f"{event}: {told or text}")


@contextlib.contextmanager
def logs_into(story: Story) -> Iterator[None]:
    before = structlog.get_config()
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, story],
        wrapper_class=structlog.make_filtering_bound_logger(20),
        cache_logger_on_first_use=False,
    )
    try:
        yield
    finally:
        structlog.configure(**before)
