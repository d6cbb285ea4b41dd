"""The addresses of the stage's Google: Calendar v3 and Meet v2, with the sign-in beside them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from locum.rehearsal.faults import Fault, control_routes, with_faults
from locum.rehearsal.google import overview
from locum.rehearsal.google.drive import SCOPES as DRIVE_SCOPES
from locum.rehearsal.google.drive import read_upload
from locum.rehearsal.google.edits import Author
from locum.rehearsal.google.errors import ApiError, error_body
from locum.rehearsal.google.listing import Quirks
from locum.rehearsal.google.meet import SCOPES as MEET_SCOPES
from locum.rehearsal.google.meet import is_meets, meet_error
from locum.rehearsal.google.oauth import oauth_routes
from locum.rehearsal.google.partial import masked, read_mask
from locum.rehearsal.google.schema import (
    CalendarListQuery,
    ImportedEvent,
    InstancesQuery,
    ListQuery,
    View,
    WriteQuery,
    read_body,
    read_event,
    read_free_busy,
    read_query,
)
from locum.rehearsal.google.stage import GoogleStage
from locum.rehearsal.google.store import Calendar, Entry
from locum.rehearsal.google.views import show

_ROOT = "/calendar/v3"
_EVENTS = f"{_ROOT}/calendars/{{calendar_id}}/events"
_EVENT = f"{_EVENTS}/{{event_id}}"

#: Scopes, any of which opens a method, after Google's root for them.
_READ = (
    "calendar",
    "calendar.readonly",
    "calendar.events",
    "calendar.events.readonly",
    "calendar.events.owned",
    "calendar.events.owned.readonly",
)
_WRITE = ("calendar", "calendar.events", "calendar.events.owned")
_LISTS = (
    "calendar",
    "calendar.readonly",
    "calendar.calendarlist",
    "calendar.calendarlist.readonly",
)
_CALENDARS = (
    "calendar",
    "calendar.readonly",
    "calendar.calendars",
    "calendar.calendars.readonly",
)
_SETTINGS = (
    "calendar",
    "calendar.readonly",
    "calendar.settings",
    "calendar.settings.readonly",
)
_FREE_BUSY = ("calendar", "calendar.readonly", "calendar.freebusy", "calendar.events.freebusy")


@dataclass(frozen=True)
class Call:
    """One authorised request."""

    stage: GoogleStage
    request: Request
    email: str
    body: object

    @property
    def event_id(self) -> str:
        return str(self.request.path_params["event_id"])

    @property
    def if_match(self) -> str | None:
        return self.request.headers.get("if-match")

    def calendar(self, role: str = "freeBusyReader") -> Calendar:
        wanted = str(self.request.path_params["calendar_id"])
        return self.stage.visible_calendar(wanted, self.email, role)

    def pairs(self) -> list[tuple[str, str]]:
        return self.request.query_params.multi_items()

    def show(self, calendar: Calendar, entry: Entry, view: View) -> dict[str, Any]:
        reader = self.stage.reader(calendar, calendar.role(self.email))
        return show(entry, calendar, reader.viewer(view, tombstone_details=True))


Handler = Callable[[Call], Any]


def _uploaded(call: Call) -> tuple[object, tuple[str, bytes]]:
    """Answer a file's metadata, and its content with its type if there is any."""
    if not isinstance(call.body, Upload):
        return call.body, ("", b"")
    if call.request.query_params.get("uploadType") != "multipart":
        raise ApiError(400, "badRequest", "Only multipart uploads here.")
    return read_upload(call.body.content_type, call.body.payload)


def drive_routes(stage: GoogleStage) -> list[Route]:
    """Answer Drive's routes: metadata on the one address, uploads on the other."""
    files, upload = "/drive/v3/files", "/upload/drive/v3/files"

    def create(call: Call) -> Any:
        return stage.drive.create(call.email, *_uploaded(call))

    def update(call: Call) -> Any:
        file_id = str(call.request.path_params["file_id"])
        return stage.drive.update(call.email, file_id, *_uploaded(call))

    def find(call: Call) -> Any:
        return stage.drive.list(call.email, dict(call.pairs()))

    def get(call: Call) -> Any:
        return stage.drive.get(call.email, str(call.request.path_params["file_id"]))

    def about(call: Call) -> Any:
        if "fields" not in call.request.query_params:
            raise ApiError(400, "required", "The 'fields' parameter is required.", "fields")
        return stage.drive.about(call.email)

    def route(path: str, method: str, handler: Handler) -> Route:
        return Route(path, _endpoint(stage, DRIVE_SCOPES, handler), methods=[method])

    return [
        route("/drive/v3/about", "GET", about),
        route(files, "GET", find),
        route(files, "POST", create),
        route(f"{files}/{{file_id}}", "GET", get),
        route(f"{files}/{{file_id}}", "PATCH", update),
        route(upload, "POST", create),
        route(f"{upload}/{{file_id}}", "PATCH", update),
    ]


