"""Where summaries go."""

from locum.sinks.mail import Encryption, Mailbox, MailServer
from locum.sinks.markdown import MarkdownFolder
from locum.sinks.messages import Messages
from locum.sinks.secret_files import SecretPlace
from locum.sinks.webhook import Webhook

__all__ = [
    "Encryption",
    "MailServer",
    "Mailbox",
    "MarkdownFolder",
    "Messages",
    "SecretPlace",
    "Webhook",
]
