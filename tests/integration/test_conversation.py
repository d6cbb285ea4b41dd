"""A conversation in a room on virtual time: what is said, when, and what is left of it."""

from __future__ import annotations

import asyncio
import statistics
from datetime import timedelta

import pytest

from locum.conversation.parts import Timings, WeSaid
from locum.core.talk import Attention, Cue
from locum.core.transcript import Source
from locum.errors import HumanNeededError, LocumError, PermanentError, TransientError
from locum.ports import Aloud, Deferred, Doing, InChat, Prompted, Said
from tests.integration.conversation_rig import CLOCK, FINE, Stage, play, says, seconds

QUESTION = "Robin, is the gauge at Brixham working?"
LONG = (
    "Yes, it is. The gauge at Brixham was calibrated on Tuesday and it has sent its readings "
    "every ten minutes since then, without a single gap that anybody has noticed so far."
)


def test_a_question_is_answered_within_half_a_second() -> None:
    """From the last sound to our first piece: a first token of 200 ms and a voice of 100 ms in it."""
    delays_ms: list[float] = []

    async def scene(stage: Stage) -> None:
        for number in range(8):
            await stage.people.say("Dana", f"Robin, is gauge number {number} working?")
            asked = CLOCK.now()
            await stage.settle(8 + number * 0.013)
            delays_ms.append((stage.room.given[-1] - asked) / timedelta(milliseconds=1))

    stage = play(scene)
    assert len(stage.room.given) == 8
    assert statistics.median(delays_ms) <= 420
    assert max(delays_ms) <= 430


def test_the_transcript_has_both_sides_with_their_instants() -> None:
    """What they asked and what we really said, in order, ours as long as it sounded."""

    async def scene(stage: Stage) -> None:
        await stage.people.say("Dana", QUESTION)
        await stage.settle(8)

    stage = play(scene)
    assert [type(each) for each in stage.told] == [Said, WeSaid]
    ours = stage.told[1]
    assert isinstance(ours, WeSaid)
    assert ours.whole
    assert (ours.at, ours.until) == (stage.room.sounded[0][0], stage.room.sounded[-1][1])
    assert not stage.room.chat


def test_what_isnt_meant_for_us_costs_nothing_and_is_written_down() -> None:
    """People who talk among themselves are heard, and nothing is thought about it."""

    async def scene(stage: Stage) -> None:
        await stage.people.say("Dana", "Jonas, did you calibrate Whitby?")
        await stage.settle(2)
        await stage.people.say("Jonas", "I did that on Monday.")
        await stage.settle(5)

    stage = play(scene)
    assert stage.theirs == ["Jonas, did you calibrate Whitby?", "I did that on Monday."]
    assert (stage.ours, stage.mind.asked, stage.room.given) == ([], [], [])


def test_who_goes_on_isnt_interrupted() -> None:
    """What was thought ahead in a pause is dropped, and the whole question is answered, once."""

    async def scene(stage: Stage) -> None:
        stage.endpointer.sure = {"Robin, is the gauge": 0.1}
        await stage.people.say("Dana", "Robin, is the gauge", 0.7, "at Brixham working again?")
        await stage.settle(8)

    stage = play(scene)
    assert [asked.lines[-1].text for asked in stage.mind.asked] == [
        "Robin, is the gauge",
        "Robin, is the gauge at Brixham working again?",
    ]
    assert len(stage.ours) == 1
    assert stage.room.given[0] > stage.people.ended_at


@pytest.mark.parametrize("pause", [0.3, 0.5, 0.8, 1.0, 1.2, 1.4])
def test_pauses_within_a_turn_are_waited_out(pause: float) -> None:
    """Where the endpointer knows that there is more to come, a pause of 0.3 to 1.4 s is none."""

    async def scene(stage: Stage) -> None:
        stage.endpointer.sure = {"Robin, what about": 0.0}
        await stage.people.say("Dana", "Robin, what about", pause, "the Whitby gauge?")
        await stage.settle(8)

    stage = play(scene)
    assert stage.theirs == ["Robin, what about the Whitby gauge?"]
    assert len(stage.room.given) == 1
    assert stage.room.given[0] > stage.people.ended_at


def test_thinking_ahead_is_bounded() -> None:
    """Somebody who pauses eight times makes us think ahead four times, and answer once."""

    async def scene(stage: Stage) -> None:
        parts: list[str | float] = ["Robin, is"]
        stage.endpointer.sure["Robin, is"] = 0.0
        for word in ("one", "two", "three", "four", "five", "six", "seven", "eight"):
            parts += [0.4, word]
            stage.endpointer.sure[" ".join(p for p in parts if isinstance(p, str))] = 0.0
        stage.endpointer.sure.popitem()
        await stage.people.say("Dana", *parts)
        await stage.settle(8)

    stage = play(scene)
    assert sum(asked.guessed for asked in stage.mind.asked) == 4
    assert len(stage.ours) == 1


