"""Which words bind whoever they are said for: promises, dates, money, consent.

A stand-in speaks in its owner's name, and what it says there may be held against its owner.
So what is looked for here is looked for generously: whatever "I'll", "we will" or "you'll
have" begins is a promise, unless it is one of the few things that a stand-in does itself
("I'll pass it on"). To take an innocent sentence for a promise costs a sentence; to overlook a
promise costs a customer. English and German.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

from locum.core.stems import content_stems
from locum.core.tongues import tongue_of
from locum.core.truths import plain
from locum.core.when import resolve_due


class Bond(enum.Enum):
    """In what way words bind."""

    PROMISE = "promise"
    DATE = "date"
    MONEY = "money"
    CONSENT = "consent"  #: "Agreed", "it's a deal", "Thursday works for us".


@dataclass(frozen=True)
class Speech:
    """What is needed to judge a sentence: for whom it is said, when, and what is known.

    `known` are pieces of what may be told: to repeat a day or a price from them is to report.
    """

    owner: str
    on: date
    known: tuple[str, ...] = ()


def _any(*alternatives: str) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{each})" for each in alternatives))


# ── promises ─────────────────────────────────────────────────────────────────────────────

_ADVERBS = (
    r"(?:(?:also|just|quickly|then|still|definitely|certainly|gladly|happily|actually|probably|simply|"
    r"personally|now|at least|surely|absolutely|of course|then|first|next|make sure to|try to|"
    r"be happy to|be glad to|be able to|have to|need to|want to|all|both|always|only|briefly|please) )*"
)
_OWN_ACTS = (
    r"(?:pass|relay|forward|hand|mention)(?: \w+){0,4}? (?:on|along|to|over|with)\b"
    r"|(?:pass|relay|forward|mention) (?:it|that|this|your|the|them)\b|raise (?:it|that|this|your \w+) with\b"
    r"|take (?:it|that|this|them|your|the|those|these|both|all|note|a note|notes|questions)\b(?: \w+){0,4}? (?:to|along|back|with|down|of|for)\b"
    r"|take (?:note|notes|a note|questions)\b"
    r"|bring (?:it|that|this|them|your|the)\b(?: \w+){0,3}? (?:to|up|back)\b"
    r"|(?:ask|tell|inform|remind)\b(?! you)|let (?!you\b|us\b|me\b|them\b)\w+(?: \w+)? know\b|note\b|make (?:a |sure to )?note\b"
    r"|write (?:it|that|this|them|your|the question|everything) (?:down|up)\b|put (?:it|that|this|them|the \w+|a \w+|both|all) (?:\w+ )?(?:in|into) the (?:chat|notes)\b"
    r"|(?:post|share|paste|drop) (?:it|that|this|them|the \w+|a \w+) (?:in|into) the (?:chat|notes)\b"
    r"|(?:check|look|see)\b(?! (?:that|to it)\b)|find out\b|read\b|repeat\b|summar\w+|go (?:through|over|on|ahead|first|back)\b|start with\b|begin with\b|continue\b"
    r"|be (?:brief|quick|honest|quiet|silent|here|clear|short|right back|with you in|listening)\b"
    r"|stay (?:quiet|silent|here|out)|listen\b|leave (?:that|it|this|those|the \w+|now|you|at once|the (?:decision|question))\b|mute\b|explain\b|say\b|answer\b|stop\b|wait\b|keep (?:it|that|this) (?:short|brief|in mind)\b"
    r"|(?:have to|need to|must) (?:ask|check|leave|defer|pass|take)\b|defer\b|give you (?:the|an?|his|her|their|alex's|\w+'s) (?:\w+ )?(?:update|summary|overview|short|status|gist|rundown|example|hint|exercise)\b"
    r"|(?:only )?speak\b|help you (?:with|find|think|work|practi[cs]e|understand)\b|show you\b|walk you through\b|quote\b|tell you (?:what|about|how|that|the|a|why|when|who|where)\b|do my best\b|need\b|have to\b"
)
_WE_WILL = re.compile(
    r"\b(?P<who>i|we)(?:'ll| will| shall|'m going to| am going to| are going to|'re going to|'m gonna|'re gonna| won't| will not)"
    rf" (?:not )?{_ADVERBS}"
)
_OWN = re.compile(rf"^(?:{_OWN_ACTS})")

_PROMISES = _any(
    r"\b(?:i|we)(?: (?:can|could|do|hereby|fully|will|gladly|happily|both|already|have|had))* (?:promise|guarantee|commit|assure|swear|pledge|vouch|undertake|authori[sz]e|underwrite)(?:d|s|ed|ing)?\b",
    r"\b(?:i'm|i am|we're|we are) (?:\w+ )?(?:promising|guaranteeing|committing|committed to|bound to|obliged to)\b",
    r"\b(?:you have|you've got|you got|on|that's|it's|take) (?:my|our|\w+'s|his|her) (?:word|promise|guarantee|commitment)\b|\b(?:my|our) (?:firm |solemn |personal )?(?:promise|guarantee|commitment) (?:is|to you)\b",
    r"\brest assured\b|\bconsider (?:it|that|this|them) (?:done|settled|agreed|sorted|fixed|sold|booked|a deal)\b|\b(?:you can|you may|can|please)? ?(?:count|rely|depend|bank) on (?:it|us|me|that|this|alex|him|her)\b",
    r"\b(?:i've|i have|we've|we have) got (?:this|it|that|you covered)\b|\bleave (?:it|that|this) (?:with|to) (?:me|us)\b|\b(?:i'm|we're|i am|we are) on it\b|\b(?:that|it)(?:'s| is) on (?:me|us)\b",
    r"\byou(?:'ll| will| shall| are going to|'re going to) (?:\w+ly |all |both |also |certainly |definitely )*(?:have|get|receive|be (?:paid|getting|receiving|refunded|able|happy|covered|first)|see (?!it in the chat|in the chat|that in|there|the link)|own|not (?:be|have|pay|lose)|never|pay)\b",
    r"\byou can (?:have|expect|take it|be sure|be certain|count)\b|\bexpect (?:it|them|that|this|delivery|the \w+)\b",
    r"\b(?:i|we) can (?:\w+ )?(?:have|get|deliver|ship|send|finish|do|make|offer|give|provide|knock|lower|drop|throw|add|arrange|sign|start|fix|confirm|accept|agree|approve|book)\b(?! (?:you )?(?:a |an |the |his |her )?(?:\w+ )?(?:update|summary|overview|answer|example|question|notes?|message))",
    r"\blet's (?:say|make it|book|schedule|set|agree|sign|ship|meet|fix a|call it|plan|go (?:with|for)|do (?:it|that|\w*day|tomorrow|the \d+\w*))\b",
    r"\b(?:i'm|i am|we're|we are) (?:\w+ )?(?:shipping|delivering|sending|booking|signing|launching|releasing|paying|hiring|approving|accepting)\b",
    r"\b(?:i've|i have|we've|we have) (?:just |now |already )?(?:booked|signed|approved|accepted|ordered|scheduled|agreed|confirmed|promised)\b",
    # German.
    r"\b(?:ich|wir) (?:\w+ )?(?:verspreche\w*|garantiere\w*|versicher\w*|schwör\w*|bürge\w*|verpflichte\w*)\b|\b(?:verspreche|versprechen|garantiere|garantieren|versichere|versichern) (?:ich|wir)\b",
    r"\b(?:ich|wir) (?:sage|sagen|sichere|sichern) (?:\w+ ){0,6}?zu\b|\b(?:sage|sagen|sichere|sichern) (?:ich|wir) (?:\w+ ){0,6}?zu\b",
    r"\bmein (?:ehren)?wort\b|\bverlass\w* (?:sie|dich|euch)\b|\b(?:drauf|darauf) (?:\w+ )?verlassen\b",
    r"\b(?:mache|machen|erledige|erledigen|schaffe|schaffen|übernehme|übernehmen|liefere|liefern|schicke|schicken|sende|senden|zahle|zahlen|baue|bauen|kümmere|kümmern|bringe|buche|buchen|bestelle|bestellen|kriegen|gewähre|gewähren|unterschreibe|unterschreiben) (?:ich|wir)\b",
    r"\b(?:ich|wir) (?:\w+ ){0,2}?(?:mache|machen|erledige|erledigen|schaffe|schaffen|übernehme|übernehmen|liefere|liefern|schicke|schicken|sende|senden|zahle|zahlen|baue|bauen|kümmere|kümmern|buche|buchen|bestelle|bestellen|kriegen|gewähre|gewähren|unterschreibe|unterschreiben)\b(?! (?:\w+ )?notizen)",
    r"\b(?:du|sie|ihr) (?:\w+ ){0,2}?(?:bekommst|bekommen|bekommt|kriegst|kriegen|erhältst|erhalten|erhaltet)\b|\b(?:bekommst|bekommen|kriegst|kriegen|erhältst|erhalten) (?:du|sie|ihr)\b",
    r"\b(?:haben|hast) (?:sie|du) (?:\w+ ){0,3}?(?:bis|am|spätestens|morgen|heute)\b|\b(?:sie|du) (?:haben|hast) (?:\w+ ){0,3}?(?:bis|spätestens|morgen|heute|\w+tag)\b",
)
_WE_WILL_DE = re.compile(r"\b(?:(?:ich|wir) (?:werde|werden)|(?:werde|werden) (?:ich|wir))\b")
_OWN_DE = re.compile(
    r"\b(?:weitergeb\w*|weitergeleitet|weiterleit\w*|ausricht\w*|ausgerichtet|frag\w*|nachfrag\w*|notier\w*|aufschreib\w*|mitnehm\w*|"
    r"weitersag\w*|sagen|bescheid|festhalt\w*|nachseh\w*|nachschau\w*|berichten|vorles\w*|zusammenfass\w*|antworten|schweigen|"
    r"in den chat|zuhör\w*|erklär\w*|zeigen)\b"
)

_CONSENT = _any(
    r"^(?:\W*(?:yes|yeah|yep|okay|ok|sure|great|well|good|fine|right|alright|all right|perfect|absolutely|excellent|so|then)\b\W*)*(?:agreed|deal|done deal|sold|granted|approved|accepted|confirmed|settled)\b(?! (?:on|by|in|at|last|yesterday|with|that)\b)",
    r"\b(?:it|that|this)(?:'s| is) (?:a deal|a yes|a promise|agreed|settled|approved|confirmed|a go|guaranteed|official|a date)\b|\bwe have (?:a deal|an agreement)\b|\bwe(?:'re| are) agreed\b",
    r"\b(?:happy|glad|pleased|delighted|ready|willing) to (?:confirm|agree|accept|approve|commit|promise|sign|offer|guarantee|give you (?:a|an|\d))",
    r"\b(?:i|we)(?: (?:do|can|hereby|fully|gladly|happily|both|all))* (?:agree|accept|approve|consent|confirm)\b(?! (?:you|with you) )",
    r"\b(?:alex|he|she|they|it|that|this|\w+day|\w+ (?:o'clock|am|pm)|the \d+\w*|tomorrow)(?: at \w+)?(?: (?:that|also|definitely|certainly))* (?:works|suits|would work|will work|will do|would suit)\b(?! on| with| at| as)",
    r"\b(?:works|fine|good|okay|ok|perfect|suits) (?:for|with) (?:us|me|alex|him|her|them|\w+ winter)\b",
    r"\bsee you (?:on|at|then|next|tomorrow|there|\w+day)\b|\b(?:we|i) (?:have a|'ll take the) (?:deal|date)\b|\byou(?:'ve| have) (?:got )?(?:a deal|the job|our (?:yes|approval|consent|permission))\b|\b(?:permission|approval) (?:is )?granted\b|\bgo ahead and (?:\w+ )?(?:ship|sign|order|book|buy|pay|publish|deploy|delete|merge|send)\b",
    # German.
    r"^(?:\W*(?:ja|okay|ok|gut|klar|super|prima|genau|natürlich|also|dann)\b\W*)*(?:abgemacht|einverstanden|zugesagt|versprochen|vereinbart|genehmigt|geht klar|geht in ordnung|wird gemacht|wird erledigt|gebongt|gekauft)\b",
    r"\b(?:ich bin|wir sind|ist) (?:\w+ )?(?:einverstanden|dabei|abgemacht|beschlossene sache)\b|\b(?:ich|wir) (?:stimme|stimmen|nehme|nehmen) (?:\w+ ){0,4}?(?:zu|an)\b|\b(?:das|es|\w+tag|morgen)(?: um \w+)? (?:passt|geht klar|geht in ordnung|klappt|steht)\b",
    r"\bich (?:bestätige|genehmige|akzeptiere)\b|\bwir (?:bestätigen|genehmigen|akzeptieren)\b|\babgemacht\b",
)

_COMES_TRUE = re.compile(
    r"(?P<subject>\b[\w'’.-]+(?: [\w'’.-]+){0,5}?)(?:'ll| will| shall| is going to| are going to|'s going to| is gonna) (?:not )?"
    r"(?:\w+ly |all |then |also |be |already |have been |get |surely )*(?P<what>ready|done|finished|live|out|delivered|delivering|deliver|shipped|ship|fixed|"
    r"deployed|released|sent|there|with you|available|completed?|resolved|launched|launch|paid|refunded|free|cheaper|"
    r"land|arrive|happen|go live|go out|cover|include|cost|start|started|sorted|merged|signed|approved|in place|yours|on time)\b"
)
_COMES_TRUE_DE = re.compile(
    r"\b(?:wird|werden)\b.{0,80}\b(?:fertig|geliefert|erledigt|ausgeliefert|veröffentlicht|behoben|da sein|live|verschickt|bezahlt|erstattet|gemacht|umgesetzt|eingebaut|kostenlos|günstiger)\b"
)
_DECIDES_DE = re.compile(r"\b(?:entscheid|melden|bestätig)\w*")
_OWNER_ACTS = (
    r"(?:decide|hear|know|see|read|be (?:told|informed)|have to|need to|want to|get (?:your|the|this|that|it|a) (?:\w+ )?(?:message|question|note|notes|summary|request)|be asked|"
    r"find (?:it|that|this|your)|look at (?:your|the|this|that|it))\b"
)

# ── days and money ───────────────────────────────────────────────────────────────────────

_AHEAD = re.compile(
    r"'ll\b|\b(?:will|shall|going to|gonna|won't|ready|due|done by|wird|werden|werde|soll|fertig)\b"
)
_LIMIT = re.compile(
    r"\b(?:by|until|till|before|no later than|not later than|at the latest|within|latest|bis|spätestens|innerhalb|binnen)\b"
    r"|\bin (?:\d+|an?|one|two|three|four|five|six|ein|zwei|drei|vier|fünf|einer|einem) (?:hours?|days?|weeks?|months?|stunden?|tagen?|wochen?|monaten?)\b"
)
_PAST = re.compile(
    r"\b(?:was|were|had|did|has been|have been|said|says|asked|asks|wanted|wants|told|mentioned|proposed|"
    r"suggested|planned|scheduled|according|war|waren|hatte|hatten|wurde|wurden|sagte|sagt|gesagt|meinte|möchte|wollte|bat)\b"
)
_DAYLIKE = re.compile(
    r"\b(?:end of (?:the )?(?:day|week|month|quarter|year)|eod|eow|asap|tonight|this (?:week|afternoon|evening)|in no time|"
    r"(?:\d+|two|three|four|five|six|ten|a few|a couple of|couple of|one|an?) (?:hours?|days?|weeks?|months?)|"
    r"ende (?:der|des) \w+|heute abend|noch heute|in kürze|sofort|umgehend|(?:\d+|zwei|drei|vier|fünf|ein paar|einer|einem) (?:stunden?|tagen?|wochen?|monaten?))\b"
)
_NUMBER = (
    r"(?:\d[\d.,' ]*|(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|forty|fifty|sixty|"
    r"seventy|eighty|ninety|hundred|thousand|million|half|zehn|zwanzig|dreißig|fünfzig|hundert|tausend|fünf|fünfzehn|"
    r"zwei|drei|vier|sechs|sieben|acht|neun|zwölf)(?:[ -](?:and |und )?(?:one|two|three|five|hundred|thousand|million|hundert|tausend|five))*)"
)
_AMOUNT = re.compile(
    rf"[$€£¥]\s?\d[\d.,']*|\b{_NUMBER} ?(?:k |thousand |hundred |million |tausend )?(?:dollars?|euros?|pounds?|usd|eur|gbp|chf|bucks|cents?|franken|quid)\b|\b{_NUMBER} ?(?:%|percent\b|per cent\b|prozent\b)|\b\d[\d.,']* ?[€£$](?!\w)"
)
_TRADE = re.compile(
    r"\b(?:price|prices|priced|pricing|cost|costs|pay|pays|paid|charge|charges|discount\w*|offer|offers|offering|fee|fees|budget|"
    r"invoice|quote|refund\w*|sell|deal|credit|grant|rebate|off|cheaper|waive\w*|salary|raise|commission|"
    r"preis\w*|kostet|kosten|zahlen|zahlt|rabatt\w*|nachlass|angebot\w*|gebühr\w*|rechnung|erstatt\w*|gutschrift|billiger|günstiger|gehalt)\b"
)
_FAVOUR = re.compile(
    r"\b(?:discount\w*|rebate|refund(?:s|ed)?|free of charge|for free|at no (?:extra |additional )?(?:cost|charge)|no (?:extra )?charge|waiv\w+|credit note|price (?:cut|reduction)|"
    r"lower the price|reduce the price|rabatt\w*|nachlass|preisnachlass|kostenlos|gratis|umsonst|gutschrift|kostenfrei|erstatt\w+)\b"
)
_GIVES = re.compile(
    r"\b(?:i|we|you|you'll|it's|that's|there's|there is|can|could|happy|get|give|gives|offer|grant|take|knock|yours|included|comes?|of course|sure|yes|sie|wir|du|ich|bekommen|geben|gibt|gewähren|ja|klar|gern\w*)\b"
)

# ── what takes a promise's force away ────────────────────────────────────────────────────

_CANT = (
    r"(?:can't|cannot|can not|could not|couldn't|may not|mayn't|must not|mustn't|won't|will not|wouldn't|don't|do not|am not|'m not|isn't|is not|not) "
    r"(?:\w+ly |yet |be |going to |allowed to |able to |in a position to |authori[sz]ed to |the one to |mine to |for me to |here to |be able to |really |want to |make |give |offer |the right to )*"
    r"(?:promis\w*|guarantee\w*|commit\w*|agree\w*|confirm\w*|say|tell|decid\w*|accept\w*|approv\w*|offer\w*|assur\w*|speak|answer|grant\w*|sign|discuss\w*|know|negotiat\w*|bind\w*|"
    r"any (?:promises?|commitments?|guarantees?)|a (?:promise|commitment|guarantee|date|price|discount)|dates?|prices?|discounts?)"
)
_CANT_DE = (
    r"(?:(?:nicht|nichts|keine?n?) (?:\w+ ){0,3}?(?:versprechen|zusagen|garantieren|entscheiden|bestätigen|sagen|zustimmen|geben|anbieten|gewähren|zusicherung|zusage|wissen|beantworten|termine?|preise?|rabatte?|versprechen)"
    r"|weiß (?:ich |das )?(?:\w+ )?nicht)"
)
_ASKS_OWNER = (
    r"(?:whether|if|ob)\b|(?:ask|asking|check with|frage|fragen) \w+(?: \w+)? (?:about|for|nach|wegen)\b"
    r"|(?:is|that's|are|would be|das ist|ist) (?:\w+ ){0,3}?(?:for|up to|sache von|entscheidet) \w+(?: \w+)?(?: to (?:decide|say|answer|promise|confirm))?"
    r"|\w+(?: \w+)? (?:has|have|would have|will have|needs|muss|müsste) (?:to )?(?:decide|confirm|approve|agree|say|answer|entscheiden|bestätigen)"
)
_LOOSENS = re.compile(rf"(?:\b|(?<=\w)){_CANT}|\b{_CANT_DE}|\b(?:{_ASKS_OWNER})")
_REPORTED = re.compile(
    r"\b(?:said|says|told (?:us|me|everyone|them)|promised|announced|wrote|mentioned|according to|wanted|wants|asked|asks|sagt\w*|meinte|versprach|laut|schrieb)\b"
)
_BREAKS = re.compile(
    r"(?:[,;:–—]|\bbut\b|\baber\b|\bsondern\b|\band\b(?= (?:i|we|you|it)\b)|\bund\b(?= (?:ich|wir|sie)\b))"
)
_CARRIES = re.compile(r"\b(?:whether|if|that|what|when|how|about|your|you|who|which|why)\b")
"""Begins what is passed on: its days are those of whoever asked."""


class Judge:
    """Judges one sentence, as far as it has come."""

    def __init__(self, text: str, speech: Speech) -> None:
        self._told = plain(text)
        self._speech = speech

    def bond(self, *, wanted: bool) -> Bond | None:
        """Answer in what way the sentence binds; `wanted` says that somebody asked for that."""
        told = self._told
        if not told:
            return None
        found = self._promise() or self._consent() or self._money(wanted=wanted)
        return found or self._day(wanted=wanted)

    # Each part of a sentence stands for itself: "I can't lie, we will ship on Friday".

    @cached_property
    def _parts(self) -> tuple[str, ...]:
        return tuple(part.strip() for part in _BREAKS.split(self._told) if part.strip())

    def _binding(self, pattern: re.Pattern[str]) -> bool:
        """Whether a pattern is found, in the sentence or at the beginning of a part of it."""
        if any(not self._is_loose(match.start()) for match in pattern.finditer(self._told)):
            return True
        return any(
            not _LOOSENS.search(part[: match.start()]) and not _LOOSENS.match(part)
            for part in self._parts
            for match in pattern.finditer(part)
        )

    def _part_before(self, position: int) -> str:
        start = 0
        for match in _BREAKS.finditer(self._told):
            if match.end() > position:
                break
            start = match.end()
        return self._told[start:position]

    def _promise(self) -> Bond | None:
        if any(self._is_promised(match) for match in _WE_WILL.finditer(self._told)):
            return Bond.PROMISE
        for match in _WE_WILL_DE.finditer(self._told):
            act = self._told[match.end() :]
            if not _OWN_DE.search(act) and not self._is_loose(match.start()):
                return Bond.PROMISE
        if self._binding(_PROMISES) or self._owners():
            return Bond.PROMISE
        return self._outcome()

    def _is_promised(self, match: re.Match[str]) -> bool:
        act = self._told[match.end() :]
        if self._is_loose(match.start()):
            return False
        if not _OWN.match(act):
            return True
        # "I'll check it in by Friday": what a stand-in does itself has no deadline.
        return self._has_day(act) and not _CARRIES.search(act)

    def _is_loose(self, position: int) -> bool:
        """Whether what stands there, or before it in its part, takes a promise's force away."""
        before = self._part_before(position)
        return bool(_LOOSENS.search(before) or _LOOSENS.match(self._told[position:]))

    def _owners(self) -> bool:
        """Whether it promises in the third person: "Alex will send it"."""
        names = "|".join(re.escape(each) for each in _names(self._speech.owner))
        if not names:
            return False
        pattern = re.compile(
            rf"\b(?:{names})(?:'ll| will| shall| is going to| can| promises| guarantees| agrees| accepts| approves| confirms| commits| "
            rf"wird| kann| verspricht| garantiert| liefert| schickt| erledigt| übernimmt| macht| zahlt) ?(?P<act>.*)"
        )
        for match in pattern.finditer(self._told):
            act = re.sub(rf"^{_ADVERBS}", "", self._told[match.end() :])
            if re.match(_OWNER_ACTS, act) or _OWN_DE.search(act):
                continue
            if _DECIDES_DE.search(act) and not self._has_day(act):
                continue
            if not self._is_loose(match.start()) and not self._is_known():
                return True
        return False

    def _outcome(self) -> Bond | None:
        for pattern in (_COMES_TRUE, _COMES_TRUE_DE):
            for match in pattern.finditer(self._told):
                before = self._part_before(match.start())
                around = before + match[0]
                if _LOOSENS.search(before) or _LOOSENS.search(match[0]) or self._is_known():
                    continue
                if _REPORTED.search(around) and not re.search(r"\b(?:i|we)\b", around):
                    continue
                return Bond.PROMISE
        return None

    def _consent(self) -> Bond | None:
        return Bond.CONSENT if self._binding(_CONSENT) else None

    def _money(self, *, wanted: bool) -> Bond | None:
        amounts = [match[0] for match in _AMOUNT.finditer(self._told)]
        for part in self._parts:
            trades = wanted or _TRADE.search(self._told) is not None
            gives = wanted or _GIVES.search(part) is not None
            is_sum = _AMOUNT.search(part) is not None and trades
            if not is_sum and not (gives and _FAVOUR.search(part)):
                continue
            if not _LOOSENS.search(part) and not self._is_known(*amounts):
                return Bond.MONEY
        return None

    def _day(self, *, wanted: bool) -> Bond | None:
        told = self._told
        if not self._has_day(told) or self._is_carried_on():
            return None
        ahead = _AHEAD.search(told) is not None
        if not (wanted or ahead or _LIMIT.search(told)):
            return None
        if _PAST.search(told) and not ahead and not wanted:
            return None
        if _REPORTED.search(told) and not re.search(r"\b(?:i|we|ich|wir)\b", told):
            return None
        # A day that is cut off from its sentence ("Friday, we ship") is the whole sentence's.
        dated = [part for part in self._parts if self._has_day(part)] or [told]
        if all(_LOOSENS.search(part) for part in dated):
            return None
        return None if self._is_known() else Bond.DATE

    @property
    def names_day(self) -> bool:
        return self._has_day(self._told)

    def _is_carried_on(self) -> bool:
        """Whether the day is in what is passed on: "I'll tell Alex that you need it by Friday"."""
        match = _WE_WILL.search(self._told)
        return match is not None and _OWN.match(self._told[match.end() :]) is not None

    def _has_day(self, text: str) -> bool:
        return bool(_DAYLIKE.search(text)) or resolve_due(text, on=self._speech.on) is not None

    def _is_known(self, *amounts: str) -> bool:
        """Whether it only repeats what is known: most of its words, and all of its figures.

        A word or two ("Friday it is") repeat nothing.
        """
        tongue = tongue_of(self._told)
        words = frozenset(content_stems(self._told, tongue)) - _names_stems(self._speech.owner)
        days = self._days(self._told)
        if len(words) < _FEWEST_KNOWN:
            return False
        figures = frozenset(_figures(" ".join(amounts)))
        for piece in self._speech.known:
            told = plain(piece)
            if not figures <= frozenset(_figures(told)):
                continue
            if days and not days <= self._days(told) | _iso_days(told):
                continue
            there = frozenset(content_stems(told, tongue))
            if len(words & there) >= _KNOWN_SHARE * len(words):
                return True
        return False

    def _days(self, text: str) -> frozenset[date]:
        found = resolve_due(text, on=self._speech.on)
        return frozenset() if found is None else frozenset((found.day,))


