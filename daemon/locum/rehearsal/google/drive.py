"""The stage's Google Drive (API v3), as far as an application that files documents goes.

Every caller has a Drive of its own, and sees there only what it made itself: that is what the
scope `drive.file` means. Nothing can be shared over this API's stage; a person can, by `share`.
"""

from __future__ import annotations

import email
import email.policy
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from locum.rehearsal.google.errors import ApiError, invalid

SCOPES = ("drive", "drive.file")
DOCUMENT = "application/vnd.google-apps.document"
FOLDER = "application/vnd.google-apps.folder"
_IMPORTED = {"text/html", "text/plain", "text/markdown"}
_LONGEST_DOCUMENT = 1_020_000
_MOST_PROPERTY_BYTES = 124

_HAS = re.compile(
    r"appProperties has \{ *key='(?P<key>[^']*)' and value='(?P<value>[^']*)' *\}"
)
_EQUALS = re.compile(r"(?P<name>mimeType|trashed|name) *= *(?:'(?P<text>[^']*)'|(?P<bare>\w+))")


class _Metadata(BaseModel):
    """What a client may write of a file; unknown fields are dropped, as Google drops them."""

    model_config = ConfigDict(extra="ignore", alias_generator=to_camel)

    name: str | None = None
    mime_type: str | None = None
    parents: list[str] | None = Field(default=None, max_length=1)
    app_properties: dict[str, str | None] | None = None
    trashed: bool | None = None


@dataclass(frozen=True)
class DriveFile:
    """A file as it stands; `content` is what was last uploaded, before its conversion."""

    id: str
    owner: str
    name: str
    mime_type: str
    parents: tuple[str, ...]
    created: datetime
    changed: datetime
    app_properties: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""
    uploaded_as: str = ""
    trashed: bool = False
    version: int = 1
    shared_with: tuple[str, ...] = ()


