"""Files summaries as Google Docs, in a folder of its own in the account's Drive.

Nobody but the account can open them: nothing here shares a file or changes who may see it,
and no guest is notified of anything. The scope is `drive.file`, under which Google shows us
only what we made. A document is found again by a property that only we can see, so that the
same summary, and its later editions, are one document.

The event learns the document's address where the config wants that: attached where the
account organizes the event (guests then see that there is one), and otherwise in a property of
the account's own copy, which nobody else can see.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

import structlog

from locum.calendars.google_auth import status
from locum.calendars.google_token import PERMISSIONS, GoogleAccount
from locum.calendars.google_worker import GoogleWorker
from locum.core.filing import event_of, filing_key
from locum.core.identity import sha256
from locum.errors import HumanNeededError, LocumError, PermanentError, TransientError
from locum.ports import Clock, Finding, Health, Summary

if TYPE_CHECKING:
    from locum.calendars.google_client import GoogleClient

_log = structlog.get_logger(__name__)

_DOCUMENT: Final = "application/vnd.google-apps.document"
_FOLDER: Final = "application/vnd.google-apps.folder"
_MARK: Final = "locum"
_EVENT_PROPERTY: Final = "locumSummary"
_FILE_FIELDS: Final = "id,webViewLink,shared"

_LONGEST_PAGE = 4 * 1024 * 1024
"""Bytes of HTML. A document holds 1.02 million characters."""
_MOST_ATTACHMENTS = 25
_MOST_OCCURRENCES = 50
_AROUND = timedelta(days=1)


class Note(Enum):
    """What the event is told."""

    ATTACH = "attach"
    PRIVATE = "private"
    NONE = "none"


@dataclass(frozen=True)
class Page:
    """A summary, written as HTML: what Drive has turned into documents since it began to."""

    title: str
    html: str


class GoogleDocs:
    """One account's Drive, as a `SummarySink`. `folder` is the Drive folder's name."""

    def __init__(
        self,
        name: str,
        account: GoogleAccount,
        *,
        clock: Clock,
        page: Callable[[Summary], Page],
        folder: str,
        note: Note = Note.ATTACH,
    ) -> None:
        self._name = name
        self._account = account
        self._page = page
        self._folder = folder
        self._note = note
        self._clock = clock
        scopes = {each: (PERMISSIONS[each].scope,) for each in ("docs", "events")}
        self._drive = GoogleWorker(replace(account, service_scopes=scopes["docs"]), clock=clock)
        self._calendar = GoogleWorker(
            replace(account, service_scopes=scopes["events"]), clock=clock
        )

    @property
    def name(self) -> str:
        return self._name

    @property
    def can_revise(self) -> bool:
        return True

    async def file(self, summary: Summary) -> str:
        page = self._page(summary)
        if len(page.html.encode()) > _LONGEST_PAGE:
            raise PermanentError(
                f"sink {self._name}: the summary is longer than a Google Doc can be"
            )
        document = await self._drive.call(
            lambda client: _Drive(client, self._folder).put(summary, page)
        )
        if document.shared:
            _log.warning("document_shared", sink=self._name, document=document.id)
        if self._note is not Note.NONE:
            await self._tell_event(summary, document)
        return document.link

    async def check(self) -> tuple[Finding, ...]:
        """Try the sign-in and the Drive, changing nothing. Raises nothing."""
        subject = f"sink {self._name}"
        hint = self._account.login_hint
        try:
            return (await self._examine(subject, hint),)
        except TransientError as error:
            return (Finding(subject, Health.WARNING, str(error), "Try again in a minute."),)
        except HumanNeededError as error:
            return (Finding(subject, Health.BROKEN, error.args[0], error.hint),)
        except LocumError as error:
            return (Finding(subject, Health.BROKEN, str(error), hint),)

    async def _examine(self, subject: str, hint: str) -> Finding:
        scopes = status(self._account, now=self._clock.now).scopes
        lacking = {each.name for each in self._account.missing(scopes)} if scopes else set()
        if "docs" in lacking:
            told = "the sign-in doesn't allow locum to file documents"
            return Finding(subject, Health.BROKEN, told, hint)
        room = await self._drive.call(lambda client: _Drive(client, self._folder).room())
        if room is not None and room <= 0:
            told = "its Google Drive is full"
            return Finding(subject, Health.BROKEN, told, "Make room: summaries wait.")
        if "events" in lacking:
            told = "documents are filed, but the sign-in doesn't allow noting them on events"
            return Finding(subject, Health.WARNING, told, hint)
        return Finding(subject, Health.OK, f"the Drive of account {self._account.name}")

    async def aclose(self) -> None:
        self._drive.close()
        self._calendar.close()

    # ── the event ────────────────────────────────────────────────────────────────────────

    async def _tell_event(self, summary: Summary, document: Document) -> None:
        """Let the event know, where that can be: the document is filed in any case.

        Raises:
            TransientError: Not now.
        """
        try:
            where = await self._calendar.call(
                lambda client: _tell_event(
                    client, self._account.calendars, summary, document, self._note
                )
            )
        except TransientError:
            raise
        except LocumError as error:
            _log.warning("event_not_told", sink=self._name, problem=str(error))
        else:
            _log.info("event_told", sink=self._name, how=where)


@dataclass(frozen=True)
class Document:
    id: str
    link: str
    title: str
    shared: bool = False  #: By a person, or by the folder that a person put it into.


# ── Drive ────────────────────────────────────────────────────────────────────────────────


class _Drive:
    """One filing's requests. Works in the client's thread."""

    def __init__(self, client: GoogleClient, folder: str) -> None:
        self._client = client
        self._folder = folder

    def put(self, summary: Summary, page: Page) -> Document:
        """Make the summary's document, or write it anew."""
        from googleapiclient.http import MediaInMemoryUpload

        mark = filing_key(summary.session, summary.key)[:32]
        media = MediaInMemoryUpload(
            page.html.encode(), mimetype="text/html; charset=utf-8", resumable=False
        )
        body: dict[str, Any] = {
            "name": page.title,
            "appProperties": {_MARK: mark, "locumEdition": str(summary.edition)},
        }
        found = self._find(mark, _DOCUMENT)
        if found is None:
            body |= {"mimeType": _DOCUMENT, "parents": [self._folder_id()]}
            answer = self._ask(
                lambda files: files.create(body=body, media_body=media, fields=_FILE_FIELDS)
            )
        else:
            # Wherever its owner has put it, and whatever they called the folder, it stays.
            answer = self._ask(
                lambda files: files.update(
                    fileId=found, body=body, media_body=media, fields=_FILE_FIELDS
                )
            )
        return _document(answer, page.title)

    def room(self) -> int | None:
        """Answer how many bytes are free; None where there is no limit."""
        answer = self._client.execute_drive(
            lambda api: api.about().get(fields="storageQuota(limit,usage)")
        )
        quota = answer.get("storageQuota") if isinstance(answer, dict) else None
        if not isinstance(quota, dict) or not isinstance(quota.get("limit"), str):
            return None
        return int(quota["limit"]) - int(quota.get("usage", "0"))

    def _folder_id(self) -> str:
        # By its name's hash: a folder that its owner renames is still ours.
        mark = f"folder-{sha256(self._folder.encode())[:24]}"
        found = self._find(mark, _FOLDER)
        if found is not None:
            return found
        body = {"name": self._folder, "mimeType": _FOLDER, "appProperties": {_MARK: mark}}
        return _document(
            self._ask(lambda files: files.create(body=body, fields=_FILE_FIELDS)), ""
        ).id

    def _find(self, mark: str, kind: str) -> str | None:
        """Answer the oldest file with that mark that isn't in the bin.

        There are two where the answer to the first making was lost, and Google's index was
        late: the same one is taken every time.
        """
        query = (
            f"appProperties has {{ key='{_MARK}' and value='{mark}' }}"
            f" and mimeType = '{kind}' and trashed = false"
        )
        answer = self._ask(
            lambda files: files.list(
                q=query,
                spaces="drive",
                orderBy="createdTime",
                pageSize=10,
                fields="files(id)",
            )
        )
        files = answer.get("files", []) if isinstance(answer, dict) else None
        if not isinstance(files, list):
            raise TransientError("Google Drive's answer is no list of files")
        ids = [each.get("id") for each in files if isinstance(each, dict)]
        return next((each for each in ids if isinstance(each, str) and each), None)

    def _ask(self, build: Callable[[Any], Any]) -> object:
        return self._client.execute_drive(lambda api: build(api.files()))


