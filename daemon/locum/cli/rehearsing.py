"""`locum rehearse`: the whole thing on a stage, for whoever wants to see before they trust."""

from __future__ import annotations

import json as json_text
import os
import re
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from locum.cli.ending import FAILED, epilog
from locum.cli.places import JsonOption, UnusedConfigOption
from locum.cli.terminal import dollars, length, out, out_json, plain, say, table
from locum.errors import PermanentError
from locum.rehearsal.engine import StageEngine

if TYPE_CHECKING:
    from locum.rehearsal.judging import Judged, Turn
    from locum.rehearsal.play import Outcome
    from locum.rehearsal.scenario import Scenario

_EPILOG = epilog(
    "locum rehearse",
    "locum rehearse --speed 5 --scenario outage",
    "locum rehearse --engine chromium --keep-recording /tmp/seen",
    "locum rehearse --scenario standup     it talks; also customer, tutoring, scheduling",
    "locum rehearse --list",
    "locum rehearse --scenario my-meeting.toml --into /tmp/rehearsal",
    "locum rehearse --serve       then, elsewhere: locum run --config THE-CONFIG-IT-PRINTS",
    exits="0 every promise was kept, 1 one wasn't, or it couldn't be played, "
    "78 the scenario can't be used",
)
_RECOGNISERS = {
    "pocketsphinx": "pocketsphinx, which really hears, and the page's captions where it doesn't",
    "stage": "the stage's recogniser, which knows the script",
    "captions": "the meeting page's captions",
}
_LONG_PAUSE_S = 1.0
_CUT_OFF_S = 0.2  # One that was cut in on was looked at only when it began.
_TERMINATED = 143  # 128 + SIGTERM.
_PROMISES = (
    "there when it should be, never two in a room, nothing left running, every summary filed"
)
_TOLD = re.compile(
    r"(?P<when> *[\d.]+ s) (?:(?P<room>\[[^\]]*\]) (?P<who>.+?)(?P<said>: .*| \w+)?|(?P<rest>.*))"
)

_EngineOption = Annotated[
    StageEngine | None,
    typer.Option(
        help="With what it goes: the stand-in for PikaStream, or our own engine, a real "
        "Chromium on a meeting page with real WebRTC (in real time: no --speed). "
        "[default: pikastream; chromium where the scenario is a conversation]",
        show_default=False,
    ),
]
_RecordingOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="With --engine chromium: keep what the others saw and heard, as WebM files.",
        show_default=False,
    ),
]
_FolderOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Where its files go. [default: a new folder, which is kept]",
        show_default=False,
    ),
]
_ServeOption = Annotated[
    bool,
    typer.Option(
        "--serve",
        help="Only play the scenario, at once, and keep the stage up until Ctrl-C: for a "
        "daemon of your own. Prints its addresses as one line of JSON.",
    ),
]


def add_to(app: typer.Typer) -> None:
    app.command(epilog=_EPILOG, short_help="Go to a meeting on a stage on this machine.")(
        rehearse
    )


def rehearse(  # noqa: PLR0913 - A parameter is an option.
    *,
    scenario: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="What is played: see --list.")
    ] = "default",
    speed: Annotated[
        float,
        typer.Option(min=0.1, max=100, metavar="X", help="Times real time, from 0.1 to 100."),
    ] = 1.0,
    engine: _EngineOption = None,
    keep_recording: _RecordingOption = None,
    into: _FolderOption = None,
    serve: _ServeOption = False,
    json: JsonOption = False,
    show_list: Annotated[
        bool, typer.Option("--list", help="Tell which scenarios come with locum.")
    ] = False,
    config: UnusedConfigOption = None,
) -> None:
    """Go to a meeting on a stage: a calendar, an engine and people, all on this machine.

    The real daemon goes to a meeting that its owner accepted there: it joins, leaves, and
    files the summary. No account is needed and nothing is spent. What happens is told on
    stderr; the last line on stdout is the path of the summary (Markdown; a .json of the same
    name lies beside it). Our own engine takes a Chromium, espeak-ng and the extras chromium and
    stage: `python3 daemon/bootstrap.py rehearse` brings them along.
    """
    del config
    from locum.rehearsal.scenario import find_scenario, load_scenario

    if show_list:
        _list_scenarios(as_json=json)
        return
    file = find_scenario(scenario)
    played = load_scenario(file)
    engine = _engine(played, engine, speed, keep_recording)
    if serve and played.talk is not None:
        raise typer.BadParameter("a conversation isn't served: leave --serve out.")
    folder = _folder(into)
    say(f'"{played.title}", in {folder}')
    if serve:
        _serve(played, folder, speed, engine)
        return

    from locum.rehearsal.play import rehearse as play

    with _ended_in_order(folder):
        outcome = play(
            played,
            folder,
            speed=speed,
            tell=_teller(),
            engine=engine,
            keep_recording=None if keep_recording is None else keep_recording.absolute(),
            lines_from=file.parent / "recordings",
        )
    _tell_outcome(played, outcome, as_json=json)
    if outcome.problems:
        raise typer.Exit(FAILED)


