"""Google's own descriptions of its APIs, turned into a judge of what passes over the wire.

Each document is the one that google-api-python-client brings along. Its schemas become JSON
Schema with `additionalProperties: false`, so a field that Google doesn't have is an error.
"""

from __future__ import annotations

import importlib.resources
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from starlette.applications import Starlette
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from locum.rehearsal.faults import FaultMiddleware

_DATE = r"^\d{4}-\d{2}-\d{2}$"
_DATE_TIME = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$"
_PATTERNS = {"date": _DATE, "date-time": _DATE_TIME, "google-datetime": _DATE_TIME}
_ERROR = {
    "type": "object",
    "required": ["error"],
    "additionalProperties": False,
    "properties": {
        "error": {
            "type": "object",
            "required": ["errors", "code", "message"],
            "additionalProperties": False,
            "properties": {
                "code": {"type": "integer", "minimum": 400, "maximum": 599},
                "message": {"type": "string", "minLength": 1},
                "status": {"type": "string"},
                "details": {"type": "array"},
                "errors": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "required": ["domain", "reason", "message"],
                        "additionalProperties": False,
                        "properties": {
                            name: {"type": "string"}
                            for name in (
                                "domain",
                                "reason",
                                "message",
                                "locationType",
                                "location",
                            )
                        },
                    },
                },
            },
        }
    },
}


CALENDAR = "calendar.v3"
DRIVE = "drive.v3"


@cache
def _document_text(api: str) -> str:
    resource = importlib.resources.files("googleapiclient")
    return (resource / f"discovery_cache/documents/{api}.json").read_text()


def document(base_url: str | None = None, api: str = CALENDAR) -> dict[str, Any]:
    """Answer the discovery document, naming `base_url` as Google's address if one is given."""
    found: dict[str, Any] = json.loads(_document_text(api))
    if base_url is not None:
        found["rootUrl"] = f"{base_url}/"
        found["baseUrl"] = f"{base_url}/{found['servicePath']}"
        found.pop("mtlsRootUrl", None)
    return found


def json_schema(described: dict[str, Any]) -> dict[str, Any]:
    """Turn one schema of a discovery document into JSON Schema; references go to `$defs`."""
    if "$ref" in described:
        return {"$ref": f"#/$defs/{described['$ref']}"}
    kind = described["type"]
    if kind == "any":
        return {}
    if kind == "array":
        return {"type": "array", "items": json_schema(described["items"])}
    if kind != "object":
        result: dict[str, Any] = {"type": kind}
        if described.get("format") in _PATTERNS:
            result["pattern"] = _PATTERNS[described["format"]]
        if "enum" in described:
            result["enum"] = described["enum"]
        return result
    others = described.get("additionalProperties")
    return {
        "type": "object",
        "properties": {
            name: json_schema(each) for name, each in described.get("properties", {}).items()
        },
        "additionalProperties": False if others is None else json_schema(others),
    }


@cache
def validator(schema_name: str, api: str = CALENDAR) -> Draft202012Validator:
    """Answer a validator for one of the document's schemas."""
    schemas = document(api=api)["schemas"]
    defs = {name: json_schema(each) for name, each in schemas.items()}
    schema = {"$ref": f"#/$defs/{schema_name}", "$defs": defs}
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@dataclass(frozen=True)
class Method:
    """One method of the API: what it takes and answers (None: nothing)."""

    id: str
    http_method: str
    path: re.Pattern[str]
    parameters: frozenset[str]
    request: str | None
    response: str | None


@cache
def methods(api: str = CALENDAR) -> tuple[Method, ...]:
    described = document(api=api)
    shared = set(described["parameters"])
    return tuple(
        Method(
            each["id"],
            each["httpMethod"],
            re.compile(
                "/" + described["servicePath"] + re.sub(r"\{\w+\}", "[^/]+", each["path"])
            ),
            frozenset(shared | set(each.get("parameters", {}))),
            each.get("request", {}).get("$ref"),
            each.get("response", {}).get("$ref"),
        )
        for each in _all_methods(described["resources"])
    )


def _all_methods(resources: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for resource in resources.values():
        yield from resource.get("methods", {}).values()
        yield from _all_methods(resource.get("resources", {}))


def _api_of(path: str) -> str:
    return DRIVE if "/drive/v3/" in path else CALENDAR


def method_of(http_method: str, path: str) -> Method | None:
    """Answer the method that a request calls; `path` as sent, percent-encoded."""
    path = path.removeprefix("/upload")
    for method in methods(_api_of(path)):
        if method.http_method == http_method and method.path.fullmatch(path):
            return method
    return None


def problems_in_answer(http_method: str, path: str, status: int, body: bytes) -> list[str]:
    """Answer in what an answer departs from the description; nothing is right."""
    method = method_of(http_method, path)
    where = f"{http_method} {path} {status}"
    if status in {204, 304} or (method and method.response is None and status < 300):
        return [f"{where}: has a body"] if body else []
    try:
        payload = json.loads(body)
    except ValueError as error:
        return [f"{where}: {error}"]
    if status >= 400:
        judge = Draft202012Validator(_ERROR)
    elif method is None or method.response is None:
        return [f"{where}: answers an address that the description doesn't have"]
    else:
        judge = validator(method.response, _api_of(path))
    return [f"{where}: {each.json_path}: {each.message}" for each in judge.iter_errors(payload)]


@dataclass
class Checks:
    """Judges every answer of a Google stage that passes; `problems` is what it found."""

    app: ASGIApp
    problems: list[str] = field(default_factory=list)
    checked: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        judged = ("/calendar/v3/", "/drive/v3/")
        if scope["type"] != "http" or not any(each in str(scope["path"]) for each in judged):
            await self.app(scope, receive, send)
            return
        listener = _Listener(send)
        await self.app(scope, receive, listener.send)
        path = bytes(scope["raw_path"]).decode()
        self.checked += 1
        self.problems += problems_in_answer(
            scope["method"], path, listener.status, bytes(listener.body)
        )


class _Listener:
    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0
        self.body = bytearray()

    async def send(self, message: Message) -> None:
        self.status = message.get("status", self.status)
        self.body += message.get("body", b"")
        await self._send(message)


def check_answers(app: Starlette) -> Checks:
    """Put checks between a stage's application and its faults, which may lie as they like."""
    faults = app.middleware_stack
    assert isinstance(faults, FaultMiddleware), "wrap the application in with_faults first"
    checks = Checks(faults.app)
    faults.app = checks
    return checks
