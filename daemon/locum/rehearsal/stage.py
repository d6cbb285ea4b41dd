"""The whole stage: a Google, a PikaStream, a model, rooms, where notices arrive; one clock."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from locum.rehearsal.clock import StageClock
from locum.rehearsal.face import face_png
from locum.rehearsal.google import GoogleStage, google_app
from locum.rehearsal.google.identity import DEFAULT_SCOPES, SCOPE_ROOT
from locum.rehearsal.google.meet import SCOPES as MEET_SCOPES
from locum.rehearsal.model import ModelStage, model_app
from locum.rehearsal.pikastate import PikaStage
from locum.rehearsal.pikastream import pikastream_app
from locum.rehearsal.receiver import Receiver, receiver_app
from locum.rehearsal.rooms import Rooms
from locum.rehearsal.scenario import (
    EditKind,
    FaultTarget,
    Scenario,
    ScenarioEdit,
    ScenarioEvent,
    ScenarioFault,
)
from locum.rehearsal.serving import served

_MEET_SCOPE = SCOPE_ROOT + MEET_SCOPES[0]

_TURN_S = 0.05
"""How often the scenario looks whether something is due, in the host's seconds."""


@dataclass(frozen=True)
class Addresses:
    """Where the stage is served; no trailing slashes."""

    google: str
    pikastream: str
    notices: str
    model: str


class Stage:
    """Plays `scenario` from `begin` on. Safe to look at from any thread.

    Several processes that make one stage together share a `clock`, by its two epochs.
    """

    def __init__(
        self, scenario: Scenario, *, speed: float = 1.0, clock: StageClock | None = None
    ) -> None:
        self.scenario = scenario
        self.clock = clock or StageClock(speed=speed)
        self.rooms = Rooms(now=self.clock.now)
        self.google = GoogleStage(now=self.clock.now)
        self.pikastream = PikaStage(
            now=self.clock.now, rooms=self.rooms, settings=scenario.pikastream
        )
        self.receiver = Receiver(self.clock.now)
        self.model = ModelStage(scenario.model, now=self.clock.now)
        self.beginning: datetime | None = None
        self._event_ids: dict[str, str] = {}
        self.google.add_account(scenario.owner.email, name=scenario.owner.name)
        self._prepare_meet()

    def _prepare_meet(self) -> None:
        meet, wanted = self.google.meet, self.scenario.meet
        meet.rooms = self.rooms
        if wanted is not None:
            meet.transcribed = frozenset(wanted.rooms) or None
            meet.transcripts_after = wanted.transcripts_after if wanted.ready else None
            meet.smart_notes = wanted.smart_notes

    @contextlib.contextmanager
    def open(self) -> Iterator[Addresses]:
        """Serve everything on loopback until the block ends."""
        with (
            served(google_app(self.google)) as google,
            served(pikastream_app(self.pikastream)) as pikastream,
            served(receiver_app(self.receiver)) as notices,
            served(model_app(self.model)) as model,
        ):
            yield Addresses(
                google=google.base_url,
                pikastream=pikastream.base_url,
                notices=notices.base_url,
                model=f"{model.base_url}/v1",
            )

    @contextlib.contextmanager
    def playing(self) -> Iterator[None]:
        """Put the invitations on the calendar now, and let the rest happen in its time."""
        self.beginning = self.clock.now()
        for event in self.scenario.events:
            body = _event_body(event, self.beginning)
            shown = self.google.insert_event(self.scenario.owner.email, body)
            self._event_ids[event.id] = shown["id"]
        self.rooms.expect(self.scenario.room_steps(self.beginning))
        finished = threading.Event()
        player = threading.Thread(
            target=self._play, args=(self.beginning, finished), name="scenario", daemon=True
        )
        player.start()
        try:
            yield
        finally:
            finished.set()
            player.join(timeout=5)

    def offset(self) -> timedelta:
        """Answer how long the scenario has been playing."""
        return timedelta(0) if self.beginning is None else self.clock.now() - self.beginning

    def _play(self, beginning: datetime, finished: threading.Event) -> None:
        pending: list[ScenarioEdit | ScenarioFault] = sorted(
            (*self.scenario.edits, *self.scenario.faults), key=lambda step: step.at
        )
        while not finished.wait(_TURN_S):
            self.rooms.tick()
            while pending and beginning + pending[0].at <= self.clock.now():
                step = pending.pop(0)
                if isinstance(step, ScenarioEdit):
                    self._edit(step, beginning)
                elif step.target is FaultTarget.GOOGLE:
                    self.google.faults.add(step.fault)
                elif step.target is FaultTarget.MODEL:
                    self.model.faults.add(step.fault)
                else:
                    self.pikastream.faults.add(step.fault)

    def _edit(self, edit: ScenarioEdit, beginning: datetime) -> None:
        owner = self.scenario.owner.email
        event_id = self._event_ids[edit.event]
        if edit.kind is EditKind.CANCEL:
            self.google.delete_event(owner, event_id)
        elif edit.kind is EditKind.DECLINE:
            self.google.respond(edit.attendee or owner, event_id, "declined")
        else:
            shown = self.google.get_event(owner, event_id)
            self.google.patch_event(owner, event_id, _change(edit, shown, beginning))


