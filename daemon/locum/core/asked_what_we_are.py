"""Does somebody ask what we are, who we are, or whether they are recorded?

Two readers of one question. What anybody says to anybody is read strictly, with our name made
out: between others, "are you recording?" means somebody else. What is known to be said to us is
read less strictly, as it stands. What is then answered is `core.truths`'.

English and German; the strict one knows some French and Spanish, too.
"""

from __future__ import annotations

import re

from locum.core.truths import called, plain

# ── said by anybody to anybody ───────────────────────────────────────────────────────────

_BETWEEN = (
    r"(?:(?:a|an|the|really|actually|just|even|some|kind|sort|of|like|in|fact|or|not|only|perhaps|"
    r"maybe|still|honestly|seriously|by|any|chance|real|human|actual|live|being|person|robot|bot|"
    r"ai|talking|speaking|to|with|here|ein|eine|einer|einem|einen|eigentlich|wirklich|echt|echte|"
    r"echter|echten|etwa|nur|denn|uberhaupt|oder|kunstliche|mensch|un|une|vraiment|una|realmente|"
    r"generated|powered|artificial) ){0,8}"
)
_WHAT = (
    r"(?:robots?|robo|bots?|ai|a ?i|artificial intelligence|chat ?bot|chat ?gpt|gpt|machine|"
    r"computer|program|language model|llm|human(?: being)?|humans|real person|person|"
    r"real human|avatar|deep ?fake|hologram|recording|algorithm|voice assistant|"
    r"roboter|ki|kunstliche intelligenz|maschine|computerprogramm|programm|mensch(?:en)?|echten? person|"
    r"intelligence artificielle|ia|humain|machine|vraie personne|persona real|humano|maquina)"
)
_REALLY = r"(?:real|human|alive|sentient|conscious|echt|menschlich|lebendig|reel|humain|humano)"
_THEN = (
    r"(?= ?(?:[?.,]|$| (?:or|and|oder|und|anyway|then|though|by the way|too|instead|here|talking|"
    r"speaking|right|correct|actually|really|now|because|cause|at all|ou|o|NAME|who|that|denn|"
    r"eigentlich)\b))"
)
_IT = r"(?:you|u|NAME|this|that|it|he|she|someone|somebody|anyone|anybody)"
_WHAT_WE_ARE = tuple(
    re.compile(each)
    for each in (
        rf"\b(?:are|is|r|was) {_IT} {_BETWEEN}{_WHAT}{_THEN}",
        rf"\b(?:are|is) (?:you|NAME|he|she) (?:really |actually |even |not )?{_REALLY}{_THEN}",
        (
            rf"\b(?:am|are|were) (?:i|we) (?:really |actually |just )?(?:talking|speaking|chatting)"
            rf"(?: here)? (?:to|with) {_BETWEEN}(?:{_WHAT}|{_REALLY}){_THEN}"
        ),
        r"\b(?:who|what) (?:am i|are we) (?:talking|speaking) (?:to|with)\b",
        (
            r"\b(?:who|what) (?:exactly )?are you(?: exactly| really| anyway| actually)?"
            r"(?: ?[?.,]|$| NAME)"
        ),
        r"\b(?:who|what)(?:s| is)(?: this)? NAME(?: ?[?.,]|$)",
        (
            rf"\b(?:youre|you are|NAME is) {_BETWEEN}{_WHAT} ?,? (?:right|arent you|correct|isnt (?:it|he"
            rf"|she)|or what|\?)"
        ),
        (
            r"\b(?:are|were) (?:you|NAME) (?:also |now |actually )?(?:recording|transcribing|taping)"
            r"\b(?! studio)"
        ),
        (
            r"\b(?:is|are) (?:this|we|it|that|the (?:call|meeting)|anyone|anybody|somebody|someone|i) "
            r"(?:all |also |being |currently |now )*(?:recorded|transcribed|recording (?:this|us)|"
            r"taped)\b"
        ),
        (
            r"\b(?:do|will|did) you (?:also |actually )?(?:record|transcribe|store|keep|save) (?:this|"
            r"us|me|what|everything|all|the (?:call|meeting|conversation)|that|my voice|our)\b"
        ),
        (
            r"\b(?:bist du|sind sie|seid ihr|bist du denn|ist (?:das|NAME|er|sie|hier)) "
            rf"{_BETWEEN}(?:{_WHAT}|{_REALLY}){_THEN}"
        ),
        (
            r"\b(?:spreche|rede) ich (?:hier |gerade |jetzt |eigentlich )*mit "
            rf"{_BETWEEN}(?:{_WHAT}|{_REALLY}){_THEN}"
        ),
        r"\b(?:wer|was) (?:bist du|sind sie)(?: eigentlich| denn| uberhaupt)*(?: ?[?.,]|$)",
        r"\bwer ist NAME(?: ?[?.,]|$)",
        r"\b(?:nimmst|zeichnest) du (?:\w+ ){0,4}auf\b|\b(?:nehmen|zeichnen) sie (?:\w+ ){0,4}auf\b",
        r"\bwird (?:\w+ ){0,4}(?:aufgezeichnet|aufgenommen|mitgeschnitten|transkribiert)\b",
        (
            r"\b(?:es tu|etes vous|t es|tu es|vous etes|cest|c est|est ce) "
            rf"{_BETWEEN}(?:{_WHAT}){_THEN}"
        ),
        rf"\b(?:eres|es usted|es esto) {_BETWEEN}(?:{_WHAT}){_THEN}",
        r"\b(?:estoy|estamos) hablando con (?:un |una )(?:robot|maquina|ia|persona|humano|bot)\b",
    )
)


