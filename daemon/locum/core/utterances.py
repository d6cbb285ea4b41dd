"""What short utterances are: an order to be silent, a "yeah", thanks, somebody back again.

An order is only one where it is all that is said, but for politeness: "we should stop the
rollout" is the meeting's business. Texts come folded, as plain words with blanks between them.
English and German, with a few words of French and Spanish.
"""

from __future__ import annotations

import enum
import re

from locum.core.address_words import word_set


class Order(enum.Enum):
    """What somebody wants of whoever speaks."""

    SILENCE = "silence"  #: Stop, and say nothing until you are asked.
    WAIT = "wait"  #: Stop for a moment.
    GO_ON = "go on"
    NEVER_MIND = "never mind"  #: Don't answer; it was meant for somebody else, or for nobody.


_LONGEST_ORDER = 12
_POLITE = word_set("""
    please pls ok okay hey hi so sorry just now thanks thank you uh um well right no yes yeah oh
    and for the moment a bit guys everyone can could would will really actually but then i said
    bitte mal jetzt kurz doch danke einfach also nein ja gut kannst konntest wurdest du tut mir
    leid entschuldigung endlich sie er s il vous plait por favor ne sec real quick quickly there
    thats thatll be it all first robot bot ai assistant standin dude man
    """)

_SILENCE = (
    r"stop(?: (?:it|that|there|talking|speaking|answering|right there))?|stopp|be (?:quiet|silent)"
    r"|quiet|silence|shut up|shush|hush|mute(?: yourself)?|enough|that is enough|thats enough"
    r"|cut it(?: out)?|not now|stay (?:quiet|silent|out of (?:it|this))|keep quiet|zip it"
    r"|(?:dont|do not|no need to) (?:answer|speak|talk|say anything|say anything else|respond|reply)"
    r"|stop (?:talking|speaking|interrupting)|let (?:us|them|him|her|me|people) (?:talk|speak)"
    r"|no more(?: talking)?|we dont need you|you can stop"
    r"|halt|ruhe|sei (?:still|ruhig|leise)|seien sie (?:still|ruhig)|schweig|hor auf|aufhoren"
    r"|genug|das reicht|es reicht|reicht|nicht jetzt|jetzt nicht|nicht antworten|klappe|sch+"
    r"|halt (?:den mund|die klappe)|lass uns (?:reden|sprechen)|sag nichts(?: mehr)?"
    r"|arrete|arretez|tais toi|taisez vous|chut|pas maintenant|para|callate|silencio|basta"
    r"|ahora no"
)
_WAIT = (
    r"wait(?: (?:a|one) (?:minute|moment|second|sec))?|hold on(?: (?:a|one) (?:minute|moment|"
    r"second|sec))?|hang on(?: (?:a|one) (?:minute|moment|second|sec))?|hold that thought"
    r"|(?:just )?(?:one|a) (?:second|sec|moment|minute)|give (?:me|us) (?:a|one) (?:second|sec|"
    r"moment|minute)|let me (?:finish|interrupt|jump in|stop you(?: there)?)|to interrupt"
    r"|pause|warte(?: kurz| mal)*|warten sie|wart(?: mal)?|moment(?: mal)?|einen moment|augenblick"
    r"|einen augenblick|sekunde|eine sekunde|lass mich ausreden|attends|un moment|espera|un momento"
)
_GO_ON = (
    r"go (?:on|ahead)|continue|carry on|keep going|after you|you (?:first|go)|you were saying"
    r"|proceed|what were you saying|(?:mach|red|sprich|rede) weiter|weiter|nur zu|nach dir"
    r"|du zuerst|nach ihnen|fahr fort|vas y|continuez|continua|adelante|sigue"
)
_NEVER_MIND = (
    r"never ?mind|forget it|forget about it|not you|i (?:wasnt|was not|am not|im not) (?:talking|"
    r"speaking) to you|i (?:didnt|did not|dont) mean you|i meant(?: \w+){0,2}|thats not for you"
    r"|vergiss es|nicht du|dich meinte ich nicht|ich meinte(?: \w+){0,2}|schon gut|laisse tomber"
)
_PLEASE = word_set("please pls kindly bitte doch einfach mal")
_TAKEN_BACK = re.compile(
    r"\b(?:never ?mind|forget it|vergiss es|schon gut)(?: then| thanks)?\Z"
)
"""A question that is taken back at its end: "ah, I see it. Never mind."."""

