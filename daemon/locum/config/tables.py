"""What the tables of the config are made of: their base, and the kinds of values in them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
)

from locum.config.values import (
    DURATION_PATTERN,
    parse_address,
    parse_duration,
    parse_host,
    parse_mail_address,
    parse_organizer,
    parse_push_address,
    parse_tag,
    refuse_empty_path,
    resolve_path,
)
from locum.core.names import parse_shown_name

Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    WithJsonSchema(
        {"type": "string", "pattern": DURATION_PATTERN, "examples": ["30s", "5m", "1h30m"]}
    ),
]
"""Written "90s", "5m", "1h30m" or "2d"."""

LocalPath = Annotated[
    Path,
    BeforeValidator(refuse_empty_path),
    AfterValidator(resolve_path),
    WithJsonSchema({"type": "string", "minLength": 1}),
]
"""Relative ones start at the config file's folder, "~" at the home directory."""

Address = Annotated[str, AfterValidator(parse_address)]
"""https; http to this machine only."""

PushAddress = Annotated[Address, AfterValidator(parse_push_address)]
"""An address as `Address`, and short enough to be called through any proxy."""

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
"""A name that is also typed in commands: letters, digits and "_.-"."""

ShownName = Annotated[str, Field(min_length=1, max_length=60), AfterValidator(parse_shown_name)]
"""A name that others see in the meeting."""

Organizer = Annotated[str, AfterValidator(parse_organizer)]
"""An address or a domain."""

Tag = Annotated[str, AfterValidator(parse_tag)]
"""A tag of Obsidian's, without "#"."""

MailAddress = Annotated[str, AfterValidator(parse_mail_address)]
"""A mail address without a name."""

Host = Annotated[str, AfterValidator(parse_host)]
"""A server's name or IP address."""

Dollars = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]
"""US dollars."""


class Table(BaseModel):
    """A table of the config: unknown keys are errors, values never change."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        hide_input_in_errors=True,  # What was typed may be a secret in the wrong place.
    )
