"""How the benches of talk tell when something was heard, and when it ended."""

from __future__ import annotations

import pytest

from tests.bench.room import BIN_S, Played, Track
from tests.speech import recordings


def _track(*loud: tuple[float, float], until: float = 3.0) -> Track:
    """Packets of 20 ms, one after the other, loud in these stretches."""
    track = Track()
    for number in range(int(until / 0.02)):
        bins = [number * 0.02 + each * BIN_S for each in range(4)]
        track.add(
            number * 0.02,
            [0.1 if any(a <= at < b for a, b in loud) else 0.0 for at in bins],
        )
    return track


def test_an_onset_is_the_first_sound_that_lasts() -> None:
    """A click is none; a sound before the instant asked about isn't either."""
    track = _track((0.5, 0.505), (1.0, 1.4))
    assert track.onset(0.0) == pytest.approx(1.0, abs=BIN_S)
    assert track.onset(1.5) is None
    assert track.onset(0.0, before=0.9) is None


def test_a_silence_begins_where_nothing_follows_for_a_while() -> None:
    """Gaps between words don't count, the last sound's end does."""
    track = _track((0.0, 1.0), (1.1, 1.5))
    assert track.silence(0.5) == pytest.approx(1.5, abs=2 * BIN_S)
    assert _track((0.0, 3.0)).silence(0.5) is None


def test_packets_that_come_in_a_bunch_are_laid_end_to_end() -> None:
    """Time never goes back in what was received."""
    track = Track()
    track.add(1.0, [0.1] * 4)
    track.add(1.001, [0.1] * 4)
    assert track.at == sorted(track.at)


def test_a_packet_is_spoken_before_it_is_sent() -> None:
    """A microphone's packet goes out when its last sample is in."""
    played = Played("x", 10.0, ((0.5, 1.5),))
    assert played.end == pytest.approx(11.48)


def test_marks_lie_in_their_recordings() -> None:
    """Every mark is inside, in order, and where it says that somebody speaks it is louder."""
    for each in recordings().values():
        instants = [instant for stretch in each.stretches for instant in stretch]
        assert instants == sorted(instants)
        assert 0 <= instants[0] < instants[-1] <= each.seconds
        assert len(each.said) == len(each.stretches)


def test_drawing_out_a_pause_moves_what_follows() -> None:
    """The turn ends so much later, and there is one pause more, of that length."""
    jfk = recordings()["jfk"]
    longer = jfk.drawn_out(0, 0.8)
    assert longer.seconds == pytest.approx(jfk.seconds + 0.8, abs=0.01)
    assert longer.end == pytest.approx(jfk.end + 0.8)
    lengths = [end - begin for begin, end in longer.pauses]
    assert pytest.approx(0.8) in lengths
    assert len(lengths) == len(jfk.pauses) + 1
