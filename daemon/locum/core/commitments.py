"""What became of earlier promises: said again, handed over, put off, done, or taken back?

A series' meetings are played through in their order, each as an `Account`: what was promised
in it, and what was said there of things being done or dropped. What stands at the end follows
from the accounts alone, so it is the same in whatever order they came to be known, and after
a later edition of one of them.

What the owner says of a promise by hand, a `Ruling`, counts between the meetings before and
after it.

Nothing is called done on a guess: where two promises fit what was said equally well, or where
somebody asks, hopes or denies, nothing moves. Words are compared by their stems; which words
say that a thing is done is known for English and German.
"""

from __future__ import annotations

import enum
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import cache, lru_cache

from locum.core.minutes import ActionItem, Commitment
from locum.core.model import MeetingKey
from locum.core.remembered import LineId, Ruling, Standing
from locum.core.stems import content_stems, folded
from locum.core.transcript import Transcript
from locum.core.when import resolve_due

MOST_SIGNS = 200
"""Of one meeting; nobody settles more in one."""

_MOST_OPEN = 500
"""How many open promises of a series are compared with what is said; the newest ones."""

_LONGEST_SENTENCE = 400  # Characters.
_FITS = 0.6
_REPEATED = 0.5
_NEARLY_ALL = 0.75
_MEANT = 0.45  # One of two words that a promise has, and not the light one.
_LIGHT = 0.2
_ENOUGH = 0.9  # More than light words alone can weigh.

_GROUPS = (
    "send share deliver submit forward mail email schicken verschicken senden einreichen",
    "write draft prepare create make build compose schreiben erstellen machen",
    "review read check proofread prüfen lesen",
    "call talk speak ask tell meet anrufen sprechen fragen",
    "ship release deploy publish launch post upload veröffentlichen",
    "fix resolve solve repair beheben",
    "book reserve order arrange schedule organise organize buchen bestellen",
    "pay bezahlen",
    "sign unterschreiben",
    "merge",
    "close",
    "test",
    "translate übersetzen",
    "invite einladen",
    "update refresh",
    "install",
    "renew",
    "migrate",
)


@cache
def _acts() -> Mapping[str, int]:
    """Answer what is done with a thing, by verbs that mean nearly the same: signed isn't sent.

    Made on first use: most of a daemon's life nothing is compared.
    """
    return {
        stem: number
        for number, group in enumerate(_GROUPS)
        for word in group.split()
        for stem in {*content_stems(word), *content_stems(word, "de")}
    }


# What one does with nearly anything, and when, says little about which thing it was.
_OFTEN_SAID = """
    do give take finish complete put set need want let add start begin end bring try work
    follow file provide sure ready able look decide drop cancel skip scrap forget against
    finally quite really thank slip push move postpone delay extend reschedule due today tomorrow yesterday week month day morning afternoon
    monday tuesday wednesday thursday friday saturday sunday january february march april june july august september october november
    december next soon later new first last
    everybody everyone team way by-the-way geht gemacht fertig erledigt brauchen"""


@cache
def _light_words() -> frozenset[str]:
    return frozenset(
        (*_acts(), *content_stems(_OFTEN_SAID, "en"), *content_stems(_OFTEN_SAID, "de"))
    )


class Turn(enum.Enum):
    """What a sentence says of a thing that was promised."""

    DONE = "done"
    DROPPED = "dropped"  #: Not to be done any more.
    MOVED = "moved"  #: To be done by another day.


@dataclass(frozen=True)
class Sign:
    """A sentence which says that something is done, dropped or put off, whatever it may be.

    `words` are its stems; where it only points ("that's sent"), those of what was said right
    before are `context`. `by_doer` is whether the speaker says it of themselves. `position` is
    the number of the utterance in its transcript.
    """

    turn: Turn
    words: frozenset[str]
    context: frozenset[str]
    by_doer: bool
    speaker: str
    position: int
    utterance: str
    quote: str
    at: datetime | None = None
    due: date | None = None  #: To which day it is MOVED.