def asks_what_we_are(shown: str) -> bool:
    """Whether it asks if we are a person, or who we are, or whether we record.

    It may be said by anybody to anybody. `shown` is a reading's folded words, with marks and
    our name as "NAME": see `core.addressing`.
    """
    text = shown.replace("@NAME", "NAME").replace("NEAR", "NAME")
    return any(pattern.search(text) is not None for pattern in _WHAT_WE_ARE)


# ── said to us ───────────────────────────────────────────────────────────────────────────

_KINDS = (
    r"(?:real|human|person|robots?|bots?|ai|a\.i\.?|agent|machine|computer|recording|software|avatar|"
    r"deep ?fake|program|chat ?bot|llm|language model|gpt|chatgpt|artificial|synthetic|simulation|"
    r"hologram|alive|automated|virtual)\b"
)
_KINDS_DE = (
    r"(?:echt\w*|mensch\w*|person|roboter|bot|ki|k\.i\.?|maschine|computer|aufnahme|software|avatar|"
    r"programm|chat ?bot|sprachmodell|künstlich\w*|automat|simulation|lebendig|virtuell\w*)\b"
)
_FILL = r"(?:(?:really|actually|just|even|an?|the|some|kind|sort|of|some sort of|like|maybe|perhaps|still|even|one of those|sure you(?:'re| are)|talking|speaking|to|with|not|in fact|honestly|by any chance|possibly) )*"
_FILL_DE = r"(?:(?:wirklich|echt|eigentlich|etwa|nur|überhaupt|ein|eine|einem|einer|der|die|so|denn|vielleicht|nicht|hier|gar|kein|keine|mit|grad|gerade) )*"
_END = r"(?=\s*(?:[?.!,]|$|and\b|really|anyway|exactly|then\b|by the way|again|und\b|eigentlich|denn\b|überhaupt|nochmal))"