def test_without_a_budget_nothing_is_thought_ahead() -> None:
    """Then the answer is thought once the turn is over: later, and never in vain."""

    async def scene(stage: Stage) -> None:
        await stage.people.say("Dana", QUESTION)
        await stage.settle(8)

    stage = play(scene, timings=Timings(speculations_a_turn=0))
    assert [asked.guessed for asked in stage.mind.asked] == [False]
    assert len(stage.ours) == 1


def test_another_question_than_was_guessed_is_thought_anew() -> None:
    """Words that turn out to be others open no gate: what was thought for them isn't said."""

    async def scene(stage: Stage) -> None:
        asked = "Robin, can we go on Thursday?"
        stage.people.mishear[asked] = "Robin, can we not go on Thursday?"
        await stage.people.say("Dana", asked)
        await stage.settle(8)

    def script(prompted: Prompted) -> list[Aloud]:
        return [Aloud("No." if "not" in prompted.lines[-1].text else "Yes, we can.")]

    stage = play(scene, script)  # type: ignore[arg-type]
    assert stage.ours == ["Yes, we can."]


def test_barging_in_silences_us_and_cuts_what_we_said_to_what_was_heard() -> None:
    """Within 350 ms of their voice; the transcript and the next prompt end where we were cut."""
    began: list[timedelta] = []

    async def scene(stage: Stage) -> None:
        await stage.people.say("Dana", QUESTION)
        await stage.settle(5.0)
        at = CLOCK.now()
        await stage.people.say("Dana", "Sorry, what about the one at Whitby then?")
        silent = stage.room.silent_since
        assert silent is not None
        began.append(silent - at)
        await stage.settle(8)

    stage = play(scene, says(LONG))
    assert timedelta(0) < began[0] <= timedelta(milliseconds=350)
    first = stage.told[1]
    assert isinstance(first, WeSaid)
    assert not first.whole
    assert first.text.endswith("—")
    assert LONG.startswith(first.text.removesuffix("—"))
    # Word for word: each was whole before the silence.
    letters = len(first.text.removesuffix("—")) / 15
    sounded = sum(((e - b).total_seconds() for b, e in stage.room.sounded if b < first.until))
    assert letters <= sounded < letters + 1.2
    told = [line.text for line in stage.mind.asked[-1].lines if line.ours]
    assert told == [first.text]


def test_after_being_cut_off_mind_and_voice_have_stopped() -> None:
    """Nothing goes on being thought, or made sound of, for nobody."""

    async def scene(stage: Stage) -> None:
        await stage.people.say("Dana", QUESTION)
        await stage.settle(3.0)
        assert stage.mind.working == 1
        await stage.people.say("Dana", "Stop, please.")
        await stage.settle(1.0)
        assert (stage.mind.working, stage.voice.working) == (0, 0)
        assert stage.room.hushes == 1

    play(scene, says(LONG, 30.0, "And one more thing."))


def test_a_yeah_doesnt_stop_us() -> None:
    """We are quieter for a moment at most, and say all of it."""

    async def scene(stage: Stage) -> None:
        await stage.people.say("Dana", QUESTION)
        await stage.settle(4.0)
        await stage.people.say("Jonas", "Yeah.")
        await stage.settle(16)

    stage = play(scene, says(LONG))
    assert " ".join(stage.ours).replace("— ", " ").count("so far.") == 1
    assert not stage.room.ducked or stage.room.ducked[-1] is False


def test_many_sentences_that_were_thought_at_once_are_said_to_the_end() -> None:
    """Sound is made one clause ahead of what is said, and goes on as saying goes on."""
    text = "One is done. Two comes next. Three is on its way. Four waits. Five is the last."

    async def scene(stage: Stage) -> None:
        await stage.people.say("Dana", QUESTION)
        await stage.settle(15)

    assert play(scene, says(text)).ours == [text]


def test_a_tool_that_takes_long_is_announced() -> None:
    """What it says of itself, then the result, in one breath of the transcript."""

    async def scene(stage: Stage) -> None:
        await stage.people.say("Dana", QUESTION)
        await stage.settle(12)

    looking = Doing("gauges", "Let me look that up.")
    stage = play(scene, says(looking, 3.0, "It has been silent since noon."))
    assert stage.ours == ["Let me look that up. It has been silent since noon."]


