"""`locum file`: what waits is listed, and a summary, or its transcript, had once more."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from locum.app.filing import FilingDesk, waiting
from locum.control import ControlServer
from locum.core.model import Phase, SessionKey
from locum.errors import PermanentError, TransientError
from locum.gathering import Gathering, GatherSetting
from locum.ports import Fetched
from tests.integration.daemon_rig import DaemonRig, daemon_rig, until
from tests.integration.test_cli_stage import (  # noqa: F401 - Fixtures by name.
    ROOM,
    Rig,
    command,
    daemon,
    environment,
    locum_does,
    rig,
)
from tests.integration.test_editions import FAST, LATE, Letterbox, _attended
from tests.integration.test_gathering import Shelf, said


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def desk_of(rig_: DaemonRig, *sources: Shelf) -> FilingDesk:
    def came(key: SessionKey) -> None:
        rig_.debrief.renew(key)
        rig_.controller.ask()

    gathering = Gathering(
        ledger=rig_.ledger,
        clock=rig_.clock,
        setting=GatherSetting(sources=sources),
        on_news=came,
    )
    return FilingDesk(rig_.ledger, rig_.debrief, gathering, wake=rig_.controller.ask)


@pytest.mark.anyio
async def test_a_transcript_is_asked_for_once_more(tmp_path: Path) -> None:
    """There is none, which is said; then there is one, and the summary's next edition has it."""
    config = tmp_path / "locum.toml"
    config.write_text('state_dir = "."\nruntime_dir = "."\n', "utf-8")
    config.chmod(0o600)
    async with daemon_rig(tmp_path, pika=FAST) as daemon_:
        daemon_.boot()
        await _attended(daemon_)
        shelf = Shelf(daemon_.clock, has=[PermanentError("nobody had switched it on")])
        desk = desk_of(daemon_, shelf)
        asking = asyncio.ensure_future(desk._gathering.run())

        async def told(*options: str) -> tuple[int, str]:
            ask = command("file", "--transcript", "sync", "--config", config, *options)
            run = partial(subprocess.run, capture_output=True, text=True, check=False)
            done = await asyncio.to_thread(run, ask, env=environment(tmp_path))
            return done.returncode, " ".join(done.stdout.split())

        name = f"Meeting sync {LATE}"
        async with ControlServer(tmp_path / "control.sock", {"fetch": desk.fetch}):
            assert await told() == (1, f"{name} there is none: nobody had switched it on")
            shelf.has = [TransientError("Busy.")]
            code, waits = await told()
            assert (code, waits.startswith(f"{name} isn't there yet: Busy.; next try")) == (
                1,
                True,
            )
            shelf.has = [Fetched((said("We go with option B."),))]
            assert (await told())[0] == 0
            await until(lambda: len(daemon_.filed()[0]["transcript"]) == 1)
            code, known = await told("--json")
        [row] = json.loads(known)["transcripts"]
        assert (code, row["state"], row["label"]) == (0, "came", LATE)
        assert len(shelf.asked_at) == 3
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)


@pytest.mark.anyio
async def test_a_summary_is_put_to_its_sinks_once_more(tmp_path: Path) -> None:
    """To all of them, or to one; the folder has one file, the letterbox a second letter."""
    async with daemon_rig(tmp_path, pika=FAST) as daemon_:
        letters = Letterbox()
        daemon_.sinks = (*daemon_.sinks, letters)
        daemon_.boot()
        await _attended(daemon_)
        desk = desk_of(daemon_)
        told = await desk.again({"meeting": "SYNC", "sink": "letters"})
        assert told["sinks"] == ["letters"]
        await until(lambda: len(letters.sent) == 2)
        await until(lambda: daemon_.phases() == (Phase.FILED,))
        await desk.again({})
        await until(lambda: len(letters.sent) == 3)
        await until(lambda: daemon_.phases() == (Phase.FILED,))
        assert len(daemon_.filed()) == 1
        assert {each.edition for each in letters.sent} == {1}
        assert waiting(daemon_.ledger) == []


@pytest.mark.anyio
async def test_what_there_isn_t_is_said(tmp_path: Path) -> None:
    """No summary, no such meeting, no such sink: each with what there is."""
    async with daemon_rig(tmp_path, pika=FAST) as daemon_:
        daemon_.boot()
        desk = desk_of(daemon_)
        with pytest.raises(PermanentError, match="There is no summary yet"):
            await desk.again({})
        await _attended(daemon_)
        with pytest.raises(PermanentError, match='no summary of anything called "nobody"'):
            await desk.again({"meeting": "nobody"})
        with pytest.raises(
            PermanentError, match=r'no sink "fax" in the config\. There is: mark'
        ):
            await desk.again({"sink": "fax"})


@pytest.mark.anyio
async def test_what_failed_is_listed_with_its_reason_and_next_try(tmp_path: Path) -> None:
    """Until it is filed."""
    async with daemon_rig(tmp_path, pika=FAST) as daemon_:
        daemon_.sinks = (*daemon_.sinks, Letterbox(fails=1000))
        daemon_.boot()
        await _attended(daemon_, phase=Phase.ENDED)
        await until(lambda: any(each["problem"] for each in waiting(daemon_.ledger)))
        [row] = [each for each in waiting(daemon_.ledger) if each["sink"] == "letters"]
        assert (row["sink"], row["state"]) == ("letters", "failed")
        assert row["problem"] == "the box is full"
        assert row["retry_at"] is not None
        assert row["title"] == "Meeting sync"


def test_the_commands_tell_it(rig: Rig, daemon: Iterator[object]) -> None:  # noqa: F811
    """Nothing waits, one is filed again, and bad words end with what there is."""
    config = ("--config", rig.config)
    assert locum_does(rig, "join", ROOM, *config).returncode == 0
    assert locum_does(rig, "leave", *config).returncode == 0
    again = locum_does(rig, "file", "--again", "--json", *config)
    assert again.returncode == 0, again.stderr
    [row] = json.loads(again.stdout)
    assert (row["sink"], row["state"]) == ("markdown", "filed")
    assert Path(row["location"]).exists()
    nothing = locum_does(rig, "file", *config)
    assert (nothing.returncode, nothing.stdout) == (0, "Nothing waits to be filed.\n")
    wrong = locum_does(rig, "file", "--again", "--sink", "fax", *config)
    assert wrong.returncode == 1
    assert "There is: markdown" in wrong.stderr
    assert locum_does(rig, "file", "--sink", "fax", *config).returncode == 2
    assert locum_does(rig, "file", "--again", "--transcript", *config).returncode == 2
    nobody = locum_does(rig, "file", "--transcript", *config)
    assert nobody.returncode == 1
    assert "Set meet_transcripts = true" in nobody.stderr


def test_without_a_daemon_it_is_listed_and_not_filed(rig: Rig) -> None:  # noqa: F811
    """Listing needs none; filing ends with 4."""
    config = ("--config", rig.config)
    assert locum_does(rig, "file", "--json", *config).stdout == "[]\n"
    assert locum_does(rig, "file", "--again", *config).returncode == 4
    assert locum_does(rig, "file", "--transcript", *config).returncode == 4