_ASKS = re.compile(
    rf"\b(?:are|r) (?:you|u) {_FILL}{_KINDS}"
    rf"|\byou(?:'re| are) {_FILL}{_KINDS}[^.?!]{{0,40}}(?:\?|right\b|aren't you|are you)"
    rf"|\b(?:am i|are we|is this|is that|is it) {_FILL}(?:human|robot|bot|ai|machine|real person|chat ?bot|"
    r"deep ?fake|computer i'm|(?:a )?recording of)\b"
    rf"|\bi (?:am|'m) talking (?:to|with) {_FILL}{_KINDS}[^.!]*\?"
    rf"|\b(?:who|what)(?: exactly| on earth| the hell)? (?:are|r) (?:you|u)\b{_END}"
    r"|\bwho am i (?:talking|speaking) (?:to|with)\b|\bwho(?:'s| is) (?:this|that) (?:speaking|talking)\b"
    r"|\b(?:could|can|would) you (?:please )?introduce yourself\b|^\W*(?:please )?introduce yourself\b"
    r"|\b(?:tell|say) (?:us|me)? ?who you are\b|\bwho sent you\b|\bwho(?:m)? (?:do|are) you (?:stand|standing|here) (?:in )?for\b"
    r"|\b(?:are|r) (?:you|u) (?:(?:still|also|currently|secretly|actually|really) )*(?:recording|listening in|taking notes|transcribing|taping|filming)\b"
    r"|\b(?:do|will|would) you (?:record|keep (?:a )?recording|store (?:what|my|our|the)|save (?:what|my|our|the))"
    r"|\b(?:is|are) (?:this|we|i|(?:the|this) (?:meeting|call)|it|everything) (?:(?:all|still|also) )*being (?:recorded|transcribed|taped|filmed)\b"
)
_ASKS_DE = re.compile(
    rf"\b(?:bist|sind|seid) (?:du|sie|ihr) {_FILL_DE}{_KINDS_DE}"
    rf"|\b(?:red\w*|sprech\w*) (?:ich|wir) {_FILL_DE}{_KINDS_DE}"
    rf"|\b(?:ist|sind) (?:das|dies) {_FILL_DE}(?:mensch|roboter|bot|ki|maschine|aufnahme|echte person)\b"
    rf"|\b(?:wer|was) (?:bist|sind) (?:du|sie)(?: eigentlich| denn| überhaupt)*{_END}"
    r"|\bmit wem (?:spreche|rede|sprechen|reden) (?:ich|wir)\b|\b(?:stell\w*|stellen sie) (?:dich|sich)(?: mal| bitte| doch| kurz)* vor\b"
    r"|\bwen (?:vertrittst|vertreten) (?:du|sie)\b|\bwer hat (?:dich|sie) geschickt\b"
    r"|\b(?:nimmst|nehmen|zeichnest|zeichnen|schneidest|schneiden|schreibst|schreiben) (?:du|sie)\b[^.?!]{0,30}\b(?:auf|mit)\b\s*\?"
    r"|\b(?:wird|werden) (?:das|hier|wir|das gespräch|die besprechung|alles)(?: hier| alles| gerade)* (?:aufgenommen|aufgezeichnet|mitgeschnitten|mitgeschrieben)\b"
)


def asks_us_what_we_are(text: str, *, owner: str = "", name: str = "") -> bool:
    """Whether somebody asks what, or who, talks here, or whether they are recorded.

    It is for text that is said to us; between others ("are you recording?") it means another.
    """
    told = plain(text)
    if _ASKS.search(told) or _ASKS_DE.search(told):
        return True
    names = "|".join(re.escape(each) for each in called(owner))
    if names and re.search(rf"\b(?:are you|bist du|sind sie) {_FILL}(?:{names})\b", told):
        return True
    ours = "|".join(re.escape(each) for each in called(name))
    return bool(ours) and bool(
        re.search(
            rf"\b(?:who|what|wer|was)(?:'s| is| ist)(?: that| this| der| die)? (?:{ours})\b{_END}"
            rf"|\b(?:is|ist) (?:{ours}) {_FILL}{_FILL_DE}(?:{_KINDS}|{_KINDS_DE})",
            told,
        )
    )
