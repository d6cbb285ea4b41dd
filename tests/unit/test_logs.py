"""The log's promise: whatever is handed to it, it writes one line, and no secret in it."""

from __future__ import annotations

import io
import json
import logging
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from locum import logs
from tests.logs_rig import logging_restored

PEM = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----"

# What is planted, and the part of it that must never be seen again.
SECRETS = {
    "pika key": ("dk_9fQ2-live_AAAA", "9fQ2"),
    "access token": ("ya29.a0AfB_byC-x.yz12", "a0AfB"),
    "refresh token": ("1//0gK3vLsecretpart-_x", "0gK3vL"),
    "refresh token in a form": ("grant=1%2F%2F0gK3vLsecretpart", "0gK3vL"),
    "bearer": ("Bearer eyJhbGciOi.J9.sig_nat", "eyJhb"),
    "devkey": ("DevKey abcdefg-123456", "abcdefg"),
    "basic": ("Basic dXNlcjpwYXNzd29yZA==", "dXNlcj"),
    "client secret": ("GOCSPX-abc_DEF-123", "abc_DEF"),
    "model key": ("sk-ant-api03-9fQ2live_AAAA", "9fQ2live"),
    "model key after a newline's repr": (r"key\nsk-proj-9fQ2live_AAAA", "9fQ2live"),
    "google model key": ("AIzaSyD9fQ2live_AAAABBBBCCCCDDDDEEEEFFF", "9fQ2live"),
    "private key": (PEM, "MIIEvQ"),
    "cut private key": (PEM[:50], "MIIEvQ"),
    "named in json": ('{"client_secret": "plain words", "x": 1}', "plain words"),
    "named in nested json": (r'"{\"refresh_token\": \"zzTopSecret\"}"', "zzTop"),
    "named in a form": ("a=b&refresh_token=zzTopSecret&c=d", "zzTop"),
    "named in a dict": (repr({"api_key": "zzTopSecret"}), "zzTop"),
    "named in a header": ("Authorization: Custom zzTop Secret\r\nHost: x", "zzTop"),
    "named in a header pair": (repr([(b"authorization", b"Odd zzTopSecret")]), "zzTop"),
    "cookie": ("Set-Cookie: sid=zzTopSecret; Path=/", "zzTop"),
}


class Colour(Enum):
    RED = "red"


@dataclass
class Holder:
    word: str


