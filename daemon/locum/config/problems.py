"""What is wrong with a config, in the words of its own keys.

pydantic finds most of it; here its findings get a line, a dotted path, and a suggestion.
"""

from __future__ import annotations

import difflib
import json
import re
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from locum.config.lines import KeyPath, Positions, dotted
from locum.config.model import Config
from locum.config.values import Places, holds_secret, redact, shown

MAX_SHOWN = 100


@dataclass(frozen=True)
class Problem:
    """One finding at `path`; `at` is where to look if that isn't in the file."""

    path: KeyPath
    message: str
    at: KeyPath | None = None

    def line(self, positions: Positions) -> int:
        return positions.line(self.at if self.at is not None else self.path)


def report(label: str, problems: Iterable[Problem], positions: Positions) -> tuple[str, ...]:
    """Write the problems by line, one for each path: the first found says most."""
    firsts: dict[KeyPath, Problem] = {}
    for problem in problems:
        firsts.setdefault(problem.path, problem)
    found = sorted(
        ((problem.line(positions), problem) for problem in firsts.values()),
        key=lambda item: item[0],
    )
    lines = [
        redact(f"{label}:{line}: {dotted(problem.path)}: {problem.message}")
        for line, problem in found[:MAX_SHOWN]
    ]
    if len(found) > MAX_SHOWN:
        lines.append(f"{label}: and {len(found) - MAX_SHOWN} problems more")
    return tuple(lines)


def suggest(word: str, known: Iterable[str]) -> str:
    """Answer `Did you mean "…"?`, or what there is; nothing if there is nothing."""
    names = sorted(known)
    # Names can be the file's own, by the thousand: 20 µs each.
    near = difflib.get_close_matches(word[:64].lower(), names[:100], n=1)
    if near:
        return f' Did you mean "{near[0]}"?'
    return f" There are: {', '.join(names[:20])}." if names else ""


# ── values that no setting may have ──────────────────────────────────────────────────────

WHERE_IT_BELONGS = (
    "a secret doesn't belong into this file. Put an engine's key into a file of its own "
    '(chmod 600) and name that in api_key_file, or use the systemd credential "pika_dev_key"; '
    "Google's tokens come from `locum auth login` or stand in a token_file"
)
_SECRET_KEY = re.compile(r"(?:.*_)?(?:key|token|secret|password)", re.IGNORECASE)


