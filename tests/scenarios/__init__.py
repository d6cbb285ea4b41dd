"""The four uses of a conversation, played: `python -m tests.scenarios`."""
