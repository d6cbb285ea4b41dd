"""What a description tells the stand-in, in plain text and in HTML, right and wrong."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from locum.core.commands import BRIEF_LIMIT, Commands, parse_commands

thorough = settings(max_examples=1000, derandomize=True, deadline=None)


@pytest.mark.parametrize(
    ("description", "commands"),
    [
        ("", Commands()),
        ("Agenda: skip the intro", Commands()),
        ("We asked locum: skip", Commands()),
        ("> locum: skip", Commands()),
        ("locum: skip", Commands(join=False)),
        ("locum: join", Commands(join=True)),
        ("locum: listen", Commands(listen=True)),
        ("locum: persona=ada", Commands(persona="ada")),
        ('locum: persona="Ada L"', Commands(persona="Ada L")),
        ("locum: persona='ada'", Commands(persona="ada")),
        (
            'locum: brief="Ask about Q3, then listen."',
            Commands(brief="Ask about Q3, then listen."),
        ),
        ("locum: brief=“Say hello”", Commands(brief="Say hello")),
        ("locum: brief=„Sag hallo“", Commands(brief="Sag hallo")),
        ("locum: brief=short", Commands(brief="short")),
        ("locum:skip", Commands(join=False)),
        ("LOCUM : Skip", Commands(join=False)),
        ("  - locum: skip.", Commands(join=False)),
        ("\u200blocum:\u00a0skip", Commands(join=False)),
        ("Agenda\r\nlocum: join\r\nBye", Commands(join=True)),
        ("locum: Persona = Ada", Commands(persona="Ada")),
        ("locum: join, persona=ada, listen", Commands(join=True, persona="ada", listen=True)),
        ("locum: join,,persona=ada,", Commands(join=True, persona="ada")),
        ('locum: brief="Hi" listen', Commands(brief="Hi", listen=True)),
        ("locum: join\nlocum: listen", Commands(join=True, listen=True)),
        ("locum: join\n\nText\n\nlocum: persona=ada", Commands(join=True, persona="ada")),
        (
            'locum: brief="One\nlocum and two"\nlocum: join',
            Commands(join=True, brief="One\nlocum and two"),
        ),
    ],
)
def test_plain_text(description: str, commands: Commands) -> None:
    """Each command, alone and with others, on one line and on several."""
    assert commands == parse_commands(description)


@pytest.mark.parametrize(
    ("html", "commands"),
    [
        ("Hello<br>locum: skip<br>Bye", Commands(join=False)),
        ("Hello<BR/>locum: skip<br />Bye", Commands(join=False)),
        ("<p>Hello</p><p>locum: join</p>", Commands(join=True)),
        ('<div class="x">locum: join</div>', Commands(join=True)),
        (
            "<ul><li>locum: join</li><li>locum: listen</li></ul>",
            Commands(join=True, listen=True),
        ),
        ("<p><b>locum</b>: <i>join</i></p>", Commands(join=True)),
        ("<p>locum:&nbsp;persona=ada</p>", Commands(persona="ada")),
        ("<p>locum: brief=&quot;Q&amp;A first&quot;</p>", Commands(brief="Q&A first")),
        ("<p>locum: brief=&quot;One<br>two&quot;</p>", Commands(brief="One\ntwo")),
        ("<p>locum: brief=&quot;&lt;br&gt;&quot;</p>", Commands(brief="<br>")),
        ("<pre>locum: join</pre>", Commands(join=True)),
        ("a < b\nlocum: join", Commands(join=True)),
    ],
)
def test_html(html: str, commands: Commands) -> None:
    """Calendars write descriptions as HTML: breaks are lines, entities are characters."""
    assert commands == parse_commands(html)


@pytest.mark.parametrize("text", ["locum: skip, join", "locum: join\nlocum: skip"])
def test_skip_beats_join(text: str) -> None:
    """Told both, we stay away, and say so."""
    commands = parse_commands(text)
    assert commands.join is False
    assert commands.problems == ('Both "skip" and "join" are given: "skip" counts.',)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("locum: skp", 'Unknown command "skp". Did you mean "skip"?'),
        ("locum: listen only", 'Unknown command "listen only". Did you mean "listen"?'),
        ("locum: persna=ada", 'Unknown command "persna". Did you mean "persona"?'),
        (
            "locum: dance",
            'Unknown command "dance". There are skip, join, listen, persona, brief.',
        ),
        ("locum: skip=no", '"skip" takes no value: write "locum: skip".'),
        ("locum: persona", '"persona" needs a value: write "locum: persona=NAME".'),
        ("locum: persona=", '"persona" needs a value: write "locum: persona=NAME".'),
        ('locum: brief=""', '"brief" needs a value: write "locum: brief="…"".'),
        (
            "locum: persona=" + "a" * 65,
            "The persona's name is longer than a line of 64 characters.",
        ),
    ],
)
def test_what_is_not_understood_is_said(text: str, problem: str) -> None:
    """A wrong command changes nothing, and its sentence tells the right one."""
    assert Commands(problems=(problem,)) == parse_commands(text)


def test_a_wrong_command_leaves_the_others() -> None:
    """One typing error doesn't lose the rest of the line."""
    commands = parse_commands("locum: jion, persona=ada")
    assert commands.persona == "ada"
    assert commands.join is None
    assert commands.problems == ('Unknown command "jion". Did you mean "join"?',)