def _engine(
    scenario: Scenario, asked: StageEngine | None, speed: float, keep: Path | None
) -> StageEngine:
    """Answer with what it goes.

    Raises:
        typer.BadParameter: These options don't go together.
    """
    talks = scenario.talk is not None
    if talks and asked is StageEngine.PIKASTREAM:
        raise typer.BadParameter("this scenario is a conversation: it needs --engine chromium.")
    engine = asked or (StageEngine.CHROMIUM if talks else StageEngine.PIKASTREAM)
    own = engine is StageEngine.CHROMIUM
    if own and speed != 1:
        raise typer.BadParameter("--engine chromium plays in real time: leave --speed out.")
    if keep is not None and not own:
        raise typer.BadParameter("--keep-recording needs --engine chromium.")
    return engine


def _list_scenarios(*, as_json: bool) -> None:
    from locum.rehearsal.scenario import builtin_scenarios, load_scenario

    found = {name: load_scenario(path) for name, path in builtin_scenarios().items()}
    if as_json:
        out_json(
            [
                {"name": name, "title": each.title, "length_s": each.ends_at.total_seconds()}
                for name, each in found.items()
            ]
        )
        return
    table([(name, each.title, length(each.ends_at)) for name, each in found.items()])


def _folder(given: Path | None) -> Path:
    """Answer a folder without an earlier rehearsal: that one's ledger would be gone on with.

    Raises:
        PermanentError: There is none, or it can't be made.
    """
    import tempfile

    if given is None:
        return Path(tempfile.mkdtemp(prefix="locum-rehearsal-"))
    folder = given.absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / "state").exists():
            raise PermanentError(
                f"{folder} holds an earlier rehearsal (state). Give --into an empty folder."
            )
    except OSError as error:
        raise PermanentError(
            f"{folder} can't be used: {error.strerror}. Give --into a folder of your own."
        ) from error
    return folder


@contextmanager
def _ended_in_order(folder: Path) -> Iterator[None]:
    """Let whatever ends us unwind what is within: the daemon would be left behind."""

    def end(_number: int, _frame: FrameType | None) -> None:
        sys.exit(_TERMINATED)

    signal.signal(signal.SIGTERM, end)
    try:
        yield
    except KeyboardInterrupt:
        say(f"Ended early; the daemon has been stopped. What there was is in {folder}.")
        raise


# ── telling ──────────────────────────────────────────────────────────────────────────────


def _teller() -> Callable[[str], None]:
    if not sys.stderr.isatty():
        return say
    from rich.console import Console

    console = Console(stderr=True, highlight=False)

    def tell(line: str) -> None:
        console.print(_coloured(plain(line)), soft_wrap=True)

    return tell


def _coloured(line: str) -> Any:
    from rich.text import Text

    found = _TOLD.fullmatch(line)
    if found is None:
        return Text(line, style="dim")
    text = Text().append(found["when"], style="dim")
    if found["room"] is None:
        return text.append(f" {found['rest']}", style="bold green")
    text.append(f" {found['room']} ", style="dim").append(found["who"], style="cyan")
    said = found["said"] or ""
    return text.append(said, style="" if said.startswith(":") else "dim")


def _tell_outcome(scenario: Scenario, outcome: Outcome, *, as_json: bool) -> None:
    if outcome.judged is not None:
        _tell_conversation(scenario, outcome.judged)
    _report(outcome)
    if as_json:
        out_json(_as_json(outcome))
        return
    for summary in outcome.summaries:
        out(str(summary))


def _tell_conversation(scenario: Scenario, judged: Judged) -> None:
    say("")
    say(f"The conversation (its words by {_RECOGNISERS[scenario.hearing.by.value]}):")
    for turn in judged.dialogue:
        say(f"  {_turn(turn)}")
    if judged.waits:
        waits = sorted(judged.waits)
        say(
            f"Answers came after {waits[0]:.2f} to {waits[-1]:.2f} s, in the middle "
            f"{waits[len(waits) // 2]:.2f} s: from somebody's last sound to its first, where "
            "the room hands it to the others."
        )
    say("")
    for verdict in judged.verdicts:
        say(f"  {'holds' if verdict.holds else 'FAILS'}  {verdict.demand}: {verdict.found}")