def test_a_tool_that_is_quick_isnt_announced() -> None:
    """Nobody wants to hear of it."""

    async def scene(stage: Stage) -> None:
        await stage.people.say("Dana", QUESTION)
        await stage.settle(12)

    stage = play(scene, says(Doing("gauges", "Let me look that up."), 0.1, "It is silent."))
    assert stage.ours == ["It is silent."]


def test_thinking_that_takes_long_is_heard() -> None:
    """A little sound in our own voice, made ahead, and attention; then the answer."""

    async def scene(stage: Stage) -> None:
        await stage.people.say("Dana", QUESTION)
        asked = CLOCK.now()
        await stage.settle(1.2)
        assert stage.room.attentive
        assert stage.room.given[0] - asked < timedelta(seconds=1)
        await stage.settle(12)
        assert not stage.room.attentive

    stage = play(scene, says(2.0, "It is fine."))
    assert stage.ours == ["Mm-hm. It is fine."]


def test_what_is_better_read_goes_to_the_chat() -> None:
    """Links of what is said and what the mind wants written; told as ours, in the chat."""

    async def scene(stage: Stage) -> None:
        await stage.people.say("Dana", QUESTION)
        await stage.settle(8)

    stage = play(
        scene, says("See https://example.org/gauges?at=7 for it.", InChat("1. Brixham"))
    )
    assert stage.room.chat == ["https://example.org/gauges?at=7", "1. Brixham"]
    written = [each for each in stage.told if isinstance(each, WeSaid) and each.in_chat]
    assert [each.text for each in written] == stage.room.chat
    assert stage.ours[-1] == "See example.org for it."


def test_what_is_taken_along_is_told() -> None:
    """Once, and only if it was said: a guess defers nothing."""

    async def scene(stage: Stage) -> None:
        stage.endpointer.sure = {"Robin, can you promise": 0.0}
        await stage.people.say("Dana", "Robin, can you promise", 0.6, "Thursday?")
        await stage.settle(8)

    kept = Deferred("Thursday?", "Dana")
    stage = play(scene, says(kept, "I'll take that to Alex."))
    assert [each for each in stage.told if isinstance(each, Deferred)] == [kept]


def test_whether_we_are_a_machine_is_answered_by_code() -> None:
    """Truthfully, word for word, whatever a mind would say."""

    async def scene(stage: Stage) -> None:
        await stage.people.say("Dana", "Robin, are you a robot?")
        await stage.settle(8)

    stage = play(scene, says("No, I am Alex."), attention=Attention.LISTEN)
    assert stage.ours == ["I am an AI stand-in for Alex Winter."]
    assert all(asked.cue is not Cue.ASKED_WHAT_WE_ARE for asked in stage.mind.asked)


def test_a_question_in_the_chat_is_answered_there() -> None:
    """Written, not said."""

    async def scene(stage: Stage) -> None:
        stage.write("Dana", "Robin, is Brixham working?")
        await stage.settle(8)

    stage = play(scene, says("Yes, it is."))
    assert (stage.room.chat, stage.room.given) == (["Yes, it is."], [])


# ── parts that fail ──────────────────────────────────────────────────────────────────────


def test_a_mind_that_fails_is_admitted_once_and_left_alone() -> None:
    """The question is taken along each time; what can't be done is said once, not each time."""

    async def scene(stage: Stage) -> None:
        await stage.people.say("Dana", QUESTION)
        await stage.settle(8)
        await stage.people.say("Dana", "Robin, and the gauge at Whitby?")
        await stage.settle(8)

    stage = play(scene, says(TransientError("overloaded", retry_after=seconds(60))))
    assert stage.ours == [
        "Sorry, I can't think right now. I'll take your question to Alex Winter."
    ]
    assert [each.question for each in stage.told if isinstance(each, Deferred)] == [
        QUESTION,
        "Robin, and the gauge at Whitby?",
    ]
    # Once ahead, once for good; then it is left alone.
    assert len(stage.mind.asked) <= 2


def test_a_mind_that_recovers_is_asked_again() -> None:
    """After its rest it thinks as before."""

    async def scene(stage: Stage) -> None:
        await stage.people.say("Dana", QUESTION)
        await stage.settle(8)
        stage.mind.script = says("It is fine again.")
        await stage.people.say("Dana", QUESTION)
        await stage.settle(8)

    stage = play(scene, says(TransientError("overloaded", retry_after=seconds(1))))
    assert stage.ours[-1] == "It is fine again."