def _event_body(event: ScenarioEvent, beginning: datetime) -> dict[str, Any]:
    start = beginning + event.starts_at
    body: dict[str, Any] = {
        "summary": event.title,
        "description": event.description,
        "location": event.location,
        "start": _moment(start),
        "end": _moment(start + event.duration),
        "organizer": {"email": event.organizer, "displayName": event.organizer_name},
        "attendees": [
            {
                "email": attendee.email,
                "displayName": attendee.name,
                "responseStatus": attendee.answer.value,
                "optional": attendee.optional,
            }
            for attendee in event.attendees
        ],
        "recurrence": list(event.recurrence),
    }
    if event.meet is not None:
        body |= _link(event.meet)
    return {key: value for key, value in body.items() if value}


def _change(edit: ScenarioEdit, shown: dict[str, Any], beginning: datetime) -> dict[str, Any]:
    start = datetime.fromisoformat(shown["start"]["dateTime"].replace("Z", "+00:00"))
    end = datetime.fromisoformat(shown["end"]["dateTime"].replace("Z", "+00:00"))
    if edit.kind is EditKind.MOVE and edit.to is not None:
        moved = beginning + edit.to
        return {"start": _moment(moved), "end": _moment(moved + (end - start))}
    if edit.kind is EditKind.EXTEND and edit.by is not None:
        return {"end": _moment(end + edit.by)}
    body: dict[str, Any] = {
        "summary": edit.title,
        "description": edit.description,
        "location": edit.location,
    }
    if edit.meet is not None:
        body |= _link(edit.meet)
    return {key: value for key, value in body.items() if value is not None}


def _moment(instant: datetime) -> dict[str, str]:
    return {"dateTime": instant.isoformat(timespec="seconds"), "timeZone": "UTC"}


def _link(code: str) -> dict[str, Any]:
    address = f"https://meet.google.com/{code}"
    return {
        "hangoutLink": address,
        "conferenceData": {
            "conferenceId": code,
            "conferenceSolution": {
                "key": {"type": "hangoutsMeet"},
                "name": "Google Meet",
            },
            "entryPoints": [
                {
                    "entryPointType": "video",
                    "uri": address,
                    "label": address.removeprefix("https://"),
                }
            ],
        },
    }


def write_config(
    stage: Stage, addresses: Addresses, folder: Path, *, notices: bool = False
) -> Path:
    """Write everything that a daemon needs to play on this stage; answers the config's path.

    The sign-in and the key are the stage's own and open nothing else. With `notices` its owner
    is told, where the extra for that is installed.
    """
    scenario = stage.scenario
    folder.mkdir(parents=True, exist_ok=True)
    scopes = DEFAULT_SCOPES if scenario.meet is None else (*DEFAULT_SCOPES, _MEET_SCOPE)
    token = stage.google.authorized_user_info(
        scenario.owner.email, f"{addresses.google}/token", scopes
    )
    _write_private(folder / "token.json", json.dumps(token))
    _write_private(folder / "client.json", json.dumps(_client(stage, addresses)))
    _write_private(folder / "pika_dev_key", stage.pikastream.settings.api_key + "\n")
    _write_private(folder / "brain.key", stage.model.settings.api_key + "\n")
    host = addresses.notices.removeprefix("http://")
    _write_private(folder / "notify.urls", f"ntfy://{host}/owner\n")
    (folder / "face.png").write_bytes(face_png())
    path = folder / "locum.toml"
    path.write_text(_config_text(stage, addresses, notices=notices), encoding="utf-8")
    return path


def _client(stage: Stage, addresses: Addresses) -> dict[str, Any]:
    return stage.google.client_secrets(addresses.google)


def _config_text(stage: Stage, addresses: Addresses, *, notices: bool) -> str:
    scenario = stage.scenario
    speed = stage.clock.speed
    tells = notices and find_spec("apprise") is not None
    notify = '[notify]\nurls_file = "notify.urls"\n' if tells else ""
    brain = _brain_text(stage, addresses)
    fetches = "" if scenario.meet is None else "meet_transcripts = true\n"
    # Seconds of the stage: near ones are short, because a rehearsal is.
    return f"""\
# Written by `locum rehearse`: a daemon on the stage. Everything here is on loopback.
state_dir = "state"
runtime_dir = "state"

[calendar]
api_root = {_toml(addresses.google + "/")}
token_uri = {_toml(addresses.google + "/token")}
poll_near = "2s"
poll_idle = "2s"

[[calendar.accounts]]
name = "stage"
calendars = ["primary"]
client_secrets = "client.json"
token_file = "token.json"
{fetches}
[transcripts]
first_after = "3s"

[attend]
lead = "2s"
grace = "60s"

[personas.stand-in]
display_name = {_toml(scenario.persona.display_name)}
owner = {_toml(scenario.owner.name)}
image = "face.png"
instructions = {_toml(scenario.persona.instructions)}

[engines.pikastream]
type = "pikastream"
base_url = {_toml(addresses.pikastream)}
api_key_file = "pika_dev_key"

[[sinks]]
type = "markdown"
folder = "summaries"

{notify}{brain}
[stage]
speed = {speed!r}
epoch_host = {stage.clock.epoch_host.isoformat()}
epoch = {stage.clock.epoch.isoformat()}
"""


def _brain_text(stage: Stage, addresses: Addresses) -> str:
    """Let the stage's model write the minutes: where the scenario has one, and the extra is there."""
    if stage.scenario.model is None or find_spec("pydantic_ai") is None:
        return ""
    return f"""\
[brain]
model = {_toml(stage.model.settings.model)}
base_url = {_toml(addresses.model)}
api_key_file = "brain.key"
"""


def _toml(text: str) -> str:
    """Write a text as TOML's basic string: JSON's escapes are valid there."""
    return json.dumps(text).replace("\x7f", "\\u007f")


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(text, encoding="utf-8")
