"""Page and sync tokens: opaque to clients, readable to us, and kept nowhere.

They hold where to go on and a print of the query that they were given for, because Google
lets neither be used with another query.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from locum.rehearsal.google.errors import ApiError, invalid


@dataclass(frozen=True)
class _Token:
    kind: ClassVar[str]

    def write(self) -> str:
        text = json.dumps([self.kind, asdict(self)], separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@dataclass(frozen=True)
class PageToken(_Token):
    """`after`: the sort key of the last item sent; `as_of`: the change seen by page one."""

    kind = "page"
    list_id: str
    query: str
    after: tuple[int | str, ...] | None
    as_of: int


@dataclass(frozen=True)
class SyncToken(_Token):
    """`generation` and `since`: up to where the list is known."""

    kind = "sync"
    list_id: str
    query: str
    generation: int
    since: int


def read_page_token(text: str, *, list_id: str, query: str) -> PageToken:
    """Read a page token.

    Raises:
        ApiError: 400, it is none, or was given for another list or query.
    """
    try:
        values = _read("page", text)
        after = values.pop("after")
        token = PageToken(**values, after=None if after is None else tuple(after))
    except (ValueError, TypeError, KeyError) as error:
        raise invalid("pageToken") from error
    if (token.list_id, token.query) != (list_id, query):
        raise invalid("pageToken")
    return token


def read_sync_token(text: str, *, list_id: str, query: str, generation: int) -> SyncToken:
    """Read a sync token.

    Raises:
        ApiError: 400 as for a page token; 410, it has expired.
    """
    try:
        token = SyncToken(**_read("sync", text))
    except (ValueError, TypeError, KeyError) as error:
        raise invalid("syncToken", "Invalid sync token value.") from error
    if token.list_id != list_id:
        raise invalid("syncToken", "Invalid sync token value.")
    if token.generation != generation:
        raise ApiError(410, "fullSyncRequired")
    if token.query != query:
        raise ApiError(
            400, "invalid", "All parameters must be as in the initial synchronization."
        )
    return token


def _read(kind: str, text: str) -> dict[str, Any]:
    padded = text + "=" * (-len(text) % 4)
    found = json.loads(base64.urlsafe_b64decode(padded.encode()))
    if not isinstance(found, list) or len(found) != 2 or found[0] != kind:
        raise ValueError("another kind of token")
    return dict(found[1])


def print_of(parameters: Mapping[str, Any]) -> str:
    """Answer a short name for a query: equal for equal parameters."""
    text = json.dumps({name: str(value) for name, value in parameters.items()}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