@dataclass(frozen=True)
class Promise:
    """An action item as one meeting has it. `hands_over` is whether it changes hands there."""

    id: LineId
    text: str
    owner: str | None
    due: date | None
    words: frozenset[str]
    position: int
    hands_over: bool = False


@dataclass(frozen=True)
class Account:
    """What one meeting says of the promises of its series."""

    meeting: MeetingKey
    at: datetime
    promises: tuple[Promise, ...] = ()
    signs: tuple[Sign, ...] = ()
    session: str = ""


@dataclass(frozen=True)
class Followed:
    """A promise as it stands at the end.

    `settled_by` is the meeting that settled it, if any. `sign` is what was said last of it, in
    the meeting `said_in`.

    One that only repeats an earlier one names it in `same_as` and stands as that one does.
    """

    promise: Promise
    meeting: MeetingKey
    promised_at: datetime
    owner: str | None
    due: date | None
    standing: Standing = Standing.OPEN
    settled_by: MeetingKey | None = None
    sign: Sign | None = None
    said_in: MeetingKey | None = None
    same_as: LineId | None = None

    def commitment(self, today: date) -> Commitment:
        return Commitment(
            text=self.promise.text,
            owner=self.owner,
            due=self.due,
            promised_at=self.promised_at,
            is_late=self.standing is Standing.OPEN
            and self.due is not None
            and self.due < today,
        )


# ── playing it through ───────────────────────────────────────────────────────────────────


def follow(
    accounts: Iterable[Account], rulings: Mapping[LineId, Ruling] | None = None
) -> tuple[Followed, ...]:
    """Answer how every promise of one series stands, in the order in which they were made."""
    said = sorted((rulings or {}).items(), key=lambda each: (each[1].at, each[0]))
    play = _Play(_rulings=said)
    ordered = sorted(accounts, key=lambda each: (each.at, each.meeting, each.session))
    for account in ordered:
        play.rule(until=account.at)
        play.enter(account)
    play.rule()
    return play.result()


def speaks_of_the_same(one: frozenset[str], other: frozenset[str]) -> bool:
    """Whether two promises' words share one that says which thing is meant."""
    return bool(_heavy(one & other))


def heir_of(words: frozenset[str], promises: Sequence[Promise]) -> LineId | None:
    """Answer which promise says what one of these words did, where a meeting is told anew.

    None where none does, or two do equally well.
    """
    return _Play().best(promises, words, whole=True)


