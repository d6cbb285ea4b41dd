"""The conversation in a meeting: hearing, whose turn it is, answering, being interrupted."""
