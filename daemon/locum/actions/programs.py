"""A program that may be run, and with which arguments: an argv with places, filled in strictly.

There is no shell anywhere. A value that somebody gives fills one place of one argument; it doesn't
begin with "-", so that it can't become an option, and brings no line of its own, unless the
owner says that it may.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from locum.core.names import PLACE
from locum.errors import PermanentError

SKILL = "skill/"
"""What the name of a skill's program begins with; no tool of the config's is named so."""

_SHOWN = 80
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True)
class Parameter:
    """One value that may be given; see `locum.config.talking.ParameterTable`."""

    name: str
    about: str = ""
    integer: bool = False
    pattern: str = ""
    choices: tuple[str, ...] = ()
    max_length: int = 200
    default: str | None = None
    may_be_option: bool = False
    lines: bool = False

    @property
    def schema(self) -> dict[str, Any]:
        schema: dict[str, Any] = {"type": "integer" if self.integer else "string"}
        if self.about:
            schema["description"] = self.about
        if self.choices:
            schema["enum"] = [int(each) if self.integer else each for each in self.choices]
        elif not self.integer:
            schema["maxLength"] = self.max_length
            if self.pattern:
                schema["pattern"] = f"^(?:{self.pattern})$"
        return schema

    def checked(self, value: Any) -> str:
        """Answer a value as text.

        Raises:
            PermanentError: It isn't allowed; says why.
        """
        text = self._text(value)
        if len(text) > self.max_length:
            raise PermanentError(f"{self.name}: longer than {self.max_length} characters.")
        if text.startswith("-") and not self.may_be_option:
            raise PermanentError(f'{self.name}: must not begin with "-".')
        if self.choices and text not in self.choices:
            raise PermanentError(f"{self.name}: must be one of {', '.join(self.choices)}.")
        if _CONTROL.search(text) or (not self.lines and re.search(r"[\n\t]", text)):
            raise PermanentError(f"{self.name}: must be plain text in one line.")
        if self.pattern and re.fullmatch(self.pattern, text) is None:
            raise PermanentError(f"{self.name}: must fit the pattern {self.pattern}")
        return text

    def _text(self, value: Any) -> str:
        if self.integer:
            if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,18}", value):
                return str(int(value))
            if isinstance(value, bool) or not isinstance(value, int):
                raise PermanentError(f"{self.name}: must be an integer.")
            if abs(value) >= 10**18:
                raise PermanentError(f"{self.name}: too large.")
            return str(value)
        if not isinstance(value, str):
            raise PermanentError(f"{self.name}: must be text.")
        return value


@dataclass(frozen=True)
class Surroundings:
    """What a program finds around it; nothing else is there.

    `folder` and `reads` can be read, `writes` written; without a `folder` it runs in an empty
    one, which goes with it. `secrets` are files whose content becomes a variable. `memory` is
    in bytes, of each process.
    """

    folder: Path | None = None
    reads: tuple[Path, ...] = ()
    writes: tuple[Path, ...] = ()
    network: bool = False
    env: tuple[str, ...] = ()
    secrets: Mapping[str, Path] = field(default_factory=dict)
    memory: int = 512 << 20


@dataclass(frozen=True)
class Program:
    """A program that the config allows."""

    name: str
    argv: tuple[str, ...]
    parameters: tuple[Parameter, ...] = ()
    around: Surroundings = Surroundings()
    timeout: timedelta = timedelta(seconds=30)
    output_limit: int = 16_384

    @property
    def schema(self) -> dict[str, Any]:
        """Answer the JSON schema of its arguments."""
        return {
            "type": "object",
            "properties": {each.name: each.schema for each in self.parameters},
            "required": [each.name for each in self.parameters if each.default is None],
            "additionalProperties": False,
        }

    def filled(self, arguments: Mapping[str, Any]) -> tuple[str, ...]:
        """Answer the argv with these arguments in their places.

        Raises:
            PermanentError: An argument is missing, isn't known, or isn't allowed.
        """
        known = {each.name: each for each in self.parameters}
        for name in arguments:
            if name not in known:
                names = ", ".join(known) or "none"
                raise PermanentError(
                    f"There is no parameter {name[:_SHOWN]!r}. Known: {names}."
                )
        values: dict[str, str] = {}
        for name, parameter in known.items():
            value = arguments.get(name)
            if value is None:
                if parameter.default is None:
                    raise PermanentError(f"{name}: is missing.")
                values[name] = parameter.default  # The owner's word.
            else:
                values[name] = parameter.checked(value)
        return tuple(
            PLACE.sub(lambda match: values.get(match[1], match[0]), argument)
            for argument in self.argv
        )


def name_for_models(name: str) -> str:
    """Answer a name that every provider of models takes."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)[:64]