def test_a_mind_that_fails_in_the_middle_says_so() -> None:
    """What was said stands; the rest is owned up to."""

    async def scene(stage: Stage) -> None:
        await stage.people.say("Dana", QUESTION)
        await stage.settle(12)

    lost = HumanNeededError("The key is refused.", hint="Renew it.")
    stage = play(scene, says("Yes, it works.", 0.5, lost))
    assert stage.ours == [
        "Yes, it works. Sorry, I can't go on right now. I'll take your question to Alex Winter."
    ]


def test_a_mind_that_crashes_is_one_that_fails() -> None:
    """No flaw of a mind ends the conversation."""

    async def scene(stage: Stage) -> None:
        await stage.people.say("Dana", QUESTION)
        await stage.settle(8)
        await stage.people.say("Jonas", "That is bad news, Dana.")
        await stage.settle(4)

    def broken(_: Prompted) -> list[Aloud]:
        raise ZeroDivisionError

    stage = play(scene, broken)  # type: ignore[arg-type]
    assert stage.ours[0].startswith("Sorry, I can't think right now.")
    assert stage.theirs[-1] == "That is bad news, Dana."


def test_a_mind_that_never_ends_is_stopped() -> None:
    """Nobody listens to an endless answer, and it takes no endless memory."""

    async def scene(stage: Stage) -> None:
        await stage.people.say("Dana", QUESTION)
        await stage.settle(260)
        assert stage.mind.working == 0

    stage = play(scene, says("Word after word. " * 2_000))
    assert len(stage.ours[0]) < 3_500


def test_where_the_voice_fails_the_answer_is_written() -> None:
    """From the clause on that couldn't be said, with the reason, once."""

    async def scene(stage: Stage) -> None:
        stage.voice.fails = PermanentError("No voice here.")
        await stage.people.say("Dana", QUESTION)
        await stage.settle(8)
        await stage.people.say("Dana", QUESTION)
        await stage.settle(8)

    stage = play(scene)
    assert stage.room.chat == [
        "My voice doesn't work right now, so I write.",
        *[FINE] * 2,
    ]


def test_without_a_voice_answers_are_written() -> None:
    """A persona without one is no less polite."""

    async def scene(stage: Stage) -> None:
        await stage.people.say("Dana", QUESTION)
        await stage.settle(8)

    stage = play(scene, voiceless=True)
    assert stage.room.chat == [FINE]
    assert stage.room.given == []


def test_a_voice_that_fails_in_the_middle_of_a_clause_leaves_what_was_heard() -> None:
    """The cut words stand in the transcript, the clause whole in the chat."""

    async def scene(stage: Stage) -> None:
        stage.voice.fails, stage.voice.fails_after = TransientError("gone"), 3
        await stage.people.say("Dana", QUESTION)
        await stage.settle(8)

    stage = play(scene, says("It was calibrated on Tuesday."))
    # Of "calibrated", nobody knows whether it was whole.
    assert "It was—" in stage.ours
    assert stage.room.chat[-1] == "It was calibrated on Tuesday."


def test_a_body_that_cant_speak_is_no_end() -> None:
    """The answer is written, and the next question heard."""

    async def scene(stage: Stage) -> None:
        stage.room.say_fails = TransientError("the page is gone")
        await stage.people.say("Dana", QUESTION)
        await stage.settle(8)
        stage.room.say_fails = None
        await stage.settle(40)
        await stage.people.say("Dana", QUESTION)
        await stage.settle(8)

    stage = play(scene)
    assert stage.room.chat[-1] == FINE
    assert len(stage.room.given) == 1


def test_without_ears_captions_and_chat_go_on() -> None:
    """It says so where people can read it, and answers what the captions say."""

    async def scene(stage: Stage) -> None:
        stage.people.break_down(HumanNeededError("The key is refused.", hint="Renew it."))
        await stage.settle(2)
        stage.conversation.take(Said(CLOCK.now(), "Dana", QUESTION))
        await stage.settle(8)

    stage = play(scene)
    assert stage.room.chat[0].startswith("I can't hear what is said any more.")
    assert stage.ours[-1] == FINE


def test_with_captions_only_we_converse_by_them() -> None:
    """No ears are needed; what we were given isn't told again."""

    async def scene(stage: Stage) -> None:
        stage.conversation.take(Said(CLOCK.now(), "Dana", QUESTION))
        await stage.settle(8)

    stage = play(scene, deaf=True)
    assert [type(each) for each in stage.told] == [WeSaid]


MISHEARD = "rabbinical is the update from alex"


