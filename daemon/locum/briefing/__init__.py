"""What a stand-in could be told beside what was said before: workspace, contacts, skills.

Everything here only reads, with limits; nothing that is read is ever run or believed.
"""

from locum.briefing.contacts import Contact, read_contacts
from locum.briefing.skills import Skill, SkillBook, read_skills
from locum.briefing.workspace import Excerpt, Workspace, read_workspace

__all__ = [
    "Contact",
    "Excerpt",
    "Skill",
    "SkillBook",
    "Workspace",
    "read_contacts",
    "read_skills",
    "read_workspace",
]
