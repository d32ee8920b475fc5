"""Below each answer: was it right? What is said is kept by `rag.feedback`.

The chat takes `row` as HTML; feedback.js sends the judged turn along. What is sent may be anybody's: only what
the index backs is kept, for it can become a gold question.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable
from typing import Any

from ..errors import RagError
from ..feedback import NOTE_CHARS, VERDICTS, Feedback, Judgement, answer_key
from ..types import Answer
from .asked import NotUnderstood, part
from .opening import Opening
from .parts import BROKE
from .turns import restored, whole_characters

logger = logging.getLogger(__name__)

_VISITOR = re.compile(r"[0-9A-Za-z]{16,64}")  # what feedback.js makes: nobody can guess another's
_LABELS = {"up": "Good", "down": "Bad", "wrong evidence": "Wrong evidence"}


def row(answer: Answer) -> str:
    """The verdicts to choose from, and a note once one is chosen."""
    if answer.mode == "smalltalk":
        return ""
    buttons = "".join(
        f'<button type="button" value="{verdict}" aria-pressed="false">{_LABELS[verdict]}</button>'
        for verdict in VERDICTS
    )
    return (
        f'<div class="judge" role="group" aria-label="Was this answer good?" data-answer="{answer_key(answer)}">'
        f"{buttons}"
        f'<span class="judge-note" hidden><input maxlength="{NOTE_CHARS}" aria-label="A note" '
        'placeholder="A note, if you like" dir="auto">'
        '<button type="button" class="judge-send">Send</button></span>'
        '<span class="judge-said" role="status"></span></div>'
    )


def served(opening: Opening) -> list[Callable[[Any], Awaitable[Any]]]:
    """The function that feedback.js calls with `answer` (its key), its `turn`, `verdict`, `note` and `visitor`.

    It takes a place aside: sentences are checked again.
    """

    async def judge(sent: Any) -> dict[str, str]:
        try:
            says, kept = await opening.aside.run(lambda: _kept(opening, sent))
        except (RagError, ValueError) as error:
            says, kept = str(error), None
        except Exception:  # the page stays usable whatever broke
            logger.exception("the feedback broke")
            says, kept = BROKE, None
        return {"says": says, **({"verdict": kept.verdict, "note": kept.note} if kept else {})}

    return [judge]


def _kept(opening: Opening, sent: Any) -> tuple[str, Judgement | None]:
    """What is said to somebody who has judged, and what is stored."""
    (turn,), verdict, note = restored([part(sent, "turn")]), part(sent, "verdict"), part(sent, "note")
    visitor = sent.get("visitor")
    if not (isinstance(visitor, str) and _VISITOR.fullmatch(visitor)):
        raise NotUnderstood
    if not turn.answer or answer_key(turn.answer) != part(sent, "answer") or verdict not in VERDICTS:
        return "This answer is gone; ask again.", None
    if not opening.assistant.backs(turn.answer):
        return "The documents do not hold this answer as it stands here, so it is not kept; ask again.", None
    said = None if note is None else whole_characters(str(note))
    judgements = Feedback(opening.assistant.settings.index_dir)
    kept = judgements.add(turn.answer, verdict, said, turn.documents, visitor=visitor)
    return "Kept on this machine. Thank you.", kept
