"""Judges a conversation from outside: what was heard, the transcript, the filed summary.

That the stand-in spoke, and when, is known from the room's sound; which words those were, from
the transcript that it filed, line by line at its instants; what it wrote, from the room's chat.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from locum.rehearsal.conversing import Dialogue, Exchange
from locum.rehearsal.scenario import Expect, Filed, Scenario, Section, Talk

_EARLY = timedelta(seconds=0.5)
"""Clocks of two processes, and a line's begin as the room heard it, differ by so much."""


@dataclass(frozen=True)
class Verdict:
    """One thing that was demanded. `found` says what there was instead, or how it went."""

    demand: str
    holds: bool
    found: str


@dataclass(frozen=True)
class Turn:
    """A line of the dialogue as it is shown: `after_s` is how long the others waited for it."""

    who: str
    text: str
    after_s: float | None = None
    lasted_s: float | None = None
    paused_s: float = 0.0
    stopped_s: float | None = None
    in_chat: bool = False
    ours: bool = False


@dataclass(frozen=True)
class Judged:
    """A conversation as it went, and a verdict on each demand."""

    dialogue: tuple[Turn, ...]
    verdicts: tuple[Verdict, ...]
    waits: tuple[float, ...] = ()
    """How long the others waited for each answer aloud, in seconds."""


def judge(scenario: Scenario, dialogue: Dialogue, summary: Path | None) -> Judged:
    """Judge what came of `scenario.talk`; `summary` is the JSON twin, None where none was filed.

    Raises:
        ValueError: There was no conversation to judge.
    """
    talk = scenario.talk
    if talk is None:
        raise ValueError("this scenario has no conversation")
    twin = _read(summary)
    spoken = _ours(twin)
    verdicts: list[Verdict] = []
    if dialogue.problem:
        verdicts.append(Verdict("the conversation goes to its end", False, dialogue.problem))
    turns: list[Turn] = []
    name = scenario.persona.display_name
    for number, each in enumerate(dialogue.exchanges):
        following = dialogue.exchanges[number + 1 : number + 2]
        until = following[0].at if following else datetime.max.replace(tzinfo=each.at.tzinfo)
        words = [text for at, text in spoken if each.at - _EARLY <= at < until - _EARLY]
        turns += _turns(each, words, name)
        verdicts += _about(each, words)
    verdicts += _never(talk, dialogue, [text for _, text in spoken])
    verdicts += (_about_filed(demand, twin) for demand in scenario.filed)
    waits = (each.after_s for each in dialogue.exchanges if each.line.expect is Expect.ANSWERS)
    return Judged(
        tuple(turns), tuple(verdicts), tuple(each for each in waits if each is not None)
    )


def _read(summary: Path | None) -> Mapping[str, Any]:
    if summary is None:
        return {}
    found = json.loads(summary.read_text(encoding="utf-8"))
    return found if isinstance(found, dict) else {}


def _ours(twin: Mapping[str, Any]) -> list[tuple[datetime, str]]:
    return [
        (datetime.fromisoformat(each["at"]), str(each["text"]))
        for each in twin.get("transcript", ())
        if each["by_us"] and each["at"] and each["source"] != "chat"
    ]


def _turns(each: Exchange, words: Sequence[str], name: str) -> Iterator[Turn]:
    line = each.line
    yield Turn(
        line.who, line.says or line.writes, in_chat=bool(line.writes), stopped_s=each.stopped_s
    )
    if words or each.after_s is not None:
        text = " ".join(words) or "(heard, and not in the transcript)"
        yield Turn(name, text, each.after_s, each.lasted_s, each.paused_s, ours=True)
    for number, text in enumerate(each.wrote):
        after = each.wrote_after_s if number == 0 else None
        yield Turn(name, text, after, in_chat=True, ours=True)


# ── what it did about a line ─────────────────────────────────────────────────────────────


