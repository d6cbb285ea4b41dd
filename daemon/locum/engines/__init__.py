"""Where presences come from: each engine puts a stand-in into a room, in its own way."""
