"""Our own engine: a Chromium of this machine with a face, a voice and ears.

What drives the browser, draws the face and carries sound is imported by a meeting's own process
alone: the daemon, idle, takes nothing of it.
"""