def take_out_unfit(values: dict[str, Any]) -> list[Problem]:
    """Find what no setting may be, and put None in its place, so that the rest can be read."""
    problems: list[Problem] = []

    def cleaned(value: Any, path: KeyPath) -> Any:
        if isinstance(value, dict):
            problems.extend(
                Problem((*path, "?"), WHERE_IT_BELONGS, at=(*path, key))
                for key in value
                if holds_secret(key)
            )
            return {key: cleaned(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [cleaned(item, (*path, index)) for index, item in enumerate(value)]
        message = _unfit(value)
        if message is None:
            return value
        problems.append(Problem(path, message))
        return None

    for key, value in values.items():
        values[key] = cleaned(value, (key,))
    return problems


def _unfit(value: Any) -> str | None:
    if isinstance(value, str):
        if "\0" in value:
            return "holds a NUL character"
        return WHERE_IT_BELONGS if holds_secret(value) else None
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return "is too large a number"
    if isinstance(value, date | time) and not isinstance(value, datetime):
        return "is a date or a time of day, and no setting is one"
    return None


# ── what pydantic finds ──────────────────────────────────────────────────────────────────


def validate(values: Mapping[str, Any], places: Places) -> Config | list[Problem]:
    """Make the Config, or answer everything that its fields refuse."""
    # As JSON, because pydantic's strict mode then takes texts for paths and enums, and yet
    # neither "yes" for a boolean nor true for a number.
    written = json.dumps(values, default=datetime.isoformat)
    try:
        return Config.model_validate_json(written, strict=True, context=places)
    except ValidationError as error:
        details = error.errors(include_url=False)
    # Only the first ones are looked into: a suggestion takes time, and a hostile file can
    # have thousands.
    problems = [_translated(detail, values) for detail in details[: MAX_SHOWN * 2]]
    problems += [
        Problem(_path(detail, values), "is refused") for detail in details[len(problems) :]
    ]
    return problems


def _path(detail: ErrorDetails, values: Any) -> KeyPath:
    """Answer the error's place in the file, without pydantic's own marks in it."""
    path: list[str | int] = []
    for part in detail["loc"]:
        is_tag = isinstance(values, dict) and part not in values and values.get("type") == part
        if part == "[key]" or is_tag:
            continue  # A key itself, or the tag by which a union chose this table.
        path.append(part)
        values = _inside(values, part)
    return tuple(path)


def _translated(detail: ErrorDetails, values: Mapping[str, Any]) -> Problem:
    path = _path(detail, values)
    kind = detail["type"]
    if kind == "extra_forbidden":
        return Problem(path, _unknown_key(path, values))
    if kind in {"union_tag_invalid", "union_tag_not_found"}:
        return _of_no_type((*path, "type"), detail)
    if kind == "missing":
        return Problem(path, f"is missing.{meaning(path, values)}", at=path[:-1])
    if detail["loc"] and detail["loc"][-1] == "[key]":
        return Problem(path, f"a name must be {_NAME_RULE}")
    value = detail["input"]
    if value is None:
        return Problem(path, "is no value")
    return Problem(path, _refusal(kind, detail, value))


def _of_no_type(path: KeyPath, detail: ErrorDetails) -> Problem:
    """Say which kinds of a table there are, where its `type` is none or isn't there."""
    context = detail.get("ctx", {})
    if "tag" not in context:
        return Problem(path, "is missing: it says what kind of table this is", at=path[:-1])
    tag = str(context["tag"])
    known = [part.strip(" '") for part in str(context["expected_tags"]).split(",")]
    return Problem(path, f"{shown(tag)} isn't known here.{suggest(tag, known)}")


_NAME_RULE = 'made of letters, digits and "_.-", 64 at most'
_MUST_BE = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": 'a text in "quotes"',
    "path_type": 'a path in "quotes"',
    "tuple_type": "a list in [ ], or tables under [[ ]]",
    "list_type": "a list in [ ]",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "timezone_aware": "an instant with its offset, like 2026-11-22T09:00:00Z",
    "datetime_type": "an instant, like 2026-11-22T09:00:00Z",
    "datetime_parsing": "an instant, like 2026-11-22T09:00:00Z",
    "datetime_from_date_parsing": "an instant, like 2026-11-22T09:00:00Z",
}
_LIMITS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("above", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("below", "lt"),
}


def _refusal(kind: str, detail: ErrorDetails, value: Any) -> str:
    context = detail.get("ctx", {})
    message = f"{detail['msg'][:1].lower()}{detail['msg'][1:]}"
    if kind == "value_error":
        message = str(context["error"])
    elif kind in _MUST_BE:
        message = f"must be {_MUST_BE[kind]}{_but_is(value)}"
    elif kind in _LIMITS:
        words, key = _LIMITS[kind]
        message = f"must be {words} {context[key]:.10g}{_but_is(value)}"
    elif kind in {"enum", "literal_error"}:
        expected = str(context["expected"])
        known = [part.strip(" '") for part in expected.replace(" or ", ",").split(",")]
        message = f"{shown(value)} isn't known here.{suggest(str(value), known)}"
    elif kind == "string_too_long":
        message = f"is too long; {context['max_length']} characters at most"
    elif kind == "string_too_short":
        message = "must not be empty"
    elif kind == "string_pattern_mismatch":
        message = f"{shown(value)} must be {_NAME_RULE}"
    return message


def _but_is(value: Any) -> str:
    if isinstance(value, bool):
        return f", not {str(value).lower()}"
    return f", not {shown(value)}" if isinstance(value, str | int | float) else ""


def _unknown_key(path: KeyPath, values: Mapping[str, Any]) -> str:
    key = str(path[-1])
    if _SECRET_KEY.fullmatch(key):
        return f"unknown key; if it is meant for a secret: {WHERE_IT_BELONGS}"
    model = _model_at(path[:-1], values)
    return f"unknown key.{suggest(key, model.model_fields if model else ())}"


def meaning(path: KeyPath, values: Mapping[str, Any]) -> str:
    model = _model_at(path[:-1], values)
    field = model.model_fields.get(str(path[-1])) if model else None
    return f" {' '.join(field.description.split())}" if field and field.description else ""


def _model_at(path: KeyPath, values: Any) -> type[BaseModel] | None:
    """Answer the table that the model has at `path`."""
    annotation: Any = Config
    for part in path:
        models = list(_models(annotation, values))
        values = _inside(values, part)
        if models:
            field = models[0].model_fields.get(str(part))
            annotation = field.annotation if field else None
        else:
            arguments = get_args(annotation)
            annotation = arguments[0 if isinstance(part, int) else -1] if arguments else None
    return next(_models(annotation, values), None)


def _models(annotation: Any, value: Any) -> Iterator[type[BaseModel]]:
    """Answer the tables that `annotation` allows, those first that fit the `type` given."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) is Annotated:
        yield from _models(get_args(annotation)[0], value)
    elif get_origin(annotation) in {Union, types.UnionType}:
        found = [model for item in get_args(annotation) for model in _models(item, value)]
        yield from sorted(found, key=lambda model: not _fits(model, _inside(value, "type")))


def _fits(model: type[BaseModel], tag: Any) -> bool:
    field = model.model_fields.get("type")
    return (
        field is not None
        and get_origin(field.annotation) is Literal
        and tag in get_args(field.annotation)
    )


def _inside(value: Any, part: str | int) -> Any:
    try:
        return value[part]
    except (KeyError, IndexError, TypeError):
        return None
