"""Where transcripts come from, other than from our own ears: services, and files."""
