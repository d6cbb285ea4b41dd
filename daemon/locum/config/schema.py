"""The config as a JSON Schema, for editors that complete and check while one types."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from locum.config.model import Config
from locum.config.values import format_duration


def schema() -> dict[str, Any]:
    """Answer the schema of locum.toml, as JSON Schema draft 2020-12."""
    made = _for_toml(Config.model_json_schema(schema_generator=_Generator))
    made["properties"]["$schema"] = {
        "type": "string",
        "description": "This schema's address, for editors; locum passes over it.",
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **made,
        "title": "locum.toml",
    }


class _Generator(GenerateJsonSchema):
    """Writes defaults as one writes them in the config."""

    def encode_default(self, dft: Any) -> Any:
        if isinstance(dft, timedelta):
            return format_duration(dft)
        return super().encode_default(dft)


def _for_toml(node: Any) -> Any:
    """Take out what only JSON has: null, and with it defaults that can't be written."""
    if isinstance(node, list):
        return [_for_toml(item) for item in node]
    if not isinstance(node, dict):
        return node
    made = {key: _for_toml(value) for key, value in node.items()}
    choices = made.get("anyOf")
    if isinstance(choices, list) and {"type": "null"} in choices:
        others = [choice for choice in choices if choice != {"type": "null"}]
        del made["anyOf"]
        made = {**others[0], **made} if len(others) == 1 else {**made, "anyOf": others}
    # Whole tables as defaults say nothing that the tables' own keys don't.
    if "default" in made and (made["default"] is None or isinstance(made["default"], dict)):
        del made["default"]
    if "patternProperties" in made:
        made["additionalProperties"] = False
    return made
