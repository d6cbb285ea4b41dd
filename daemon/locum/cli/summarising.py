"""`locum summarise`: a transcript from a file, summarised; useful by itself, without a config."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from locum.cli.ending import FAILED, epilog
from locum.cli.places import JsonOption, UnusedConfigOption
from locum.cli.terminal import one_line, out, out_json, say, working

if TYPE_CHECKING:
    from locum.core.minutes import Claim, Minutes, Topic
    from locum.core.transcript import Transcript

_SUMMARISE = epilog(
    "locum summarise meeting.vtt",
    'locum summarise meeting.vtt --owner "Anna Weber" --start 2026-11-23T10:00+01:00',
    "locum summarise notes.txt --json | jq '.actions'",
    "locum summarise --show-template > summary.md.j2",
    'locum summarise meeting.vtt --ask "What did Ben say about the budget?"',
    exits="0 done, 1 the file can't be read, or doesn't tell what was asked",
)


def add_to(app: typer.Typer) -> None:
    app.command(
        epilog=_SUMMARISE, short_help="Summarise a transcript from a file; no account needed."
    )(summarise)


def summarise(  # noqa: PLR0913 - One an option.
    *,
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            help="WebVTT, SRT, QMSum's JSON, or lines of the form `Speaker: text`; - is stdin.",
            readable=False,  # It is read later, by code that says what to do.
            allow_dash=True,
            show_default=False,
        ),
    ] = None,
    title: Annotated[str, typer.Option(help="What the meeting was called.")] = "",
    owner: Annotated[
        str, typer.Option(metavar="NAME", help="Whose questions and tasks to look out for.")
    ] = "",
    start: Annotated[
        str,
        typer.Option(
            metavar="TIME",
            help="When it began, as 2026-11-23T10:00+01:00: dates such as 'by Friday' count "
            "from there.",
        ),
    ] = "",
    ask: Annotated[
        str, typer.Option(metavar="QUESTION", help="Answer this from the transcript instead.")
    ] = "",
    json: JsonOption = False,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON schema of filed summaries.")
    ] = False,
    show_template: Annotated[
        bool,
        typer.Option("--show-template", help="Print the template of filed summaries (jinja2)."),
    ] = False,
    config: UnusedConfigOption = None,
) -> None:
    """Write up a meeting from its transcript, on this machine, without a language model.

    Each line of the result has quotes that stand in the transcript word for word: they are
    shown below it, and in the JSON.
    """
    del config
    from locum import rendering
    from locum.rendering.schema import json_schema

    if schema:
        out_json(json_schema())
    elif show_template:
        typer.echo(rendering.shipped_template(), nl=False)
    elif file is None:
        raise typer.BadParameter("name a file with a transcript, or - for stdin")
    else:
        _summarise(file, title=title, owner=owner, start=start, ask=ask, json=json)


def _summarise(file: Path, *, title: str, owner: str, start: str, ask: str, json: bool) -> None:
    from locum.core.minutes import Occasion
    from locum.rendering.twin import minutes_as_json
    from locum.transcripts.files import MIDNIGHT, read_stream, read_transcript

    began = _instant(start) if start else None
    with working(f"Reading {file}"):
        if str(file) == "-":
            transcript = read_stream(sys.stdin.buffer, "stdin", start=began or MIDNIGHT)
        else:
            transcript = read_transcript(file, start=began or MIDNIGHT)
    if ask:
        _answer(ask, transcript, title or file.stem, as_json=json)
        return
    offset = None if began is None else began.utcoffset()
    occasion = Occasion(
        title=title,
        start=began,
        owner=owner,
        utc_offset_minutes=0 if offset is None else int(offset.total_seconds()) // 60,
    )
    from locum.brains.extractive.summing import minutes_of

    with working(f"Summarising {transcript.words:,} words"):
        minutes = minutes_of(transcript, occasion)
    if json:
        out_json(minutes_as_json(minutes))
    else:
        _show(minutes, title or file.stem)


def _instant(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no time; write it as 2026-11-23T10:00+01:00"
        ) from None
    return found if found.tzinfo is not None else found.astimezone()


def _answer(question: str, transcript: Transcript, title: str, *, as_json: bool) -> None:
    from locum.brains.extractive.answering import Reader, passages_of

    answer = Reader(passages_of(transcript, title)).answer(question)
    if as_json:
        told = None if answer is None else {"text": answer.text, "cited": list(answer.cited)}
        out_json(told)
    if answer is None:
        say("The transcript doesn't tell. Ask with words that were used in it.")
        raise typer.Exit(FAILED)
    if not as_json:
        out(answer.text)
        out()
        for cited in answer.cited:
            said = transcript.by_id[cited]
            out(f"  [{cited}] {one_line(said.who or '?')}: {one_line(said.text)}")


# ── for people ───────────────────────────────────────────────────────────────────────────


def _show(minutes: Minutes, title: str) -> None:
    out(f"# {one_line(title)}")
    out()
    for claim in minutes.tldr:
        out(f"{one_line(claim.text)}")
    if minutes.remark:
        out(minutes.remark)
    for named, claims in (
        ("Decisions", minutes.decisions),
        ("Action items", minutes.actions),
        ("Open questions", minutes.questions),
        ("Asked of you", minutes.asked),
        ("Unclear", minutes.unclear),
    ):
        _section(named, claims)
    for topic in minutes.topics:
        _section(_topic_title(topic), topic.points)
    if minutes.shares:
        out()
        out("## Who spoke")
        out()
        total = sum(share.words for share in minutes.shares) or 1
        for share in minutes.shares:
            part = f"{100 * share.words / total:.0f}%"
            out(f"- {one_line(share.speaker) or '?'}: {part}, {share.turns} turns")
    if minutes.dropped:
        out()
        out(f"{minutes.dropped} lines had no quote in the transcript, and were dropped.")


def _section(named: str, claims: Sequence[Claim]) -> None:
    if not claims:
        return
    out()
    out(f"## {one_line(named)}")
    out()
    for claim in claims:
        out(f"- {one_line(claim.text)}")
        for evidence in claim.evidence:
            out(f"  > {one_line(evidence.quote)} [{evidence.utterance}]")


def _topic_title(topic: Topic) -> str:
    if topic.began_at is None:
        return topic.title
    from locum.transcripts.files import MIDNIGHT

    if topic.began_at.year == MIDNIGHT.year:  # The file says only how long after its start.
        return f"{topic.title} ({topic.began_at.astimezone(timezone.utc):%H:%M:%S})"
    return f"{topic.title} ({topic.began_at.astimezone():%H:%M})"
