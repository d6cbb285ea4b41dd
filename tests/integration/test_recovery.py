"""Does anything run that a restored ledger doesn't know of? The balance tells, or a person must."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from locum.app.recovery import settle_lost_sessions
from locum.database import write_instant
from locum.rehearsal.pikastate import SessionRequest
from tests.integration.daemon_rig import CODE, DaemonRig, daemon_rig, until

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def restored(rig: DaemonRig, *, sessions_known: str) -> None:
    """Let the rig's ledger be one that was restored just now."""
    rig.boot(controlled=False)
    database = rig.ledger.database
    database.set_meta("recovered_at", write_instant(rig.clock.now()))
    database.set_meta("sessions_known", sessions_known)


async def test_a_session_that_was_lost_is_told_until_it_has_ended(tmp_path: Path) -> None:
    """The balance falls: a person is told, once. It stands still: nothing is unknown any more."""
    async with daemon_rig(tmp_path) as rig:
        restored(rig, sessions_known="no")
        request = SessionRequest(
            room=CODE,
            meet_url=f"https://meet.google.com/{CODE}",
            platform="google_meet",
            bot_name="Robin",
            voice_id="English_radiant_girl",
            image_bytes=2000,
        )
        lost = rig.stage.create(request)
        with capture_logs() as logs:
            settling = asyncio.ensure_future(
                settle_lost_sessions(rig.ledger, lambda: rig.engines, rig.clock)
            )
            await until(lambda: [each for each in logs if each["event"] == "orphan_suspected"])
            assert rig.ledger.database.meta("sessions_known") == "no"
            await rig.clock.sleep(timedelta(minutes=1))
            assert not settling.done()
            rig.stage.end(lost.id)
            await until(settling.done)
        await settling
        assert rig.ledger.database.meta("sessions_known") == "yes"
        told = [
            each["event"] for each in logs if each["event"].endswith(("suspected", "settled"))
        ]
        assert told == ["orphan_suspected", "lost_sessions_settled"]


async def test_where_all_sessions_are_known_nobody_is_asked(tmp_path: Path) -> None:
    """Nor after the hold has ended."""
    async with daemon_rig(tmp_path) as rig:
        restored(rig, sessions_known="yes")
        await settle_lost_sessions(rig.ledger, lambda: rig.engines, rig.clock)
        rig.ledger.database.set_meta("sessions_known", "no")
        rig.ledger.database.reconciled()
        await settle_lost_sessions(rig.ledger, lambda: rig.engines, rig.clock)
        assert rig.stage.log.requests == []
