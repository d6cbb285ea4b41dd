"""Models that locum can use and doesn't ship: listed with their hashes, fetched on command.

They lie in `models/NAME` of the state directory; what is there is used without any network.
Models of the user's own stay in their folders, and are held to the hashes that they had.
"""

from locum.models.added import Added, add, added, change_in, find_model, forget
from locum.models.catalogue import Archive, Model, Part, Source, catalogue
from locum.models.kept import is_pulled, pulled_folder, remove

__all__ = [
    "Added",
    "Archive",
    "Model",
    "Part",
    "Source",
    "add",
    "added",
    "catalogue",
    "change_in",
    "find_model",
    "forget",
    "is_pulled",
    "pulled_folder",
    "remove",
]