@dataclass
class _Play:
    _rulings: list[tuple[LineId, Ruling]] = field(default_factory=list)
    _found: dict[LineId, Followed] = field(default_factory=dict)
    _repeats: dict[LineId, Followed] = field(default_factory=dict)
    _open: dict[LineId, None] = field(default_factory=dict)
    _uses: Counter[str] = field(default_factory=Counter)
    # Which open promises have a word that says something; those that have none stand under "".
    _places: dict[str, dict[LineId, None]] = field(default_factory=dict)

    def enter(self, account: Account) -> None:
        events: list[Promise | Sign] = [*account.promises, *account.signs]
        # A promise before a sign of the same breath: "I'll send it … there, sent".
        events.sort(key=lambda each: (each.position, isinstance(each, Sign)))
        for event in events:
            if isinstance(event, Promise):
                self._take(event, account)
            else:
                self._heed(event, account)

    def result(self) -> tuple[Followed, ...]:
        repeats = []
        for repeat in self._repeats.values():
            origin = self._found[repeat.same_as] if repeat.same_as else repeat
            repeats.append(
                replace(
                    repeat,
                    owner=origin.owner,
                    due=origin.due,
                    standing=origin.standing,
                    settled_by=origin.settled_by,
                    sign=origin.sign,
                    said_in=origin.said_in,
                )
            )
        return (*self._found.values(), *repeats)

    # What the owner says.

    def rule(self, until: datetime | None = None) -> None:
        """Take what was said by hand before an instant; of what isn't known yet, later."""
        waiting = []
        for line, ruling in self._rulings:
            repeat = self._repeats.get(line)
            origin = line if repeat is None or repeat.same_as is None else repeat.same_as
            if origin in self._found and (until is None or ruling.at < until):
                self._obey(origin, ruling.standing)
            else:
                waiting.append((line, ruling))
        self._rulings = waiting

    def _obey(self, line: LineId, standing: Standing) -> None:
        found = self._found[line]
        if found.standing is standing:
            return
        self._found[line] = replace(
            found, standing=standing, settled_by=None, sign=None, said_in=None
        )
        if standing is Standing.OPEN:
            self._open_up(line)
        elif line in self._open:
            self._close(line)

    # What is promised.

    def _take(self, promise: Promise, account: Account) -> None:
        if promise.id in self._found or promise.id in self._repeats:
            return
        made = Followed(
            promise, account.meeting, account.at, owner=promise.owner, due=promise.due
        )
        earlier = self._earlier(promise)
        if earlier is None:
            self._found[promise.id] = made
            self._open_up(promise.id)
            return
        self._repeats[promise.id] = replace(made, same_as=earlier.promise.id)
        self._found[earlier.promise.id] = replace(
            earlier,
            owner=promise.owner or earlier.owner,
            due=promise.due or earlier.due,
        )

    def _earlier(self, promise: Promise) -> Followed | None:
        """Answer the open promise that this one repeats, moves or hands over."""
        candidates = [
            each
            for each in self._near(promise.words)
            if same_person(each.owner, promise.owner)
            or each.owner is None
            or promise.owner is None
            or promise.hands_over
        ]
        mine = [each for each in candidates if same_person(each.owner, promise.owner)]
        best = self.best(
            [each.promise for each in mine], promise.words, whole=True
        ) or self.best([each.promise for each in candidates], promise.words, whole=True)
        return None if best is None else self._found[best]

    # What is said of it.

    def _heed(self, sign: Sign, account: Account) -> None:
        near = self._near(sign.words | sign.context)
        candidates = [each.promise for each in near if _may_be_meant(each, sign)]
        best = self.best(candidates, sign.words)
        if best is None and sign.context and len(_heavy(sign.words)) <= 1:
            best = self.best(candidates, sign.words | sign.context)
        if best is None:
            return
        found = replace(self._found[best], sign=sign, said_in=account.meeting)
        if sign.turn is Turn.MOVED:
            self._found[found.promise.id] = replace(found, due=sign.due)
            return
        standing = Standing.DONE if sign.turn is Turn.DONE else Standing.CONTRADICTED
        self._found[found.promise.id] = replace(
            found, standing=standing, settled_by=account.meeting
        )
        self._close(found.promise.id)

    def _near(self, words: frozenset[str]) -> list[Followed]:
        """Answer the open promises that could be meant by these words, in their order."""
        heavy = _heavy(words)
        if not heavy:
            return [self._found[each] for each in self._open]
        shared = {line for word in (*heavy, "") for line in self._places.get(word, ())}
        return [self._found[each] for each in self._open if each in shared]

    def _open_up(self, line: LineId) -> None:
        self._open[line] = None
        words = self._found[line].promise.words
        for word in _heavy(words) or [""]:
            self._places.setdefault(word, {})[line] = None
        self._uses.update(words)
        if len(self._open) > _MOST_OPEN:
            self._close(next(iter(self._open)))

    def _close(self, line: LineId) -> None:
        del self._open[line]
        words = self._found[line].promise.words
        self._uses.subtract(words)
        for word in _heavy(words) or [""]:
            del self._places[word][line]

    def best(
        self, candidates: Sequence[Promise], words: frozenset[str], *, whole: bool = False
    ) -> LineId | None:
        """Answer the one that fits best; None where none does, or two do equally well.

        Two promises are the same only as a `whole`; what is said of one may leave words out.
        """
        scored = []
        weight = self._weigh(words)
        for number, each in enumerate(candidates):
            if not each.words.isdisjoint(words):
                score = self._likeness(each.words, words, weight, whole=whole)
                if score >= _FITS:
                    scored.append((score, number))
        scored.sort(reverse=True)
        if not scored or (len(scored) > 1 and scored[1][0] >= scored[0][0]):
            return None
        return candidates[scored[0][1]].id

    def _likeness(
        self, promise: frozenset[str], words: frozenset[str], theirs: float, *, whole: bool
    ) -> float:
        """Answer from 0 to 1 how much of the lighter one's weight is shared; see `_weight`."""
        shared = self._weigh(promise & words)
        if (whole and shared < _REPEATED * theirs) or shared < _least(promise, words):
            return 0.0
        ours = self._weigh(promise)
        if shared < ours * (_REPEATED if whole else _MEANT) or _is_another_act(promise, words):
            return 0.0
        likeness = shared / min(ours, theirs)
        if _heavy(promise - words) and _heavy(words - promise):
            # Each names what the other doesn't: "the Acme page" isn't "the Beta page".
            return likeness if likeness >= _NEARLY_ALL else 0.0
        return likeness

    def _weigh(self, words: Iterable[str]) -> float:
        # fsum: whatever order a set has in this process, equals stay equal.
        return math.fsum([_weight(word, self._uses[word]) for word in words])


