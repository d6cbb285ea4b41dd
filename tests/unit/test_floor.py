"""What the floor must never do, whatever happens in a room, and what it must always do."""

from __future__ import annotations

import pickle
import random
from datetime import datetime, timedelta, timezone

from hypothesis import given, settings
from hypothesis import strategies as st

from locum.core.calling import Names
from locum.core.floor import Floor
from locum.core.room import NO_VOICE_AFTER
from locum.core.talk import (
    Attention,
    Consider,
    Cue,
    Foreseen,
    Forgo,
    HandUp,
    Happening,
    Heard,
    Hush,
    Move,
    Nod,
    Passed,
    Present,
    RaiseHand,
    Speak,
    Told,
    TurnOver,
    VoiceBegan,
    VoicePaused,
    WeBegan,
    WeEnded,
    Write,
    Written,
)
from tests.unit.drawn import EXAMPLES

often = settings(max_examples=max(EXAMPLES // 5, 1), derandomize=True, deadline=None)
"""A timeline is some twenty happenings and eighty instants: four times the work of a case."""

T0 = datetime(2026, 11, 23, 9, tzinfo=timezone.utc)
TILE = "Robin (AI stand-in for Alex Müller)"
NAMES = Names.of(TILE, "Alex Müller")
MS = timedelta(milliseconds=1)

PEOPLE = ("Dana", "Tom", "Kim", "")
SAYINGS = (
    "Robin, what is the status?",
    "what do you think robin",
    "Robin?",
    "Robin said that yesterday.",
    "and how long will it take",
    "yeah",
    "mm-hm",
    "okay, great",
    "stop",
    "Robin, be quiet",
    "hold on",
    "go on",
    "never mind",
    "are you a robot?",
    "does anyone know when it ships?",
    "so the plan for the next quarter is that we look at the south first",
    "Tom, could you take that?",
    "thanks Robin",
    "let's move on to the next topic",
    "What would Alex say?",
    "",
)
OPT_OUT = "opt out"


def at(ms: float) -> datetime:
    return T0 + ms * MS


class Played:
    """A floor, and an account of what it should know: kept apart from it, and simpler."""

    def __init__(self, attention: Attention) -> None:
        self.floor = Floor(attention, NAMES)
        self.moves: list[tuple[datetime, Move]] = []

    def take(self, happening: Happening) -> tuple[Move, ...]:
        moves = self.floor.take(happening)
        self.moves += [(happening.at, move) for move in moves]
        return moves

    def of(self, kind: type[Move]) -> list[Move]:
        return [move for _, move in self.moves if isinstance(move, kind)]


def _timeline(drawn: tuple[int, int]) -> list[Happening]:
    """Make of a seed and a length what may come of ears and a conversation that aren't well."""
    seed, length = drawn
    dice = random.Random(seed)
    found: list[Happening] = []
    now = 0.0
    for _ in range(length):
        now += dice.choice((0, 32, 64, 100, 250, 700, 2000, 9000))
        track, who, text = f"t{dice.randrange(3)}", dice.choice(PEOPLE), dice.choice(SAYINGS)
        found.append(_happening(dice.randrange(16), now, track, who, text, dice.randrange(7)))
    return found


# A seed and a length are drawn at once, and quickly; the shorter is the beginning of the longer.
timelines = st.tuples(st.integers(0, 2**32), st.integers(1, 25)).map(_timeline)


def _happening(  # noqa: PLR0911 - One kind a line.
    kind: int, now: float, track: str, who: str, text: str, late: int
) -> Happening:
    when = at(now - 300 * max(late - 3, 0))
    if kind < 3:
        return VoiceBegan(when, track, who)
    if kind < 6:
        return VoicePaused(when, track, who)
    if kind < 8:
        return Heard(when, track, who, text, final=late % 2 == 0)
    if kind < 11:
        return TurnOver(when, track, who, text)
    if kind == 11:
        return Written(when, who, text)
    if kind == 12:
        return WeBegan(when, "it is on track as far as I know")
    if kind == 13:
        return WeEnded(when, "it is on track as far as I know", whole=late % 2 == 0)
    if kind == 14:
        return Present(when, late % 4)
    return Told(when, track, text, for_us=late % 2 == 0)


def with_ticks(happenings: list[Happening]) -> list[Happening]:
    """Put ticks before and after each, as a conversation gives them."""
    return [
        each
        for happening in happenings
        for each in (
            Passed(happening.at),
            happening,
            Passed(happening.at),
            Passed(happening.at + 64 * MS),
        )
    ]


class Others:
    """Who of the others speaks, by the last word on each track."""

    def __init__(self) -> None:
        self._voices: dict[str, tuple[datetime, bool]] = {}
        self._now = T0

    def take(self, happening: Happening) -> None:
        self._now = max(self._now, happening.at)
        if isinstance(happening, VoiceBegan):
            before = self._voices.get(happening.track)
            if before is None or before[1] or happening.at > before[0]:
                self._voices[happening.track] = (happening.at, True)
        elif isinstance(happening, (VoicePaused, TurnOver)) and happening.track in self._voices:
            self._voices[happening.track] = (happening.at, False)

    def speak(self) -> bool:
        """Whether anybody does, but for voices that are none: see `NO_VOICE_AFTER`."""
        still = self._now - NO_VOICE_AFTER + timedelta(seconds=1)
        return any(speaks and began > still for began, speaks in self._voices.values())


attentions = st.sampled_from(list(Attention))


@often
@given(timelines)
def test_who_only_listens_says_only_what_it_is(drawn: list[Happening]) -> None:
    """Whatever is said to it, however often it is called."""
    played = Played(Attention.LISTEN)
    for happening in with_ticks(drawn):
        played.take(happening)
    for move in (*played.of(Speak), *played.of(Write)):
        assert isinstance(move, (Speak, Write))
        assert "robot" in move.text
    assert played.of(Consider) == []


@often
@given(timelines, attentions)
def test_after_stop_it_is_silent_until_it_is_named(
    drawn: list[Happening], attention: Attention
) -> None:
    """No follow-up, no offer, no meeting of two makes it speak before."""
    played = Played(attention)
    for happening in with_ticks(drawn):
        played.take(happening)
    now = max((each.at for each in drawn), default=T0) + timedelta(minutes=1)
    played.take(Passed(now))
    played.take(TurnOver(now, "t0", "Dana", "Robin, be quiet"))
    spoken = len(played.of(Speak))
    shifted = [
        happening
        for happening in with_ticks(_later(drawn, now - T0 + timedelta(seconds=1)))
        if not _names_us(happening)
    ]
    for happening in shifted:
        played.take(happening)
    assert len(played.of(Speak)) == spoken


def _later(drawn: list[Happening], by: timedelta) -> list[Happening]:
    return [type(each)(**{**each.__dict__, "at": each.at + by}) for each in drawn]


def _names_us(happening: Happening) -> bool:
    return "robin" in getattr(happening, "text", "").casefold()


@often
@given(timelines, attentions)
def test_no_turn_is_answered_twice(drawn: list[Happening], attention: Attention) -> None:
    """Told twice, each happening makes as many answers begin as told once."""
    once, twice = Played(attention), Played(attention)
    for happening in with_ticks(drawn):
        once.take(happening)
        twice.take(happening)
        if not isinstance(happening, (WeBegan, WeEnded)):
            assert not [
                move
                for move in twice.take(happening)
                if isinstance(move, (Speak, Write, Consider))
            ]
    turns = [each for each in drawn if isinstance(each, TurnOver) and each.text]
    told = [each for each in drawn if isinstance(each, Told)]
    begun = [move for move in once.of(Speak) if isinstance(move, Speak)]
    assert len([move for move in begun if move.cue is not Cue.RESUME]) <= len(turns) + len(told)


@often
@given(timelines, attentions)
def test_nothing_is_said_after_opting_out(drawn: list[Happening], attention: Attention) -> None:
    """Not a word, not a line, not a hand."""
    floor = Floor(attention, NAMES)
    for happening in drawn:
        floor.take(happening)
    now = max(each.at for each in drawn)
    floor.take(TurnOver(now, "t1", "Tom", OPT_OUT))
    for happening in with_ticks(_later(drawn, now - T0)):
        assert [move for move in floor.take(happening) if not isinstance(move, Hush)] == []


@often
@given(timelines, attentions)
def test_moves_make_sense_in_their_order(drawn: list[Happening], attention: Attention) -> None:
    """Nothing begun while another speaks, no hand up twice, nothing forgone that nobody began."""
    floor = Floor(attention, NAMES)
    speaking = hand = False
    got_ready = kept = False
    others = Others()
    for happening in with_ticks(sorted(drawn, key=lambda each: each.at)):
        others.take(happening)
        if isinstance(happening, WeBegan):
            speaking = True
        for move in floor.take(happening):
            if isinstance(move, Hush):
                assert speaking
                speaking, kept, got_ready = False, not move.drop, False
            elif isinstance(move, Forgo):
                assert got_ready or kept
                kept, got_ready = not move.drop, False
            elif isinstance(move, RaiseHand):
                assert move.up is not hand
                hand = move.up
            elif isinstance(move, Speak):
                assert move.cue is not Cue.RESUME or kept or got_ready
                assert not others.speak()
                got_ready = True
        if isinstance(happening, WeEnded):
            speaking = False


@often
@given(
    timelines,
    st.sampled_from([Attention.ACTIVE, Attention.WHEN_ADDRESSED]),
    st.sampled_from(["Robin, what is the status?", "Robin, was meinst du?", "Robin?"]),
)
def test_who_asks_by_name_and_waits_is_answered(
    drawn: list[Happening], attention: Attention, question: str
) -> None:
    """Whatever came before: once all are silent, an answer is begun within a second and a half."""
    played = Played(attention)
    for happening in with_ticks(drawn):
        played.take(happening)
    quiet = max(each.at for each in drawn) + timedelta(minutes=6)
    played.take(Passed(quiet))
    played.take(Present(quiet, 2))
    for track in ("t0", "t1", "t2"):
        played.take(VoicePaused(quiet, track))
    played.take(VoiceBegan(quiet + 1000 * MS, "t9", "Lee"))
    played.take(VoicePaused(quiet + 3000 * MS, "t9", "Lee"))
    before = len(played.moves)
    played.take(TurnOver(quiet + 3350 * MS, "t9", "Lee", question))
    for tick in range(30):
        played.take(Passed(quiet + (3400 + 50 * tick) * MS))
    spoken = [move for _, move in played.moves[before:] if isinstance(move, Speak)]
    assert [move.speaker for move in spoken][:1] == ["Lee"]
    assert spoken[0].at <= quiet + 3400 * MS


def test_its_state_stays_small() -> None:
    """Of 1,200 tracks, speakers and questions it remembers no more than of 600."""
    floor, sizes = Floor(Attention.ACTIVE, NAMES), []
    for n, drawn in enumerate(_timeline((seed, 10)) for seed in range(120)):
        for k, happening in enumerate(_later(drawn, timedelta(seconds=20 * n))):
            changes = {
                key: f"{value} {n:03} {k}" if key != "text" else f"{value}{n * 10 + k:04}"
                for key, value in happening.__dict__.items()
                if key in {"track", "speaker", "text"}
            }
            floor.take(Passed(happening.at))
            floor.take(type(happening)(**{**happening.__dict__, **changes}))
        if n in {59, 119}:
            sizes.append(len(pickle.dumps(floor.__dict__)))
    assert sizes[1] < 1.1 * sizes[0]


@often
@given(
    st.integers(0, 5),
    st.integers(30, 180),
    st.integers(150, 1400),
    st.sampled_from(SAYINGS[5:8]),
)
def test_a_lone_yeah_never_stops_us(who: int, known: int, lasts: int, text: str) -> None:
    """Where the word is known before one would yield to a mere voice."""
    played = Played(Attention.WHEN_ADDRESSED)
    _let_speak(played)
    track = f"t{who}"
    voice = at(5000)
    played.take(VoiceBegan(voice, track, "Tom"))
    played.take(Heard(voice + known * MS, track, "Tom", text))
    for tick in range(0, lasts, 96):
        played.take(Passed(voice + max(tick, known) * MS))
    played.take(VoicePaused(voice + lasts * MS, track, "Tom"))
    played.take(Heard(voice + (lasts + 150) * MS, track, "Tom", text, final=True))
    played.take(TurnOver(voice + (lasts + 350) * MS, track, "Tom", text))
    for tick in range(0, 1500, 250):
        played.take(Passed(voice + (lasts + 400 + tick) * MS))
    assert played.of(Hush) == []
    assert not played.floor._answering._ducked


def _let_speak(played: Played) -> None:
    played.take(Present(T0, 3))
    played.take(TurnOver(T0, "d", "Dana", "Robin, what is the status?"))
    played.take(WeBegan(at(500), "It is on track"))


@often
@given(st.integers(200, 400), st.integers(0, 1500))
def test_what_a_late_yeah_cut_off_is_gone_on_with(lasts: int, late: int) -> None:
    """Where the word is known only after we yielded: nothing of what we say is lost."""
    played = Played(Attention.WHEN_ADDRESSED)
    _let_speak(played)
    voice = at(5000)
    played.take(VoiceBegan(voice, "t", "Tom"))
    for tick in range(0, lasts, 32):
        played.take(Passed(voice + tick * MS))
    played.take(Passed(voice + lasts * MS))
    played.take(VoicePaused(voice + lasts * MS, "t", "Tom"))
    played.take(WeEnded(voice + 300 * MS, "It is on", whole=False))
    for tick in range(0, 2000, 100):
        if tick <= late < tick + 100:
            played.take(Heard(voice, "t", "Tom", "yeah", final=True))
        played.take(Passed(voice + (lasts + tick) * MS))
    spoken = [move for move in played.of(Speak) if isinstance(move, Speak)]
    assert [move.cue for move in spoken] == [Cue.NAMED, Cue.RESUME]


@often
@given(
    st.integers(0, 90), st.sampled_from(["stop", "Robin", "Robin, wait", "no, the other one"])
)
def test_stop_and_our_name_always_stop_us(known: int, text: str) -> None:
    """As soon as the words are there, and a mere voice within 200 ms and a tick."""
    played = Played(Attention.WHEN_ADDRESSED)
    _let_speak(played)
    voice = at(5000)
    played.take(VoiceBegan(voice, "t", "Tom"))
    for tick in range(0, 264, 32):
        if tick <= known < tick + 32:
            played.take(Heard(voice, "t", "Tom", text))
        played.take(Passed(voice + tick * MS))
    hushed = [when for when, move in played.moves if isinstance(move, Hush)]
    assert len(hushed) == 1
    assert hushed[0] <= voice + max(known + 32, 96) * MS


def test_a_clock_that_is_set_back_stops_nothing() -> None:
    """An hour back, in the middle of an answer that waits for its gap."""
    floor = Floor(Attention.WHEN_ADDRESSED, NAMES)
    floor.take(Present(T0, 3))
    floor.take(VoiceBegan(at(0), "t", "Tom"))
    floor.take(TurnOver(at(1000), "d", "Dana", "Robin, what is the status?"))
    back = T0 - timedelta(hours=1)
    assert floor.take(Passed(back)) == ()
    floor.take(VoicePaused(back + 100 * MS, "t", "Tom"))
    moves = [
        move for tick in range(40) for move in floor.take(Passed(back + (100 + 50 * tick) * MS))
    ]
    spoken = [move for move in moves if isinstance(move, Speak)]
    assert [move.speaker for move in spoken] == ["Dana"]
    assert back < spoken[0].at < back + timedelta(seconds=3)


def test_one_wrong_instant_stops_nothing() -> None:
    """A voice that is said to begin in a year doesn't stop time until then."""
    floor = Floor(Attention.WHEN_ADDRESSED, NAMES)
    floor.take(Passed(T0))
    floor.take(VoiceBegan(T0 + timedelta(days=365), "t", "Tom"))
    floor.take(VoicePaused(T0 + timedelta(days=365), "t", "Tom"))
    floor.take(Passed(at(20_000)))
    moves = floor.take(TurnOver(at(20_100), "d", "Dana", "Robin, what is the status?"))
    assert [type(move) for move in moves] == [Speak]


def test_a_question_that_is_heard_on_two_tracks_is_answered_once() -> None:
    """Somebody's loudspeaker gives another's words back, a moment later."""
    floor = Floor(Attention.WHEN_ADDRESSED, NAMES)
    question = "Robin, what is the status of it?"
    moves = [
        move
        for happening in (
            Present(T0, 3),
            TurnOver(at(1000), "d", "Dana", question),
            TurnOver(at(1100), "t", "Tom", question),
            WeBegan(at(1500), "It is on track."),
            TurnOver(at(1600), "k", "Kim", question),
            WeEnded(at(5000), "It is on track."),
            Passed(at(6000)),
            Passed(at(9000)),
        )
        for move in floor.take(happening)
    ]
    assert [type(move) for move in moves] == [Speak]


def test_a_turn_that_is_told_again_late_is_answered_once() -> None:
    """After the answer even, as a queue that was stuck would tell it."""
    floor = Floor(Attention.WHEN_ADDRESSED, NAMES)
    turn = TurnOver(at(1000), "d", "Dana", "Robin, what is the status of it?")
    assert [type(move) for move in floor.take(turn)] == [Speak]
    for happening in (WeBegan(at(1500), "It's on track."), WeEnded(at(3000), "It's on track.")):
        floor.take(happening)
    assert floor.take(turn) == ()


def test_time_that_stands_still_repeats_nothing() -> None:
    """The same instant, a hundred times over: one answer, and no second move of any kind."""
    floor = Floor(Attention.WHEN_ADDRESSED, NAMES)
    moves = list(floor.take(TurnOver(T0, "d", "Dana", "Robin, what is the status?")))
    for _ in range(100):
        moves += floor.take(Passed(T0))
    assert [type(move) for move in moves] == [Speak]


def test_foreseeing_changes_nothing() -> None:
    """It says why it would be our turn, and what follows is the same as without."""
    asked, unasked = (Floor(Attention.WHEN_ADDRESSED, NAMES) for _ in range(2))
    for each in (asked, unasked):
        each.take(Present(T0, 2))
    assert asked.foresee("d", "Dana", "Robin, what is the status?") == Foreseen(
        Cue.NAMED, expected=True
    )
    assert asked.foresee("d", "Dana", "What is the status?") is None
    assert asked.foresee("d", "Dana", "Robin, be quiet") is None
    turn = TurnOver(at(900), "d", "Dana", "Robin, what is the status?")
    assert asked.take(turn) == unasked.take(turn)


def test_a_nod_isnt_repeated_all_the_time() -> None:
    """Our name in every sentence of a long story makes us nod now and then."""
    floor = Floor(Attention.WHEN_ADDRESSED, NAMES)
    moves: list[Move] = []
    for second in range(20):
        text = "Robin, I have to tell you something" + " more" * second
        moves += floor.take(Heard(at(1000 * second), "d", "Dana", text))
    assert len([move for move in moves if isinstance(move, Nod)]) == 4


def test_whoever_raised_a_hand_goes_first() -> None:
    """We volunteer nothing then; who asks us by name is answered all the same."""
    floor = Floor(Attention.ACTIVE, NAMES)
    floor.take(Present(T0, 3))
    floor.take(HandUp(at(100), "Kim"))
    unasked = TurnOver(at(1000), "d", "Dana", "Does anyone know when it ships?")
    assert floor.take(unasked) == ()
    asked = TurnOver(at(9000), "d", "Dana", "Robin, do you know when it ships?")
    assert [type(move) for move in floor.take(asked)] == [Speak]
    later = TurnOver(at(40_000), "t", "Tom", "Does anybody know who is on call?")
    floor.take(WeBegan(at(10_000)))
    floor.take(WeEnded(at(12_000), "On Friday."))
    assert [move.cue for move in floor.take(later) if isinstance(move, Speak)] == [Cue.OFFER]
