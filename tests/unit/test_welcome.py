"""How much picture a stage's room asks for."""

from __future__ import annotations

from locum.rehearsal.meet.media.welcome import LEAST, MOST, Welcome


def _after(line: float, seconds: int, welcome: Welcome) -> int:
    """Play a sender that obeys, over a line of so many bits a second."""
    received, asked = 0, MOST
    for second in range(seconds):
        sent = float(asked)
        received += int(min(sent, line) / 8)
        asked = welcome.after(float(second), received, max(0.0, 1 - line / sent))
    return asked


def test_a_wide_line_is_used() -> None:
    """Where nothing is lost, all is welcome."""
    assert _after(10e6, 20, Welcome()) == MOST


def test_a_narrow_line_is_found_within_seconds() -> None:
    """It asks for less than the line takes after two reports, and stays near it."""
    assert _after(250_000, 3, Welcome()) < 250_000
    assert 100_000 < _after(250_000, 30, Welcome()) < 300_000


def test_a_line_that_is_wide_again_is_used_again() -> None:
    """After a minute on a good line, all is welcome again."""
    welcome = Welcome()
    _after(100_000, 20, welcome)
    received = 0
    for second in range(100, 160):
        received += welcome.bits // 8
        welcome.after(float(second), received, 0.0)
    assert welcome.bits == MOST


def test_a_cut_line_leaves_something() -> None:
    """Nothing coming through is no reason to ask for nothing: it may be back at any time."""
    assert _after(1.0, 60, Welcome()) == LEAST