def test_of_two_personas_the_first_counts() -> None:
    """Told twice, we take the first and say so."""
    commands = parse_commands("locum: persona=ada\nlocum: persona=bob")
    assert commands.persona == "ada"
    assert commands.problems == ('"persona" is given twice: the first one counts.',)


def test_a_forgotten_quote_swallows_no_command() -> None:
    """A quote that isn't closed ends with its line."""
    commands = parse_commands('locum: brief="Say hello\nlocum: skip, persona="ada"')
    assert commands.brief == "Say hello"
    assert commands.join is False
    assert commands.persona == "ada"
    assert commands.problems == ('The quote of "brief" is never closed: its line counts.',)


def test_a_long_brief_is_cut_and_said() -> None:
    """2,000 characters are kept; one more is cut off with a word about it."""
    whole = parse_commands(f'locum: brief="{"x" * BRIEF_LIMIT}"')
    assert whole == Commands(brief="x" * BRIEF_LIMIT)
    cut = parse_commands(f'locum: brief="{"x" * BRIEF_LIMIT}y"')
    assert cut.brief == "x" * BRIEF_LIMIT
    assert cut.problems == ("The brief is longer than 2000 characters: it was cut.",)


def test_nothing_invisible_reaches_the_brief() -> None:
    """A brief goes to a model and to logs: control characters and surrogates don't."""
    commands = parse_commands('locum: brief="a\0b\u202ec\ud800d\x1b[31m"')
    assert commands.brief == "abcd[31m"


def test_too_many_commands() -> None:
    """A hundred commands are read; the last word may be the most important, so it is said."""
    commands = parse_commands("locum: listen\n" * 100 + "locum: skip")
    assert commands.join is None
    assert commands.problems == ("There are more than 100 commands: the rest was ignored.",)
    assert len(parse_commands("locum: dance\n" * 50).problems) == 10
    assert parse_commands("locum: listen\n" * 99 + "locum: skip").join is False


@pytest.mark.parametrize(
    "unit",
    [
        "<", "<p ", "<br ", "&lt;", "&#", "locum: ", "locum: skip\n", 'locum: brief="\n', "locum: brief=“\n",
        "locum: =,", "locum: brief=&quot;&#10;", "- ", "\n", "\0", " ", '"', 'locum: brief="x"',
    ],
)  # fmt: skip
def test_hostile_descriptions_are_quick(unit: str) -> None:
    """100 KB of anything takes milliseconds; a quadratic step would take minutes."""
    text = (unit * (100_000 // len(unit) + 1))[:100_000]
    taken = []
    for _ in range(3):
        began = time.process_time()
        parse_commands(text)
        taken.append(time.process_time() - began)
    # Measured: under 0.03 s. The bound leaves room for a busy machine.
    assert min(taken) < 0.25


pieces = st.lists(
    st.sampled_from(
        [
            "locum:", "LOCUM :", " ", "skip", "join", "listen", "persona", "brief", "=", ",", '"',
            "“", "”", "„", "\n", "<br>", "<p>", "</p>", "<", ">", "&quot;", "&#10;", "x", "\0", "\ud800",
        ]
    ),
    max_size=60,
).map("".join)  # fmt: skip


@thorough
@given(st.text(st.characters()) | pieces)
def test_nothing_raises_and_everything_is_bounded(description: str) -> None:
    """Any text gives commands that can be logged, encoded and passed on."""
    commands = parse_commands(description)
    assert len(commands.brief) <= BRIEF_LIMIT
    assert len(commands.problems) <= 10
    for text in (commands.brief, commands.persona or "", *commands.problems):
        text.encode()
        assert "\0" not in text
    if commands.persona is not None:
        assert commands.persona.strip() == commands.persona != ""


@thorough
@given(
    st.text(st.sampled_from("abc XYZ.;:'!?éд日\n-"), min_size=1, max_size=200).filter(
        lambda text: text.strip() == text
    ),
    st.sampled_from(["ada", "Bob-2", "é_x"]),
    st.sampled_from([None, "skip", "join"]),
    st.sampled_from([None, "listen"]),
)
def test_what_is_written_is_read(
    brief: str, persona: str, verdict: str | None, listen: str | None
) -> None:
    """Every combination of commands comes back as it was meant, commas or lines between."""
    words = [f"persona={persona}", f'brief="{brief}"']
    words += [verdict] if verdict else []
    words += [listen] if listen else []
    wanted = Commands(
        join=None if verdict is None else verdict == "join",
        persona=persona,
        listen=listen is not None,
        brief=brief,
    )
    assert wanted == parse_commands("Hello\nlocum: " + ", ".join(words))
    assert wanted == parse_commands("".join(f"locum: {word}\n" for word in words))
    html = "".join(f"<p>locum: {word}</p>" for word in words).replace('"', "&quot;")
    assert wanted == parse_commands(html)
