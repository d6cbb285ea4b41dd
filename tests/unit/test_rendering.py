"""Summaries with minutes: one screen first, every line with its evidence, nothing that is markup."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from locum.core.minutes import (
    ActionItem,
    Claim,
    Commitment,
    Evidence,
    Minutes,
    Topic,
    hold_to_evidence,
)
from locum.core.transcript import Source, Utterance, numbered
from locum.ports import Summary
from locum.rendering import (
    Renderer,
    TemplateProblemError,
    as_html,
    as_json,
    as_markdown,
)
from locum.rendering.schema import json_schema
from locum.rendering.words import LANGUAGES, words_in
from tests.unit.builders import TEN, at
from tests.unit.drawn import thorough
from tests.unit.test_markdown import HOSTILE, summary

DRAFT = Evidence("u2", "I'll send the draft by Friday")
SAID = numbered(
    [
        Utterance("", "Dana", "So we go with option B, agreed?", TEN, at(1), Source.CAPTIONS),
        Utterance("", "Mira", "Agreed. I'll send the draft by Friday.", at(1), at(2)),
        Utterance("", "Dana", "Can Alex confirm the budget?", at(2), at(3)),
    ]
)


def minutes(**changes: Any) -> Minutes:
    option = Claim("Option B is taken.", (Evidence("u1", "we go with option B"),))
    base = Minutes(
        "extractive",
        "en",
        tldr=(replace(option, text="Option B was taken, and a draft promised."),),
        decisions=(option,),
        actions=(
            ActionItem("sends the draft", (DRAFT,), "Mira", date(2026, 11, 27), "by Friday"),
        ),
        asked=(Claim("Whether the budget holds.", (Evidence("u3", "confirm the budget"),)),),
        topics=(Topic("Option B", "u1", "u3", points=(option,)),),
    )
    return hold_to_evidence(replace(base, **changes), SAID)


def written(found: Minutes | None = None, **changes: Any) -> Summary:
    said = SAID if "transcript" not in changes else changes.pop("transcript")
    return summary(
        transcript=said, minutes=found or minutes(), owner="Alex", notes=(), **changes
    )


def test_every_line_carries_its_evidence() -> None:
    """A number at the claim, and under that number who said when what, word for word."""
    text = as_markdown(written())
    assert "- [ ] **Mira**: sends the draft (due 2026-11-27)[^2]\n" in text
    where = TEN.astimezone()
    assert f"[^1]: Dana, {where:%H:%M}: “we go with option B”\n" in text
    cited = set(re.findall(r"\[\^(\d+)\](?!:)", text))
    assert cited == set(re.findall(r"^\[\^(\d+)\]:", text, re.MULTILINE)) == {"1", "2", "3"}


def test_the_first_screen_is_one_screen() -> None:
    """However much was decided: what doesn't fit stands below, and nothing is lost."""
    many = tuple(
        Claim(f"Point number {n}.", (Evidence("u1", "we go with option B"),)) for n in range(40)
    )
    tasks = tuple(ActionItem(f"task {n}", (DRAFT,), "Mira") for n in range(40))
    full = minutes(tldr=many, decisions=many, questions=many, asked=many, actions=tasks)
    late = Commitment("Send the contract", None, date(2026, 11, 20), TEN, is_late=True)
    text = as_markdown(written(full, carried=(late,) * 9))
    front, _, body = text.removeprefix("---\n").partition("\n---\n")
    screen, _, details = body.partition("\n---\n")
    assert len(front.splitlines()) < 20
    assert len(screen.splitlines()) <= 46
    assert "… and 36 more, below" in screen
    assert "… and 6 more, below" in screen
    assert details.count("Point number 39.") == 3
    assert "task 39" in details


def test_what_was_left_open_before_comes_first() -> None:
    """With who promised it, when, and that it is late."""
    carried = Commitment("Send it", "Jonas", date(2026, 11, 20), TEN - timedelta(days=7), True)
    text = as_markdown(written(carried=(carried,)))
    assert text.index("## Open from before") < text.index("## Decided")
    assert "- [ ] **Jonas**: Send it (promised 2026-11-16, due 2026-11-20, **late**)" in text


def test_what_has_no_evidence_is_counted() -> None:
    """Dropped before, and said to have been."""
    lie = Claim("The moon is bought.", (Evidence("u1", "we buy the moon"),))
    found = minutes(decisions=(lie,))
    assert found.dropped == 1
    text = as_markdown(written(found))
    assert "nothing in the transcript proves it: 1." in text
    assert "moon" not in text


def test_a_day_that_nobody_named_is_not_shown() -> None:
    """Neither as a day nor in words: a brain could make up either."""
    made_up = ActionItem("sends it", (DRAFT,), "Mira", None, "by the year's end")
    found = minutes(actions=(made_up,))
    assert [item.due_said for item in found.actions] == [None]
    assert "year" not in as_markdown(written(found))