def _may_be_meant(followed: Followed, sign: Sign) -> bool:
    """Whether who speaks can have done it: "I sent it" is said of one's own promises."""
    if not sign.by_doer or not sign.speaker or followed.owner is None:
        return True
    return same_person(followed.owner, sign.speaker)


def _heavy(words: AbstractSet[str]) -> list[str]:
    """Answer the words that say which thing is meant."""
    light = _light_words()
    return [word for word in words if word not in light and not word.isdigit()]


def _is_another_act(one: frozenset[str], other: frozenset[str]) -> bool:
    known = _acts()
    acts = [{known[word] for word in words & known.keys()} for words in (one, other)]
    return all(acts) and acts[0].isdisjoint(acts[1])


def _least(one: frozenset[str], other: frozenset[str]) -> float:
    """Answer what must be shared: light words prove something only where nothing else stands."""
    heavy = (_heavy(one), _heavy(other))
    return _ENOUGH / 2 if all(heavy) else 2 * _LIGHT


_ROOTS = (1.0, *(1 / math.sqrt(uses) for uses in range(1, _MOST_OPEN + 1)))


def _weight(word: str, uses: int) -> float:
    """Answer what a word says: less if it fits anything, or stands in many open promises."""
    if word in _light_words() or word.isdigit():
        return _LIGHT
    return _ROOTS[uses] if 0 <= uses < len(_ROOTS) else _ROOTS[-1]


def same_person(one: str | None, other: str | None) -> bool:
    """Whether two names can be one person's: the same, or a part of the other ("Dana")."""
    if not one or not other:
        return False
    first, second = _name(one), _name(other)
    return bool(first and second) and (first <= second or second <= first)


@lru_cache(maxsize=10_000)
def _name(name: str) -> frozenset[str]:
    words = re.findall(r"[^\W_]+", folded(name.partition("@")[0]))
    return frozenset(words)


# ── reading a meeting ────────────────────────────────────────────────────────────────────


def promises_of(
    items: Sequence[tuple[LineId, ActionItem]], transcript: Transcript, language: str
) -> tuple[Promise, ...]:
    order = {each.id: number for number, each in enumerate(transcript.utterances)}
    return tuple(_promise(line, item, order, language) for line, item in items)


def _promise(
    line: LineId, item: ActionItem, order: Mapping[str, int], language: str
) -> Promise:
    said = " ".join(each.quote for each in item.evidence)
    names = frozenset(content_stems(item.owner or "", language))
    words = frozenset(content_stems(item.text, language)) - names
    due = frozenset(content_stems(item.due_said or "", language))
    return Promise(
        id=line,
        text=item.text,
        owner=item.owner,
        due=item.due,
        # Where the date is all that it says, it says that.
        words=(words - due) or words,
        position=min(
            (order[e.utterance] for e in item.evidence if e.utterance in order), default=0
        ),
        hands_over=_HANDS_OVER.search(folded(f"{item.text} {said}")) is not None,
    )


