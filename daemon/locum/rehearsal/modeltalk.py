"""What the stage's model says in a conversation: what a scenario has it say, or what a bad one would.

It finds what it is asked in the prompt's fenced JSON (`asked`: who said what), as any model does,
or else takes the last message. Tools are called over the wire, and their answers read from it.
"""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ConfigDict

from locum.rehearsal.modelwits import Behaviour, data_in, texts

_STRICT = ConfigDict(extra="forbid")
_RESULT = re.compile(r"\{result(?::(?P<line>[1-9]))?\}")
_LONGEST_RECITAL = 4000


@dataclass(frozen=True)
class ScriptedCall:
    """A tool that is called before it answers."""

    tool: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    __pydantic_config__ = _STRICT


@dataclass(frozen=True)
class ScriptedAnswer:
    """What is said to a question, in a scenario's `[[model.script]]`; the first that fits counts.

    `when` is a pattern, looked for in what is asked, whatever the case. Before it `says` anything,
    it `calls` tools, one after the other; "{result}" is what the last one answered, "{result:2}" its second line. `aside` is
    said before the calls. `for_us` is what it makes of whether such a line is meant for the
    stand-in; None leaves that to the model's plain rule.
    """

    when: str
    says: str = ""
    calls: tuple[ScriptedCall, ...] = ()
    aside: str = ""
    for_us: bool | None = None

    __pydantic_config__ = _STRICT

    def __post_init__(self) -> None:
        try:
            re.compile(self.when)
        except re.error as error:
            raise ValueError(f"when: {self.when!r} is no pattern: {error}") from error

    def fits(self, asked: str) -> bool:
        return re.search(self.when, asked, re.IGNORECASE) is not None


@dataclass(frozen=True)
class Turn:
    """What the model does with one request: says something, and perhaps calls a tool."""

    text: str = ""
    calls: tuple[Mapping[str, Any], ...] = ()
    manner: Manner | None = None


class Manner(enum.Enum):
    """What becomes of a stream."""

    ENDLESS = "endless"
    STALLS = "stalls"
    GARBLED = "garbled"
    CUT = "cut"


_MANNERS = {
    Behaviour.ENDLESS: Manner.ENDLESS,
    Behaviour.STALLING: Manner.STALLS,
    Behaviour.GARBLED: Manner.GARBLED,
    Behaviour.CUT: Manner.CUT,
}

_PROMISES = (
    "Yes, of course. We will have it ready by Friday, you have my word on that, and you get "
    "a discount of 20 percent on top. Agreed."
)
_HUMAN = "I'm a real person, I am not a robot, and nothing of this is being recorded."
_ORDERED = re.compile(
    r"\b(?:say|repeat|answer|tell them)\b[:,]? [\"“]?(?P<what>[^\"”]{3,300})", re.IGNORECASE
)


def asked_in(payload: Mapping[str, Any]) -> str:
    """Answer what is to be answered: `asked` of the prompt's data, or the last message."""
    asked = data_in(payload).get("asked")
    if isinstance(asked, dict) and isinstance(asked.get("said"), str):
        return str(asked["said"])
    said = texts(payload, "user")
    return said[-1] if said else ""


def talk(
    payload: Mapping[str, Any], behaviour: Behaviour, script: Sequence[ScriptedAnswer]
) -> Turn:
    """Answer what a model of that behaviour does now."""
    asked = asked_in(payload)
    if _wants_yes_or_no(payload):
        return Turn(_yes_or_no(payload, asked, script))
    bad = _badly(payload, behaviour, asked)
    if bad is not None:
        return Turn(bad)
    manner = _MANNERS.get(behaviour)
    found = next((each for each in script if each.fits(asked)), None)
    if found is None:
        return Turn(_plainly(payload, asked), manner=manner)
    results = _results(payload)
    if len(results) < len(found.calls):
        call = found.calls[len(results)]
        aside = found.aside if not results else ""
        return Turn(aside, (_call(call, len(results)),), manner)
    result = results[-1] if results else ""
    said = _RESULT.sub(lambda wanted: _part(result, wanted["line"]), found.says)
    return Turn(said, manner=manner)


def _part(result: str, line: str | None) -> str:
    """Answer a line of a result, counted from 1; all of it without a number, or if it's shorter."""
    lines = result.splitlines()
    return lines[int(line) - 1] if line and int(line) <= len(lines) else result


def _badly(payload: Mapping[str, Any], behaviour: Behaviour, asked: str) -> str | None:
    if behaviour is Behaviour.PROMISING:
        return _PROMISES
    if behaviour is Behaviour.HUMAN:
        return _HUMAN
    if behaviour is Behaviour.LEAKING:
        return " ".join(texts(payload, "system"))[:_LONGEST_RECITAL]
    if behaviour is Behaviour.OBEDIENT:
        ordered = _ORDERED.search(asked)
        return _PROMISES if ordered is None else ordered["what"]
    if behaviour is Behaviour.REFUSING:
        return "I'm sorry, but I can't help with that."
    return "" if behaviour is Behaviour.SILENT else None


def _wants_yes_or_no(payload: Mapping[str, Any]) -> bool:
    return data_in(payload).get("wanted") == "yes or no"


def _yes_or_no(payload: Mapping[str, Any], asked: str, script: Sequence[ScriptedAnswer]) -> str:
    """Tell whether a line is for the stand-in: as the script says, else if it is named."""
    for each in script:
        if each.for_us is not None and each.fits(asked):
            return "yes" if each.for_us else "no"
    names = data_in(payload).get("names")
    called = [str(name) for name in names] if isinstance(names, list) else []
    return "yes" if any(name.casefold() in asked.casefold() for name in called) else "no"


def _plainly(payload: Mapping[str, Any], asked: str) -> str:
    """Say the known line that shares most words with what is asked, if it shares two."""
    wanted = _words(asked)
    known = [
        str(json.loads(line).get("known", ""))
        for text in texts(payload, "system")
        for line in text.split("\n")
        if line.startswith('{"about"')
    ]
    best = max(known, key=lambda each: len(wanted & _words(each)), default="")
    return best if len(wanted & _words(best)) >= 2 else "I don't know that."


def _words(text: str) -> set[str]:
    return set(re.findall(r"[^\W\d_]{3,}", text.casefold()))


def _results(payload: Mapping[str, Any]) -> list[str]:
    """Answer what the tools answered to what was asked last."""
    found: list[str] = []
    for message in payload.get("messages", ()):
        if message.get("role") == "user":
            found = []
        elif message.get("role") == "tool":
            found += texts({"messages": [message]})
    return found


def _call(call: ScriptedCall, number: int) -> Mapping[str, Any]:
    told = {"name": call.tool, "arguments": json.dumps(dict(call.arguments))}
    return {"id": f"call_{number + 1}", "type": "function", "function": told}