def test_a_name_that_was_misheard_is_taken_from_a_caption() -> None:
    """Where our ears understand poorly, a caption that comes 2 s late still gets an answer."""

    async def scene(stage: Stage) -> None:
        began = CLOCK.now()
        await stage.people.say("Dana", MISHEARD)
        await stage.settle(2)
        assert stage.ours == []
        stage.conversation.take(Said(began, "Dana", QUESTION, until=CLOCK.now()))
        await stage.settle(8)

    assert play(scene, source=Source.ROUGH).ours == [FINE]
    assert play(scene, source=Source.EARS).ours == []  # Good ears aren't second-guessed.


def test_a_caption_of_what_was_answered_brings_no_second_answer() -> None:
    """It tells the same words again, later."""

    async def scene(stage: Stage) -> None:
        began = CLOCK.now()
        await stage.people.say("Dana", QUESTION)
        until = CLOCK.now()
        await stage.settle(2.5)
        stage.conversation.take(Said(began, "Dana", QUESTION, until=until))
        await stage.settle(8)

    assert play(scene, source=Source.ROUGH).ours == [FINE]


def test_words_that_nobody_understood_are_asked_for() -> None:
    """By code, to somebody who talks with us; no mind is asked what it can't know."""

    async def scene(stage: Stage) -> None:
        await stage.people.say("Dana", QUESTION)
        await stage.settle(4.5)
        stage.people.understood = False
        asked = len(stage.mind.asked)
        await stage.people.say("Dana", "And what about the one in the harbour?")
        await stage.settle(5)
        assert all(a.guessed for a in stage.mind.asked[asked:])

    stage = play(scene, says("It is fine."))
    assert stage.theirs[-1] == "(not understood)"
    assert stage.ours == ["It is fine.", "Sorry, I didn't catch that."]


def test_what_is_never_understood_is_asked_for_in_writing() -> None:
    """Once aloud, once in the chat; nobody hears "sorry" again and again."""

    async def scene(stage: Stage) -> None:
        stage.present(1)
        stage.people.understood = False
        for _ in range(4):
            await stage.people.say("Dana", "What about the one in the harbour?")
            await stage.settle(5)

    stage = play(scene, timings=Timings(speculations_a_turn=0))
    assert stage.ours == [
        "Sorry, I didn't catch that.",
        "I can't make out what is said just now. Please write to me here.",
    ]
    assert stage.mind.asked == []


def test_a_chat_that_fails_is_tried_again_and_given_up() -> None:
    """Nothing is said to stand in the chat that doesn't."""

    async def scene(stage: Stage) -> None:
        stage.room.post_fails = TransientError("not there", retry_after=seconds(1))
        stage.write("Dana", "Robin, is Brixham working?")
        await stage.settle(20)

    stage = play(scene, says("Yes, it is."))
    assert (stage.room.chat, stage.ours) == ([], [])


def test_a_guess_of_which_nothing_came_is_asked_again_for_good() -> None:
    """What a mind mustn't do for a guess, it does once the turn is over."""

    async def scene(stage: Stage) -> None:
        await stage.people.say("Dana", QUESTION)
        await stage.settle(8)

    def script(prompted: Prompted) -> list[Aloud]:
        return [] if prompted.guessed else [Aloud("I have booked it.")]

    stage = play(scene, script)  # type: ignore[arg-type]
    assert stage.ours == ["I have booked it."]


def test_a_guess_that_stops_short_of_acting_is_finished_for_good() -> None:
    """Whatever it had said by then: nobody hears of an error that was none."""

    async def scene(stage: Stage) -> None:
        await stage.people.say("Dana", QUESTION)
        await stage.settle(12)

    def script(prompted: Prompted) -> list[Aloud | LocumError]:
        if prompted.guessed:
            return [TransientError("not on a guess", retry_after=seconds(0))]
        return [Aloud("I have booked it.")]

    stage = play(scene, script)  # type: ignore[arg-type]
    assert stage.ours == ["I have booked it."]
    assert not any(isinstance(each, Deferred) for each in stage.told)


@pytest.mark.parametrize("after", [round(0.19 * step, 2) for step in range(35)])
def test_it_can_end_at_any_moment(after: float) -> None:
    """Cancelled in whatever state, it leaves no task, no mind at work and no voice; see `play`."""

    async def scene(stage: Stage) -> None:
        talking = asyncio.ensure_future(
            stage.people.say(
                "Dana", "Robin, is the gauge", 0.5, "working?", 2.0, "Stop, please."
            )
        )
        await stage.settle(after)
        talking.cancel()
        await asyncio.wait({talking})

    play(scene, says(Doing("gauges", "Let me see."), 0.9, LONG))
