"""Finds a scenario and reads it: capped, checked whole, refused with every problem at once."""

from __future__ import annotations

import functools
import itertools
import re
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from locum.errors import ConfigError
from locum.rehearsal.faults import Fault
from locum.rehearsal.scenario.contradictions import contradictions
from locum.rehearsal.scenario.problems import SHOWN_PROBLEMS, refused, written
from locum.rehearsal.scenario.tables import FAULT_FIELDS, Scenario

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LARGEST_FILE = 256 * 1024
# A dotted key costs the square of its parts to read: 20,000 of them take half a minute.
_ENDLESS_KEY = re.compile(
    r"""(?<![\w-])(?:(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*){32}"""
)


def builtin_scenarios() -> dict[str, Path]:
    """Answer the scenarios that come with locum, by name."""
    folder = Path(__file__).parent.parent / "scenarios"
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def find_scenario(name_or_path: str) -> Path:
    """Answer the file of a built-in scenario, or the path itself.

    Raises:
        ConfigError: Neither a built-in scenario nor a file.
    """
    builtin = builtin_scenarios()
    if name_or_path in builtin:
        return builtin[name_or_path]
    path = Path(name_or_path)
    if path.is_file():
        return path
    known = ", ".join(builtin)
    raise ConfigError((f"no scenario {name_or_path!r}: give a file's path, or one of {known}",))


def load_scenario(path: Path) -> Scenario:
    """Read and check a scenario.

    Raises:
        ConfigError: It can't be read or isn't right; each problem names file and key.
    """
    if path.exists() and not path.is_file():
        raise ConfigError((f"{path.name}: is no file; give a readable TOML file",))
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        reason = error.strerror or "can't be read"
        raise ConfigError((f"{path.name}: {reason}; give a readable TOML file",)) from error
    return parse_scenario(content, name=path.name)


def parse_scenario(content: bytes, *, name: str = "scenario") -> Scenario:
    """Check what a scenario's file holds; as `load_scenario`."""
    try:
        scenario = _adapter().validate_python(_with_nested_faults(_read_toml(content, name)))
    except ValidationError as error:
        found = error.errors(include_url=False)
        problems = [written(each) for each in found[:SHOWN_PROBLEMS]]
        raise refused(name, problems, more=len(found) - len(problems)) from None
    # One more than is shown; all of them could take minutes, for the suggestions.
    if problems := list(itertools.islice(contradictions(scenario), SHOWN_PROBLEMS + 1)):
        raise refused(name, problems)
    return scenario


@functools.lru_cache(maxsize=1)
def _adapter() -> TypeAdapter[Scenario]:
    return TypeAdapter(Scenario)


def _read_toml(content: bytes, name: str) -> dict[str, Any]:
    if len(content) > LARGEST_FILE:
        raise refused(name, [f"is larger than {LARGEST_FILE // 1024} KiB; shorten it"])
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise refused(name, [f"byte {error.start}: not UTF-8; save it as UTF-8"]) from None
    if match := _ENDLESS_KEY.search(text):
        line = text.count("\n", 0, match.start()) + 1
        raise refused(name, [f"line {line}: a key of over 32 parts; use a [table]"])
    try:
        return dict(_with_readable_numbers(tomllib.loads(text)))
    except tomllib.TOMLDecodeError as error:
        raise refused(name, [f"not TOML: {error}"]) from None
    except RecursionError:
        raise refused(name, ["arrays or tables are nested too deeply; flatten them"]) from None
    except ValueError as error:
        # Not every refusal of the parser is its own: an integer of 5,000 digits isn't.
        raise refused(name, [f"a value can't be read: {error}"]) from None


def _with_readable_numbers(value: Any) -> Any:
    """Refuse 0xfff… of any length: such a number fits no float, and can't even be shown."""
    for item in value.values() if isinstance(value, dict) else value:
        if isinstance(item, (dict, list)):
            _with_readable_numbers(item)
        elif isinstance(item, int) and item.bit_length() > 64:
            raise ValueError("a number of over 64 bits")
    return value


def _with_nested_faults(raw: dict[str, Any]) -> dict[str, Any]:
    """Gather the fields of each fault, which stand flat in the file for the writer's sake."""
    faults = raw.get("faults")
    if not isinstance(faults, list):
        return raw
    return {**raw, "faults": [_with_nested_fault(entry) for entry in faults]}


def _with_nested_fault(entry: object) -> object:
    if not isinstance(entry, dict):
        return entry
    outer = {key: entry[key] for key in ("target", "at") if key in entry}
    inner = {key: value for key, value in entry.items() if key not in outer}
    if inner.get("times") == "always":
        inner["times"] = None  # TOML has no null.
    known = {each.name for each in fields(Fault)}
    strangers = {key: value for key, value in inner.items() if key not in known}
    fault = {key: value for key, value in inner.items() if key in known}
    # A stranger stands beside them, where it is refused like any other unknown key.
    return {**strangers, **outer, FAULT_FIELDS: fault}
