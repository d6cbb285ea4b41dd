"""What the mouth does for each sound of speech: fifteen shapes, and which of them a phone takes.

The fifteen are those of MPEG-4 and Oculus' lip sync, by the same names. A symbol that is in no
table (a click, a tone) is "sil": a mouth that does nothing goes unseen, a wrong one doesn't.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from types import MappingProxyType

from locum.core.speech import Mouth

VISEMES: Mapping[str, Mouth] = MappingProxyType(
    {
        "sil": Mouth(),
        "PP": Mouth(press=0.8, close=1.0),
        "FF": Mouth(jaw=0.12, upper=0.35, lower=-0.9, close=0.5),
        "TH": Mouth(jaw=0.26, upper=0.2, wide=0.1),
        "DD": Mouth(jaw=0.24, upper=0.25, wide=0.25),
        "kk": Mouth(jaw=0.28, upper=0.2, wide=0.2),
        "CH": Mouth(jaw=0.22, upper=0.45, lower=0.4, pucker=0.55),
        "SS": Mouth(jaw=0.12, upper=0.35, lower=0.35, wide=0.55),
        "nn": Mouth(jaw=0.18, upper=0.15, wide=0.2),
        "RR": Mouth(jaw=0.24, upper=0.2, pucker=0.5),
        "aa": Mouth(jaw=0.85, upper=0.3, wide=0.15),
        "E": Mouth(jaw=0.5, upper=0.3, lower=0.2, wide=0.5),
        "I": Mouth(jaw=0.3, upper=0.3, lower=0.25, wide=0.75),
        "O": Mouth(jaw=0.6, upper=0.1, pucker=0.7),
        "U": Mouth(jaw=0.3, upper=0.1, pucker=1.0),
    }
)
"""The mouth of each, at its fullest; "sil" is silence."""

_PHONES: Mapping[str, str] = {
    "PP": "p b m ɓ ʙ",
    "FF": "f v ɱ ⱱ ɸ β ʋ",
    "TH": "θ ð",
    "DD": "t d ʈ ɖ ɗ c ɟ ɾ ɽ ʔ",
    "kk": "k g ɡ ɠ q ɢ ʛ x ɣ χ ʁ ʀ h ɦ ħ ʕ ʜ ʢ ŋ ɴ",
    "CH": "ʃ ʒ ʂ ʐ ɕ ʑ ɧ",
    "SS": "s z ç ʝ ɬ ɮ",
    "nn": "n l ɫ ɭ ʎ ʟ ɲ ɳ ɺ",
    "RR": "r ɹ ɻ ɚ ɝ ɜ",
    "aa": "a ɑ ɐ æ ä ʌ",
    "E": "e ɛ ə ɘ ɵ ɞ",
    "I": "i ɪ j ɨ ɯ ɤ ɰ ᵻ",
    "O": "o ɔ ɒ ɶ œ",
    "U": "u ʊ y ʏ ø w ʉ ɥ ʍ",
}
_OF_LETTER = {
    letter: viseme for viseme, letters in _PHONES.items() for letter in letters.split()
}
_PLAIN = str.maketrans({"ʧ": "tʃ", "ʤ": "dʒ", "ʦ": "ts", "ʣ": "dz", "ʨ": "tɕ", "ʥ": "dʑ"})


def visemes_of(symbol: str) -> tuple[str, ...]:
    """Answer what the mouth goes through for one phone in IPA, in turn: mostly one shape.

    Two for a diphthong or an affricate ("aɪ", "tʃ"). Stress, length, tones and diacritics don't
    matter. A symbol with nothing that is known in it, and the empty one, are ("sil",).
    """
    found: list[str] = []
    for letter in unicodedata.normalize("NFC", symbol.translate(_PLAIN)):
        # A letter of IPA's own ("ç") before the plain one under its marks ("ẽ").
        bare = letter if letter in _OF_LETTER else unicodedata.normalize("NFD", letter)[0]
        viseme = _OF_LETTER.get(bare)
        if viseme is not None and found[-1:] != [viseme]:
            found.append(viseme)
    if found[:1] == ["DD"] and found[1:2] in (["CH"], ["SS"]):
        # The tongue alone makes the stop of an affricate: the lips are at its second half.
        del found[0]
    return tuple(found) or ("sil",)
