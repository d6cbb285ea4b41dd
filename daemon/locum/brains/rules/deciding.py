"""What was decided: announced, or proposed and agreed to; the last word stands."""

from __future__ import annotations

import re

from locum.brains.rules import wording
from locum.brains.rules.listening import Heard, Turn, part
from locum.brains.rules.names import Cast
from locum.brains.rules.notes import MOST, Decision, Notes, Proposal, keys, overlap
from locum.core.minutes import Evidence

_PATIENCE = 4
_REACH = 40  # Utterances back in which a later decision on the same matter takes one back.
_STRONGLY = re.compile(
    r"\b(?:after all|on second thoughts?|changed? (?:my|our) mind|scrap|scratch|take (?:it|that) back|doch lieber|umentschieden|doch nicht)\b",
    re.IGNORECASE,
)
"""Takes the last decision back even where no word is the same."""


class DecisionRules:
    def __init__(self, notes: Notes, cast: Cast) -> None:
        self._notes = notes
        self._cast = cast

    def hear(self, turn: Turn) -> None:
        if turn.utterance.by_us:
            return
        self._answer(turn)
        for heard in turn.heard:
            self._sentence(turn, heard)

    def _answer(self, turn: Turn) -> None:
        lexicon, head = turn.lexicon, turn.head
        objects = lexicon.object.search(head)
        takes = lexicon.take.search(head) or lexicon.commit.search(head)
        agrees = lexicon.accept.search(head) and not objects and not takes
        for proposal in reversed(self._notes.proposals):
            if not proposal.is_open or turn.place - proposal.place > _PATIENCE:
                continue
            if proposal.sentence.utterance.who == turn.who:
                continue
            if objects:
                proposal.is_open = False
                return
            if agrees and not lexicon.hedge.search(head):
                proposal.is_open = False
                self._decide(
                    turn,
                    self._worded(proposal),
                    proposal.keys,
                    [proposal.sentence.evidence, turn.heard[0].sentence.evidence],
                )
                return
            return
        if objects:
            self._doubt(turn)

    def _worded(self, proposal: Proposal) -> str:
        """Word what was proposed as what is decided: "Shall we go?" is "Go"."""
        words = self._cast.unmask(proposal.words)
        is_told = words.casefold().startswith("wir ") or proposal.lexicon.language == "en"
        if proposal.is_question and is_told:
            return f"{words.rstrip(' ?!.')}."
        return proposal.sentence.text

    def _doubt(self, turn: Turn) -> None:
        """Take a decision back that somebody withdraws in so many words."""
        if not _STRONGLY.search(turn.masked):
            return
        for decision in reversed(self._notes.decisions[-3:]):
            if turn.place - decision.place <= 8:
                decision.stands = False
                return

    def _sentence(self, turn: Turn, heard: Heard) -> None:
        lexicon, masked = turn.lexicon, heard.masked
        is_question = masked.rstrip().endswith("?")
        seals = lexicon.sealed.search(masked) and not lexicon.undecided.search(masked)
        if seals and self._seal(turn, heard):
            return
        announced = lexicon.decide.search(masked)
        if (
            announced
            and not is_question
            and not lexicon.undecided.search(masked)
            and not lexicon.hedge.search(masked)
        ):
            evidence = [heard.sentence.evidence]
            about = keys(masked, lexicon)
            if len(about) >= 1:
                self._decide(turn, heard.sentence.text, about, evidence)
                return
        match = lexicon.propose.search(masked)
        if match is None:
            return
        words = part(match, "vp") or ""
        about = keys(words, lexicon)
        if lexicon.no_proposal.search(words) or lexicon.hedge.search(masked):
            return
        if not about and (
            len(words.split()) < 3 or lexicon.vague.search(words.removeprefix("not "))
        ):
            return
        self._notes.proposals.append(
            Proposal(heard.sentence, words, about, turn.place, lexicon, is_question=is_question)
        )

    def _seal(self, turn: Turn, heard: Heard) -> bool:
        """Bind "that's settled" to what it seals; answer whether it sealed anything."""
        sealing = heard.sentence.evidence
        for proposal in reversed(self._notes.proposals):
            if proposal.is_open and turn.place - proposal.place <= 6:
                proposal.is_open = False
                self._decide(
                    turn,
                    self._worded(proposal),
                    proposal.keys,
                    [proposal.sentence.evidence, sealing],
                )
                return True
        for decision in reversed(self._notes.decisions[-2:]):
            if turn.place - decision.place <= 6:
                if sealing not in decision.evidence:
                    decision.evidence.append(sealing)
                return True
        return False

    def _decide(
        self, turn: Turn, text: str, about: frozenset[str], evidence: list[Evidence]
    ) -> None:
        lexicon = turn.lexicon
        # "Then rather January. We move on the 11th": the turn takes back what the sentence names.
        reverses = lexicon.reverse.search(f"{text} {turn.text[:300]}") is not None
        strongly = _STRONGLY.search(turn.text[:300]) is not None
        for proposal in self._notes.proposals:
            proposal.is_open = False
        for decision in reversed(self._notes.decisions[-20:]):
            if not decision.stands:
                continue
            near = turn.place - decision.place <= 3
            same = overlap(decision.keys, about)
            back = turn.place - decision.place
            if decision.place == turn.place and len(decision.keys) <= 1:
                decision.stands = False  # "Then let's do that. We keep the fees": the same.
                evidence = [*decision.evidence, *evidence]
                continue
            told_again = back <= 2 and len(decision.keys & about) >= 2
            takes_back = reverses and (
                (same > 0 and back <= _REACH) or (back <= 6 and strongly)
            )
            if same >= 0.5 or told_again or takes_back:
                if near and not reverses and overlap(decision.keys, about) >= 0.8:
                    decision.evidence.extend(e for e in evidence if e not in decision.evidence)
                    decision.text = wording.statement(text, lexicon)
                    return
                decision.stands = False
                break
        if len(self._notes.decisions) < MOST:
            shown = wording.statement(text, lexicon)
            self._notes.decisions.append(Decision(shown, list(evidence), about, turn.place))
