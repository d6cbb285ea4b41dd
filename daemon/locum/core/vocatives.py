"""Who is called in one sentence, by where names stand among small words.

A sentence is a list of folded words and of the marks "," and "?"; our names (and our owner's)
are `NAME` in it, with a genitive `OF_NAME`, and those of others in the room `OTHER`.
"""

from __future__ import annotations

import enum
import re

from locum.core import address_words as words

NAME, OTHER, OF_NAME = "NAME", "OTHER", "NAMES"
NEAR = "NEAR"
"""A word that may be our name, misheard: it counts only where something is wanted of us."""


class Meant(enum.Enum):
    """Whom an utterance is meant for, by the names in it."""

    US = "us"  #: We are called by name.
    PERHAPS = "perhaps"
    NOT_US = "not us"  #: We are talked about.
    OTHERS = "others"  #: Somebody else is called, or all of them.
    OPEN = "open"  #: No name in it.


_HANDED_OVER = re.compile(
    r"^(?:\S+ ){0,3}?(?:question|one|this|that|frage|das|dies)(?: (?:is|goes|one is|ist|geht))? "
    r"(?:for|to|fur|an) NAME\b"
    r"|\b(?:over to|lets hear from|lets hear|hear from|next is|next up is|next up|up next is|"
    r"your turn|handing over to|hand over to|i give the floor to|the floor is yours|"
    r"weiter mit|weiter zu|weiter geht es mit|weiter gehts mit|dann zu|als nachstes|"
    r"nachster ist|ubergebe an) ,? ?NAME\b"
    r"|^(?:\S+ )?(?:lets ask|maybe|perhaps|vielleicht kann|fragen wir) NAME\b(?!.* (?:later|"
    r"tomorrow|next|afterwards|spater|morgen|once|when)\b)"
    r"|\b(?:can|could|would|maybe|perhaps|kann|konnte) NAME (?:please |maybe |quickly |just |"
    r"bitte |vielleicht |uns )?"
    r"(?:tell|give|show|explain|share|walk|answer|update|introduce|help|read|summari[sz]e|"
    r"sagen|geben|zeigen|erklaren|erzahlen)(?: us| me|\b)"
    r"|\bNAMES? (?:turn|up|next|is next|is up|go ahead|ist dran|du bist dran|bist du dran)\b"
    r"|^(?:\S+ )?(?:is|are you) NAME (?:here|there|listening|with us|on the call|on|still)\b"
    r"|^(?:\S+ )?ist NAME (?:da|hier|dabei|noch da)\b"
    r"|\bare you (?:there|here|with us|listening) ,? ?NAME\b"
)
_NAMED_HIMSELF = re.compile(r"\b(?:i am|im|this is|my name is|ich bin|mein name ist) NAME\b")
_MIGHT_KNOW = re.compile(
    r"\bNAME (?:might|may|should|could|would|will|must|probably|surely|weiss|musste|konnte) "
    r"(?:probably |surely |das |es |vielleicht |wohl )?(?:know|have|remember|answer|be able|tell|"
    r"wissen|haben|sagen|bestimmt)\b"
)
_CALLED_AT = re.compile(r"@NAME\b")


def meant_in(sentence: list[str]) -> Meant:
    """Answer whom one sentence is meant for."""
    at_once = _meant_at_once(sentence)
    if at_once is not None:
        return at_once
    at = [i for i, each in enumerate(sentence) if each == NAME]
    if not at:
        if _calls_others(sentence):
            return Meant.OTHERS
        return Meant.NOT_US if OF_NAME in sentence else Meant.OPEN
    begin = _after_openers(sentence)
    if sentence[begin] == NAME:
        return _called_first(sentence, begin)
    if sentence[begin] == OTHER and sentence[begin + 1] in {",", *_AND}:
        return _called_with_another(sentence, begin, at[0])
    return _called_later(sentence, at[-1])


def _meant_at_once(sentence: list[str]) -> Meant | None:
    text = " ".join(sentence)
    begin = _after_openers(sentence)
    if _CALLED_AT.search(text) or only_calls(sentence):
        return Meant.US
    if _HANDED_OVER.search(text):
        # "Dana, can Robin answer that?" asks Dana.
        return Meant.PERHAPS if sentence[begin] == OTHER else Meant.US
    if _NAMED_HIMSELF.search(text) and sentence[begin] != NAME:
        return Meant.NOT_US
    return Meant.PERHAPS if _MIGHT_KNOW.search(text) else None


def _called_with_another(sentence: list[str], begin: int, at: int) -> Meant:
    """Judge "Dana, Robin, what do you think?" and "Dana and Robin, …"."""
    if at == begin + 2 and wants_answer(sentence):
        return Meant.US
    return Meant.OTHERS if sentence[begin + 1] == "," else Meant.NOT_US


