"""Secrets in texts that are told: lines that hold one are left out.

A list can't know every secret. It catches what has a well-known form; the rest is why a
workspace names what is read, and for whom, and a program's output what it may print.
"""

from __future__ import annotations

import re
from math import log2

_SECRET = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY"
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"
    r"|\bgh[pousr]_[A-Za-z0-9]{30,}|\bgithub_pat_[A-Za-z0-9_]{30,}|\bglpat-[\w-]{20,}"
    r"|\bsk-[A-Za-z0-9_-]{20,}|\bdk_[A-Za-z0-9_-]{8,}|\bxox[abprs]-[\w-]{10,}"
    r"|\bya29\.[\w-]{10,}|\bAIza[\w-]{30,}|\b1//[\w-]{20,}"
    r"|\b(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{10,}"
    # Neither begins within such a run, nor runs on: else a long line takes minutes.
    r"|(?<![\w-])eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*"
    r"|\b[a-z][a-z0-9+.-]{,30}://[^\s/:@]+:[^\s/@]+@"
    r"|(?i:\b(?:pass(?:word|wd|phrase)?|pwd|secret|token|api[_-]?key|access[_-]?key|auth"
    r"|private[_-]?key|client[_-]?secret|connection[_-]?string)\b[\"']?\s*(?:[:=]|is\b)\s*\S{4,})"
    r"|(?i:\b(?:bearer|basic|devkey)\s+[\w.=/+-]{12,})"
)
_BLOCK_END = re.compile(r"-----END [A-Z ]*PRIVATE KEY")
_RANDOM = re.compile(r"[A-Za-z0-9+/_=-]{32,}")
_RANDOM_BITS = 4.3
"""Bits of entropy a character from which on a long word is taken for a key; hex has 4 at most,
and hashes of commits are no secrets."""


def without_secrets(text: str) -> tuple[str, int]:
    """Answer the text without the lines that hold a secret, and how many these were."""
    kept: list[str] = []
    dropped = 0
    within_key = False
    for line in text.split("\n"):
        begins = "-----BEGIN" in line and "PRIVATE KEY" in line
        if within_key or begins or holds_secret(line):
            dropped += 1
        else:
            kept.append(line)
        within_key = (within_key or begins) and not _BLOCK_END.search(line)
    return "\n".join(kept), dropped


def holds_secret(text: str) -> bool:
    """Whether a line, or a sentence, holds what looks like a key or a password."""
    if _SECRET.search(text):
        return True
    return any(_bits(word) >= _RANDOM_BITS for word in _RANDOM.findall(text))


def _bits(word: str) -> float:
    counts = [word.count(each) for each in set(word)]
    return -sum(n / len(word) * log2(n / len(word)) for n in counts)
