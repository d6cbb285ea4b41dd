"""The brain without a language model: it counts words, quotes, and adds next to nothing.

`summing.minutes_of` and `answering.Reader` are pure; `brain.ExtractiveBrain` runs them in a
process of its own, and imports them only there.
"""