_HANDS_OVER = re.compile(
    r"\b(?:tak(?:e|es|ing|en)|took) (?:\w+ ){0,4}over\b|\bhand(?:s|ed|ing)? (?:\w+ ){0,4}over\b"
    r"|\binstead of \w+|\bon behalf of\b|\bpick(?:s|ed|ing)? (?:\w+ ){0,4}up\b"
    r"|\breassign|\bnow owns?\b|\bfrom now on\b|\bübern(?:imm|ehm|omm)|\banstelle\b|\bstatt \w+"
)

_FINISHED = (
    r"(?:done|sent|finished|fixed|shipped|merged|delivered|completed|live|signed|paid|booked|"
    r"closed|published|deployed|submitted|updated|reviewed|resolved|sorted|released|approved|"
    r"shared|filed|written|prepared|ordered|invited|scheduled|arranged|set up|cleaned up|"
    r"wrapped up|taken care of|in place|out the door|ready|cancelled|migrated|tested|drafted|"
    r"uploaded|installed|renewed|posted|printed|translated|corrected|built|made|created|"
    r"erledigt|fertig|verschickt|gesendet|geschickt|abgeschlossen|gemacht|geschrieben|"
    r"bezahlt|gebucht|veröffentlicht|unterschrieben|behoben|eingereicht)"
)
_DID = (
    r"(?:sent|finished|completed|did|fixed|shipped|merged|delivered|wrote|filed|booked|signed|"
    r"paid|published|deployed|submitted|updated|reviewed|shared|closed|resolved|sorted|"
    r"wrapped up|took care of|called|talked to|spoke to|spoke with|talked with|met with|set up|"
    r"cleaned up|prepared|ordered|invited|scheduled|arranged|migrated|tested|drafted|uploaded|"
    r"installed|renewed|asked|told|checked|got|made|built|posted|created|printed|translated|"
    r"corrected|released|approved)"
)
_JUST = r"(?:(?:already|just|now|all|finally|also|both|actually|bereits|schon|jetzt) ){0,2}"
_DONE = re.compile(
    rf"(?:\b(?:is|are|was|were|been|got|ist|sind|wurde|wurden)|'s|'re) {_JUST}{_FINISHED}\b"
    rf"|\b(?:has|have|hab|habe|haben|hat)\b(?! to\b) (?:\w+ ){{0,5}}?{_FINISHED}\b"
    rf"|'(?:ve|s) {_JUST}(?:{_FINISHED}|{_DID})\b"
    rf"|\b(?:i|we) (?:have )?{_JUST}{_DID}\b"
)
_BY_DOER = re.compile(
    rf"\b(?:i|we)(?:'ve)? (?:have )?{_JUST}(?:{_DID}|{_FINISHED})\b"
    r"|\b(?:hab|habe|haben) (?:ich|wir)\b|\b(?:ich|wir) (?:hab|habe|haben)\b"
)
_DROPPED = re.compile(
    r"\b(?:don't|do not|doesn't|won't|no longer) (?:\w+ ){0,2}need\b"
    r"|\bno longer (?:\w+ ){0,2}(?:needed|necessary|required|doing|going|relevant|planned)\b"
    r"|\b(?:isn't|is not|aren't|not) (?:needed|necessary|required|relevant|happening) "
    r"?(?:any ?more|any longer)?"
    r"|\b(?:won't|will not|not going to|aren't going to|isn't going to) (?:be )?"
    r"(?:do|doing|happen|build|building|need|ship|pursue|go ahead)\b"
    r"|\bdecided (?:not to|against)\b|\b(?:scrap|scrapped|scrapping|ditch|ditched|abandon\w*)\b"
    r"|\b(?:let's|we|we'll|i|i'll|we're|i'm|to) (?:drop|dropped|dropping|cancel|canceled|"
    r"cancelled|cancelling|canceling|skip|skipped|skipping)\b"
    r"|\b(?:is|are|was|were|been|got|'s) (?:dropped|cancel+ed|called off|off the table|off)\b"
    r"|\bforget about\b|\bnever mind\b|\bcall(?:ed|ing)? (?:\w+ ){0,3}off\b"
    r"|\b(?:brauchen|machen) (?:\w+ ){0,3}nicht mehr\b|\bnicht mehr (?:nötig|gebraucht)\b"
    r"|\bhat sich erledigt\b|\babgesagt\b|\bgestrichen\b"
)
_MOVED = re.compile(
    r"\b(?:slip(?:s|ped|ping)?|push(?:ed|ing)?|mov(?:e|es|ed|ing)|postpon\w+|delay(?:ed|ing)?|"
    r"reschedul\w+|put off|extend\w*|now due|need until|have until|won't be (?:done|ready|out)"
    r"|verschieb\w*|verschoben)\b"
)
_UNSURE = re.compile(
    r"\b(?:if|unless|should|could|would|might|maybe|"
    r"perhaps|probably|hopefully|hope|think|guess|suppose|almost|nearly|partly|partially|half|"
    r"want|wanted|wish|falls|vielleicht|wahrscheinlich|fast|beinahe|sollte|"
    r"müsste|könnte|glaube)\b"
)
_RELATIVE = re.compile(
    r"\b(?:once|when|whenever|until|till|before|after|wenn|sobald|bis|bevor|nachdem)\b"
)
_AHEAD = re.compile(
    r"\b(?:to be|must be|will be|going to|plan to|wird|werden)\b|(?:'ll|will) (?:be|have)\b"
)
_NOT = re.compile(
    r"\b(?:not|never|no|none|nothing|nobody|yet|cannot|without|neither|nor|nicht|kein\w*|nie)\b"
    r"|n't\b"
)
_POINTS = re.compile(r"\b(?:it|its|it's|that|that's|this|these|those|they|them|das|es|dies)\b")

