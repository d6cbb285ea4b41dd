"""Scripted situations in a meeting, and the right move in each."""
