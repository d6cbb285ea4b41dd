"""The walk that finds lines must see in every TOML text what tomllib sees."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from locum.config.lines import KeyPath, TooMuchError, dotted, locate

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

EVERY = settings(derandomize=True, max_examples=1000, deadline=None)

SAMPLE = '''# comment = 1
top = 1

[a.b]            # 4
x = [1, [2,
  3], {y = 4}]   # 6
"quo\\"t.ed" = """
[not.a.table]
\\""" k = 1
"""              # 10
'lit' . d = 1

[[list]]
name = 'one'
[list.sub]
z = 1
[[list]]         # 17
name = "[[x]]"   # with = and [
many = { p = 1, q.r = [
  2 ] }
[[list.sub.deep]]
w = 1979-05-27 07:32:00
[a]              # 23
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("top",), 2),
        (("a", "b"), 4),
        (("a", "b", "x"), 5),
        (("a", "b", "x", 0), 5),
        (("a", "b", "x", 1, 1), 6),
        (("a", "b", "x", 2, "y"), 6),
        (("a", "b", 'quo"t.ed'), 7),
        (("a", "b", "lit", "d"), 11),
        (("list",), 13),
        (("list", 0), 13),
        (("list", 0, "name"), 14),
        (("list", 0, "sub"), 15),
        (("list", 0, "sub", "z"), 16),
        (("list", 1), 17),
        (("list", 1, "name"), 18),
        (("list", 1, "many", "q", "r", 0), 20),
        (("list", 1, "sub", "deep", 0, "w"), 22),
        (("a",), 23),
    ],
)
def test_each_thing_is_found_where_it_stands(path: KeyPath, line: int) -> None:
    """Keys, tables, items and what is inside them, in each of TOML's ways to write them."""
    assert locate(SAMPLE).lines[path] == line


def test_what_is_missing_is_shown_at_its_table() -> None:
    """A path that isn't there gets the line of the nearest thing around it."""
    positions = locate(SAMPLE)

    assert positions.line(("list", 1, "missing", "deeper")) == 17
    assert positions.line(("nothing",)) == 1


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a = 1\n\nb = '''\nx\ny", 3),
        ("a = [\n1\n", 1),
        ("a = 1\n[b\nc = 1", 2),
        ("a = {b = 1\n", 1),
        ("\n=", 2),
        ("a = 1 b = 2", 1),
        ("\n\na", 3),
    ],
)
def test_fault_is_where_the_setting_begins(text: str, line: int) -> None:
    """What is never closed is told by its first line, not by the file's last."""
    assert locate(text).fault == line


@pytest.mark.parametrize(
    "text", [".".join("abcdefghijk"), "a = " + "[" * 20 + "]" * 20, "k" * 300, "a = [" + "1," * 13_000]
)  # fmt: skip
def test_too_much_is_refused(text: str) -> None:
    """Depth, length and number have an end."""
    with pytest.raises(TooMuchError):
        locate(text)


def test_path_for_people_hides_no_characters() -> None:
    """Odd keys are quoted and written in ASCII, long ones cut."""
    assert dotted(("a", 0, "b c", "d\u202e")) == 'a[1]."b c"."d\\u202e"'
    assert len(dotted(("x" * 1000,))) == 64


# ── the walk against tomllib ─────────────────────────────────────────────────────────────

NAMES = ["a", "b", "c", "d1", "-", '"e f"', "'g.h'", '"i\\u0041\\n\\""', '""']
BLANKS = ["", "", " ", "\t "]
BREAKS = ["", "", " ", "\n", " # ]}'\" = x\n", "\n\n\t"]
ENDS = ["\n", "\n", " # = [\n", "\n\n"]
SCALARS = [
    "1", "-0x_f", "0xff", "1_000", "+1.5e3", "nan", "-inf", "true", "x",
    "1979-05-27", "1979-05-27 07:32:00.5", "1979-05-27T07:32:00-07:00", "07:32:00",
    "''", "'#]'", '""', '"\\\\"', '"a\\"]="',
    "'''x'y''z'''", "'''\nl\\'''", "''''q''''", "'''''q'''''", "''''''",
    '"""m\n\\"""" \\\n  n"""', '"""a"b""c"""', '""""d""""', '"""""e"""""', '""""""',
]  # fmt: skip


class _Writer:
    """Writes TOML at random: often valid, in every way there is, never too deep."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def document(self) -> list[str]:
        count = self._random.randint(0, 7)
        return [self._statement() + self._random.choice(ENDS) for _ in range(count)]

    def _statement(self) -> str:
        kind = self._random.random()
        if kind < 0.1:
            return self._random.choice(["", "# [x]", "\t"])
        blank = self._random.choice(BLANKS)
        if kind < 0.25:
            return f"[{blank}{self._key()}{blank}]"
        if kind < 0.45:
            return f"[[{blank}{self._key()}{blank}]]"
        return f"{self._key()}{blank}={blank}{self._value(depth=0)}"

    def _key(self) -> str:
        parts = self._random.choices(NAMES, k=self._random.choice([1, 1, 2]))
        return self._random.choice([".", " . "]).join(parts)

    def _value(self, *, depth: int) -> str:
        kind = self._random.random()
        count = self._random.randint(0, 3)
        if kind < 0.6 or depth == 2:
            return self._random.choice(SCALARS)
        if kind < 0.8:
            gap = self._random.choice(BREAKS)
            items = [self._value(depth=depth + 1) for _ in range(count)]
            last = self._random.choice(["", ","]) if items else ""
            return f"[{gap}{f'{gap},{gap}'.join(items)}{gap}{last}{gap}]"
        gap = self._random.choice(BLANKS)
        pairs = [
            f"{self._key()}{gap}={gap}{self._value(depth=depth + 1)}" for _ in range(count)
        ]
        return f"{{{gap}{f'{gap},{gap}'.join(pairs)}{gap}}}"


@EVERY
@given(st.integers(0, 2**32))
def test_walk_sees_all_that_tomllib_sees(seed: int) -> None:
    """Every path in a valid text has a line, among those of the statement that made it.

    A text that tomllib takes and the walk doesn't would get past the walk's limits.
    """
    statements = _Writer(seed).document()
    text = "".join(statements)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        locate(text)
        return

    positions = locate(text)
    assert positions.fault is None
    assert set(_paths(document)) <= positions.lines.keys()
    line = 1
    for statement in statements:
        following = line + statement.count("\n")
        if not statement.lstrip().startswith("#") and statement.strip():
            assert any(line <= told < following for told in positions.lines.values())
        line = following


def test_writer_often_writes_toml() -> None:
    """The property above means something only if tomllib takes many of its texts."""
    taken = 0
    for seed in range(300):
        try:
            taken += bool(tomllib.loads("".join(_Writer(seed).document())))
        except tomllib.TOMLDecodeError:
            continue

    assert taken > 100


def _paths(value: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        yield (*path, key)
        if isinstance(item, dict | list):
            yield from _paths(item, (*path, key))
