"""What of a mind's text is said, in which pieces, and what goes to the chat."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locum.core.clauses import LONGEST_BLOCK, LONGEST_CLAUSE, Clause, Clauses, speakable
from tests.unit.drawn import thorough


def cut(text: str, *, every: int = 0) -> list[Clause]:
    clauses = Clauses()
    chunks = [text[i : i + every] for i in range(0, len(text), every)] if every else [text]
    found = [clause for chunk in chunks for clause in clauses.add(chunk)]
    return [*found, *clauses.rest()]


def said(text: str) -> list[str]:
    return [clause.text for clause in cut(text) if clause.text]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Yes, we did. All of it.", ["Yes,", "we did.", "All of it."]),
        ("We did; all of it, on Tuesday.", ["We did;", "all of it, on Tuesday."]),
        (
            "The gauge was calibrated yesterday afternoon and it works.",
            ["The gauge was calibrated yesterday afternoon", "and it works."],
        ),
        (
            "Dr. Lind came at 3.5 p.m. today. Good.",
            ["Dr. Lind came at 3.5 p.m. today.", "Good."],
        ),
        ("Ask J. Lind, e.g. today.", ["Ask J. Lind,", "e.g. today."]),
        ("That costs 1,000 euros. Fine.", ["That costs 1,000 euros.", "Fine."]),
        ("No. Never.", ["No.", "Never."]),
        ("“Is it on?” Yes.", ["“Is it on?”", "Yes."]),
        ("你好。明天发布！", ["你好。", "明天发布！"]),
        ("Wait… what?", ["Wait…", "what?"]),
        ("One\n- two\n- three", ["One", "two", "three"]),
        ("Well — perhaps.", ["Well —", "perhaps."]),
    ],
)
def test_the_first_clause_is_cut_early_and_the_rest_by_the_sentence(
    text: str, expected: list[str]
) -> None:
    """Not after abbreviations, initials, within numbers, nor before the mark that closes it."""
    assert said(text) == expected


def test_the_first_clause_is_out_as_soon_as_it_is_known_to_be_one() -> None:
    """The blank behind the comma is enough: nobody waits for the sentence."""
    clauses = Clauses()
    assert clauses.add("Yes") == ()
    assert clauses.add(",") == ()
    assert clauses.add(" ") == (Clause("Yes,"),)
    assert clauses.add("that is so, ") == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("**Brixham** is _fine_, `code` ~~not~~", Clause("Brixham is fine, code not")),
        ("# Head", Clause("Head")),
        ("2 * 3 * 4 is 24", Clause("2 * 3 * 4 is 24")),
        ("snake_case stays", Clause("snake_case stays")),
        ("Done 👍🏽 🇬🇧 → next", Clause("Done next")),
        ("👍", Clause("")),
        ("a\u202eb\x00c\u200d", Clause("ab c")),
        ("[the board](https://x.y/z)", Clause("the board", ("https://x.y/z",))),
        (
            "See https://www.example.org/a?b=1.",
            Clause("See example.org.", ("https://www.example.org/a?b=1",)),
        ),
        (
            "https://user:pw@example.org/",
            Clause("example.org", ("https://user:pw@example.org/",)),
        ),
        ("Mail a.b@c.org now", Clause("Mail a.b@c.org now", ("a.b@c.org",))),
        ("Call +49 170 1234567", Clause("Call +49 170 1234567", ("+49 170 1234567",))),
        ("In 2026 we had 120,000 users", Clause("In 2026 we had 120,000 users")),
        ("| a | b |", Clause("", ("| a | b |",))),
        ("|---|---|", Clause("")),
    ],
)
def test_what_cant_be_said_is_dropped_or_goes_to_the_chat(text: str, expected: Clause) -> None:
    """Markup, emoji and marks without a sound go; links, addresses and numbers are to be read."""
    assert speakable(text) == expected


def test_code_goes_to_the_chat_as_a_whole() -> None:
    """However it is chopped, and if its end never comes."""
    text = "Like this:\n```python\nprint('1. one')\n```\nThat is all."
    expected = [
        Clause("Like this:"),
        Clause("", ("print('1. one')",)),
        Clause("That is all."),
    ]
    assert [cut(text, every=n) for n in (0, 1, 2, 3, 5)] == [expected] * 5
    assert cut("```\nx = 1")[-1] == Clause("", ("x = 1",))


def test_an_endless_sentence_is_cut_between_words() -> None:
    """At a comma if there is one, else where it is too long; never much longer than that."""
    found = said("first, " + "word " * 200)
    assert all(len(clause) <= LONGEST_CLAUSE + 5 for clause in found)
    assert " ".join(found).split() == ["first,", *["word"] * 200]


def test_a_word_without_an_end_isnt_said() -> None:
    """It is kept for the chat, as far as anybody would read it."""
    (clause,) = cut("x" * 3 * LONGEST_BLOCK)
    assert clause == Clause("", ("x" * LONGEST_BLOCK,))


BITS = [
    *"abcXYZ019.,;:!?…—-*_`#|()[]\"'\n\t 。！é👍\u200d",
    " ",
    " ",
    "and ",
    "Dr. ",
    "www.a.b/c ",
]
TEXT = st.lists(st.sampled_from(BITS), max_size=60).map("".join)


@thorough
@given(TEXT, st.lists(st.integers(1, 20), max_size=12))
def test_how_a_text_is_chopped_makes_no_difference(text: str, sizes: list[int]) -> None:
    """Token by token or all at once: the clauses are the same."""
    clauses = Clauses()
    found: list[Clause] = []
    rest = text
    for size in sizes:
        found += clauses.add(rest[:size])
        rest = rest[size:]
    found += [*clauses.add(rest), *clauses.rest()]
    assert found == cut(text)


@thorough
@given(st.lists(st.text("abcdefgXYZé", min_size=1, max_size=12), max_size=40))
def test_plain_words_are_all_said_whole_and_in_order(words: list[str]) -> None:
    """Nothing is lost, doubled or cut in half."""
    assert " ".join(said(" ".join(words))).split() == words


@thorough
@given(TEXT)
def test_what_is_said_can_be_said(text: str) -> None:
    """No empty clause, no line break, no control, no emoji; and it stays as it is."""
    for clause in cut(text):
        assert clause.text or clause.for_chat
        assert clause.text == " ".join(clause.text.split())
        assert clause.text.isprintable()
        assert "👍" not in clause.text
        assert len(clause.text) <= LONGEST_BLOCK


def test_a_day_is_no_number_to_be_read() -> None:
    """It is said as it stands, and isn't put into the chat by itself."""
    clauses = Clauses()
    found = [*clauses.add("The last change of 2026-11-28 rounds them. "), *clauses.rest()]
    assert not any(each.for_chat for each in found)
