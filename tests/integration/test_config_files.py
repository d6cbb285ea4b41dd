"""Whatever lies where the config should be: it is read, or refused in a sentence, and soon."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from locum.config.example import example_text
from locum.config.load import load
from locum.config.reading import MAX_BYTES
from locum.errors import ConfigError

EVERY = settings(derandomize=True, max_examples=1000, deadline=None)

Finder = Callable[[str | bytes], tuple[str, ...]]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Make a folder that another user may enter, with the example's face in it."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        Path(name, "standin.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(2000))
        yield Path(name)


@pytest.fixture(scope="module")
def problems_of(folder: Path) -> Finder:
    """Answer a function that gives the problems of a text; none if it is good."""
    path = folder / "locum.toml"

    def find(text: str | bytes) -> tuple[str, ...]:
        # A new file each time: some file systems flush one that is emptied and rewritten.
        path.unlink(missing_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        try:
            load(path)
        except ConfigError as error:
            return error.problems
        return ()

    return find


HOSTILE: dict[str, str | bytes] = {
    "nested arrays": "a = " + "[" * 5000 + "]" * 5000,
    "nested tables": "a = " + "{a = " * 5000 + "1" + "}" * 5000,
    "a long key": ".".join(["a"] * 20_000) + " = 1",
    "a long header": "[" + ".".join(["a"] * 20_000) + "]",
    "a long key inside": "a = {" + ".".join(["a"] * 20_000) + " = 1}",
    "digits": "a = " + "9" * 5000,
    "hex digits": "a = 0x" + "f" * 250_000,
    "a float's digits": "a = 1." + "9" * 250_000,
    "many keys": "".join(f"k{number} = 1\n" for number in range(20_000)),
    "many tables": "[[rules]]\n" * 26_000,
    "many items": "a = [" + "1," * 130_000 + "]",
    "one key again and again": "a=1\n" * 65_000,
    "many escapes": 'a = "' + "\\n" * 130_000 + '"',
    "many quotes": 'a = """' + '""\\n' * 65_000 + '"""',
    "unclosed": 'a = "' + "\\n" * 130_000,
    "suggestions": "[attend]\n"
    + "".join(f"{'k' * 250}{number} = 1\n" for number in range(1000)),
    "too large": "#" * (MAX_BYTES + 1),
    "NUL": "a = 'x\0'",
    "UTF-16": "a = 1".encode("utf-16"),
    "Latin-1": b"a = 1\nb = 'M\xfcller'",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_file_is_refused_within_a_second(
    problems_of: Finder, text: str | bytes
) -> None:
    """What would crash or stall the parser is refused before it gets there."""
    began = time.process_time()

    assert problems_of(text)
    assert time.process_time() - began < 1


def test_wrong_encoding_is_told_with_its_line(problems_of: Finder) -> None:
    """The line is where the first byte stands that isn't UTF-8."""
    assert problems_of(HOSTILE["Latin-1"]) == (
        "locum.toml:2: not written in UTF-8; save it as UTF-8",
    )


def test_what_is_no_file_is_named(folder: Path) -> None:
    """A pipe nobody writes to is told, not waited for; a missing file has a next step."""
    os.mkfifo(folder / "pipe")
    reasons = {
        folder: "it is a folder",
        folder / "pipe": "it is a named pipe",
        Path("/dev/zero"): "it is a device",
        folder / "none.toml": "make one with `locum config init`",
        folder / "standin.png/locum.toml": "not a directory",
        folder / "a\0b": "its path holds a NUL character",
        folder / ("x" * 300): "file name too long",
    }
    for path, reason in reasons.items():
        with pytest.raises(ConfigError, match=reason) as caught:
            load(path)
        assert len(caught.value.problems) == 1


def test_file_that_may_not_be_read_is_named(folder: Path) -> None:
    """Mode 0 stops everybody but root, so this becomes somebody else for a moment."""
    path = folder / "locked.toml"
    path.write_text("")
    path.chmod(0)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        with pytest.raises(ConfigError, match="may not read it; give it to the user") as caught:
            load(path)
    finally:
        if is_root:
            os.seteuid(0)
    assert caught.value.problems[0].startswith(str(path))


def test_example_cut_at_every_byte_is_good_or_refused(problems_of: Finder) -> None:
    """An editor may be half done: no cut gives anything but a config or a ConfigError."""
    whole = example_text().encode()
    refused = sum(bool(problems_of(whole[:length])) for length in range(len(whole)))

    assert 0 < refused < len(whole)


TOMLISH = st.text(alphabet="ab.=\"'[]{}#,\\\n 0123-:_Tuexk\t\r\0\u202e")


@EVERY
@given(text=st.one_of(st.text(), TOMLISH, st.binary()))
def test_any_text_is_good_or_refused(problems_of: Finder, text: str | bytes) -> None:
    """Whatever the file holds, a ConfigError is the worst that comes of it."""
    if isinstance(text, str):
        text = text.encode("utf-8", "surrogatepass")
    for problem in problems_of(text):
        assert problem.startswith("locum.toml:")
        assert problem.isprintable()


@EVERY
@given(start=st.integers(0, 4000), length=st.integers(0, 40), put=TOMLISH)
def test_example_with_a_hole_is_good_or_refused(
    problems_of: Finder, start: int, length: int, put: str
) -> None:
    """The example with a piece of it replaced by noise is a config or a ConfigError."""
    whole = example_text()
    for problem in problems_of(whole[:start] + put + whole[start + length :]):
        assert problem.startswith("locum.toml:")
