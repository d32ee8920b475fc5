"""The prompt files: text with `{variables}`, checked by name when they are loaded."""

from __future__ import annotations

import hashlib
import string
from dataclasses import dataclass

from .errors import PromptError
from .settings import resource
from .untrusted import as_data

_SEPARATOR = "\n---\n"


@dataclass(frozen=True, slots=True)
class Prompt:
    """A system text and a user template. `digest` names this wording in reports."""

    system: str
    template: str
    digest: str

    def fill(self, **values: str) -> str:
        """The user message. Values are data: braces in them mean nothing, and they end no delimiter of the template."""
        return self.template.format(**{name: as_data(value) for name, value in values.items()})


def load_prompt(name: str, variables: frozenset[str]) -> Prompt:
    """`prompts/<name>.md`: system text, a line of three dashes, user template with exactly `variables`.

    Raises `PromptError` naming the missing or unknown variable.
    """
    path = resource("prompts", f"{name}.md")
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise PromptError(f"prompts/{name}.md cannot be read ({error.strerror}); install the package again") from error
    return parse_prompt(name, text, variables)


def parse_prompt(name: str, text: str, variables: frozenset[str]) -> Prompt:
    """Check the text of a prompt file; see `load_prompt`."""
    system, separator, template = text.partition(_SEPARATOR)
    if not separator:
        raise PromptError(f"prompts/{name}.md has no line of three dashes between system text and template; add it")
    try:
        fields = [parts[1:] for parts in string.Formatter().parse(template) if parts[1] is not None]
    except ValueError as error:
        raise PromptError(f"prompts/{name}.md: {error}; write {{{{ and }}}} for literal braces") from error
    found = {str(field) for field, _, _ in fields}
    if missing := variables - found:
        raise PromptError(f"prompts/{name}.md does not use {{{min(missing)}}}; put it where its value belongs")
    if unknown := found - variables:
        shown = " ".join(min(unknown).split())
        raise PromptError(f"prompts/{name}.md uses {{{shown}}}, which nobody fills; remove it")
    if formatted := [field for field, form, conversion in fields if form or conversion]:
        raise PromptError(f"prompts/{name}.md formats {{{formatted[0]}}}; write its name alone between the braces")
    return Prompt(system.strip(), template.strip(), hashlib.sha256(text.encode()).hexdigest()[:12])
