"""Ears: from sound to words, a stream a speaker."""
