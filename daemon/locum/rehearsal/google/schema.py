"""What may be written to an event, and asked of a list: parsed once, at the edge.

Unknown fields are dropped, as Google drops them: what was not understood must not come back
in an answer. `None` is kept, because a PATCH clears a field by it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from locum.rehearsal.google.errors import ApiError, invalid
from locum.rehearsal.google.times import parse_instant, zone

_Query = TypeVar("_Query", bound=BaseModel)
ResponseStatus = Literal["needsAction", "declined", "tentative", "accepted"]


class _Object(BaseModel):
    model_config = ConfigDict(extra="ignore", alias_generator=to_camel, populate_by_name=False)


class EventDateTime(_Object):
    date: str | None = None
    date_time: str | None = None
    time_zone: str | None = None


class Attendee(_Object):
    email: str = Field(pattern=r"^[^@\s]+@[^@\s]+$", max_length=320)
    additional_guests: int | None = None
    comment: str | None = None
    display_name: str | None = None
    id: str | None = None
    optional: bool | None = None
    resource: bool | None = None
    response_status: ResponseStatus | None = None


class Person(_Object):
    email: str | None = None
    display_name: str | None = None
    id: str | None = None


class ConferenceSolutionKey(_Object):
    type: str | None = None


class CreateRequest(_Object):
    request_id: str
    conference_solution_key: ConferenceSolutionKey | None = None


class EntryPoint(_Object):
    access_code: str | None = None
    entry_point_features: list[str] | None = None
    entry_point_type: str | None = None
    label: str | None = None
    meeting_code: str | None = None
    passcode: str | None = None
    password: str | None = None
    pin: str | None = None
    region_code: str | None = None
    uri: str | None = None


class ConferenceSolution(_Object):
    icon_uri: str | None = None
    key: ConferenceSolutionKey | None = None
    name: str | None = None


class ConferenceData(_Object):
    conference_id: str | None = None
    conference_solution: ConferenceSolution | None = None
    create_request: CreateRequest | None = None
    entry_points: list[EntryPoint] | None = None
    notes: str | None = None
    signature: str | None = None


class ExtendedProperties(_Object):
    private: dict[str, str | None] | None = None
    shared: dict[str, str | None] | None = None


class Reminder(_Object):
    method: str | None = None
    minutes: int | None = None


class Reminders(_Object):
    use_default: bool | None = None
    overrides: list[Reminder] | None = None


class Attachment(_Object):
    file_url: str
    file_id: str | None = None
    icon_link: str | None = None
    mime_type: str | None = None
    title: str | None = None


class Source(_Object):
    title: str | None = None
    url: str | None = None


class FocusTime(_Object):
    auto_decline_mode: str | None = None
    chat_status: str | None = None
    decline_message: str | None = None


class OutOfOffice(_Object):
    auto_decline_mode: str | None = None
    decline_message: str | None = None


class CustomLocation(_Object):
    label: str | None = None


class WorkingLocation(_Object):
    custom_location: CustomLocation | None = None
    type: str | None = None


class Birthday(_Object):
    contact: str | None = None
    custom_type_name: str | None = None
    type: str | None = None


class EventDraft(_Object):
    """The fields of an event that a client may write."""

    id: str | None = None
    status: Literal["confirmed", "tentative", "cancelled"] | None = None
    summary: str | None = None
    description: str | None = None
    location: str | None = None
    color_id: str | None = None
    start: EventDateTime | None = None
    end: EventDateTime | None = None
    recurrence: list[str] | None = None
    transparency: Literal["opaque", "transparent"] | None = None
    visibility: Literal["default", "public", "private", "confidential"] | None = None
    attendees: list[Attendee] | None = None
    attendees_omitted: bool | None = None
    extended_properties: ExtendedProperties | None = None
    conference_data: ConferenceData | None = None
    anyone_can_add_self: bool | None = None
    guests_can_invite_others: bool | None = None
    guests_can_modify: bool | None = None
    guests_can_see_other_guests: bool | None = None
    private_copy: bool | None = None
    reminders: Reminders | None = None
    source: Source | None = None
    attachments: list[Attachment] | None = Field(default=None, max_length=25)
    event_type: (
        Literal[
            "default", "focusTime", "outOfOffice", "workingLocation", "birthday", "fromGmail"
        ]
        | None
    ) = None
    focus_time_properties: FocusTime | None = None
    out_of_office_properties: OutOfOffice | None = None
    working_location_properties: WorkingLocation | None = None
    birthday_properties: Birthday | None = None


class ImportedEvent(EventDraft):
    """What an import may set beyond a draft."""

    i_cal_uid: Annotated[str | None, Field(alias="iCalUID")] = None
    organizer: Person | None = None


class StagedEvent(ImportedEvent):
    """What a rehearsal may set: whatever it wants the daemon to read."""

    creator: Person | None = None
    hangout_link: str | None = None
    end_time_unspecified: bool | None = None
    locked: bool | None = None


def read_event(payload: object, model: type[EventDraft] = EventDraft) -> dict[str, Any]:
    """Read an event's body; answers Google's names and only what was sent.

    Raises:
        ApiError: 400, it is no event.
    """
    try:
        draft = model.model_validate(payload)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(each) for each in first["loc"])
        raise ApiError(
            400, "invalid", f"Invalid value for: {where or 'event'}: {first['msg']}"
        ) from error
    return draft.model_dump(by_alias=True, exclude_unset=True)


def _instant(text: object) -> datetime:
    instant = parse_instant(str(text))
    if instant.tzinfo is None:
        raise ValueError("a time zone offset is mandatory")
    return instant


def _zone_name(text: object) -> str:
    zone(str(text))
    return str(text)


Instant = Annotated[datetime, BeforeValidator(_instant)]
ZoneName = Annotated[str, BeforeValidator(_zone_name)]


class View(_Object):
    """How events are to be shown."""

    max_attendees: int | None = Field(default=None, ge=1)
    time_zone: ZoneName | None = None


class InstancesQuery(View):
    max_results: int = Field(default=250, ge=1)
    page_token: str | None = None
    show_deleted: bool | None = None
    time_min: Instant | None = None
    time_max: Instant | None = None
    original_start: Instant | str | None = None


class ListQuery(View):
    always_include_email: bool | None = None
    event_types: tuple[
        Literal[
            "birthday", "default", "focusTime", "fromGmail", "outOfOffice", "workingLocation"
        ],
        ...,
    ] = ()
    i_cal_uid: Annotated[str | None, Field(alias="iCalUID")] = None
    max_results: int = Field(default=250, ge=1)
    order_by: Literal["startTime", "updated"] | None = None
    page_token: str | None = None
    private_extended_property: tuple[str, ...] = ()
    q: str | None = None
    shared_extended_property: tuple[str, ...] = ()
    show_deleted: bool | None = None
    show_hidden_invitations: bool | None = None
    single_events: bool = False
    sync_token: str | None = None
    time_max: Instant | None = None
    time_min: Instant | None = None
    updated_min: Instant | None = None


class WriteQuery(View):
    conference_data_version: int = Field(default=0, ge=0, le=1)
    supports_attachments: bool = False
    send_updates: Literal["all", "externalOnly", "none"] | None = None


class CalendarListQuery(_Object):
    max_results: int = Field(default=100, ge=1)
    min_access_role: Literal["freeBusyReader", "reader", "writer", "owner"] | None = None
    page_token: str | None = None
    show_deleted: bool = False
    show_hidden: bool = False
    sync_token: str | None = None


class FreeBusyItem(_Object):
    id: str


class FreeBusyRequest(_Object):
    time_min: Instant
    time_max: Instant
    time_zone: ZoneName = "UTC"
    items: list[FreeBusyItem] = Field(default_factory=list, max_length=50)


class ChannelParams(_Object):
    ttl: int | None = Field(default=None, ge=1)


class ChannelDraft(_Object):
    """What a client says of a channel that it wants opened; `expiration` in milliseconds."""

    id: str
    type: str
    address: str
    token: str | None = None
    expiration: int | None = None
    params: ChannelParams = ChannelParams()


class ChannelStop(_Object):
    """What a client says of a channel that it wants closed."""

    id: str
    resource_id: str


_REPEATABLE = {"eventTypes", "privateExtendedProperty", "sharedExtendedProperty"}


def read_query(model: type[_Query], pairs: Iterable[tuple[str, str]]) -> _Query:
    """Read a query string; of a parameter that can't repeat, the last one counts.

    Raises:
        ApiError: 400, naming the parameter.
    """
    given: dict[str, Any] = {}
    for name, value in pairs:
        if name in _REPEATABLE:
            given[name] = (*given.get(name, ()), value)
        else:
            given[name] = value
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise invalid(str(error.errors()[0]["loc"][0])) from error


def read_body(payload: bytes) -> object:
    """Read a request's JSON.

    Raises:
        ApiError: 400, `parseError`.
    """
    try:
        return json.loads(payload or b"{}")
    except ValueError as error:
        raise ApiError(400, "parseError", "Parse Error") from error


def read_free_busy(payload: object) -> FreeBusyRequest:
    """Read the body of a free/busy query.

    Raises:
        ApiError: 400, naming the field.
    """
    try:
        request = FreeBusyRequest.model_validate(payload)
    except ValidationError as error:
        raise invalid(str(error.errors()[0]["loc"][:1] or "body")) from error
    if request.time_min >= request.time_max:
        raise ApiError(400, "timeRangeEmpty")
    return request