class Awkward:
    """Neither prints nor names itself."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr today")


@pytest.fixture(autouse=True)
def _logging_restored() -> Iterator[None]:
    with logging_restored():
        yield


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@contextmanager
def captured(*, terminal: bool = False, level: str = "info") -> Iterator[io.StringIO]:
    """Configure logging onto a fresh stream."""
    stream = Terminal() if terminal else io.StringIO()
    logs.configure(stream=stream, level=level)
    yield stream


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


# ── shape ────────────────────────────────────────────────────────────────────────────────


def test_a_line_is_json_with_a_utc_timestamp() -> None:
    """Not on a terminal, a line is one JSON object: event, level, UTC instant, facts."""
    with captured() as stream:
        structlog.get_logger().info("session_ended", utterances=212)
    (line,) = lines(stream)
    instant = datetime.fromisoformat(line.pop("timestamp").replace("Z", "+00:00"))
    assert line == {"event": "session_ended", "level": "info", "utterances": 212}
    assert instant.utcoffset() == timedelta(0)
    assert abs(datetime.now(timezone.utc) - instant) < timedelta(minutes=1)


def test_a_terminal_gets_readable_lines() -> None:
    """On a terminal, a line is text for people."""
    with captured(terminal=True) as stream:
        structlog.get_logger().info("session_ended", reason="meeting_over")
    plain = re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue())
    assert "session_ended" in plain
    assert "reason=meeting_over" in plain
    assert not plain.startswith("{")


def test_json_can_be_forced_on_a_terminal() -> None:
    """What the caller asks for wins over what the stream is."""
    stream = Terminal()
    logs.configure(json=True, stream=stream)
    structlog.get_logger().info("pass_finished")
    assert lines(stream)[0]["event"] == "pass_finished"


def test_bound_context_is_on_every_line() -> None:
    """What contextvars bind (the session's key) appears without being passed."""
    with captured() as stream, structlog.contextvars.bound_contextvars(session_key="s1"):
        structlog.get_logger().info("session_admitted")
    assert lines(stream)[0]["session_key"] == "s1"


def test_the_level_holds() -> None:
    """Events under the level are not written."""
    with captured(level="warning") as stream:
        structlog.get_logger().info("pass_finished")
        structlog.get_logger().warning("poll_failed")
    assert [line["event"] for line in lines(stream)] == ["poll_failed"]


def test_an_unknown_level_is_named() -> None:
    """A wrong level is an error that says which levels there are."""
    with pytest.raises(ValueError, match=r'"loud".*debug, info'):
        logs.configure(level="loud")


def test_the_default_stream_is_stderr_of_the_moment(capsys: pytest.CaptureFixture[str]) -> None:
    """With no stream given, a replaced sys.stderr is followed."""
    logs.configure()
    structlog.get_logger().info("pass_finished")
    assert json.loads(capsys.readouterr().err)["event"] == "pass_finished"


def test_a_log_that_cannot_be_written_stops_nothing() -> None:
    """A full disk or a closed stream loses the line, not the daemon."""
    with (
        Path("/dev/full").open("wb", buffering=0) as device,
        io.TextIOWrapper(device, write_through=True) as full,
    ):
        logs.configure(stream=full)
        structlog.get_logger().info("pass_finished")
    logs.configure(stream=full)
    structlog.get_logger().info("pass_finished")
    assert full.closed


def test_values_of_every_kind_become_plain() -> None:
    """Values that JSON doesn't know are written, not refused."""
    loop: list[object] = []
    loop.append(loop)
    with captured() as stream:
        structlog.get_logger().info(
            "things_logged",
            at=datetime(2026, 11, 22, 13, tzinfo=timezone.utc),
            lasted=timedelta(minutes=2),
            colour=Colour.RED,
            not_finite=float("nan"),
            huge=10**30,
            awkward=Awkward(),
            loop=loop,
            many=tuple(range(1000)),
            pair={1: {2: b"\xff"}},
        )
    (line,) = lines(stream)
    assert line["at"] == "2026-11-22T13:00:00+00:00"
    assert line["lasted"] == 120.0
    assert line["colour"] == "red"
    assert line["not_finite"] == "nan"
    assert line["huge"] == "1" + "0" * 30
    assert line["awkward"] == "<Awkward without repr: RuntimeError>"
    assert line["many"][-1] == "… 1000 in all"
    assert line["pair"] == {"1": {"2": r"b'\xff'"}}


def test_a_long_text_keeps_both_ends() -> None:
    """A megabyte in a field is cut in the middle, and says so."""
    with captured() as stream:
        structlog.get_logger().error("body_unreadable", body="a" * 1_000_000 + "the end")
    body = lines(stream)[0]["body"]
    assert len(body) < 17_000
    assert body.startswith("aaa")
    assert body.endswith("the end")
    assert "characters cut" in body


def test_a_title_cannot_steer_the_terminal() -> None:
    """Escape sequences and right-to-left marks from outside are shown, not obeyed."""
    with captured(terminal=True) as stream:
        structlog.get_logger().info("event_read", title="\x1b]0;owned\x07\u202egnp.exe")
    written = stream.getvalue()
    assert "\x1b]0" not in written
    assert "\u202e" not in written
    assert "owned" in written


# ── secrets ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("name", SECRETS)
def test_no_field_lets_a_secret_out(name: str, terminal: bool) -> None:  # noqa: FBT001
    """In an event, a value, a key, nested, in bytes, an object, a context: none comes out."""
    planted, mark = SECRETS[name]
    with captured(terminal=terminal) as stream:
        log = structlog.get_logger()
        log.info(planted)
        log.info("value %s" % planted)  # noqa: UP031, G002 - Callers do.
        log.info("percent %s", planted)
        log.info("plain_logged", value=planted)
        log.info("key_logged", **{planted: 1})
        log.info("nested_logged", value={"a": [{"b": (planted, {planted})}]})
        log.info("nested_key_logged", value={"a": {planted: 1, (planted, 2): 2}})
        log.info("bytes_logged", value=planted.encode(), deep=[planted.encode()])
        log.info("object_logged", value=Holder(planted), error=ValueError(planted))
        log.info("prefixed_logged", value=f"x\n{planted}", shown=repr(f"\n{planted}"))
        deep: object = planted
        for _ in range(20):
            deep = {"down": [deep]}
        log.info("deep_logged", value=deep)
        log.bind(bound=planted).info("bound_logged")
        with structlog.contextvars.bound_contextvars(context=planted):
            log.info("context_logged")
    assert mark not in stream.getvalue()
    assert stream.getvalue().count(logs.REDACTED) >= 13


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("name", SECRETS)
def test_no_exception_lets_a_secret_out(name: str, terminal: bool) -> None:  # noqa: FBT001
    """Messages, causes, contexts and notes are written without what was planted in them."""
    planted, mark = SECRETS[name]
    hidden_local = "only_in_" + name[:0] + "a_local"
    with captured(terminal=terminal) as stream:
        try:
            try:
                try:
                    raise KeyError(planted)  # noqa: TRY301 - The shortest chain there is.
                except KeyError:
                    raise ValueError(f"while: {planted}")  # noqa: B904 - The context is the point.
            except ValueError as cause:
                raise RuntimeError({"body": planted}) from cause
        except RuntimeError as error:
            structlog.get_logger().exception("request_failed")
            structlog.get_logger().error("request_failed", exc_info=error)
            logging.getLogger("httpx").exception("failed: %s", planted)
    written = stream.getvalue()
    assert mark not in written
    assert hidden_local not in written
    if name != "cut private key":  # Everything after its beginning may be the key.
        assert written.count("RuntimeError") >= 3
        assert written.count("KeyError") >= 3


@pytest.mark.parametrize(
    "key",
    [
        "client_secret",
        "refresh_token",
        "Authorization",
        "x-api-key",
        "pika_dev_key",
        "password",
    ],
)
def test_a_key_that_names_a_secret_hides_any_value(key: str) -> None:
    """Under such a key nothing is shown, whatever it looks like; its absence is."""
    with captured() as stream:
        log = structlog.get_logger()
        for value in ("innocent looks", 123456, b"innocent", ["innocent"], {"a": "innocent"}):
            log.info("request_sent", headers={key: value}, **{key: value})
        log.info("request_sent", **{key: None})
    *hidden, absent = lines(stream)
    assert all(line[key] == line["headers"][key] == logs.REDACTED for line in hidden)
    assert absent[key] is None
    assert "innocent" not in stream.getvalue()


def test_ordinary_texts_are_left_alone() -> None:
    """What only resembles a secret's name is still readable."""
    text = "api_key_file = /etc/locum/key; https://meet.google.com/abc-defg-hij at 12:30 dk_ok"
    text += " task-with-a-rather-long-name sk-short"
    assert logs.redact(text) == text


token_tail = st.text("abcdefghijklmnopqrstuvwxyzABCXYZ0123456789_-", min_size=12, max_size=40)
values = st.recursive(
    st.none() | st.integers() | st.text(max_size=8) | st.just("PLANTED"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


def planted_in(value: Any, secret: str) -> Any:
    """Put the secret where the strategy left its place."""
    if isinstance(value, list):
        return [planted_in(item, secret) for item in value]
    if isinstance(value, dict):
        return {key: planted_in(item, secret) for key, item in value.items()}
    return secret if value == "PLANTED" else value


@given(
    kind=st.sampled_from(["dk_", "ya29.", "1//", "GOCSPX-", "Bearer ", "DevKey "]),
    tail=token_tail,
    before=st.text(max_size=12),
    after=st.text(max_size=12),
    shape=values,
)
@settings(max_examples=1000, derandomize=True, deadline=None)
def test_a_secret_in_any_surroundings_is_redacted(
    kind: str, tail: str, before: str, after: str, shape: Any
) -> None:
    """Whatever stands around a secret, however deep it lies, its tail is gone."""
    assume(tail not in before and tail not in after)
    secret = f"{before}{kind}{tail}{after}"
    fields = {"event": secret, "value": planted_in(shape, secret), secret: 1}
    cleaned = logs.redact_event(None, "info", fields)
    assert tail not in json.dumps(cleaned, ensure_ascii=False)
    assert tail not in repr(cleaned)


@pytest.mark.parametrize("name", SECRETS)
def test_redacting_twice_changes_nothing_more(name: str) -> None:
    """What was redacted stays as it is: lines may pass through more than once."""
    once = logs.redact(SECRETS[name][0])
    assert logs.redact(once) == once


# ── what others write ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("library", ["apscheduler", "googleapiclient.http", "httpx", "uvicorn"])
def test_libraries_speak_through_the_same_chain(library: str) -> None:
    """A library's warning is one of our lines; its chatter below warning is dropped."""
    with captured(level="debug") as stream:
        logging.getLogger(library).info("GET https://x/?key=dk_aaaaaaaa")
        logging.getLogger(library).warning("retrying %s in %d s", "x", 5)
    (line,) = lines(stream)
    assert line["event"] == "library_logged"
    assert line["logger"] == library
    assert line["level"] == "warning"
    assert line["message"] == "retrying x in 5 s"


def test_records_that_do_not_fit_their_arguments_leak_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Python prints such a record's arguments raw to stderr; we don't."""
    with captured() as stream:
        logging.getLogger("httpx").warning("%d tokens", "dk_9fQ2-live_AAAA")
        logging.getLogger("httpx").warning("%s", Awkward())
        logging.getLogger("httpx").log(35, "odd level")
    first, second, third = lines(stream)
    assert first["message"] == "%d tokens [arguments unreadable: TypeError]"
    assert "arguments unreadable" in second["message"]
    assert third["level"] == "warning"
    assert capsys.readouterr().err == ""


def test_warnings_are_logged() -> None:
    """A library's deprecation warning goes the same way, redacted."""
    with captured() as stream, warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn("old call with dk_9fQ2-live_AAAA", DeprecationWarning, stacklevel=1)
    (line,) = lines(stream)
    assert line["logger"] == "py.warnings"
    assert "old call with [redacted]" in line["message"]


UNCAUGHT = """
import gc, sys, threading
from locum import logs
logs.configure()
logs.log_uncaught()
class Grave:
    def __del__(self):
        raise ValueError("grave " + "dk_" + 9 * "z")
def fail():
    raise ValueError("thread " + "dk_" + 9 * "z")
thread = threading.Thread(target=fail, name="t1")
thread.start()
thread.join()
Grave()
gc.collect()
raise ValueError("main " + "ya29." + 9 * "z")
"""


def test_what_nobody_caught_is_logged_without_secrets() -> None:
    """In the main thread, another thread or a finaliser: one JSON line each, no raw print."""
    done = subprocess.run(
        [sys.executable, "-c", UNCAUGHT],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    found = [json.loads(line) for line in done.stderr.splitlines()]
    assert done.returncode == 1
    assert [line["event"] for line in found] == [
        "exception_uncaught",
        "exception_unraisable",
        "exception_uncaught",
    ]
    assert found[0]["thread"] == "t1"
    assert "zzz" not in done.stderr
    assert all("[redacted]" in line["exception"] for line in found)
