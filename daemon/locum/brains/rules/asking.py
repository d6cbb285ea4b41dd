"""What was left open, what was asked of the stand-in's owner, and what nobody could follow."""

from __future__ import annotations

import re

from locum.brains.rules import wording
from locum.brains.rules.listening import Heard, Turn, part
from locum.brains.rules.names import Cast
from locum.brains.rules.notes import MOST, Notes, Question, keys
from locum.core.minutes import Evidence

_REPLIES = 4
_HEAD = 140  # Characters: who doesn't know says so at once.


_WANTS_TO_KNOW = re.compile(r"\b(?:know|tell|say|wissen|sagen)\b", re.IGNORECASE)
_WONDERING = re.compile(
    r"\bI (?:still )?don't know (?:whether|if) (?:there|we|they|it)\b|\bich weiß nicht, ob\b",
    re.IGNORECASE,
)


class QuestionRules:
    def __init__(self, notes: Notes, cast: Cast) -> None:
        self._notes = notes
        self._cast = cast

    def hear(self, turn: Turn) -> None:
        if not turn.heard:
            return
        self._asked_of_owner(turn)
        self._unclear(turn)
        self._reply(turn)
        if turn.utterance.by_us:
            return
        for heard in turn.heard:
            self._question(turn, heard)

    # ── open questions ───────────────────────────────────────────────────────────────────

    def _question(self, turn: Turn, heard: Heard) -> None:
        lexicon, masked = turn.lexicon, heard.masked
        if lexicon.left_open.search(masked):
            self._leave_open(Question(heard.sentence, lexicon, turn.place), [])
        elif self._asks(turn, masked) and self._matters(turn, heard):
            self._notes.pending.append(Question(heard.sentence, lexicon, turn.place))

    def _matters(self, turn: Turn, heard: Heard) -> bool:
        """Whether it asks about the matter, and isn't counted elsewhere."""
        lexicon, masked = turn.lexicon, heard.masked
        length = len(masked.split())
        wants = lexicon.request.search(masked) and not _WANTS_TO_KNOW.search(masked)
        if (
            length < 3
            or (length < 4 and not keys(masked, lexicon))
            or "{" in heard.sentence.text
            or wants
        ):
            return False
        if lexicon.small_question.search(masked):
            return False
        if _WONDERING.search(masked) and self._answers_one(turn):
            return False
        return not self._is_ours(heard)

    def _is_ours(self, heard: Heard) -> bool:
        """Whether it is asked of the stand-in, or of whom it stands in for."""
        ours = self._cast.stand_in
        if ours is not None and heard.vocative == ours:
            return True
        if self._cast.owner_index in tuple(self._cast.named(heard.masked)):
            return True
        return any(heard.sentence.evidence in shown for _, shown in self._notes.asked[-3:])

    def _answers_one(self, turn: Turn) -> bool:
        """Whether "I don't know if …" only leaves open what was asked just before."""
        last = [*self._notes.pending, *self._notes.questions[-1:]]
        return any(0 < turn.place - question.place <= 2 for question in last)

    @staticmethod
    def _asks(turn: Turn, masked: str) -> bool:
        if masked.rstrip().endswith("?") or _WONDERING.search(masked):
            return True
        # Captions without any punctuation.
        bare = not re.search(r"[.?!]", turn.text)
        return (
            bare
            and re.match(
                r"^(?:(?:and|so|okay|uh|um) )*(?:who|what|when|where|why|how|do we|is anybody|does)\b",
                masked,
                re.IGNORECASE,
            )
            is not None
        )

    def _reply(self, turn: Turn) -> None:
        lexicon = turn.lexicon
        for question in list(self._notes.pending):
            if question.is_open or question.place == turn.place:
                continue
            if question.replies >= _REPLIES or turn.place - question.place > 4:
                self._notes.pending.remove(question)
                continue
            question.replies += 1
            if lexicon.dunno.search(turn.masked[:_HEAD]) and self._is_last(question):
                self._leave_open(question, [self._dunno(turn)])
                self._notes.pending.remove(question)
            elif (
                question.sentence.utterance.who != turn.who
                and not turn.masked.rstrip().endswith("?")
            ):
                # Somebody said something to it: one more may still say "I'm not so sure".
                question.replies += 1

    def _is_last(self, question: Question) -> bool:
        return question is self._notes.pending[-1]

    @staticmethod
    def _dunno(turn: Turn) -> Evidence:
        for heard in turn.heard:
            if turn.lexicon.dunno.search(heard.masked):
                return heard.sentence.evidence
        return turn.heard[0].sentence.evidence

    def _leave_open(self, question: Question, more: list[Evidence]) -> None:
        if (
            self._notes.questions
            and question.place - self._notes.questions[-1].place <= 2
            and not more
        ):
            return  # "I don't know if there is a budget", "I don't know either".
        if len(self._notes.questions) < MOST:
            question.evidence = [question.sentence.evidence, *more]
            question.is_open = True
            self._notes.questions.append(question)

    # ── asked of the owner ───────────────────────────────────────────────────────────────

    def _asked_of_owner(self, turn: Turn) -> None:
        owner, ours = self._cast.owner_index, self._cast.stand_in
        if owner is None or turn.utterance.by_us or turn.speaker == owner:
            return
        for n, heard in enumerate(turn.heard):
            named = set(self._cast.named(heard.masked))
            to_us = (
                ours is not None
                and heard.vocative == ours
                and turn.lexicon.request.search(heard.masked)
            )
            if not (owner in named or to_us) or turn.lexicon.not_asked.search(heard.masked):
                continue
            match = turn.lexicon.asked.search(heard.masked)
            if match is None and not to_us:
                continue
            who = -1 if match is None else int(part(match, "who") or -1)
            if not (to_us or who == owner or owner in named):
                continue
            self._note_asked(turn, n)

    def _note_asked(self, turn: Turn, n: int) -> None:
        shown = [turn.heard[n].sentence]
        follower = turn.heard[n + 1] if n + 1 < len(turn.heard) else None
        about = turn.heard[n].masked
        if follower is not None and (
            re.search(r"\bquestion for\b|\bfrage an\b", about, re.IGNORECASE)
            or re.match(
                r"(?:does|did|is|has|will|can) (?:he|she|they)\b|by \w+|bis \w+",
                follower.masked,
                re.IGNORECASE,
            )
        ):
            shown.append(follower.sentence)
        text = wording.statement(" ".join(each.text for each in shown), turn.lexicon)
        evidence = [each.evidence for each in shown]
        if len(self._notes.asked) < MOST:
            self._notes.asked.append((f"{turn.who}: {text}" if turn.who else text, evidence))

    # ── unclear ──────────────────────────────────────────────────────────────────────────

    def _unclear(self, turn: Turn) -> None:
        if turn.utterance.by_us:
            return
        for heard in turn.heard:
            if turn.lexicon.unclear.search(heard.masked) and len(self._notes.unclear) < MOST:
                text = wording.shortened(" ".join(heard.sentence.text.split()))
                shown = f"{turn.who}: {text}" if turn.who else text
                self._notes.unclear.append((shown, [heard.sentence.evidence]))
                return
