"""Google's own description of Meet v2, as a judge of what the stage answers in its name."""

from __future__ import annotations

import importlib.resources
import json
import re
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from locum.rehearsal.faults import FaultMiddleware
from tests.contract.discovery_schema import _all_methods, _Listener, json_schema

_ERROR = {
    "type": "object",
    "required": ["error"],
    "additionalProperties": False,
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "status"],
            "additionalProperties": False,
            "properties": {
                "code": {"type": "integer", "minimum": 400, "maximum": 599},
                "message": {"type": "string", "minLength": 1},
                "status": {"type": "string", "pattern": "^[A-Z_]+$"},
                "details": {"type": "array", "items": {"required": ["@type"]}},
            },
        }
    },
}


@cache
def _document_text() -> str:
    resource = importlib.resources.files("googleapiclient")
    return (resource / "discovery_cache/documents/meet.v2.json").read_text()


def document(base_url: str | None = None) -> dict[str, Any]:
    """Answer the discovery document, naming `base_url` as Google's address if one is given."""
    found: dict[str, Any] = json.loads(_document_text())
    if base_url is not None:
        found["rootUrl"] = found["baseUrl"] = f"{base_url}/"
        found.pop("mtlsRootUrl", None)
    return found


@cache
def _judge(schema_name: str) -> Draft202012Validator:
    schemas = document()["schemas"]
    defs = {name: json_schema(each) for name, each in schemas.items()}
    return Draft202012Validator({"$ref": f"#/$defs/{schema_name}", "$defs": defs})


def problems_in_answer(method: str, path: str, status: int, body: bytes) -> list[str]:
    """Answer in what an answer departs from the description; nothing is right."""
    where = f"{method} {path} {status}"
    payload = json.loads(body)
    if status >= 400:
        judge = Draft202012Validator(_ERROR)
    else:
        named = [
            each["response"]["$ref"]
            for each in _all_methods(document()["resources"])
            if each["httpMethod"] == method
            and re.fullmatch("/" + re.sub(r"\{\w+\}", "[^/]+", each["flatPath"]), path)
        ]
        if not named:
            return [f"{where}: answers an address that the description doesn't have"]
        judge = _judge(named[0])
    return [f"{where}: {each.json_path}: {each.message}" for each in judge.iter_errors(payload)]


@dataclass
class MeetChecks:
    """Judges every answer of Meet's that passes; `problems` is what it found."""

    app: ASGIApp
    problems: list[str] = field(default_factory=list)
    checked: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not str(scope["path"]).startswith("/v2/"):
            await self.app(scope, receive, send)
            return
        listener = _Listener(send)
        await self.app(scope, receive, listener.send)
        self.checked += 1
        path = bytes(scope["raw_path"]).decode()
        self.problems += problems_in_answer(
            scope["method"], path, listener.status, bytes(listener.body)
        )


def check_meets_answers(app: Starlette) -> MeetChecks:
    """Put checks between a stage's application and its faults, which may lie as they like."""
    faults = app.middleware_stack
    assert isinstance(faults, FaultMiddleware), "wrap the application in with_faults first"
    checks = MeetChecks(faults.app)
    faults.app = checks
    return checks
