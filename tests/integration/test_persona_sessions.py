"""Personas in the whole of a daemon: who joined, by its hashes, and who might not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from locum.app.personas import PersonaKeeper, findings, report, standings_of
from locum.core.model import Code, Phase
from locum.persona.folder import read_snapshot
from locum.persona.states import states_home
from locum.persona.voices import Clone, clones_of, keep_clone
from locum.ports import Health
from locum.rehearsal.face import face_png
from tests.integration.daemon_rig import CODE, OTHER, DaemonRig, daemon_rig, until
from tests.integration.persona_rig import NOW, Household, hash_of

MEETINGS = 6


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[DaemonRig]:
    async with daemon_rig(tmp_path) as made:
        yield made


@pytest.fixture
def home(rig: DaemonRig) -> Household:
    """Robin lives in a folder of the rig's state."""
    made = Household(rig.folder)
    rig.wardrobe = made.wardrobe
    return made


async def attended(rig: DaemonRig, uid: str, *, lasts: float = 40) -> None:
    rig.show(uid, lasts=lasts)
    await until(lambda: len(rig.filed()) == int(uid))


@pytest.mark.anyio
async def test_one_persona_joins_every_meeting_with_the_same_bytes(
    rig: DaemonRig, home: Household
) -> None:
    """Over restarts, the stage sees one and the same image, and each record names it."""
    folder = home.make()
    rig.personas = {"robin": home.card()}
    for number in range(1, MEETINGS + 1):
        rig.wardrobe = Household(rig.folder).wardrobe
        rig.boot()
        await attended(rig, str(number))
        await (rig.stop() if number % 2 else rig.crash())

    seen = [state.request.image_sha256 for state in rig.stage.sessions()]
    records = [twin["identity"] for twin in rig.filed()]
    assert seen == [hash_of(folder / "face.png")] * MEETINGS
    assert [each["image"] for each in records] == seen
    assert {each["digest"] for each in records} == {home.snapshot().digest}
    assert {each["version"] for each in records} == {1}


@pytest.mark.anyio
async def test_a_change_between_two_meetings_is_on_record(
    rig: DaemonRig, home: Household
) -> None:
    """Each record names what its own meeting saw, whatever the persona became later."""
    folder = home.make()
    rig.personas = {"robin": home.card()}
    rig.boot()
    await attended(rig, "1")
    (folder / "face.png").write_bytes(face_png(128, hue=0.2))
    await attended(rig, "2")

    seen = [state.request.image_sha256 for state in rig.stage.sessions()]
    records = [twin["identity"] for twin in rig.filed()]
    assert len(set(seen)) == 2
    assert sorted(each["image"] for each in records) == sorted(seen)
    assert sorted(each["version"] for each in records) == [1, 2]


@pytest.mark.anyio
async def test_consent_given_within_the_grace_lets_it_in(
    rig: DaemonRig, home: Household
) -> None:
    """A join that lacks a consent costs nothing, waits for a person, and goes on by itself."""
    home.make(face="photo")
    rig.personas = {"robin": home.card()}
    rig.boot()
    rig.show("1", lasts=1200)
    await until(rig.waits_to_retry)
    assert "consent" in rig.ledger.sessions.detail(rig.record.key)
    assert rig.joins() == 0

    home.consent(now=rig.clock.now())
    await until(lambda: rig.record.phase is Phase.LIVE)

    attempt = rig.ledger.sessions.attempts(rig.record.key)[-1]
    assert attempt.identity is not None
    assert len(attempt.identity.consents) == 1


@pytest.mark.anyio
async def test_a_cloned_voice_is_the_one_that_is_heard(rig: DaemonRig, home: Household) -> None:
    """The clone's id goes with the join, and being let in counts as a use of it."""
    home.make(voice="cloned")
    home.consent(now=rig.clock.now())
    rig.stage.configure(voices=rig.stage.settings.voices | {"voice_robin_1"})
    rig.personas = {"robin": home.card()}
    rig.boot()
    await attended(rig, "1", lasts=180)

    assert [state.request.voice_id for state in rig.stage.sessions()] == ["voice_robin_1"]
    clone = clones_of(home.folder())["pika"]
    assert clone.used_at > clone.cloned_at
    assert rig.filed()[0]["identity"]["voice_id"] == "voice_robin_1"


# ── deciding ─────────────────────────────────────────────────────────────────────────────