_SENTENCE = re.compile(r"[^.!?;\n]+(?:[.](?=\S)[^.!?;\n]*)*[.!?;]*")


def signs_in(
    transcript: Transcript, language: str, *, on: date | None = None
) -> tuple[Sign, ...]:
    """Answer what is said in a meeting of things that are done, dropped or put off.

    `on` is the meeting's day: without it, nobody can tell to when something is put off.
    """
    signs: list[Sign] = []
    before = frozenset[str]()
    for position, utterance in enumerate(transcript.utterances):
        for match in _SENTENCE.finditer(utterance.text):
            quote = match[0].strip()
            if not quote or len(quote) > _LONGEST_SENTENCE:
                before = frozenset()
                continue
            words = frozenset(content_stems(quote, language))
            turn, due = _turn_of(quote, on)
            if turn is not None:
                told = folded(quote)
                sign = Sign(
                    turn=turn,
                    words=words,
                    context=before if _POINTS.search(told) else frozenset(),
                    by_doer=_BY_DOER.search(told) is not None,
                    speaker=utterance.who,
                    position=position,
                    utterance=utterance.id,
                    quote=quote,
                    at=utterance.at,
                    due=due,
                )
                signs.append(sign)
                if len(signs) == MOST_SIGNS:
                    return tuple(signs)
            # "Right." between a question and its answer takes nothing away.
            before = words if _heavy(words) else before
    return tuple(signs)


def _turn_of(sentence: str, on: date | None) -> tuple[Turn | None, date | None]:
    """Answer what one sentence says; None where it asks, hopes, denies or speaks of the future."""
    told = folded(sentence)
    if told.endswith("?") or _UNSURE.search(told):
        return None, None
    if on is not None and _MOVED.search(told):
        due = resolve_due(sentence, on=on)
        if due is not None:
            return Turn.MOVED, due.day
    if _RELATIVE.search(told):
        return None, None
    if _DROPPED.search(told):
        return Turn.DROPPED, None
    if _DONE.search(told) and not _NOT.search(told) and not _AHEAD.search(told):
        return Turn.DONE, None
    return None, None