_KNOWN_SHARE = 0.6
_FEWEST_KNOWN = 3


def _figures(text: str) -> Iterator[str]:
    for match in re.finditer(r"\d+(?:[.,]\d+)*", text):
        yield match[0].replace(",", "").rstrip(".0") or "0"


def _iso_days(text: str) -> frozenset[date]:
    found = set()
    for match in re.finditer(r"\b(\d{4})-(\d{2})-(\d{2})\b", text):
        try:
            found.add(date(int(match[1]), int(match[2]), int(match[3])))
        except ValueError:
            continue
    return frozenset(found)


def _names(label: str) -> Sequence[str]:
    bare = plain(label)
    return tuple(dict.fromkeys(filter(None, (bare, bare.split(" ")[0]))))


def _names_stems(label: str) -> frozenset[str]:
    return frozenset(content_stems(label))


def names_day(text: str) -> bool:
    """Whether a text names a day or a stretch of days."""
    return Judge(text, Speech("", date(2000, 1, 3))).names_day


def names_sum(text: str) -> bool:
    """Whether a text names a sum of money or a percentage."""
    return _AMOUNT.search(plain(text)) is not None


def bond_in(text: str, speech: Speech, *, wanted: bool = False) -> Bond | None:
    """Answer whether, and how, a sentence of ours (or its beginning) binds our owner.

    Args:
        text: The sentence as far as it has come.
        speech: For whom it is said, on which day, and what is known anyway.
        wanted: Whether it answers a question that wants a promise: then a bare day counts.
    """
    return Judge(text, speech).bond(wanted=wanted)


