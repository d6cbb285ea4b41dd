"""The stage: servers with state that stand in for the world, on loopback only.

They follow the documented contracts of what they stand in for, keep their own clock, and
import none of the adapters that talk to them.
"""
