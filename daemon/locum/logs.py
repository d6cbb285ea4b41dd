"""Where every line that locum says about itself passes, and where secrets stop.

One chain serves our own events, the libraries' logging, warnings, and what nobody caught.
Its last step before rendering turns everything into plain text and numbers and takes
secrets out, so no field, key, exception or object's repr has a way around it. It is a net
under the code that keeps secrets out of log calls, not a leave to log them.
"""

from __future__ import annotations

import contextlib
import logging
import re
import sys
import threading
from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

if TYPE_CHECKING:
    from types import TracebackType

REDACTED = "[redacted]"

_MAX_TEXT = 16_384  # Characters a field keeps: an error can carry a whole answer.
_MAX_SCANNED = 262_144
_MAX_ITEMS = 256
_MAX_DEPTH = 8
_LEVELS = ("debug", "info", "warning", "error", "critical")
_asked_for: tuple[bool | None, str] = None, "info"

# No boundary is asked for before a token: in a repr, a newline before it reads as an "n".
_TOKENS = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|dk_[A-Za-z0-9_-]{4,}"
    r"|ya29(?:\.|%2E)[^\s\"'\\,;&<>)}\]]+"
    r"|1(?://|%2F%2F)[\w.%-]+"
    r"|GOCSPX-[\w-]+"
    # The models' keys. Only here a boundary: a "task-" would be one of them.
    r"|(?:(?<![A-Za-z])|(?<=\\n))sk-[\w-]{16,}|AIza[\w-]{30,}",
    re.DOTALL | re.IGNORECASE,
)
_SCHEMES = re.compile(
    r"(?:(Bearer|DevKey)(?:\s+|%20|\+)|(Basic)\s+(?=[A-Za-z0-9+/]{8}))"
    r"(?!\[redacted\])[^\s\"'\\,;)}\]]+",
    re.IGNORECASE,
)
_NAMES = (
    r"client[_-]?secret|refresh[_-]?token|access[_-]?token|id[_-]?token|api[_-]?key"
    r"|dev[_-]?key|private[_-]?key|password|passwd|passcode"
)
_HEADERS = r"authorization|cookie"
_SECRET_KEY = re.compile(rf".*(?:{_NAMES}|{_HEADERS})|secret", re.IGNORECASE | re.DOTALL)
# The same names inside a text: JSON, a dict's repr, a form's body, a header line, name=value.
_NAMED = re.compile(
    rf"((?:{_NAMES}|({_HEADERS}))\\*[\"']?\s*[:=,]\s*b?)(?!None\b|null\b)"
    r"(?:(\\*[\"']).*?(?:\3|\Z)|(?(2)[^\r\n\"']+|[^\s\"'&,;)}]+))",
    re.IGNORECASE | re.DOTALL,
)


def redact(text: str) -> str:
    """Take out of `text` every secret that shows by its looks or by the name before it."""
    text = _SCHEMES.sub(lambda found: f"{found[1] or found[2]} {REDACTED}", text)
    text = _TOKENS.sub(REDACTED, text)
    return _NAMED.sub(_value_redacted, text)


def _value_redacted(found: re.Match[str]) -> str:
    quote = found[3] or ""
    return f"{found[1]}{quote}{REDACTED}{quote}"


def redact_event(_logger: WrappedLogger, _method: str, event_dict: EventDict) -> EventDict:
    """Reduce an event to plain values without secrets: the last step before the renderer."""
    return _clean_mapping(event_dict, depth=0)


def configure(
    *, json: bool | None = None, level: str = "info", stream: TextIO | None = None
) -> None:
    """Set up all logging of this process; calling it again replaces what was set up.

    Libraries' logging joins the same chain from warning upwards, whatever `level` says: at
    info and below httpx writes addresses, and httplib2 whole headers.

    Args:
        json: One JSON object a line; None means: unless the stream is a terminal.
        level: The lowest level shown: debug, info, warning, error or critical.
        stream: Where lines go; None is whatever `sys.stderr` is when a line is written.

    Raises:
        ValueError: There is no such level.
    """
    global _asked_for  # noqa: PLW0603 - A process has one log.
    if level not in _LEVELS:
        raise ValueError(f'unknown log level "{level}". Use one of: {", ".join(_LEVELS)}.')
    _asked_for = json, level
    if json is None:
        json = not _is_terminal(sys.stderr if stream is None else stream)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.StackInfoRenderer(),
            # Plain tracebacks: prettier ones show local variables, which are where keys live.
            structlog.processors.format_exc_info,
            redact_event,
            *_renderers(json=json),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_names: _Lines(stream),
        # Kept off, so that loggers made at import follow a later call.
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    # Another handler would write the same records past the redaction.
    root.handlers[:] = [_LibraryHandler()]
    root.setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)


def asked_for() -> tuple[bool | None, str]:
    """Answer the `json` and the `level` of the last `configure`, for a process of our own."""
    return _asked_for


def log_uncaught() -> None:
    """Log what no code caught, in any thread, instead of letting Python print it raw."""
    sys.excepthook = _exception_uncaught
    threading.excepthook = _thread_exception_uncaught
    sys.unraisablehook = _exception_unraisable