def _turn(turn: Turn) -> str:
    where = " (in the chat)" if turn.in_chat else ""
    facts = []
    if turn.after_s is not None:
        facts.append(f"after {turn.after_s:.2f} s")
    if turn.lasted_s and turn.lasted_s > _CUT_OFF_S:
        facts.append(f"for {turn.lasted_s:.1f} s")
    if turn.paused_s > _LONG_PAUSE_S:
        facts.append(f"a pause of {turn.paused_s:.1f} s in it")
    if turn.stopped_s is not None:
        facts.append(f"silence after {turn.stopped_s:.2f} s")
    facts_told = ", ".join(facts)
    return f"{turn.who}{where}: {turn.text}{f' [{facts_told}]' if facts else ''}"


def _report(outcome: Outcome) -> None:
    attended = sum(session["admitted_at"] is not None for session in outcome.sessions)
    say("")
    say(
        f"Meetings attended: {attended} ({length(_time_in_meetings(outcome))} of the stage's "
        f"time). Cost, on the stage: {dollars(outcome.spent_usd)}."
    )
    if outcome.problems:
        say("What didn't hold:" if outcome.judged else "Promises broken:")
        for problem in outcome.problems:
            say(f"  {problem}")
    else:
        say(f"Promises kept: {_PROMISES}.")
    for recording in outcome.recordings:
        say(f"What the others saw and heard: {recording}")
    say(f"Everything is in {outcome.folder}; the daemon's log is daemon.log.")


def _time_in_meetings(outcome: Outcome) -> timedelta:
    spans = (
        datetime.fromisoformat(session["ended_at"])
        - datetime.fromisoformat(session["admitted_at"])
        for session in outcome.sessions
        if session["admitted_at"] and session["ended_at"]
    )
    return sum(spans, timedelta(0))


def _as_json(outcome: Outcome) -> dict[str, Any]:
    return {
        "ok": not outcome.problems,
        "summary": str(outcome.summaries[-1]) if outcome.summaries else None,
        "summaries": [str(summary) for summary in outcome.summaries],
        "problems": list(outcome.problems),
        "spent_usd": outcome.spent_usd,
        "minutes": round(_time_in_meetings(outcome).total_seconds() / 60, 2),
        "sessions": [dict(session) for session in outcome.sessions],
        "folder": str(outcome.folder),
        **({} if outcome.judged is None else asdict(outcome.judged)),
        "recordings": [str(recording) for recording in outcome.recordings],
    }


# ── only serving ─────────────────────────────────────────────────────────────────────────


def _serve(scenario: Scenario, folder: Path, speed: float, engine: StageEngine) -> None:
    """Play the scenario to whoever comes, until a signal ends it."""
    from locum.rehearsal.configuring import write_config
    from locum.rehearsal.stage import Stage

    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: ended.set())
    stage = Stage(scenario, speed=speed)
    with stage.open() as addresses:
        config = write_config(stage, addresses, folder, notices=True, engine=engine)
        served = {
            "google": addresses.google,
            "pikastream": addresses.pikastream,
            "notices": addresses.notices,
            "model": addresses.model,
            "meet": addresses.meet,
            "config": str(config),
            "model_api_key": stage.model.settings.api_key,
            "pika_dev_key": stage.pikastream.settings.api_key,
            "token_uri": f"{addresses.google}/token",
            "account": scenario.owner.email,
        }
        while not ended.is_set():
            with stage.playing():
                if served:
                    typer.echo(json_text.dumps(served))
                    served = {}
                _tell_served(scenario, speed)
                # In slices: a wait without an end isn't interrupted by signals everywhere.
                while not (ended.wait(0.5) or _enter_was_pressed()):
                    pass


def _tell_served(scenario: Scenario, speed: float) -> None:
    first = min((event.starts_at for event in scenario.events), default=timedelta(0))
    again = "Enter plays the scenario again. " if _has_the_terminal() else ""
    say(
        f"The first meeting begins in {length(max(first, timedelta(0)) / speed)}. "
        f"{again}The stage is up until Ctrl-C."
    )


def _has_the_terminal() -> bool:
    """Whether what is typed is meant for us; in the background, reading would stop us."""
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (AttributeError, OSError, ValueError):
        return False


def _enter_was_pressed() -> bool:
    if not _has_the_terminal() or not select.select([sys.stdin], [], [], 0)[0]:
        return False
    return b"\n" in os.read(sys.stdin.fileno(), 4096)
