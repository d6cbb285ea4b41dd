"""The stage's Google Calendar in a process of its own, so that its work isn't the daemon's.

`python -m tests.bench.google_process SPEC` reads {"email", "clock", "events": [...]} (each
event `title`, `start`, `end`, `meet`), serves it, prints one line of JSON and stays.
"""

from __future__ import annotations

import json
import sys
import threading
from datetime import datetime
from pathlib import Path

from locum.rehearsal.clock import StageClock
from locum.rehearsal.google import GoogleStage, google_app
from locum.rehearsal.serving import served


def main() -> None:
    spec = json.loads(Path(sys.argv[1]).read_text())
    clock = StageClock(
        speed=spec["clock"]["speed"],
        epoch=datetime.fromisoformat(spec["clock"]["epoch"]),
        epoch_host=datetime.fromisoformat(spec["clock"]["epoch_host"]),
    )
    stage = GoogleStage(now=clock.now)
    stage.add_account(spec["email"])
    for event in spec["events"]:
        stage.insert_event(
            spec["email"],
            {
                "summary": event["title"],
                "start": {"dateTime": event["start"]},
                "end": {"dateTime": event["end"]},
                "hangoutLink": f"https://meet.google.com/{event['meet']}",
            },
        )
    with served(google_app(stage)) as google:
        token = stage.authorized_user_info(spec["email"], f"{google.base_url}/token")
        print(json.dumps({"address": google.base_url, "token": token}), flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
