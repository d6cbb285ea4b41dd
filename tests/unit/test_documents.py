"""What README, CONTRIBUTING and the example config tell people to type, write and open is there."""

from __future__ import annotations

import importlib.util
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import BaseModel

from locum.cli.root import app
from locum.config.model import Config

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "config/locum.toml")
TEXT = {name: (ROOT / name).read_text("utf-8") for name in DOCUMENTS}
LINES = tuple(
    (name, line.removeprefix("$ ").partition(" #")[0].rstrip())
    for name, text in TEXT.items()
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("$ ")
)
FENCED = re.compile(r"```.*?```", re.DOTALL)
SPOKEN = tuple(
    " ".join(words.split())
    for text in TEXT.values()
    for words in re.findall(r"`([^`]+)`", FENCED.sub("", text).replace("\n# ", " "))
)
OUR_LINES = tuple(line for _, line in LINES if line.startswith("locum "))
TESTS_LINES = re.compile(r"(?<=[ `])(?P<module>tests\.[a-z_.]+)(?P<arguments>[^`#\n]*)")


def command_of(words: list[str]) -> tuple[Any, list[str]]:
    """Answer the command that the words name, and what it is given."""
    command = typer.main.get_command(app)
    rest = words[1:]
    while rest and rest[0] in getattr(command, "commands", {}):
        command = command.commands[rest[0]]  # type: ignore[attr-defined]  # Just asked for.
        rest = rest[1:]
    return command, rest


def unknown_in(spoken: str) -> list[str]:
    """Answer the subcommands and options in `locum …` that there aren't.

    Arguments are passed over: in running text they mostly stay out.
    """
    first, *alternatives = spoken.split("|")
    words = shlex.split(first)
    unknown = []
    for last in (words[-1], *alternatives):
        command, rest = command_of([*words[:-1], last])
        options = {each for one in command.params for each in (*one.opts, *one.secondary_opts)}
        options |= {"--help", "-h"}
        unknown += [each for each in rest if each.startswith("-") and each not in options]
        if getattr(command, "commands", None):
            unknown += [each for each in rest if not each.startswith("-")]
    return unknown


def keys_below(table: type[BaseModel], path: str) -> Iterator[str]:
    for key, field in table.model_fields.items():
        yield f"{path}{key}"
        for inner in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                yield from keys_below(inner, f"{path}{key}.")


@pytest.mark.parametrize("line", OUR_LINES)
def test_commands_can_be_given_as_they_stand(line: str) -> None:
    """Each `$ locum …` is a command with such options and as many arguments."""
    command, rest = command_of(shlex.split(line))

    assert not getattr(command, "commands", None), "a group alone does nothing"
    command.make_context("locum", rest)


@pytest.mark.parametrize(
    "spoken", [each for each in dict.fromkeys(SPOKEN) if each.startswith("locum ")]
)
def test_commands_that_are_spoken_of_exist(spoken: str) -> None:
    """Each `locum …` in a sentence names subcommands and options that there are."""
    assert unknown_in(spoken) == []


def test_unknown_commands_and_options_are_found() -> None:
    """The test above can fail."""
    assert unknown_in("locum persona avatar paint") == ["paint"]
    assert unknown_in("locum leave --gently") == ["--gently"]
    assert unknown_in("locum persona show|hide") == ["hide"]


@pytest.mark.parametrize(
    ("module", "arguments"),
    sorted({found.groups() for text in TEXT.values() for found in TESTS_LINES.finditer(text)}),
)
def test_benches_and_campaigns_exist(module: str, arguments: str) -> None:
    """Each `python -m tests.…` can be started, and names the options that stand with it."""
    found = importlib.util.find_spec(module)
    assert found is not None
    origin = Path(found.origin or "")
    if found.submodule_search_locations:
        origin = origin.with_name("__main__.py")
    source = origin.read_text("utf-8")

    assert 'if __name__ == "__main__"' in source
    for option in re.findall(r"--[a-z-]+", arguments):
        assert f'"{option}"' in source


@pytest.mark.parametrize(
    "block", re.findall(r"```toml\n(.*?)```", TEXT["README.md"], re.DOTALL)
)
def test_settings_can_be_written_as_they_stand(block: str) -> None:
    """Each piece of config has keys and values that there are."""
    Config.model_validate(tomllib.loads(block))


def test_settings_that_are_spoken_of_exist() -> None:
    """Each `table.key` in a sentence is a key of the config."""
    known = set(keys_below(Config, ""))
    spoken = {each for each in SPOKEN if re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", each)}
    ours = {each for each in spoken if each.partition(".")[0] in Config.model_fields}
    ours -= {"calendar.events"}  # A permission of Google's, which looks the same.

    assert "calendar.keep_refused" in ours
    assert ours - known == set()


def test_files_that_are_spoken_of_exist() -> None:
    """Each path in the repository is there."""
    tops = {each.name for each in ROOT.iterdir()}
    links = [each for text in TEXT.values() for each in re.findall(r"\]\(([^):#]+)\)", text)]
    paths = {each for each in (*SPOKEN, *links) if re.fullmatch(r"[\w.@-]+(/[\w.@-]*)+", each)}
    ours = {each for each in paths if each.partition("/")[0] in tops}

    assert "systemd/locum.service" in ours
    assert {each for each in ours if not (ROOT / each).exists()} == set()