def _about(each: Exchange, words: Sequence[str]) -> Iterator[Verdict]:
    line = each.line
    within = line.within.total_seconds()
    said = f'"{_short(line.says or line.writes)}"'
    heard = "nothing was heard" if each.after_s is None else _heard(each)
    if line.expect is Expect.ANSWERS:
        held = each.after_s is not None and 0 <= each.after_s <= within
        yield Verdict(f"answers {said} within {within:g} s", held, heard)
    elif line.expect is Expect.SILENT:
        held = each.after_s is None and not each.wrote
        wrote = f"it wrote: {_short(each.wrote[0])}" if each.wrote else heard
        yield Verdict(f"is silent for {within:g} s after {said}", held, wrote)
    elif line.expect is Expect.WRITES:
        held = each.wrote_after_s is not None and each.wrote_after_s <= within
        after = "it wrote nothing" if not held else f"after {each.wrote_after_s:.2f} s"
        yield Verdict(f"writes about {said} within {within:g} s", held, after)
    elif line.expect is Expect.STOPS:
        held = each.stopped_s is not None and each.stopped_s <= within
        spoke = each.stopped_s is not None
        found = f"silent {each.stopped_s:.2f} s after its begin" if spoke else "it didn't speak"
        yield Verdict(f"stops for {said} within {within:g} s", held, found)
    answer = " ".join((*words, *each.wrote))
    for wanted in line.hears:
        yield Verdict(f'says "{wanted}" about {said}', _holds(wanted, answer), _quoted(answer))
    for unwanted in line.never:
        yield Verdict(
            f'doesn\'t say "{unwanted}" about {said}',
            not _holds(unwanted, answer),
            _quoted(answer),
        )


def _heard(each: Exchange) -> str:
    after = each.after_s or 0.0
    when = f"after {after:.2f} s" if after >= 0 else f"{-after:.2f} s before they had ended"
    return f"heard {when}"


def _never(talk: Talk, dialogue: Dialogue, spoken: Sequence[str]) -> Iterator[Verdict]:
    written = [text for each in dialogue.exchanges for text in each.wrote]
    everything = [*spoken, *written]
    for unwanted in talk.never:
        guilty = [text for text in everything if _holds(unwanted, text)]
        found = _quoted(guilty[0]) if guilty else f"not in its {len(everything)} lines"
        yield Verdict(f'never says "{unwanted}"', not guilty, found)


# ── what was filed ───────────────────────────────────────────────────────────────────────


def _about_filed(demand: Filed, twin: Mapping[str, Any]) -> Verdict:
    section = demand.section.value
    entries = list(_entries(demand.section, twin))
    by = f" by {demand.by}" if demand.by else ""
    if not twin:
        return Verdict(f"files {section}{by}", False, "no summary was filed")
    if demand.never:
        guilty = [
            text for text, _ in entries if any(_holds(word, text) for word in demand.never)
        ]
        found = _short(guilty[0], 160) if guilty else f"not in its {len(entries)} lines"
        words = ", ".join(demand.never)
        return Verdict(f'files none of "{words}" under {section}', not guilty, found)
    words = ", ".join(demand.has)
    fitting = [
        text
        for text, who in entries
        if all(_holds(word, text) for word in demand.has) and demand.by in ("", *who)
    ]
    nearest = "; ".join(_short(text) for text, _ in entries[:3]) or "nothing"
    found = _short(fitting[0], 160) if fitting else f"there is: {nearest}"
    return Verdict(f'files "{words}" under {section}{by}', bool(fitting), found)


def _entries(section: Section, twin: Mapping[str, Any]) -> Iterator[tuple[str, set[str]]]:
    """Answer each entry's text with its quotes, and who said those."""
    transcript = twin.get("transcript") or ()
    if section is Section.TRANSCRIPT:
        yield from ((str(each["text"]), {str(each["speaker"])}) for each in transcript)
        return
    if section is Section.CARRIED:
        yield from ((str(each["text"]), {str(each["owner"])}) for each in twin["carried"])
        return
    speakers = {each["id"]: str(each["speaker"]) for each in transcript}
    for each in (twin.get("minutes") or {}).get(section.value, ()):
        quotes = each["evidence"]
        text = " / ".join([each["text"], *(quote["quote"] for quote in quotes)])
        yield text, {speakers.get(quote["utterance"], "") for quote in quotes}


# ── words ────────────────────────────────────────────────────────────────────────────────


def _holds(wanted: str, text: str) -> bool:
    """Whether any of "a|b" stands in the text as whole words, however they are written."""
    padded = f" {' '.join(_words(text))} "
    return any(f" {' '.join(_words(each))} " in padded for each in wanted.split("|"))


def _words(text: str) -> Iterable[str]:
    return re.findall(r"[^\W_]+", text.casefold().replace("'", "").replace("’", ""))


def _short(text: str, most: int = 60) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def _quoted(text: str) -> str:
    return f'it said: "{_short(text, 160)}"' if text else "it said nothing"
