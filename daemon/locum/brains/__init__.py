"""What makes minutes of a transcript: with a language model, or by rule and counting."""