def _document(answer: object, title: str) -> Document:
    found = answer if isinstance(answer, dict) else {}
    file_id = found.get("id")
    if not isinstance(file_id, str) or not file_id.isascii() or not 0 < len(file_id) <= 200:
        raise TransientError("Google Drive's answer names no file")
    link = found.get("webViewLink")
    if not isinstance(link, str) or not link.startswith("https://docs.google.com/"):
        link = f"https://docs.google.com/document/d/{file_id}/edit"
    return Document(file_id, link, title, shared=found.get("shared") is True)


# ── the event ────────────────────────────────────────────────────────────────────────────


def _tell_event(
    client: GoogleClient,
    calendars: tuple[str, ...],
    summary: Summary,
    document: Document,
    note: Note,
) -> str:
    """Write the document's address on the event; answers how, for the log."""
    for calendar_id in calendars:
        event = _event(client, calendar_id, summary)
        if event is None:
            continue
        body, how = _noted(event, document, note)
        if body is None:
            return how
        etag = event.get("etag")

        def patch(
            api: Any,
            calendar_id: str = calendar_id,
            event: Mapping[str, Any] = event,
            body: Mapping[str, Any] = body,
            etag: object = etag,
        ) -> Any:
            request = api.events().patch(
                calendarId=calendar_id,
                eventId=event["id"],
                body=body,
                supportsAttachments=True,
                sendUpdates="none",
                fields="id",
            )
            if isinstance(etag, str):
                # A list is replaced as a whole: nothing that came in between may get lost.
                request.headers["If-Match"] = etag
            return request

        client.execute_events(patch)
        return how
    return "not found"