_ORDERS = tuple(
    (order, re.compile(rf"(?:{pattern})\b"))
    for order, pattern in (
        (Order.NEVER_MIND, _NEVER_MIND),
        (Order.SILENCE, _SILENCE),
        (Order.WAIT, _WAIT),
        (Order.GO_ON, _GO_ON),
    )
)


def order_of(plain: str) -> Order | None:
    """Answer the order that is all that `plain` says; the first of them, if there are several."""
    if _TAKEN_BACK.search(plain) is not None:
        return Order.NEVER_MIND
    if plain.count(" ") >= _LONGEST_ORDER:
        return None
    found: Order | None = None
    rest = _without_please(plain)
    while rest:
        order, length = _next_order(rest)
        found = found or order
        if order is None:
            word = rest.split(" ", 1)[0]
            if word not in _POLITE:
                return None
            length = len(word)
        rest = rest[length:].lstrip()
    return found


def begins_with_order(plain: str) -> bool:
    """Whether the first thing said is "stop" or "wait", whatever follows."""
    rest = _without_please(" ".join(plain.split(" ", 8)[:8]))
    for _ in range(4):
        order, _length = _next_order(rest)
        if order is not None:
            return order in {Order.SILENCE, Order.WAIT}
        word, _, rest = rest.partition(" ")
        if word not in _POLITE:
            return False
    return False


def _without_please(plain: str) -> str:
    return " ".join(word for word in plain.split() if word not in _PLEASE)


def _next_order(text: str) -> tuple[Order | None, int]:
    best: tuple[Order | None, int] = (None, 0)
    for order, pattern in _ORDERS:
        match = pattern.match(text)
        if match is not None and match.end() > best[1]:
            best = (order, match.end())
    return best


# ── backchannels and thanks ──────────────────────────────────────────────────────────────

_MOST_BACKCHANNEL = 6
_BACKCHANNELS = word_set("""
    yeah yea yep yes yup ya mhm mmhm mm mmm hm hmm hmhm uhhuh uh huh aha ah oh ooh right okay ok
    kay sure exactly absolutely totally true indeed great good nice cool wow really alright lol
    haha ha interesting agreed definitely perfect fine awesome um er erm correct gotcha understood
    ja jo jaja jap genau richtig stimmt klar gut verstehe achso ach so eben super toll prima
    naturlich sicher sehr ahm ah na oui ouais voila daccord si claro vale bueno
    """)
_BACKCHANNEL_PHRASES = re.compile(
    r"\b(?:i see|got it|makes sense|that makes sense|of course|fair enough|i agree|all right|"
    r"no way|uh huh|mm hm|mm hmm|sounds good|very good|i know|me too|for sure|good point|good question|gute frage|guter punkt|"
    r"alles klar|macht sinn|das stimmt|ach so|sehr gut|ist gut|weiss ich|bien sur)\b"
)
_THANKS = re.compile(
    r"\b(?:thanks|thank you|thx|ty|cheers|much appreciated|i appreciate (?:it|that)|danke|"
    r"dankeschon|vielen dank|danke schon|merci|gracias)\b"
)
_AROUND_THANKS = _BACKCHANNELS | word_set("""
    a lot so very much for that this the it was is thats helpful all you your help update answer
    info information again now everyone one bye goodbye see later well
    das die den war ist hilfreich fur auskunft antwort schon bis spater dir ihnen euch
    beaucoup muchas
    """)


def is_backchannel(plain: str) -> bool:
    """Whether it is a "yeah" and the like, by which one listens and takes no turn."""
    if not plain or plain.count(" ") >= _MOST_BACKCHANNEL:
        return False
    rest = _BACKCHANNEL_PHRASES.sub(" ", plain)
    return set(rest.split()) <= _BACKCHANNELS


def is_thanks(plain: str) -> bool:
    """Whether it thanks, and nothing else."""
    rest = _THANKS.sub(" ", plain)
    return rest != plain and set(rest.split()) <= _AROUND_THANKS


_COMES_BACK = re.compile(
    r"\b(?:im back|i am back|back again|back now|where were we|so where|as i was saying|"
    r"sorry about that|sorry for that|da bin ich wieder|wieder da|bin zuruck|wo waren wir)\b"
)


def comes_back(plain: str) -> bool:
    """Whether somebody who asked to wait is there again."""
    return _COMES_BACK.search(plain) is not None
