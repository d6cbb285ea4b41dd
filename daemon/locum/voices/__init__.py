"""Voices: from text to sound, and from sound to the lips that go with it."""