def _after_openers(sentence: list[str]) -> int:
    for i, each in enumerate(sentence):
        if each != "," and each not in words.OPENERS:
            return i
    return len(sentence) - 1


def only_calls(sentence: list[str]) -> bool:
    return NAME in sentence and all(
        each in {NAME, ",", ".", "?"} or each in words.OPENERS or each in {"there", "da"}
        for each in sentence
    )


def _called_first(sentence: list[str], at: int) -> Meant:
    """Judge a sentence that begins with our name."""
    rest = sentence[at + 1 :]
    after = rest[0] if rest else "."
    if after == ",":
        return _called_before_comma(rest, asks="?" in sentence)
    if after in _AND:
        return _called_before_and(rest)
    if after in words.AUXILIARIES:
        return _called_before_auxiliary(rest, asks="?" in sentence)
    if (
        after in words.RELATIVES & words.QUESTION_WORDS
        and "?" not in sentence
        and not says_you(rest)
    ):
        return Meant.PERHAPS
    return _called_before_word(after, rest, asks=is_question(sentence))


def _called_before_comma(rest: list[str], *, asks: bool) -> Meant:
    beyond = rest[1] if len(rest) > 1 else ""
    if beyond in words.RELATIVES and not asks and "," in rest[1:]:
        return Meant.NOT_US  # "Robin, who stands in for Alex, has said …"
    if beyond in {OTHER, *_AND} and not wants_answer(rest):
        return Meant.NOT_US
    return Meant.US


def _called_before_and(rest: list[str]) -> Meant:
    beyond = rest[1] if len(rest) > 1 else ""
    both = says_you(rest) if beyond == OTHER else wants_answer(rest[1:])
    return Meant.US if both and beyond not in {"i", "ich"} else Meant.NOT_US


def _called_before_word(after: str, rest: list[str], *, asks: bool) -> Meant:
    if after in _CALLED_BEFORE:
        return Meant.US
    if after in words.OF_SOMEBODY:
        return Meant.NOT_US
    if says_you(rest) or asks:
        return Meant.US
    # "Robin looked at it", "Robin gives": a verb about somebody.
    return Meant.NOT_US if re.search(r"(?:[^s]s|ed|te)$", after) else Meant.PERHAPS


def _called_before_auxiliary(rest: list[str], *, asks: bool) -> Meant:
    subject = rest[1] if len(rest) > 1 else ""
    if subject in words.TO_US | words.SECOND_PERSON or rest[0] in {"dont", "do"}:
        return Meant.US
    if subject in words.THINGS:
        return Meant.US if asks else Meant.PERHAPS
    return Meant.PERHAPS if asks and says_you(rest) else Meant.NOT_US


_AND = frozenset({"and", "or", "und", "oder"})
_ABOUT = frozenset({"about", "uber", "mit"})
_AT_THE_END = words.word_set("please bitte now then right again mal ,")
_CALLED_BEFORE = (
    words.YOU
    | words.SECOND_PERSON
    | words.QUESTION_WORDS
    | words.IMPERATIVES
    | (words.PRONOUNS_FIRST | words.OPENERS | words.THINGS) - words.word_set("and or")
)
_BESIDE = words.word_set("doch mal bitte please maybe just mr herr frau")


def _called_later(sentence: list[str], at: int) -> Meant:
    """Judge a sentence in which our name comes in the middle or at the end."""
    before = next((e for e in reversed(sentence[:at]) if e not in _BESIDE), sentence[at - 1])
    text = sentence[:at]
    rest = [each for each in sentence[at + 1 :] if each not in {".", "?"}]
    while rest and rest[-1] in _AT_THE_END:
        rest.pop()
    if _called_in_a_rush(sentence, at):
        return Meant.US
    of_somebody = bool(rest) and rest[0] in words.OF_SOMEBODY
    talked_about = of_somebody and not (rest[1:2] and rest[1] in words.TO_US)
    if before == ",":
        about = talked_about or (OTHER in text and not says_you(sentence))
        return Meant.NOT_US if about else _called_after_comma(text, rest, "?" in sentence)
    if talked_about and len(rest) > 1:
        return Meant.NOT_US
    if before in words.BEFORE_SOMEBODY and not _asks_for_view(sentence, before, at):
        asks = before in _ABOUT and not rest and len(text) <= 3 and "?" in sentence
        return Meant.PERHAPS if asks or _inverted(sentence, at) else Meant.NOT_US
    if rest:
        return Meant.US if says_you(text) and is_question(sentence) else Meant.NOT_US
    return Meant.US if wants_answer(text) or _greets(text) else Meant.PERHAPS


