"""`locum doctor`: tries every part as the daemon would, and names the next step."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Awaitable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from locum.cli.ending import BAD_CONFIG, FAILED, HUMAN_NEEDED, epilog
from locum.cli.places import (
    ConfigOption,
    JsonOption,
    Whereabouts,
    config_path,
    read_config,
    reading_ledger,
    state_of,
    whereabouts,
)
from locum.cli.terminal import length, out, out_json, table, working
from locum.errors import ConfigError, HumanNeededError, LocumError

if TYPE_CHECKING:
    from locum.config.load import LoadedConfig
    from locum.config.model import Config
    from locum.ports import CalendarSource, Clock, Finding, PresenceEngine, TranscriptSource

_EPILOG = epilog(
    "locum doctor",
    "locum doctor --json | jq '.[] | select(.health != \"ok\")'",
    exits="0 all can be used (warnings aside), 1 something is broken, "
    "3 only a person is missing: sign-in or credits, 78 the config can't be used",
)
_SKEW = timedelta(seconds=30)
_BAD_SKEW = timedelta(minutes=5)
_PROBED = timedelta(hours=1)


def add_to(app: typer.Typer) -> None:
    app.command(epilog=_EPILOG, short_help="Try every part, and say what to do.")(doctor)


@dataclass(frozen=True)
class _Checked:
    """A finding; `by_person` where it is broken and all it needs is a sign-in or credits."""

    finding: Finding
    by_person: bool = False

    @property
    def health(self) -> str:
        return self.finding.health.value

    def as_json(self) -> dict[str, Any]:
        return {
            "subject": self.finding.subject,
            "health": self.health,
            "detail": self.finding.detail,
            "next_step": self.finding.next_step,
            "needs_person": self.by_person,
        }


def doctor(*, json: JsonOption = False, config: ConfigOption = None) -> None:
    """Try every part that the config names, and say what to do.

    Sign-ins, calendars and the clock; engines, personas, voices, ears and what ends a turn; the
    brain; what personas may run; briefings; sinks and notices; the state and the daemon.
    Nothing is joined, and nothing is spent.
    """
    import asyncio

    try:
        loaded = read_config(config)
    except ConfigError as error:
        checked = [_broken_config(config_path(config), problem) for problem in error.problems]
        _show(checked, json=json)
        raise typer.Exit(BAD_CONFIG) from None
    with working("Trying every part"):
        checked = asyncio.run(_examine(loaded))
    _show(checked, json=json)
    broken = [each for each in checked if each.health == "broken"]
    if broken:
        human = all(each.by_person for each in broken)
        raise typer.Exit(HUMAN_NEEDED if human else FAILED)


def _broken_config(path: Path, problem: str) -> _Checked:
    return _Checked(_broken("config", problem, f"Correct {path}, then try again."))


def _show(checked: list[_Checked], *, json: bool) -> None:
    if json:
        out_json([each.as_json() for each in checked])
        return
    rows = [(each.health, each.finding.subject, each.finding.detail) for each in checked]
    table(rows)
    steps = [
        f"  {each.finding.subject}: {each.finding.next_step}"
        for each in checked
        if each.finding.next_step
    ]
    if steps:
        out()
        out("What to do:")
        for step in dict.fromkeys(steps):
            out(step)


# ── findings ─────────────────────────────────────────────────────────────────────────────


def _ok(subject: str, detail: str) -> Finding:
    from locum.ports import Finding, Health

    return Finding(subject, Health.OK, detail)


def _warning(subject: str, detail: str, next_step: str = "") -> Finding:
    from locum.ports import Finding, Health

    return Finding(subject, Health.WARNING, detail, next_step)


def _broken(subject: str, detail: str, next_step: str) -> Finding:
    from locum.ports import Finding, Health

    return Finding(subject, Health.BROKEN, detail, next_step)


# ── examining ────────────────────────────────────────────────────────────────────────────


async def _examine(loaded: LoadedConfig) -> list[_Checked]:
    """Try everything; what only waits for others is tried at the same time."""
    import asyncio

    from locum.app.parts import Workshop, clock_of, sinks_of

    config = loaded.config
    state = state_of(config)
    clock = clock_of(config)
    workshop = Workshop(clock, state, os.environ)
    place = whereabouts(loaded.path)
    try:
        groups = await asyncio.gather(
            *(_check_source(source, clock) for source in workshop.sources(config)),
            *(_check_transcripts(source) for source in workshop.transcript_sources(config)),
            *(_check_engine(engine) for engine in workshop.engines(config).values()),
            *(_as_checked(sink.check()) for sink in sinks_of(config, state)),
            _as_checked(workshop.brain(config).check()),
            asyncio.to_thread(lambda: _check_briefing(config, state)),
            asyncio.to_thread(lambda: _check_actions(loaded, state)),
            _check_voices(config, state, clock),
            _check_hearing(config, state),
            asyncio.to_thread(lambda: _check_minds(config)),
            _check_notices(config),
            asyncio.to_thread(lambda: [_Checked(each) for each in _check_daemon(place)]),
            _check_clock(config),
        )
    finally:
        await workshop.aclose()
    local = [
        *_check_config(loaded),
        _check_state(state),
        _check_ledger(state),
        *_check_personas(config, state, clock),
    ]
    return [*(_Checked(each) for each in local), *(each for group in groups for each in group)]


async def _as_checked(check: Awaitable[Iterable[Finding]]) -> list[_Checked]:
    return [_Checked(finding) for finding in await check]


async def _check_voices(config: Config, state: Path, clock: Clock) -> list[_Checked]:
    """Let those speak, to nobody, that cost nothing; ask the others whether they would."""
    from locum.app.parts import personas_of
    from locum.app.voices import check_voices

    cards = personas_of(config, state)
    return await _as_checked(check_voices(config, state=state, clock=clock, cards=cards))


async def _check_hearing(config: Config, state: Path) -> list[_Checked]:
    from locum.app.hearing import check_hearing

    return await _as_checked(check_hearing(config, state=state))


def _check_briefing(config: Config, state: Path) -> list[_Checked]:
    """Look at what the stand-in could be told: contacts, workspaces, skills."""
    from locum.app.briefing import desk_of
    from locum.ports import Finding, Health

    try:
        with desk_of(config, state) as desk:
            return [_Checked(finding) for finding in desk.check()]
    except LocumError as error:
        return [_Checked(Finding("memory", Health.BROKEN, str(error)))]


def _check_actions(loaded: LoadedConfig, state: Path) -> list[_Checked]:
    """Look whether what personas may use can be used; nobody may use anything, mostly."""
    if not any(persona.tools for persona in loaded.config.personas.values()):
        return []
    from locum.app.actions import check_actions
    from locum.ports import Health

    found = check_actions(loaded.config, state, os.environ, loaded.path)
    return [_Checked(finding, finding.health is Health.BROKEN) for finding in found]


def _check_minds(config: Config) -> list[_Checked]:
    """Look at what thinking in a meeting takes."""
    from locum.app.minds import Minds

    return [_Checked(finding) for finding in Minds(config, os.environ).check()]


async def _check_notices(config: Config) -> list[_Checked]:
    """Look whether the owner can be told, sending nothing; unasked, there is nothing to say."""
    import asyncio

    from locum.app.parts import targets_of
    from locum.notify import urls_file_problem

    subject = "notices"
    if config.notify is None:
        return []
    try:
        targets = targets_of(config, os.environ)()
    except HumanNeededError as error:
        return [_Checked(_broken(subject, error.args[0], error.hint), by_person=True)]
    problem = urls_file_problem(config.notify.urls_file)
    found = [] if problem is None else [_Checked(_warning(subject, problem, "chmod 600 it."))]
    groups = await asyncio.gather(*(_as_checked(target.check()) for target in targets))
    return [*found, *(each for group in groups for each in group)]


async def _check_source(source: CalendarSource, clock: Clock) -> list[_Checked]:
    from locum.core.model import TimeWindow

    findings = await source.check()
    window = TimeWindow(clock.now(), clock.now() + _PROBED)
    reads = (source.read(calendar, window) for calendar in source.calendars)
    return await _told_apart(findings, reads)


async def _check_transcripts(source: TranscriptSource) -> list[_Checked]:
    """What is broken about a transcript's source, a sign-in mends, or a switch in the config."""
    from locum.ports import Health

    return [_Checked(each, each.health is Health.BROKEN) for each in await source.check()]


