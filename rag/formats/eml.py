"""Mail → text: who wrote when to whom about what, then the body; attachments are left out."""

from __future__ import annotations

from email import policy
from email.message import EmailMessage
from email.parser import BytesParser

from .blocks import Converted, one_line
from .errors import FormatError
from .html import convert as from_html
from .html import from_text
from .plain import canonical, decode

_SHOWN = ("From", "To", "Cc", "Date", "Subject")


def convert(data: bytes) -> Converted:
    """The plain body where there is one, else the words of the HTML body. The title is the subject."""
    message = BytesParser(policy=policy.default).parsebytes(data)
    headers = {name: one_line(str(message[name])) for name in _SHOWN if message[name] is not None}
    if not message.keys():
        raise FormatError("is no mail (.eml); give it the suffix of its format, or convert it to .txt or .md")
    head = "\n".join(f"{name}: {words}" for name, words in headers.items() if words)
    text = "\n\n".join(filter(None, [head, _body(message).strip("\n")]))
    return Converted(f"{text}\n" if text else "", headers.get("Subject", ""))


def _body(message: EmailMessage) -> str:
    part = message.get_body(("plain", "html"))
    payload = part.get_payload(decode=True) if part is not None else None
    if part is None or not isinstance(payload, bytes):
        return ""
    charset = part.get_content_charset()
    if part.get_content_type() == "text/html":
        return (from_text(decode(payload, charset)) if charset else from_html(payload)).text
    return canonical(decode(payload, charset))