def keeper(rig: DaemonRig, home: Household) -> PersonaKeeper:
    """Watch as the daemon does: whatever moves changes the policy."""

    def changed() -> None:
        policy = replace(rig.controller.setting.policy, standings=made.standings)
        rig.controller.change_setting(rig.setting(policy=policy))

    made = PersonaKeeper(rig.clock, home.state, home.wardrobe, on_change=changed)
    made.take(rig.personas)
    changed()
    return made


@pytest.mark.anyio
async def test_who_may_not_go_isn_t_planned(rig: DaemonRig, home: Household) -> None:
    """Without consent the event is skipped, with the reason; once it is given, it is joined."""
    home.make(face="photo")
    rig.personas = {"robin": home.card()}
    rig.boot()
    watching = keeper(rig, home)
    event = rig.show("1", starts_in=30, lasts=1200)
    await until(lambda: rig.ledger.calendars.decisions(event.occurrence))
    [decided] = rig.ledger.calendars.decisions(event.occurrence)
    assert decided.code is Code.PERSONA_UNFIT
    assert "locum persona consent robin" in decided.reason
    assert rig.records() == ()

    home.consent(now=rig.clock.now())
    await watching.look()

    await until(lambda: rig.records() and rig.record.phase is Phase.LIVE)


@pytest.mark.anyio
async def test_the_daemon_keeps_no_voice_beyond_its_consent(
    rig: DaemonRig, home: Household
) -> None:
    """What a model read of a recording is gone once its time is up, though nobody speaks."""
    home.make(voice="cloned")
    home.consent(now=rig.clock.now(), days=30)
    folder = rig.folder / "elsewhere" / "robin"
    folder.parent.mkdir()
    home.folder().rename(folder)
    rig.personas = {"robin": read_snapshot(folder).card}
    rig.boot()
    watching = keeper(rig, home)
    states_home(home.state).mkdir()
    kept = states_home(home.state) / f"pocket-0-{hash_of(folder / 'voice.wav')}.safetensors"
    kept.touch()

    await watching.look()
    assert kept.exists()

    rig.clock.run_on(after=timedelta(days=31))
    await watching.look()
    assert not kept.exists()


@pytest.mark.anyio
async def test_a_persona_that_breaks_stays_where_it_is(rig: DaemonRig, home: Household) -> None:
    """A live session goes on with what it joined as, whatever becomes of its files."""
    folder = home.make()
    rig.personas = {"robin": home.card()}
    rig.boot()
    watching = keeper(rig, home)
    event = rig.show("1", lasts=1200)
    await until(lambda: rig.records() and rig.record.phase is Phase.LIVE)
    (folder / "face.png").write_bytes(b"broken")

    await watching.look()

    await until(lambda: len(rig.ledger.calendars.decisions(event.occurrence)) == 2)
    assert rig.record.phase is Phase.LIVE
    assert len(rig.live()) == 1
    assert rig.live()[0].request.room == CODE


@pytest.mark.anyio
async def test_a_voice_is_seen_to_ahead_of_its_meeting(rig: DaemonRig, home: Household) -> None:
    """What would be deleted by the start is cloned anew half an hour ahead, and told of."""
    home.make(voice="cloned")
    now = rig.clock.now()
    home.consent(now=now)
    used = now - timedelta(days=6, hours=23)
    sample = home.snapshot().sample
    keep_clone(home.folder(), Clone("pika", "voice_old", sample, used, used))
    rig.personas = {"robin": home.card()}
    rig.boot()
    watching = keeper(rig, home)
    [warning, _] = findings("robin", home.card(), home.state, now)
    assert "has not been used for 6 days" in warning.detail
    rig.show("far", starts_in=7200, lasts=600, code=OTHER)
    await watching._see_to_voices(rig.controller.agenda.judged)
    assert home.cloner.samples == []

    rig.show("near", starts_in=1200, lasts=600)
    await watching._see_to_voices(rig.controller.agenda.judged)

    assert clones_of(home.folder())["pika"].voice_id == "voice_robin_1"
    [healthy] = findings("robin", home.card(), home.state, rig.clock.now())
    assert healthy.health is Health.OK


def test_a_report_says_what_changed(tmp_path: Path) -> None:
    """`status` tells a persona's version, and that its files differ from it."""
    home = Household(tmp_path)
    folder = home.make(face="photo")
    now = NOW
    first = report("robin", home.card(), home.state, now)
    (folder / "instructions.md").write_text("Other words.")
    second = report("robin", home.card(), home.state, now)

    assert (first["version"], first["identity"] == second["identity"]) == (1, False)
    assert (second["version"], second["why"]) == (None, "changed since version 1")
    assert not first["may_join"]
    assert "consent" in first["trouble"]
    assert "robin" in standings_of({"robin": home.card()}, home.state, now)