async def _check_engine(engine: PresenceEngine) -> list[_Checked]:
    return await _told_apart(await engine.check(), (engine.prepare() for _ in range(1)))


async def _told_apart(
    findings: Iterable[Finding], uses: Iterator[Awaitable[object]]
) -> list[_Checked]:
    """Find out whether what is broken only needs a person, by trying what the daemon does.

    A finding doesn't say; an error's class does. Nothing is tried where nothing is broken.
    """
    from locum.ports import Health

    findings = tuple(findings)
    failures: list[LocumError] = []
    if any(finding.health is Health.BROKEN for finding in findings):
        for use in uses:
            try:
                await use
            except LocumError as error:
                failures.append(error)
    human = bool(failures) and all(isinstance(each, HumanNeededError) for each in failures)
    return [_Checked(each, human and each.health is Health.BROKEN) for each in findings]


def _check_config(loaded: LoadedConfig) -> Iterator[Finding]:
    yield _ok("config", f"{loaded.path} can be used")
    for warning in loaded.warnings:
        yield _warning("config", warning)


def _check_state(state: Path) -> Finding:
    subject = "state directory"
    step = "Give state_dir a folder of your own that can be written."
    existing = next((each for each in (state, *state.parents) if os.path.lexists(each)), state)
    if not existing.is_dir():
        return _broken(subject, f"{existing} is no folder", step)
    if existing == state and state.stat().st_uid != os.geteuid():
        owner, ourselves = _user_named(state.stat().st_uid), _user_named(os.geteuid())
        return _warning(
            subject,
            f"{state} is {owner}'s, and you are {ourselves}: what one can, the other may not",
            f"Ask as the daemon's user: `sudo -u {owner} locum doctor --config FILE`.",
        )
    if not os.access(existing, os.W_OK | os.X_OK):
        return _broken(subject, f"{existing} can't be written", step)
    if existing != state:
        return _ok(subject, f"{state} will be made")
    if state.stat().st_mode & 0o007:
        return _warning(
            subject, f"{state} is open to everybody on this machine", f"chmod 700 {state}"
        )
    return _ok(subject, str(state))


