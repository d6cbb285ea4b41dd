"""The words that carry a text's meaning, without their endings: how texts are compared and found.

The same function makes what is kept and what is looked for, so that the two always agree,
whatever a database's own tokenizer knows of a language.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache
from typing import Any

_LONGEST_TEXT = 20_000  # Characters.
_LONGEST_WORD = 40

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")
"""Thai, Lao, kana and Han: written without spaces between words; taken in pairs of letters."""

LANGUAGES = {
    "ar": "arabic",
    "ca": "catalan",
    "da": "danish",
    "de": "german",
    "el": "greek",
    "en": "english",
    "es": "spanish",
    "fi": "finnish",
    "fr": "french",
    "hu": "hungarian",
    "it": "italian",
    "nl": "dutch",
    "no": "norwegian",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sv": "swedish",
    "tr": "turkish",
}
"""Stemmers by ISO 639-1; any other language is taken as English, which leaves most words alone."""

_FUNCTION_WORDS = {
    "english": """
        a about after again all also am an and any are aren't as at be because been before being
        but by can can't could couldn't did didn't do does doesn't doing don't down for from had
        has have haven't having he he's her here hers him his how i i'd i'll i'm i've if in into
        is isn't it it's its just let let's me more most my no nor not now of off ok okay on once
        only or other our ours out over own please really same she should shouldn't so some such
        than that that's the their theirs them then there there's these they they're this those
        through to too uh um under until up us very was wasn't we we'd we'll we're we've well
        were what what's when where which while who whom why will with won't would yeah yes yet
        you you'd you'll you're you've your yours going gonna got get maybe already still anyone
        someone something anything thing things""",
    "german": """
        aber alle als also am an auch auf aus bei bin bis bist da damit dann das dass dem den der
        des die dies diese dieser doch dort du durch ein eine einem einen einer eines er es euch
        für hab habe haben hat hatte ich ihm ihn ihr ihre im in ist ja jetzt kann kein keine mal
        man mein meine mich mir mit muss nach nein nicht noch nun nur ob oder schon sein seine
        sich sie sind so über um und uns unser unsere vom von vor war waren was weil wenn wer
        werde werden wie wieder will wir wird wo würde zu zum zur""",
    "french": """
        à ai alors au aussi aux avec avez avons c'est ce ces cette d'accord dans de des donc du
        elle elles en est et été être eu fait il ils j'ai je la le les leur lui ma mais me mes
        moi mon ne nos notre nous on ont ou où par pas plus pour qu'il que qui sa se ses si son
        sont sur ta te tes toi ton tu un une va vos votre vous y""",
    "spanish": """
        a al como con de del el ella ellos en es esa ese eso esta este esto está están fue ha han
        hay he la las le les lo los más me mi mis muy no nos nosotros o para pero por porque que
        qué se si sí sin su sus también te tu un una uno y ya yo""",
}

_IRREGULAR = {
    "sent": "send",
    "written": "write",
    "wrote": "write",
    "did": "do",
    "done": "do",
    "made": "make",
    "taken": "take",
    "took": "take",
    "given": "give",
    "gave": "give",
    "spoken": "speak",
    "spoke": "speak",
    "told": "tell",
    "paid": "pay",
    "built": "build",
    "bought": "buy",
    "brought": "bring",
    "held": "hold",
    "met": "meet",
    "ran": "run",
    "found": "find",
    "chosen": "choose",
    "chose": "choose",
    "drew": "draw",
    "drawn": "draw",
    "taught": "teach",
}


def folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text[:_LONGEST_TEXT]).casefold().replace("’", "'")


def content_stems(text: str, language: str = "en") -> tuple[str, ...]:
    """Answer the stems of a text's content words, in order, with repeats.

    Args:
        text: Anything; of a very long one only the beginning counts.
        language: ISO 639-1, or "und".
    """
    name = LANGUAGES.get(language, "english")
    stems: list[str] = []
    for match in _WORD.finditer(folded(text)):
        word = match[0]
        if _UNSPACED.search(word):
            stems += _pairs(word)
        elif word not in _stop_words(name):
            stems.append(_stem(word[:_LONGEST_WORD], name))
    return tuple(stems)


def _pairs(run: str) -> list[str]:
    return [run[n : n + 2] for n in range(len(run) - 1)] or [run]


@cache
def _stop_words(name: str) -> frozenset[str]:
    return frozenset(_FUNCTION_WORDS.get(name, "").split())


@lru_cache(maxsize=65_536)
def _stem(word: str, name: str) -> str:
    if name == "english":
        word = _IRREGULAR.get(word, word)
    # An apostrophe's tail ("Dana's") says nothing, in whatever language.
    stem: str = _stemmer(name).stemWord(word.partition("'")[0] or word)
    bare = unicodedata.normalize("NFD", stem)
    return "".join(each for each in bare if not unicodedata.combining(each)) or stem


@cache
def _stemmer(name: str) -> Any:
    import snowballstemmer  # Most commands compare nothing.

    return snowballstemmer.stemmer(name)
