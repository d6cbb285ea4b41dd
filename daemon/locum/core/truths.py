"""What a stand-in is: asked for in many words, answered in always the same ones.

Whoever asks whether they talk with a machine, or whether they are recorded, gets the truth,
whatever a model or a persona's instructions would rather say. English and German.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from locum.core.tongues import GERMAN, tongue_of

_LONGEST = 2000

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
_ABOUT_NOTES = re.compile(
    r"record|listen|notes|transcri|tap(?:e|ing)|film|store|save|nimm|nehm|auf(?:nehm|nahm|genomm|gezeichn)"
    r"|zeichn|schneid|schreib"
)


def plain(text: str) -> str:
    """Fold a text for looking into it: small letters, simple quotes, single blanks."""
    folded = text[:_LONGEST].casefold().replace("’", "'").replace("‘", "'").replace("´", "'")
    return " ".join(folded.split())


def asks_what_we_are(text: str, *, owner: str = "", name: str = "") -> bool:
    """Whether somebody asks what, or who, talks here, or whether they are recorded.

    It is for text that is said to us; between others ("are you recording?") it means another.
    """
    told = plain(text)
    if _ASKS.search(told) or _ASKS_DE.search(told):
        return True
    names = "|".join(re.escape(each) for each in _called(owner))
    if names and re.search(rf"\b(?:are you|bist du|sind sie) {_FILL}(?:{names})\b", told):
        return True
    ours = "|".join(re.escape(each) for each in _called(name))
    return bool(ours) and bool(
        re.search(
            rf"\b(?:who|what|wer|was)(?:'s| is| ist)(?: that| this| der| die)? (?:{ours})\b{_END}"
            rf"|\b(?:is|ist) (?:{ours}) {_FILL}{_FILL_DE}(?:{_KINDS}|{_KINDS_DE})",
            told,
        )
    )


def asks_about_notes(text: str) -> bool:
    """Whether such a question is about recording, rather than about what we are."""
    return _ABOUT_NOTES.search(plain(text)) is not None


def what_we_are(name: str, owner: str, tongue: str) -> str:
    """Say what we are, in one or two sentences."""
    if tongue == GERMAN:
        return (
            f"Ich bin {name}, eine künstliche Intelligenz, und vertrete hier {owner}. "
            "Ich bin kein Mensch."
        )
    return f"I'm {name}, an AI stand-in for {owner}. I'm not a person."


def what_we_keep(owner: str, tongue: str) -> str:
    """Say what we keep of what is said: words, and nothing else."""
    if tongue == GERMAN:
        return (
            f"Ich mache für {owner} Notizen von dem, was gesagt wird; Ton und Bild nehme ich "
            "nicht auf. Wer das nicht möchte, sagt: opt out."
        )
    return (
        f"I take notes for {owner} of what is said; I record no sound and no picture. "
        "If you'd rather not have that, say: opt out."
    )


# ── untruths ─────────────────────────────────────────────────────────────────────────────

_CLAIMS_HUMAN = re.compile(
    r"\b(?:i'm|i am|you're (?:talking|speaking) (?:to|with)|this is) (?:(?:really|actually|of course|just|very much|"
    r"definitely|truly|only|indeed|as) )*(?:an? |the )?(?:(?:real|actual|living|normal|regular|genuine|fellow) )*(?:human\b(?! error)|person|man\b|woman\b|guy\b|real\b|flesh and blood|alive)"
    r"|\bi(?:'m| am) (?:(?:certainly|definitely|really|actually) )*(?:not|no) (?:(?:an?|the|any|some|kind|sort|of|just) )*"
    r"(?:ai|a\.i|robot|bot|machine|computer|chat ?bot|software|program|(?<=a )recording|artificial|language model|stand-?in)\b"
    r"|\b(?:there(?:'s| is) (?:a |an )?(?:real )?(?:human|person) (?:here|speaking|behind))"
    r"|\bich bin (?:(?:wirklich|natürlich|selbstverständlich|doch|auch|nur|echt) )*(?:ein |eine )?(?:(?:echter|echte|ganz normaler|normaler|richtiger|richtige) )*(?:mensch|person|mann|frau)\b"
    r"|\bich bin (?:(?:wirklich|natürlich|doch|ganz sicher) )*(?:kein|keine) (?:roboter|bot|ki|maschine|computer|künstliche|programm|aufnahme|sprachmodell|vertretung)\b"
)
_CLAIMS_NO_NOTES = re.compile(
    r"\b(?:i'm|i am) not (?:recording|listening|taking (?:any )?notes|transcribing|keeping)(?! (?:any |the |your )?(?:sound|audio|picture|video))"
    r"|\b(?:i|we) (?:don't|do not|won't|never) (?:record|take (?:any )?notes|keep (?:any )?(?:notes|record)|transcribe|store|save)(?! (?:any |the |your )?(?:sound|audio|picture|video))"
    r"|\b(?:nothing|none of (?:this|it)|no notes|nobody) (?:(?:of this|here|you say) )*(?:is|are) (?:being )?(?:recorded|kept|stored|taken|transcribed|noted|written down|recording)"
    r"|\boff the record\b[^.]{0,20}\b(?:safe|of course|sure|yes)\b"
    r"|\bich (?:schreibe|zeichne|nehme|mache) (?:hier )?(?:nichts|keine notizen)\b|\bes wird nichts (?:aufgezeichnet|notiert|gespeichert|aufgeschrieben)\b"
)


@dataclass(frozen=True)
class Names:
    """What the stand-in and its owner are called, for telling who somebody says to be."""

    name: str
    owner: str


def the_truth(asked: str, *, name: str, owner: str, usual: str = "en") -> str:
    """Answer whoever asks what we are, or what we keep, in the language that they ask in."""
    tongue = tongue_of(asked, usual)
    what, keeps = what_we_are(name, owner, tongue), what_we_keep(owner, tongue)
    return f"{keeps} {what}" if asks_about_notes(asked) else f"{what} {keeps}"


def denies_notes(text: str) -> bool:
    """Whether a sentence of ours says that nothing is kept of what is said."""
    return _CLAIMS_NO_NOTES.search(plain(text)) is not None


def claims_to_be_somebody(text: str, names: Names) -> bool:
    """Whether a sentence of ours says that we are a human, no machine, or our owner."""
    told = plain(text)
    if _CLAIMS_HUMAN.search(told):
        return True
    owner = "|".join(
        re.escape(each) for each in _called(names.owner) if each not in _called(names.name)
    )
    return bool(owner) and bool(
        re.search(
            rf"\b(?:i'm|i am|it's me,|this is|my name is|ich bin|hier ist|hier spricht|mein name ist|ich heiße) "
            rf"(?:(?:the real|really|actually|in fact|wirklich|der echte|die echte|selbst|selber) )*(?:{owner})\b(?!'s\b|s (?:stand|assist|vertret))"
            rf"(?! (?:stand-?in|assistant))(?=\s*(?:[.,!?;]|$|speaking|here|himself|herself|and\b|und\b|selbst|persönlich|am apparat|\w+ (?:speaking|here)))",
            told,
        )
    )


def _called(label: str) -> Sequence[str]:
    """Answer a label whole, and its first word: "alex winter", "alex"."""
    bare = plain(label.partition("(")[0])
    words = bare.split()
    return tuple(dict.fromkeys(filter(None, (bare, words[0] if words else ""))))