def google_app(stage: GoogleStage) -> Starlette:
    """Answer the application that serves `stage`; its faults and log stand around it."""

    def route(path: str, method: str, scopes: tuple[str, ...], handler: Handler) -> Route:
        return Route(path, _endpoint(stage, scopes, handler), methods=[method])

    routes = [
        route(_EVENTS, "GET", _READ, _list_events),
        route(_EVENTS, "POST", _WRITE, _insert),
        route(f"{_EVENTS}/import", "POST", _WRITE, _import),
        route(f"{_EVENTS}/watch", "POST", _READ, _watch),
        route(_EVENT, "GET", _READ, _get),
        route(_EVENT, "PATCH", _WRITE, _patch),
        route(_EVENT, "PUT", _WRITE, _update),
        route(_EVENT, "DELETE", _WRITE, _delete),
        route(f"{_EVENT}/instances", "GET", _READ, _instances),
        route(f"{_ROOT}/channels/stop", "POST", _READ, _stop),
        route(f"{_ROOT}/users/me/calendarList", "GET", _LISTS, _calendar_list),
        route(f"{_ROOT}/users/me/calendarList/{{calendar_id}}", "GET", _LISTS, _calendar_entry),
        route(f"{_ROOT}/calendars/{{calendar_id}}", "GET", _CALENDARS, _calendar),
        route(f"{_ROOT}/users/me/settings", "GET", _SETTINGS, _settings),
        route(f"{_ROOT}/users/me/settings/{{setting}}", "GET", _SETTINGS, _setting),
        route(f"{_ROOT}/freeBusy", "POST", _FREE_BUSY, _free_busy),
        route("/v2/conferenceRecords", "GET", MEET_SCOPES, _list_conferences),
        route("/v2/{name:path}", "GET", MEET_SCOPES, _meet_resource),
        *drive_routes(stage),
        *oauth_routes(stage.identity, stage.lock),
        Route("/_stage/quirks", _quirks_endpoint(stage), methods=["GET", "POST"]),
        *control_routes(stage.faults, stage.log, parse=_read_fault),
    ]
    handlers = {404: _no_such_address, 405: _no_such_address}
    app = Starlette(routes=routes, exception_handlers=handlers)
    return with_faults(app, stage.faults, stage.log)


def _endpoint(
    stage: GoogleStage, scopes: tuple[str, ...], handler: Handler
) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        payload = await request.body()
        try:
            with stage.lock:
                header = request.headers.get("authorization")
                grant = stage.identity.authenticate(header, scopes)
                stage.spend_quota(grant.email)
                stage.editor.settle()
                body = _body(request, payload)
                answer = handler(Call(stage, request, grant.email, body))
                return _answer(request, answer)
        except ApiError as error:
            return _refusal(request, error)

    return endpoint


def _refusal(request: Request, error: ApiError) -> Response:
    if is_meets(request.url.path):
        status, body = meet_error(error.status, error.reason, error.message)
        return _json(body, status)
    return _json(error.body, error.status)


@dataclass(frozen=True)
class Upload:
    """A body that is more than JSON."""

    content_type: str
    payload: bytes


def _body(request: Request, payload: bytes) -> object:
    if request.method not in {"POST", "PUT", "PATCH"}:
        return None
    if request.url.path.startswith("/upload/"):
        return Upload(request.headers.get("content-type", ""), payload)
    return read_body(payload)


def _quirks_endpoint(stage: GoogleStage) -> Callable[[Request], Any]:
    """Let another process read and set the quirks: `POST` replaces all of them."""

    async def endpoint(request: Request) -> Response:
        if request.method == "POST":
            try:
                wanted = TypeAdapter(Quirks).validate_json(await request.body())
            except ValidationError as error:
                return JSONResponse({"error": str(error)}, status_code=400)
            with stage.lock:
                stage.quirks = wanted
        return JSONResponse(asdict(stage.quirks))

    return endpoint


def _answer(request: Request, answer: Any) -> Response:
    if answer is None:
        return Response(status_code=204)
    etag = answer.get("etag") if isinstance(answer, dict) else None
    if etag is not None and request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers={"etag": etag})
    if mask := request.query_params.get("fields"):
        answer = masked(answer, read_mask(mask))
    return _json(answer, 200, {} if etag is None else {"etag": etag})


