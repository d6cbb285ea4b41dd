"""A small scenario, as its file has it: one meeting, somebody else in it, and what she asks."""

MEETING = """
title = "A small one"
[owner]
email = "alex@example.com"
name = "Alex"
[[events]]
id = "standup"
title = "Stand-up"
starts_at = 8
duration = 40
organizer = "dana@example.com"
meet = "abc-defg-hij"
[[people]]
name = "Dana"
room = "abc-defg-hij"
enters_at = 9
"""

TALK = """
[talk]
room = "abc-defg-hij"
never = ["nine thousand"]
[[talk.lines]]
who = "Dana"
says = "Robin, how far is it?"
expect = "answers"
"""
"""Ends in its line's table: what is appended says more of that line."""