class DriveStage:
    """What is in everybody's Drive. `limit` is an account's room in bytes (None: no end)."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self.files: dict[str, DriveFile] = {}
        self.limit: int | None = 15 * 2**30

    # ── what a rehearsal does ────────────────────────────────────────────────────────────

    def documents(self, owner: str) -> list[DriveFile]:
        """Answer an account's documents that aren't in the bin, the oldest first."""
        return [
            each
            for each in self.files.values()
            if each.owner == owner and each.mime_type == DOCUMENT and not each.trashed
        ]

    def bin(self, file_id: str) -> None:
        self.files[file_id] = replace(self.files[file_id], trashed=True)

    def share(self, file_id: str, *emails: str) -> None:
        self.files[file_id] = replace(self.files[file_id], shared_with=emails)

    # ── the API ──────────────────────────────────────────────────────────────────────────

    def about(self, owner: str) -> dict[str, Any]:
        used = sum(len(each.content) for each in self.files.values() if each.owner == owner)
        quota = {"usage": str(used), "usageInDrive": str(used), "usageInDriveTrash": "0"}
        if self.limit is not None:
            quota["limit"] = str(self.limit)
        user = {"kind": "drive#user", "displayName": owner, "me": True, "emailAddress": owner}
        return {"kind": "drive#about", "storageQuota": quota, "user": user}

    def list(self, owner: str, given: Mapping[str, str]) -> dict[str, Any]:
        fits = _query(given.get("q", ""))
        if given.get("orderBy", "createdTime") != "createdTime":
            raise invalid("orderBy")
        size = int(given.get("pageSize", "100"))
        found = [each for each in self.files.values() if each.owner == owner and fits(each)]
        shown = [_shown(each) for each in found[:size]]
        return {"kind": "drive#fileList", "incompleteSearch": False, "files": shown}

    def get(self, owner: str, file_id: str) -> dict[str, Any]:
        return _shown(self._file(owner, file_id))

    def create(self, owner: str, metadata: object, media: tuple[str, bytes]) -> dict[str, Any]:
        draft = _read(metadata)
        for parent in draft.parents or ():
            self._file(owner, parent)
        now = self._now()
        number = len(self.files) + 1
        digest = hashlib.sha256(f"locum stage file {number}".encode()).hexdigest()
        made = DriveFile(
            id=f"1{digest[:43]}",
            owner=owner,
            name=draft.name or "Untitled",
            mime_type=draft.mime_type or media[0] or "application/octet-stream",
            parents=tuple(draft.parents or ("root",)),
            created=now,
            changed=now,
            app_properties=_properties({}, draft.app_properties),
        )
        return self._keep(made, media)

    def update(
        self, owner: str, file_id: str, metadata: object, media: tuple[str, bytes]
    ) -> dict[str, Any]:
        draft = _read(metadata)
        before = self._file(owner, file_id)
        if draft.parents is not None:
            raise ApiError(
                403,
                "fieldNotWritable",
                "The parents field is not directly writable in update requests. "
                "Use the addParents and removeParents parameters instead.",
            )
        after = replace(
            before,
            name=before.name if draft.name is None else draft.name,
            app_properties=_properties(before.app_properties, draft.app_properties),
            trashed=before.trashed if draft.trashed is None else draft.trashed,
            changed=self._now(),
            version=before.version + 1,
        )
        return self._keep(after, media)

    def _keep(self, file: DriveFile, media: tuple[str, bytes]) -> dict[str, Any]:
        kind, content = media
        if content:
            used = sum(len(e.content) for e in self.files.values() if e.owner == file.owner)
            if self.limit is not None and used + len(content) > self.limit:
                raise ApiError(
                    403,
                    "storageQuotaExceeded",
                    "The user's Drive storage quota has been exceeded.",
                )
            if file.mime_type == DOCUMENT:
                _check_import(kind, content)
            file = replace(file, content=content, uploaded_as=kind)
        self.files[file.id] = file
        return _shown(file)

    def _file(self, owner: str, file_id: str) -> DriveFile:
        file = self.files.get(file_id)
        if file is None or file.owner != owner:
            raise ApiError(404, "notFound", f"File not found: {file_id}.", "fileId")
        return file


def _check_import(kind: str, content: bytes) -> None:
    if kind.partition(";")[0].strip() not in _IMPORTED:
        raise ApiError(400, "badRequest", "Bad Request")
    if len(content.decode(errors="replace")) > 4 * _LONGEST_DOCUMENT:
        raise ApiError(400, "uploadTooLarge", "The file is too large to be converted.")


def _read(metadata: object) -> _Metadata:
    try:
        return _Metadata.model_validate(metadata)
    except ValidationError as error:
        raise ApiError(400, "invalid", f"Invalid Value: {error.errors()[0]['msg']}") from error


def _properties(
    before: Mapping[str, str], change: Mapping[str, str | None] | None
) -> Mapping[str, str]:
    after = dict(before)
    for key, value in (change or {}).items():
        if value is None:
            after.pop(key, None)
            continue
        if len(f"{key}{value}".encode()) > _MOST_PROPERTY_BYTES:
            raise ApiError(
                400, "invalid", "App properties are limited to 124 bytes each, key and value."
            )
        after[key] = value
    return after


def _query(text: str) -> Callable[[DriveFile], bool]:
    """Read a search for files: terms joined by "and".

    Raises:
        ApiError: 400, it holds something that the stage doesn't know.
    """
    tests: list[Callable[[DriveFile], bool]] = []

    def has(match: re.Match[str]) -> str:
        key, value = match["key"], match["value"]
        tests.append(lambda file: file.app_properties.get(key) == value)
        return ""

    def equals(match: re.Match[str]) -> str:
        name, value = match["name"], match["text"] or match["bare"]
        if name == "trashed":
            tests.append(lambda file: file.trashed is (value == "true"))
        elif name == "mimeType":
            tests.append(lambda file: file.mime_type == value)
        else:
            tests.append(lambda file: file.name == value)
        return ""

    rest = _EQUALS.sub(equals, _HAS.sub(has, text))
    if re.sub(r"\band\b|\s", "", rest):
        raise invalid("q")
    return lambda file: all(test(file) for test in tests)


def _shown(file: DriveFile) -> dict[str, Any]:
    """Answer the resource. Its owner is the only one with a permission that nobody gave."""
    permissions = [
        {
            "kind": "drive#permission",
            "id": "01",
            "type": "user",
            "role": "owner",
            "emailAddress": file.owner,
        }
    ]
    permissions += [
        {
            "kind": "drive#permission",
            "id": f"1{number}",
            "type": "user",
            "role": "reader",
            "emailAddress": each,
        }
        for number, each in enumerate(file.shared_with)
    ]
    kind = "document" if file.mime_type == DOCUMENT else "file"
    link = f"https://docs.google.com/{kind}/d/{file.id}/edit?usp=drivesdk"
    if file.mime_type == FOLDER:
        link = f"https://drive.google.com/drive/folders/{file.id}"
    return {
        "kind": "drive#file",
        "id": file.id,
        "name": file.name,
        "mimeType": file.mime_type,
        "parents": list(file.parents),
        "createdTime": _rfc3339(file.created),
        "modifiedTime": _rfc3339(file.changed),
        "version": str(file.version),
        "trashed": file.trashed,
        "shared": bool(file.shared_with),
        "ownedByMe": True,
        "appProperties": dict(file.app_properties),
        "permissions": permissions,
        "webViewLink": link,
    }


def _rfc3339(instant: datetime) -> str:
    return f"{instant.astimezone(timezone.utc):%Y-%m-%dT%H:%M:%S}.000Z"


def read_upload(content_type: str, payload: bytes) -> tuple[object, tuple[str, bytes]]:
    """Read a multipart upload (RFC 2387): the metadata, then the content with its type.

    Raises:
        ApiError: 400, it isn't one.
    """
    head = f"MIME-Version: 1.0\r\nContent-Type: {content_type}\r\n\r\n".encode()
    parts = email.message_from_bytes(head + payload, policy=email.policy.HTTP)
    if not content_type.startswith("multipart/related") or not parts.is_multipart():
        raise ApiError(400, "badContent", "Bad content")
    found = [each for each in parts.walk() if not each.is_multipart()]
    if len(found) != 2:
        raise ApiError(400, "badContent", "Two parts are needed.")
    metadata, content = (each.get_payload(decode=True) for each in found)
    if not isinstance(metadata, bytes) or not isinstance(content, bytes):
        raise ApiError(400, "badContent", "Bad content")
    try:
        return json.loads(metadata), (str(found[1]["content-type"]), content)
    except ValueError as error:
        raise ApiError(400, "parseError", "Parse Error") from error
