"""The situations of `python -m tests.situations`, played to the floor: each has its right move."""

from __future__ import annotations

import pytest

from tests.situations.__main__ import main
from tests.situations.judging import Played, play, wrong_in
from tests.situations.reading import Situation, situations
from tests.situations.room import Done, Script

ALL = situations()


@pytest.mark.parametrize("situation", ALL, ids=[each.title for each in ALL])
def test_a_situation_is_handled_as_a_good_colleague_would(situation: Situation) -> None:
    """All that is said to be right there holds."""
    assert wrong_in(play(situation.script), situation.right) == []


def test_there_are_a_hundred_and_no_two_of_them_the_same() -> None:
    """What is promised, and read by others, is their number."""
    assert len(ALL) == len({each.title for each in ALL}) == 100


def test_the_command_says_how_many_are_right(capsys: pytest.CaptureFixture[str]) -> None:
    """One of them, chosen by its title, with all that we did."""
    assert main(["Nothing but the name"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "  1 right  Nothing but the name"
    assert printed[-1] == "passed=1/1"


@pytest.mark.parametrize(
    "claim",
    [
        "speaks to Dana by 1.0",
        "speaks to Tom",
        "speaks twice",
        "is silent",
        "says it all",
        "falls silent",
        "raises its hand",
        "writes to Dana",
        'says "no"',
        'never says "yes"',
    ],
)
def test_a_wrong_move_is_found(claim: str) -> None:
    """What we did, told otherwise, isn't let pass."""
    done = [Done(2.0, "begins", "Dana", "named", "Yes."), Done(3.0, "stops", text="Yes.")]
    played = Played(done, [(2.0, 3.0)])
    assert wrong_in(played, [claim]) == [claim]


def test_a_claim_that_nobody_understands_is_no_claim() -> None:
    """A typing error in a table must not count as right."""
    with pytest.raises(ValueError, match="no such claim: speaks tot Dana"):
        wrong_in(play(Script((), ())), ["speaks tot Dana"])