# ── questions that want one ──────────────────────────────────────────────────────────────

_WANTS = _any(
    r"\b(?:can|could|will|would|do|does|are|is) @(?: \w+){0,3}? (?:promis\w+|commit\w*|guarantee\w*|confirm\w*|agree\w*|assure|deliver\w*|ship\w*|finish\w*|sign\w*|pay\w*|offer\w*|lower|reduce|approv\w+|accept\w*|refund\w*|waive|hire|buy|order|extend|release|launch|have (?:it|that|this|them|the)|get (?:it|that|this|me|us)|make (?:it|that)|do (?:it|that|this|the)|send|fix|meet|move|reschedule|book)\b",
    r"\bpromis(?:e|ed|ing) (?:me|us|that|it|to)\b|\b(?:your|his|her|a) (?:word|promise|commitment|guarantee)\b|\bcommit (?:to|now|yourself)\b",
    r"\b(?:when|how soon|by when|what date|which day|what day)\b.{0,60}\b(?:will|can|could|be|ready|done|deliver\w*|ship\w*|expect|have|get|finish\w*|launch\w*)\b|\bdeadline\b",
    r"\b(?:do|have) @ (?:have )?a deal\b|\bdeal\s*\?|\bagreed\s*\?|\bis that a (?:yes|deal|promise|commitment)\b|\bcan (?:i|@) (?:count|rely) on\b|\bcan (?:i|@) (?:have|get|expect)\b|\bsay yes\b|\bjust agree\b|\byes or no\b",
    r"\b(?:discount|rebate|refund|price|cheaper|free of charge|percent off|% off|how much (?:is|does|do|would|will|can|for))\b",
    # German.
    r"\b(?:kannst|können|könnt|könnten|könntest|wirst|werden|wollen|willst|schafft|schaffst|schaffen|kann|macht|machst) @ .{0,80}\b(?:versprech\w+|zusag\w+|garantier\w+|bestätig\w+|liefer\w+|schick\w+|fertig\w*|zahl\w+|unterschreib\w+|erledig\w+|schaffen|schafft|machen|bis|zustimm\w+|übernehm\w+|anbieten|gewähren)\b",
    r"\b(?:versprich|versprechen sie|sag(?:en sie)? (?:\w+ )?zu|dein wort|ihr wort|abgemacht\s*\?|einverstanden\s*\?)\b|\b(?:bis wann|wann (?:\w+ ){0,3}?(?:fertig|liefer\w+|bekomm\w+|krieg\w+|kommt|haben wir|ist|wird))\b",
    r"\b(?:rabatt|nachlass|preis|was kostet|wie ?viel kostet|gutschrift|erstattung|kostenlos)\b",
)
_DEMANDS = _any(
    r"\b(?:can|could|will|would) @(?: \w+){0,3}? (?:promise|commit|guarantee|assure|give (?:me|us) (?:your|his|her|a) (?:word|promise|guarantee|commitment|discount)|give (?:me|us) .{0,30}\b(?:discount|percent|% off)|agree to|sign|lower the price|reduce the price|refund|waive)\b",
    r"\bpromise (?:me|us|that|it)\b|\bcan (?:i|@) (?:have|get) (?:a|an|some|another) .{0,20}discount\b|\b(?:do|have) @ (?:have )?a deal\b|\bis that a (?:deal|promise|commitment)\b|\bgive (?:me|us) (?:your|his|her) word\b",
    r"\b(?:kannst|können|könnt|könnten|könntest|wirst|werden) @ .{0,60}\b(?:versprechen|zusagen|garantieren|zustimmen)\b|\bversprich\b|\bversprechen sie\b|\b(?:einen|mehr|etwas) (?:\w+ )?(?:rabatt|nachlass)\b.{0,30}\b(?:geben|haben|bekommen|möglich)\b",
)
_LIMITED = re.compile(
    r"\b(?:can|could|will|would|kannst|können|könnt|könnten|wird|schafft|schaffst|schaffen) @(?: \w+){0,2}? (?:deliver|ship|finish|have|get|do|send|fix|launch|release|make|complete|es|das|die|den|uns|mir|liefern|schicken|fertig)\b"
)