# ── writing ──────────────────────────────────────────────────────────────────────────────


class _Lines:
    """Writes finished lines. A log that can't be written never stops the work it tells of."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def msg(self, line: str) -> None:
        stream = sys.stderr if self._stream is None else self._stream
        # A closed stream is a ValueError; a full disk or a gone reader an OSError.
        with contextlib.suppress(OSError, ValueError):
            encoding = getattr(stream, "encoding", None) or "utf-8"
            whole = f"{line}\n".encode(encoding, "backslashreplace").decode(encoding)
            stream.write(whole)  # In one piece, so that threads don't mix their lines.
            stream.flush()

    debug = info = warning = error = critical = exception = fatal = log = msg


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:  # Closed already.
        return False


def _renderers(*, json: bool) -> tuple[Processor, ...]:
    if json:
        return (structlog.processors.JSONRenderer(),)
    console = structlog.dev.ConsoleRenderer(
        exception_formatter=structlog.dev.plain_traceback, pad_event_to=30
    )
    return (_escape_controls, console)


def _escape_controls(_logger: WrappedLogger, _method: str, event_dict: EventDict) -> EventDict:
    """Keep an invitation's title from steering the terminal that shows it."""
    return {
        _escaped(key): _escaped(value, kept="\n\t" if key in {"exception", "stack"} else "")
        if isinstance(value, str)
        else value
        for key, value in event_dict.items()
    }


def _escaped(text: str, *, kept: str = "") -> str:
    return "".join(
        char if char.isprintable() or char in kept else ascii(char)[1:-1] for char in text
    )


# ── what others log ──────────────────────────────────────────────────────────────────────


class _LibraryHandler(logging.Handler):
    """Hands the libraries' log records to our own chain."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except Exception as problem:  # noqa: BLE001 - logging's default prints the arguments raw.
            message = f"{record.msg!s} [arguments unreadable: {type(problem).__name__}]"
        fields: dict[str, Any] = {"logger": record.name, "message": message}
        if record.exc_info and record.exc_info[0] is not None:
            fields["exc_info"] = record.exc_info
        if record.stack_info:
            fields["stack"] = record.stack_info
        level = min(max(record.levelno // 10 * 10, logging.DEBUG), logging.CRITICAL)
        structlog.get_logger().log(level, "library_logged", **fields)


def _exception_uncaught(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        structlog.get_logger().critical("exception_uncaught", exc_info=(kind, error, trace))


def _thread_exception_uncaught(args: threading.ExceptHookArgs) -> None:
    error = args.exc_value or args.exc_type()
    if not isinstance(error, SystemExit):
        thread = args.thread.name if args.thread else ""
        structlog.get_logger().critical("exception_uncaught", thread=thread, exc_info=error)


def _exception_unraisable(args: sys.UnraisableHookArgs) -> None:
    structlog.get_logger().error(
        "exception_unraisable",
        message=args.err_msg,
        where=_repr(args.object),
        exc_info=args.exc_value or args.exc_type(),
    )


# ── redaction of values ──────────────────────────────────────────────────────────────────


def _clean(value: object, depth: int) -> object:  # noqa: PLR0911 - One line a kind of value.
    """Reduce any value to None, bool, number, text, list or dict, without secrets."""
    if isinstance(value, Enum):  # First: some enums are texts or numbers too.
        return _clean(value.value, depth)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _clean_text(str(value))
    if isinstance(value, (int, float)):
        return value if -(2**63) < value < 2**63 else _clean_text(_repr(value))
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Mapping) and depth < _MAX_DEPTH:
        return _clean_mapping(value, depth)
    if isinstance(value, (list, tuple, AbstractSet)) and depth < _MAX_DEPTH:
        return _clean_items(value, depth)
    return _clean_text(_repr(value))


def _clean_items(values: Collection[Any], depth: int) -> list[object]:
    items = [_clean(item, depth + 1) for item in list(values)[:_MAX_ITEMS]]
    return items if len(values) <= _MAX_ITEMS else [*items, f"… {len(values)} in all"]


def _clean_mapping(fields: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    cleaned: dict[str, Any] = {}
    for key, value in list(fields.items())[:_MAX_ITEMS]:
        name = key if isinstance(key, str) else _repr(key)
        secret = _SECRET_KEY.fullmatch(name) and value is not None and value is not False
        cleaned[_clean_text(name)] = REDACTED if secret else _clean(value, depth + 1)
    return cleaned


def _clean_text(text: str) -> str:
    """Redact, then keep both ends of what is too long: a traceback's last line matters most."""
    if len(text) > _MAX_SCANNED:
        text = _shortened(text, _MAX_SCANNED)
    return _shortened(redact(text), _MAX_TEXT)


def _shortened(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]} … {len(text) - limit} characters cut … {text[-half:]}"


def _repr(value: object) -> str:
    try:
        return repr(value)
    except Exception as problem:  # noqa: BLE001 - Any object may be logged, whatever it does.
        return f"<{type(value).__name__} without repr: {type(problem).__name__}>"