def test_a_talk_without_any_result_says_so() -> None:
    """An empty screen would look like a failure."""
    assert "Nothing was decided, promised" in as_markdown(written(Minutes("extractive", "en")))


@pytest.mark.parametrize("language", LANGUAGES)
def test_headings_are_in_the_meeting_s_language(language: str) -> None:
    """Every one of them; an unknown language gets English ones."""
    text = as_markdown(written(minutes(language=language)))
    words = words_in(language)
    for heading in (words.decisions, words.actions, words.topics, words.evidence):
        assert f"## {heading}\n" in text
    assert words_in("xx-XX") is words_in("en")


@pytest.mark.parametrize("text", HOSTILE)
def test_what_was_said_is_never_markup(text: str) -> None:
    """In any place that a participant's words or name can reach."""
    said = numbered([Utterance("", text, text or "x", TEN)])
    proof = (Evidence("u1", text or "x"),)
    claim = Claim(text, proof)
    found = Minutes(
        text,
        "en",
        tldr=(claim,),
        decisions=(claim,),
        actions=(ActionItem(text, proof, text, None, text),),
        topics=(Topic(text, "u1", "u1", points=(claim,)),),
        unclear=(claim,),
        remark=text,
    )
    rendered = as_markdown(written(found, transcript=said))
    body = rendered.removeprefix("---\n").partition("\n---\n")[2]
    assert not re.search(r"(?<!\\)<script|(?<!\\)!\\?\[i|(?<!\\)`code", body)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202a-\u202e\ud800-\udfff]", body)
    html = as_html(rendered)
    assert not re.search(r"<(?:script|img|a)\b", html)


@thorough
@given(st.text(max_size=80), st.text(max_size=80))
def test_no_text_makes_a_heading_of_its_own(text: str, name: str) -> None:
    """The headings of a summary are ours, whatever is said in the meeting."""
    said = numbered([Utterance("", name, text, TEN)])
    claim = Claim(text, (Evidence("u1", text),))
    found = Minutes("x", "en", tldr=(claim,), decisions=(claim,), questions=(claim,))
    rendered = as_markdown(written(found, transcript=said, invited=(name,)))
    headings = [line for line in rendered.split("\n") if line.startswith("## ")]
    ours = ["Decided", "Open questions", "Notes", "Not known", "Who was invited", "Evidence"]
    assert headings == [f"## {each}" for each in ours]


def test_the_twin_has_all_of_it() -> None:
    """And follows the schema that we publish."""
    carried = Commitment("Send it", None, None, TEN)
    twin = as_json(written(carried=(carried,), awaited=("Google Meet's transcript",)))
    jsonschema.validate(twin, json_schema())
    said = {each["id"]: each["text"] for each in twin["transcript"]}
    [action] = twin["minutes"]["actions"]
    assert (action["owner"], action["due"]) == ("Mira", "2026-11-27")
    for proof in action["evidence"]:
        assert proof["quote"] in said[proof["utterance"]]


# ── templates of one's own ───────────────────────────────────────────────────────────────


def _template(folder: Path, text: str) -> Renderer:
    path = folder / "mine.md.j2"
    path.write_text(text, encoding="utf-8")
    return Renderer(path)


def test_an_owner_s_template_is_used(tmp_path: Path) -> None:
    """With the same values, and escaped without being told to."""
    mine = _template(
        tmp_path,
        "{{ title }}|{{ invited | join(', ') }}|{% for d in decisions.first %}{{ d.text }}{% endfor %}",
    )
    assert mine.markdown(written(title="<b>*", invited=("A_", "B"))) == (
        "\\<b\\>\\*|A\\_, B|Option B is taken.\n"
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{{ nothing_like_that }}", "nothing_like_that"),
        ("{% for x in %}", "line 1"),
        ("{{ title.__class__.__mro__ }}", "unsafe"),
        ("{{ 1 / 0 }}", "division"),
        ("{{ title | urlize }}", "urlize"),
        ("{% include '/etc/passwd' %}", "passwd"),
        ("x" * 300_000, "larger than"),
        ("{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}", "calls itself"),
    ],
)
def test_a_template_that_can_not_be_used_makes_way_for_ours(
    tmp_path: Path, text: str, problem: str
) -> None:
    """Its owner is told where and why, and the summary is filed all the same."""
    mine = _template(tmp_path, text)
    with pytest.raises(TemplateProblemError, match=problem):
        mine.rendered(written())
    assert mine.markdown(written()) == as_markdown(written())


def test_a_template_that_is_not_there(tmp_path: Path) -> None:
    """Named in the message."""
    mine = Renderer(tmp_path / "gone.j2")
    with pytest.raises(TemplateProblemError, match=r"gone\.j2 can't be read"):
        mine.rendered(written())
