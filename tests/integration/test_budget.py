"""Caps in the running daemon: what doesn't fit isn't joined, is said once, and goes when it fits."""

from __future__ import annotations

from pathlib import Path

import pytest
from dateutil.tz import UTC

from locum.core.model import Code, Phase
from locum.core.money import Caps
from locum.ledger import Purse
from tests.integration.daemon_rig import OTHER, DaemonRig, daemon_rig, until

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def _cap(rig: DaemonRig, **dollars: float) -> None:
    caps = Caps.of_dollars(
        **{
            "per_meeting": None,
            "per_day": None,
            "per_month": None,
            "per_organizer_month": None,
            **dollars,
        }
    )
    purse = Purse(rig.ledger.database, caps, max_length=rig.policy.max_length, zone=UTC)
    rig.controller.change_setting(rig.setting(purse=purse))


def _last_code(rig: DaemonRig, uid: str = "sync") -> Code:
    return rig.ledger.calendars.decisions(rig.event(uid).occurrence)[-1].code


async def test_a_meeting_over_its_cap_is_not_joined_until_the_cap_is_raised(
    tmp_path: Path,
) -> None:
    """Refused with the cap as its reason, recorded once however often it is asked."""
    async with daemon_rig(tmp_path) as rig:
        rig.boot()
        _cap(rig, per_meeting=1.0)
        rig.show(starts_in=10)
        await until(lambda: _last_code(rig) is Code.OVER_BUDGET)
        for _ in range(5):
            rig.controller.pass_once()
        entries = rig.ledger.calendars.decisions(rig.event().occurrence)
        assert [entry.code for entry in entries] == [Code.ACCEPTED, Code.OVER_BUDGET]
        assert entries[-1].reason.startswith("over budget: at most $1.00 a meeting")
        assert rig.joins() == 0
        _cap(rig, per_meeting=50.0)
        await until(lambda: rig.phases() == (Phase.LIVE,))
        assert rig.joins() == 1


async def test_a_day_has_room_for_one_of_two(tmp_path: Path) -> None:
    """The first is joined, the second would break the day's cap: it is not, and not missed."""
    async with daemon_rig(tmp_path) as rig:
        rig.boot()
        _cap(rig, per_day=6.0)
        rig.show("one", starts_in=10)
        rig.show("two", starts_in=15, code=OTHER)
        await until(lambda: rig.phases() == (Phase.LIVE,))
        await until(lambda: _last_code(rig, "two") is Code.OVER_BUDGET)
        assert rig.joins() == 1
        assert len(rig.records()) == 1
