"""The brain without a language model: it counts words, quotes, and adds next to nothing.

`minutes_of` and `Reader` are pure; `ExtractiveBrain` runs them in a process of its own.
"""

from locum.brains.extractive.answering import Reader, answer_from, passages_of
from locum.brains.extractive.brain import ExtractiveBrain
from locum.brains.extractive.summing import minutes_of

__all__ = ["ExtractiveBrain", "Reader", "answer_from", "minutes_of", "passages_of"]