def _check_personas(config: Config, state: Path, clock: Clock) -> Iterator[Finding]:
    from locum.app.parts import personas_of
    from locum.app.personas import findings

    has_own_engine = any(table.type == "chromium" for table in config.engines.values())
    for name, card in personas_of(config, state).items():
        yield from findings(name, card, state, clock.now())
        if has_own_engine:
            yield from _check_rig(name, card.image, state)


def _check_rig(name: str, image: Path, state: Path) -> Iterator[Finding]:
    """Say whether a face will move; one that can't be read is told of already."""
    from locum.app.rigs import rig_finding
    from locum.files import UnreadableError, read_regular
    from locum.persona.folder import LARGEST_IMAGE
    from locum.ports import Picture

    with contextlib.suppress(UnreadableError):
        content, _ = read_regular(image, limit=LARGEST_IMAGE)
        yield rig_finding(name, Picture.of(content), state)


def _user_named(number: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"#{number}"


def _check_ledger(state: Path) -> Finding:
    subject = "ledger"
    step = "Move it away (a new one is made), or restore it from a backup."
    if state.exists() and not os.access(state, os.R_OK | os.X_OK):
        told = f"{state} can't be read by you"
        return _broken(subject, told, "Ask as the user that the daemon runs as.")
    try:
        with reading_ledger(state) as ledger:
            if ledger is None:
                return _ok(subject, "none yet; the first run makes it")
            verdict = ledger.database.row("PRAGMA quick_check(1)")
            version = ledger.database.row("PRAGMA user_version")
    except LocumError as error:
        return _broken(subject, str(error), step)
    if verdict is None or verdict[0] != "ok":
        found = "it can't be checked" if verdict is None else f"it is damaged: {verdict[0]}"
        return _broken(subject, found, step)
    return _ok(subject, f"whole, version {version[0] if version else 0}")


def _check_daemon(place: Whereabouts) -> Iterator[Finding]:
    from locum import __version__
    from locum.control import DaemonNotRunningError

    subject = "daemon"
    try:
        status = place.call("status", timeout=timedelta(seconds=10))
    except DaemonNotRunningError:
        step = "Start it: `locum run`, or `systemctl --user start locum`."
        yield _warning(subject, "none is running: nothing is attended", step)
        return
    except LocumError as error:
        yield _broken(subject, str(error), "See its log: `journalctl -u locum`.")
        return
    told = f"version {status['version']} runs (process {status['pid']})"
    if status["version"] != __version__:
        yield _warning(subject, f"{told}, and this is {__version__}", "Restart it.")
    elif status["config_problems"]:
        step = "See `locum config check`."
        yield _warning(subject, f"{told} with the last good config, not this one", step)
    else:
        yield _ok(subject, told)
    yield from (_check_push(each) for each in status.get("push", ()))


def _check_push(push: Mapping[str, Any]) -> Finding:
    """Read what the daemon says of one calendar's push; without it, polls go on as ever."""
    subject = f"push of {push['calendar']}"
    if push["problem"]:
        return _warning(subject, push["problem"])
    if push["heard_at"] is None:
        step = (
            "If that stays so: the proxy must pass on what is sent to calendar.push.public_url, "
            "with its path as it is."
        )
        return _warning(subject, "no message has arrived yet", step)
    return _ok(subject, "messages arrive")


async def _check_clock(config: Config) -> list[_Checked]:
    """Compare the host's clock with Google's: an hour off is an hour late everywhere."""
    from email.utils import parsedate_to_datetime

    import httpx

    from locum.calendars.google_token import is_loopback

    subject = "clock"
    address = config.calendar.api_root
    try:
        async with httpx.AsyncClient(timeout=10, trust_env=not is_loopback(address)) as client:
            begun = time.time()
            response = await client.head(address)
            ended = time.time()
        theirs = parsedate_to_datetime(response.headers["date"]).timestamp()
    except (httpx.HTTPError, KeyError, ValueError, TypeError) as error:
        told = f"it can't be compared with Google's ({type(error).__name__})"
        return [_Checked(_warning(subject, told, "Check the network."))]
    # Their date has whole seconds: the middle of that second is the best guess.
    skew = timedelta(seconds=(begun + ended) / 2 - (theirs + 0.5))
    zone = f"local time is {datetime.now().astimezone():%H:%M %Z}"
    if abs(skew) <= _SKEW:
        return [_Checked(_ok(subject, f"agrees with Google's; {zone}"))]
    side = "ahead of" if skew > timedelta(0) else "behind"
    told = f"it is {length(abs(skew))} {side} Google's; {zone}"
    step = "Let it be set by the network: `timedatectl set-ntp true`."
    make = _broken if abs(skew) > _BAD_SKEW else _warning
    return [_Checked(make(subject, told, step))]
