"""A stage's Google with many calendars, in a process of its own.

`python -m tests.bench.watching_stage SPEC` reads what to stage from a JSON file, serves it,
prints one line of JSON (the address, the sign-ins and the events' names) and then answers
orders, one line of JSON each: `{"move": [calendar, event id, start, end]}` answers when it
was done, `{"traffic": NUMBER}` every request for events from that number on.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from locum.rehearsal.clock import StageClock
from locum.rehearsal.google import GoogleStage, google_app
from locum.rehearsal.serving import served

SCOPES = ("https://www.googleapis.com/auth/calendar.events.readonly",)


def main() -> None:
    spec = json.loads(Path(sys.argv[1]).read_text())
    clock = StageClock(
        speed=spec["clock"]["speed"],
        epoch=datetime.fromisoformat(spec["clock"]["epoch"]),
        epoch_host=datetime.fromisoformat(spec["clock"]["epoch_host"]),
    )
    stage = GoogleStage(now=clock.now)
    stage.quirks.quota_per_minute = spec["quota_per_minute"]
    for calendar in dict.fromkeys(each["calendar"] for each in spec["events"]):
        stage.add_account(calendar)
    events = [
        stage.insert_event(
            event["calendar"],
            {
                "summary": event["title"],
                "start": {"dateTime": event["start"]},
                "end": {"dateTime": event["end"]},
                "hangoutLink": f"https://meet.google.com/{event['meet']}",
            },
        )
        for event in spec["events"]
    ]
    with served(google_app(stage)) as google:
        token_uri = f"{google.base_url}/token"
        print(
            json.dumps(
                {
                    "address": google.base_url,
                    "sign_ins": [_sign_in(stage, each, token_uri) for each in spec["accounts"]],
                    "events": [[each["id"], each["iCalUID"]] for each in events],
                }
            ),
            flush=True,
        )
        for line in sys.stdin:
            print(json.dumps(_obey(stage, json.loads(line))), flush=True)


def _sign_in(stage: GoogleStage, account: dict[str, Any], token_uri: str) -> dict[str, Any]:
    """Answer a service account's key where others' calendars are read, else a sign-in."""
    if not account["is_service"]:
        return stage.authorized_user_info(account["email"], token_uri, SCOPES)
    key = stage.service_account_info(account["email"], token_uri)
    for calendar in account["calendars"]:
        stage.set_access(calendar, account["email"], "reader")
    return key


def _obey(stage: GoogleStage, order: dict[str, Any]) -> Any:
    if "move" in order:
        calendar, event_id, start, end = order["move"]
        change = {"start": {"dateTime": start}, "end": {"dateTime": end}}
        stage.patch_event(calendar, event_id, change)
        return stage.now().isoformat()
    return [
        [each.time.timestamp(), unquote(each.path.split("/")[-2]), each.status]
        for each in stage.log.requests[order["traffic"] :]
        if each.path.endswith("/events")
    ]


if __name__ == "__main__":
    main()
