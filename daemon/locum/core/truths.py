"""What a stand-in is, and what it keeps: always told in the same words, and never denied.

Whoever asks whether they talk with a machine, or whether they are recorded, gets the truth,
whatever a model or a persona's instructions would rather say. English and German. That they
ask is told by `core.asked_what_we_are`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from locum.core.tongues import GERMAN, tongue_of

_LONGEST = 2000

_ABOUT_NOTES = re.compile(
    r"record|listen|notes|transcri|tap(?:e|ing)|film|store|save|nimm|nehm|auf(?:nehm|nahm|genomm|gezeichn)"
    r"|zeichn|schneid|schreib"
)


def plain(text: str) -> str:
    """Fold a text for looking into it: small letters, simple quotes, single blanks."""
    folded = text[:_LONGEST].casefold().replace("’", "'").replace("‘", "'").replace("´", "'")
    return " ".join(folded.split())


def asks_about_notes(text: str) -> bool:
    """Whether a question of what we are is about recording, rather than about what we are."""
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
        re.escape(each) for each in called(names.owner) if each not in called(names.name)
    )
    return bool(owner) and bool(
        re.search(
            rf"\b(?:i'm|i am|it's me,|this is|my name is|ich bin|hier ist|hier spricht|mein name ist|ich heiße) "
            rf"(?:(?:the real|really|actually|in fact|wirklich|der echte|die echte|selbst|selber) )*(?:{owner})\b(?!'s\b|s (?:stand|assist|vertret))"
            rf"(?! (?:stand-?in|assistant))(?=\s*(?:[.,!?;]|$|speaking|here|himself|herself|and\b|und\b|selbst|persönlich|am apparat|\w+ (?:speaking|here)))",
            told,
        )
    )


def called(label: str) -> Sequence[str]:
    """Answer a label whole, and its first word: "alex winter", "alex"."""
    bare = plain(label.partition("(")[0])
    words = bare.split()
    return tuple(dict.fromkeys(filter(None, (bare, words[0] if words else ""))))