def _json(content: Any, status: int, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse(
        content,
        status,
        {"cache-control": "private, max-age=0, must-revalidate", **(headers or {})},
        media_type="application/json; charset=UTF-8",
    )


async def _no_such_address(request: Request, error: Exception) -> Response:
    del error
    if is_meets(request.url.path):
        return _refusal(request, ApiError(404, "notFound", "Method not found."))
    return _json(error_body(404, "notFound"), 404)


def _read_fault(payload: object) -> Fault:
    """Read a fault; `reason` beside a `status` stands for Google's body for it."""
    if isinstance(payload, dict) and "reason" in payload:
        rest = {name: value for name, value in payload.items() if name != "reason"}
        status, reason = int(rest.get("status", 400)), str(payload["reason"])
        body = error_body(status, reason)
        if is_meets(str(rest.get("path", ""))):
            rest["status"], body = meet_error(status, reason)
        return Fault.from_json({"path": "/calendar/v3/", **rest, "body": body})
    return Fault.from_json(payload)


# ── events ───────────────────────────────────────────────────────────────────────────────


def _list_events(call: Call) -> Any:
    query = read_query(ListQuery, call.pairs())
    calendar = call.calendar()
    return call.stage.reader(calendar, calendar.role(call.email)).list_events(query)


def _instances(call: Call) -> Any:
    query = read_query(InstancesQuery, call.pairs())
    calendar = call.calendar()
    reader = call.stage.reader(calendar, calendar.role(call.email))
    return reader.list_instances(call.event_id, query)


def _get(call: Call) -> Any:
    view = read_query(View, call.pairs())
    calendar = call.calendar()
    reader = call.stage.reader(calendar, calendar.role(call.email))
    return reader.get(call.event_id, view)


def _author(call: Call, query: WriteQuery) -> Author:
    return Author(
        call.email,
        conference_data=query.conference_data_version == 1,
        attachments=query.supports_attachments,
    )


def _insert(call: Call) -> Any:
    query = read_query(WriteQuery, call.pairs())
    calendar = call.calendar("writer")
    draft = read_event(call.body)
    if draft.get("eventType") == "fromGmail":
        raise ApiError(400, "invalid", "Events from Gmail can't be created.")
    entry = call.stage.editor.insert(calendar, draft, _author(call, query))
    return call.show(calendar, entry, query)


def _import(call: Call) -> Any:
    query = read_query(WriteQuery, call.pairs())
    calendar = call.calendar("writer")
    draft = read_event(call.body, ImportedEvent)
    if not draft.get("iCalUID"):
        raise ApiError(400, "required", "Missing iCalUID.")
    entry = call.stage.editor.insert(calendar, draft, _author(call, query))
    return call.show(calendar, entry, query)


def _patch(call: Call) -> Any:
    return _change(call, read_event(call.body), whole=False)


def _update(call: Call) -> Any:
    return _change(call, read_event(call.body), whole=True)


def _change(call: Call, change: dict[str, Any], *, whole: bool) -> Any:
    query = read_query(WriteQuery, call.pairs())
    calendar = call.calendar("writer")
    entry = call.stage.editor.change(
        calendar,
        call.event_id,
        change,
        _author(call, query),
        whole=whole,
        if_match=call.if_match,
    )
    return call.show(calendar, entry, query)


def _delete(call: Call) -> None:
    calendar = call.calendar("writer")
    call.stage.editor.delete(
        calendar, call.event_id, Author(call.email), if_match=call.if_match
    )


# ── push ─────────────────────────────────────────────────────────────────────────────────


def _watch(call: Call) -> Any:
    root = f"{call.request.base_url}{_ROOT[1:]}/"
    return call.stage.channels.watch(call.calendar(), call.email, call.body, root=root)


def _stop(call: Call) -> None:
    call.stage.channels.stop(call.email, call.body)


# ── Meet ─────────────────────────────────────────────────────────────────────────────────


def _list_conferences(call: Call) -> Any:
    return call.stage.meet.list_conferences(call.email, dict(call.pairs()))


def _meet_resource(call: Call) -> Any:
    name = str(call.request.path_params["name"])
    if name.count("/") % 2:
        return call.stage.meet.get(call.email, name)
    return call.stage.meet.list_under(call.email, name, dict(call.pairs()))


# ── calendars, settings, free and busy ───────────────────────────────────────────────────


def _calendar_list(call: Call) -> Any:
    query = read_query(CalendarListQuery, call.pairs())
    return overview.list_calendars(call.stage, call.email, query)


def _calendar_entry(call: Call) -> Any:
    return overview.calendar_entry(call.calendar(), call.email)


def _calendar(call: Call) -> Any:
    return overview.calendar_resource(call.calendar())


def _settings(call: Call) -> Any:
    return overview.settings(call.stage, call.email)


def _setting(call: Call) -> Any:
    return overview.setting(call.stage, call.email, str(call.request.path_params["setting"]))


def _free_busy(call: Call) -> Any:
    return overview.free_busy(call.stage, call.email, read_free_busy(call.body))
