"""The Model panel: which models are at work, how the LLM's last request went, and another choice for this session.

What a session has chosen is an Assistant in its `gr.State`: the same index, asked with another LLM. It holds the key of
an endpoint, and never leaves the server. What the browser is told is made of `Models`, which holds nothing secret.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from html import escape
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import gradio as gr
from gradio.events import Dependency
from pydantic import SecretStr

from ..assistant import Assistant
from ..errors import RagError
from ..settings import EMBEDDED_LLM, NO_LLM
from ..types import LLMOutcome, LocalModel, Models
from .opening import Opening
from .parts import BROKE

logger = logging.getLogger(__name__)

_MOST = 20  # endpoints that sessions have set; the oldest one is closed
_LONGEST = 2000  # characters of what is typed into a field
_EXAMPLE = "http://127.0.0.1:11434/v1"
_QUIET: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}

Chosen = Assistant | None  # None: the Assistant of the page
Told = dict[str, Any]  # what models.js shows; its `count` is that of the event it answers


class FieldWrong(RagError):
    """What was typed into `field` cannot be; the message says why, beside it."""

    def __init__(self, field: str, says: str) -> None:
        super().__init__(says)
        self.field = field


class Placed(NamedTuple):
    """The panel on its page. `answering` holds what the session chose; `chosen` is over when it chose anew."""

    answering: gr.State
    chosen: Dependency


class Bench:
    """What the panel asks for. `private`: the page is served to this machine alone, so that endpoints may be set."""

    def __init__(self, opening: Opening, *, private: bool) -> None:
        self._opening = opening
        self._private = private
        self._guard = threading.Lock()
        self._open: deque[Assistant] = deque()  # those with an endpoint, the oldest first

    def look(self, chosen: Chosen) -> Told:
        """What there is now."""
        server = self._opening.assistant.models()
        models = chosen.models() if chosen else server
        return {
            "llm": "".join(_about_llm(models)),
            "local": "".join(_about_local(models, private=self._private)),
            "how": _how(chosen),
            "answers": _named(models),
            "server": _named(server),
            "has_llm": models.llm != NO_LLM,
            "has_key": chosen is not None and chosen.settings.llm_api_key is not None,
        }

    def test(self, chosen: Chosen) -> Told:
        """Ask the LLM for one word; it may take as long as the deadlines allow."""
        assistant = chosen or self._opening.assistant
        if not assistant.test_llm():
            return {**self.look(chosen), "tested": "It is being tested already."}
        outcome = assistant.models().outcome
        return {**self.look(chosen), "tested": "It failed." if outcome and outcome.problem else "It answers."}

    def choose(self, chosen: Chosen, how: str, url: str, model: str, key: SecretStr) -> Chosen:
        """What answers from now on. An answer that is under way ends with what it began with. Raises RagError."""
        assistant = self._opening.assistant
        now: Chosen = None
        if how == "endpoint":
            now = self._with_endpoint(assistant, chosen, url, model, key)
        elif how == "quotes":
            now = assistant.answering_with(NO_LLM)
        self._forget(chosen)
        return now

    def end(self, chosen: Chosen) -> None:
        """The session is over."""
        self._forget(chosen)
        if chosen:
            chosen.close()

    def _with_endpoint(self, of: Assistant, before: Chosen, url: str, model: str, key: SecretStr) -> Assistant:
        if not self._private:
            raise RagError("an endpoint can be set only where the page is served to this machine alone")
        url = _checked_url(url)
        same = before is not None and before.settings.llm_base_url == url
        kept = before.settings.llm_api_key if before and same else None  # a key goes nowhere else
        now = of.answering_with(_checked_model(model), url, _checked_key(key) or kept)
        with self._guard:
            self._open.append(now)
            oldest = self._open.popleft() if len(self._open) > _MOST else None
        if oldest:
            oldest.close()
        return now

    def _forget(self, chosen: Chosen) -> None:
        with self._guard:
            if chosen and chosen in self._open:
                self._open.remove(chosen)


def place(opening: Opening, script: str, *, private: bool) -> Placed:
    """The button that opens the panel, and the panel."""
    bench = Bench(opening, private=private)
    answering = gr.State(None, delete_callback=bench.end)
    panel = gr.HTML(
        {}, html_template=_panel(private=private), elem_id="models", js_on_load=script, apply_default_css=False
    )

    def look_at_models(now: Chosen, event: gr.EventData) -> Told:
        return _told(event, lambda: bench.look(now))

    def test_model(now: Chosen, event: gr.EventData) -> Told:
        return _told(event, lambda: bench.test(now))

    def choose_model(now: Chosen, event: gr.EventData) -> tuple[Chosen, Told]:
        def choose() -> Told:
            nonlocal now
            key = SecretStr(_sent(event, "key"))
            now = bench.choose(now, _sent(event, "how"), _sent(event, "url"), _sent(event, "model"), key)
            told = bench.look(now)
            return {**told, "says": f"From now on answers are {told['answers']}."}

        told = _told(event, choose)
        return now, told

    panel.look_at_models(look_at_models, answering, panel, **_QUIET)
    panel.test_model(test_model, answering, panel, **_QUIET)
    chosen = panel.choose_model(choose_model, answering, [answering, panel], **_QUIET)
    return Placed(answering, chosen)


# -- between the browser and the bench ---------------------------------------------------------------------------------


def _told(event: gr.EventData, do: Callable[[], Told]) -> Told:
    """What `do` tells, or in plain words why it could not."""
    try:
        told = do()
    except FieldWrong as error:
        told = {"problem": str(error), "field": error.field}
    except RagError as error:
        told = {"problem": str(error)}
    except Exception:  # the page stays usable whatever broke
        logger.exception("the model panel broke")
        told = {"problem": BROKE}
    return {**told, "count": _sent(event, "count")}


def _sent(event: gr.EventData, name: str) -> str:
    return str(getattr(event, name, "")).strip()


def _checked_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise FieldWrong("url", f"this is no address; write one such as {_EXAMPLE}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise FieldWrong("url", f"the address begins with http:// or https://, for example {_EXAMPLE}")
    if "@" in parts.netloc:
        raise FieldWrong("url", "leave out the name and password in front of the @; a key belongs into its own field")
    if parts.query or parts.fragment:
        raise FieldWrong("url", "leave out what follows the ? or #; a key belongs into its own field")
    if len(url) > _LONGEST or url.split() != [url] or not url.isprintable():
        raise FieldWrong("url", f"no address is like this; write one such as {_EXAMPLE}")
    return url.rstrip("/")


def _checked_model(name: str) -> str:
    if not name:
        raise FieldWrong("model", "write the name by which the endpoint knows the model")
    if name in (NO_LLM, EMBEDDED_LLM) or len(name) > _LONGEST or not name.isprintable():
        raise FieldWrong("model", "no endpoint has a model of this name")
    return name


def _checked_key(key: SecretStr) -> SecretStr | None:
    written = key.get_secret_value()
    if len(written) > _LONGEST or not (written.isascii() and written.isprintable()) or " " in written:
        raise FieldWrong("key", "there are characters in it that no key has; copy it again")
    return key if written else None


# -- what is shown -----------------------------------------------------------------------------------------------------


def _how(chosen: Chosen) -> str:
    if chosen is None:
        return "server"
    return "quotes" if chosen.model == NO_LLM else "endpoint"


def _named(models: Models) -> str:
    if models.llm == NO_LLM:
        return "quotes"
    return f"by {models.llm} at {models.host}" if models.host else f"by {models.llm}"


def _about_llm(models: Models) -> Iterator[str]:
    """The rows of a description list."""
    if models.llm == NO_LLM:
        yield _fact("Answers", "Quotes: no LLM is asked", models.note)
    else:
        place = f"at {models.host}" if models.host else "in this server's process"
        yield _fact("Answers", f"{models.llm}, every sentence checked", place)
        yield f"<div><dt>Last asked</dt><dd>{_last(models.outcome)}</dd></div>"


def _about_local(models: Models, *, private: bool) -> Iterator[str]:
    embedder = models.embedder
    yield _fact("Embedding", f"{embedder.name}, {embedder.dimension} dimensions", _weights(embedder, private))
    if models.reader:
        yield _fact("Reader", "points at the answer in the first passages", _weights(models.reader, private))
    else:
        yield _fact("Reader", "none is used beside this embedding model", "")


def _fact(name: str, value: str, more: str) -> str:
    small = f'<span class="small" dir="auto">{escape(more)}</span>' if more else ""
    return f'<div><dt>{name}</dt><dd><span dir="auto">{escape(value)}</span>{small}</dd></div>'


def _weights(model: LocalModel, private: bool) -> str:
    """Where they lie is told to nobody from elsewhere."""
    if model.missing:
        return model.missing
    if not model.place:
        return "handed in by the program that opened the index"
    return f"weights in {model.place}" if private else "its weights are on the server"


def _last(outcome: LLMOutcome | None) -> str:
    if outcome is None:
        return "Not asked yet"
    when = f'<time datetime="{escape(outcome.at)}">{escape(outcome.at[11:16])} UTC</time>'
    if outcome.problem:
        return f'Failed at {when}: <span class="failed" dir="auto">{escape(outcome.problem)}</span>'
    return f"Answered in {max(outcome.seconds, 0.1):.1f} s at {when}"


def _panel(*, private: bool) -> str:
    other = _ENDPOINT if private else _NO_ENDPOINT
    return f"""<button type="button" class="open-models" aria-haspopup="dialog">Model</button>
