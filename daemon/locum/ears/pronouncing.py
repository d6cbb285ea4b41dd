"""How names are spoken, for a recogniser that must be told: in ARPAbet, through espeak-ng.

Where espeak-ng isn't installed, names that aren't in the recogniser's book stay unknown to it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

_MOST_WORDS = 100
_LONGEST = 40
_PATIENCE_S = 3.0
_WORD = re.compile(r"[a-z][a-z']+")

_TABLE = """
aɪə=AY.AH aʊə=AW.AH tʃ=CH dʒ=JH aɪ=AY aʊ=AW eɪ=EY oʊ=OW əʊ=OW ɔɪ=OY ɑː=AA ɔː=AO
iː=IY uː=UW ɜː=ER oː=AO eə=EH.R ɪə=IH.R ʊə=UH.R ɚ=ER ɝ=ER ɑ=AA ɒ=AA æ=AE a=AE ʌ=AH
ə=AH ɐ=AH ɔ=AO ɛ=EH e=EH ɪ=IH i=IY ᵻ=IH ʊ=UH u=UW o=OW b=B d=D ð=DH f=F ɡ=G g=G h=HH
j=Y k=K l=L m=M n=N ŋ=NG p=P ɹ=R r=R s=S ʃ=SH t=T ɾ=T θ=TH v=V w=W z=Z ʒ=ZH x=K
"""
_PHONES = dict(each.split("=") for each in _TABLE.split())
_LONGEST_PHONE = max(map(len, _PHONES))


async def pronunciations(names: Sequence[str]) -> list[tuple[str, str]]:
    """Answer each word of some names with its sounds; those that can't be told are left out."""
    words = sorted({word for name in names for word in _WORD.findall(name.casefold())})
    words = [word for word in words if 1 < len(word) <= _LONGEST][:_MOST_WORDS]
    if not words:
        return []
    try:
        process = await asyncio.create_subprocess_exec(
            *("espeak-ng", "-v", "en-us", "-q", "--ipa", "--stdin"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError:
        return []
    try:
        told, _ = await asyncio.wait_for(
            process.communicate("\n\n".join(words).encode()), _PATIENCE_S
        )
    except asyncio.TimeoutError:
        process.kill()
        await process.wait()
        return []
    lines = told.decode("utf-8", "replace").split("\n")
    spoken = [line for line in lines if line.strip()]
    if len(spoken) != len(words):
        return []  # Which is which can't be told.
    pairs = ((word, arpabet(ipa)) for word, ipa in zip(words, spoken, strict=True))
    return [(word, phones) for word, phones in pairs if phones]


def arpabet(ipa: str) -> str:
    """Answer ARPAbet for what espeak-ng writes; sounds that English hasn't are left out."""
    found: list[str] = []
    place = 0
    while place < len(ipa):
        for length in range(_LONGEST_PHONE, 0, -1):
            part = ipa[place : place + length]
            if len(part) == length and part in _PHONES:
                found += _PHONES[part].split(".")
                place += length
                break
        else:
            place += 1
    return " ".join(found)