def _event(
    client: GoogleClient, calendar_id: str, summary: Summary
) -> Mapping[str, Any] | None:
    uid, original = event_of(summary.key)
    answer = client.execute_events(
        lambda api: api.events().list(
            calendarId=calendar_id,
            iCalUID=uid,
            singleEvents=True,
            timeMin=(summary.start - _AROUND).isoformat(),
            timeMax=(summary.end + _AROUND).isoformat(),
            maxResults=_MOST_OCCURRENCES,
            fields="items(id,etag,status,organizer/self,originalStartTime,attachments,"
            "extendedProperties/private)",
        )
    )
    items = answer.get("items", []) if isinstance(answer, dict) else []
    for item in items if isinstance(items, list) else []:
        if not isinstance(item, dict) or not isinstance(item.get("id"), str):
            continue
        if original is None or _starts(item, original):
            return item
    return None


def _starts(item: Mapping[str, Any], original: datetime) -> bool:
    written = item.get("originalStartTime")
    text = written.get("dateTime") if isinstance(written, dict) else None
    if not isinstance(text, str):
        return False
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")) == original
    except (ValueError, TypeError):
        return False


def _noted(
    event: Mapping[str, Any], document: Document, note: Note
) -> tuple[Mapping[str, Any] | None, str]:
    """Answer what to write on an event (None: it stands there already), and how that is."""
    organizer = event.get("organizer")
    ours = isinstance(organizer, dict) and organizer.get("self") is True
    attached = event.get("attachments")
    attached = attached if isinstance(attached, list) else []
    if note is Note.ATTACH and ours and len(attached) < _MOST_ATTACHMENTS:
        if any(isinstance(a, dict) and _is(a, document) for a in attached):
            return None, "attached"
        added = {
            "fileUrl": document.link,
            "title": document.title,
            "mimeType": _DOCUMENT,
        }
        return {"attachments": [*attached, added]}, "attached"
    extended = event.get("extendedProperties")
    private = extended.get("private") if isinstance(extended, dict) else None
    if isinstance(private, dict) and private.get(_EVENT_PROPERTY) == document.link:
        return None, "private"
    return {"extendedProperties": {"private": {_EVENT_PROPERTY: document.link}}}, "private"


def _is(attachment: Mapping[str, Any], document: Document) -> bool:
    url = attachment.get("fileUrl")
    if attachment.get("fileId") == document.id:
        return True
    return isinstance(url, str) and document.id in url