<dialog class="panel models" aria-label="Model">
  <header><h2>Model</h2><button type="button" class="close-models" aria-label="Close Model">✕</button></header>
  <dl class="facts llm"></dl>
  <p class="act try" hidden><button type="button" class="test-model">Test</button>
    <span class="small tested" role="status">asks it for one word</span></p>
  <form method="dialog" novalidate>
    <fieldset><legend>On this page, until it is closed, answers are</legend>
      <label><input type="radio" name="how" value="server" checked><span>as this server is set:
        <span class="server" dir="auto"></span></span></label>
      <label><input type="radio" name="how" value="quotes"><span>quotes only, and no LLM is asked</span></label>
      {other}
    </fieldset>
    <p class="act"><button type="submit">Use this</button> <span class="said" role="status"></span></p>
  </form>
  <dl class="facts local"></dl>
</dialog>"""


_NO_ENDPOINT = '<p class="small">Another endpoint can be set only where the page is served to this machine alone.</p>'
_ENDPOINT = f"""<label><input type="radio" name="how" value="endpoint"><span>by another OpenAI-compatible
        endpoint</span></label>
      <div class="endpoint" hidden>
        <label><span>Address</span><input name="url" inputmode="url" placeholder="{_EXAMPLE}"
          autocomplete="off" spellcheck="false" maxlength="{_LONGEST}"></label>
        <label><span>Name of the model</span><input name="model" autocomplete="off" spellcheck="false"
          maxlength="{_LONGEST}"></label>
        <label><span>Key</span><input name="key" type="password" autocomplete="off" maxlength="{_LONGEST}"></label>
        <p class="small about-key"></p>
      </div>"""