_SUBJECTS = words.word_set("i we you they he she it who ich wir du sie ihr er man")
_LATEST_CALL = 3


def _called_in_a_rush(sentence: list[str], at: int) -> bool:
    """Whether it is "and now robin what was that", as a recogniser without commas gives it.

    A word or two before the name may be misheard, as long as nobody is their subject.
    """
    before = sentence[:at]
    if at > _LATEST_CALL or any(each in {",", OTHER, NAME} for each in before):
        return False
    if any(each in _SUBJECTS or each in words.BEFORE_SOMEBODY for each in before):
        return False
    return _ASKS.match(" ".join(sentence[at + 1 :])) is not None


def _called_after_comma(text: list[str], rest: list[str], asks: bool) -> Meant:  # noqa: FBT001 - Three of one sentence.
    wants = wants_answer(text) or wants_answer(rest) or _greets(text)
    return Meant.US if wants or not rest or asks else Meant.NOT_US


def _greets(text: list[str]) -> bool:
    return all(each in words.OPENERS or each == "," for each in text)


def _asks_for_view(sentence: list[str], before: str, at: int) -> bool:
    views = {"think", "believe", "say", "suggest", "mean"}
    return before in views and "you" in sentence[max(0, at - 2) : at]


def _inverted(sentence: list[str], at: int) -> bool:
    """Whether it is asked what we know or can: "does Robin know when it ships?"."""
    verbs = {"know", "have", "see", "remember", "think", "agree", "wissen", "weiss"}
    asked = sentence[at - 1] in {"does", "can", "could", "do", "kann", "has"}
    return asked and at <= 2 and any(each in verbs for each in sentence[at + 1 : at + 3])


def says_you(sentence: list[str]) -> bool:
    return any(each in words.YOU or each in words.SECOND_PERSON for each in sentence)


def _calls_others(sentence: list[str]) -> bool:
    """Whether somebody else is called, or all of them: "Dana, could you", "thanks everyone"."""
    at = [i for i, each in enumerate(sentence) if each == OTHER]
    begin = _after_openers(sentence)
    if at and at[0] == begin:
        return _called_first([NAME if e == OTHER else e for e in sentence], begin) is Meant.US
    if at:
        as_ours = [NAME if each == OTHER else each for each in sentence]
        return _called_later(as_ours, at[-1]) is Meant.US
    return False


_ASKS = re.compile(
    r"\b(?:what|how|when|where|why|who|which) (?:do|does|did|is|are|was|were|about|can|could|"
    r"would|will|should|much|many|long|else|time|if)\b"
    r"|\b(?:do|did|can|could|would|will|are|have|were) (?:you|we|i|they)\b(?! know\b.*\bwhat i)"
    r"|\b(?:was|wie|wann|wo|warum|wer|welche[rsn]?) (?:ist|sind|war|hat|haben|meinst|denkst|"
    r"machst|kann|konnen|wird|geht|steht|sieht)\b"
    r"|\b(?:kannst|konntest|weisst|hast|willst|wurdest|meinst|bist) du\b"
    r"|\b(?:konnen|konnten|wissen|haben|wollen|wurden|meinen) sie\b"
    r"|\best ce que\b|\bany (?:news|update|updates|idea|ideas|thoughts|questions)\b"
)


_REQUESTED = frozenset({"please", "bitte"})


def is_question(sentence: list[str]) -> bool:
    if "?" in sentence:
        return True
    spoken = [each for each in sentence if each not in {NAME, ",", "."}]
    while spoken and spoken[0] in words.OPENERS and spoken[0] != "question":
        spoken = spoken[1:]
    if not spoken:
        return False
    if (
        spoken[0] in words.AUXILIARIES
        and spoken[1:2]
        and (spoken[1] in words.TO_US or spoken[1] in words.THINGS)
    ):
        return True
    if spoken[0] in words.QUESTION_WORDS and spoken[0] not in {"when", "whose", "wer", "als"}:
        return len(spoken) > 1
    return _ASKS.search(" ".join(spoken)) is not None


def requests(sentence: list[str]) -> bool:
    """Whether it asks whoever it is said to: a question, "you" or "please", or it begins to bid."""
    begins = True
    for each in sentence:
        if begins and each in words.IMPERATIVES:
            return True
        if each in {",", "."}:
            begins = True
        elif each != NAME and each not in words.OPENERS:
            begins = False
    asked = words.YOU | words.SECOND_PERSON | _REQUESTED
    return is_question(sentence) or any(each in asked for each in sentence)


def wants_answer(sentence: list[str]) -> bool:
    return is_question(sentence) or any(
        each in words.YOU or each in words.SECOND_PERSON or each in words.IMPERATIVES
        for each in sentence
    )
