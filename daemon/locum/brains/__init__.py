"""What writes minutes of a transcript: a language model, or rules that need none."""