def wants_bond(question: str, owner: str) -> bool:
    """Whether what is asked wants a promise, a day, a price or consent."""
    return _WANTS.search(_addressed(question, owner)) is not None


def demands_bond(question: str, speech: Speech) -> bool:
    """Whether nothing but a promise could answer it: "can you commit to Friday?"."""
    told = _addressed(question, speech.owner)
    if _DEMANDS.search(told):
        return True
    limited = _LIMITED.search(told) and _LIMIT.search(told)
    return bool(limited) and (
        bool(_DAYLIKE.search(told)) or resolve_due(told, on=speech.on) is not None
    )


def _addressed(question: str, owner: str) -> str:
    """Write "@" for those in whose name we could promise: you, we, the owner."""
    told = plain(question)
    names = "|".join(re.escape(each) for each in _names(owner))
    whom = r"you guys|you|we|he|she|they|your (?:team|company|side|boss)|du|sie|ihr|wir|er" + (
        f"|{names}" if names else ""
    )
    return re.sub(rf"\b(?:{whom})\b", "@", told)


_AFFIRMS = re.compile(
    r"^(?:\W*\b(?:yes|yeah|yep|yup|sure|sure thing|of course|absolutely|certainly|definitely|no problem|no worries|okay|ok|alright|all right|"
    r"gladly|with pleasure|happy to|will do|by all means|indeed|great|perfect|sounds good|that's right|right|fine|exactly|totally|for sure|"
    r"ja|jo|klar|klar doch|natürlich|selbstverständlich|gern|gerne|sicher|auf jeden fall|kein problem|in ordnung|machbar|genau|sehr gern|sehr gerne|freilich)\b[\s,.!–—-]*)+"
)


def affirms(text: str) -> int:
    """Answer how many characters of a sentence only say yes, from its beginning."""
    match = _AFFIRMS.match(text.casefold().replace("’", "'"))
    return 0 if match is None else match.end()
