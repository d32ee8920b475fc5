"""The Model panel: which models are at work, how the LLM's last request went, and another choice for this page.

Who answers is known to the browser, which says so with each question: "" is as the server is set, "none" is quotes, and
all else is the name of an endpoint that this page has set. The Bench holds that one's Assistant: the same index, asked
with another LLM. It has the endpoint's key, and never leaves the server. What the browser is told is made of `Models`,
which holds nothing secret.
"""

from __future__ import annotations

import logging
import re
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from html import escape
from typing import Any
from urllib.parse import urlsplit

import gradio as gr
from pydantic import SecretStr

from ..assistant import Assistant
from ..errors import RagError
from ..settings import EMBEDDED_LLM, NO_LLM, addresses_in
from ..types import LLMEndpoint, LLMOutcome, LocalModel, Models
from .opening import Opening
from .parts import BROKE

logger = logging.getLogger(__name__)

_MOST = 20  # endpoints that pages have set; the oldest one is closed
_DOCTOR = "it is not whole on the server; 'rag doctor' there says what is missing"
_LONGEST = 2000  # characters of what is typed into a field
_EXAMPLE = "http://127.0.0.1:11434/v1"

Told = dict[str, Any]  # what models.js shows


class FieldWrong(RagError):
    """What was typed into `field` cannot be; the message says why, beside it."""

    def __init__(self, field: str, says: str) -> None:
        super().__init__(says)
        self.field = field


class Closed(RagError):
    """The endpoint that a page has set is there no more."""

    def __init__(self) -> None:
        super().__init__("the endpoint that was set on this page is closed; choose with the button Model who answers")


class Bench:
    """What the panel asks for. `private`: the page is served to this machine alone, so that endpoints may be set.

    `llm` is everywhere what the browser says of who answers.
    """

    def __init__(self, opening: Opening, *, private: bool) -> None:
        self._opening = opening
        self._private = private
        self._guard = threading.Lock()
        self._open: OrderedDict[str, Assistant] = OrderedDict()  # those with an endpoint, the oldest first

    def answering(self, llm: str) -> Assistant:
        """Who answers, and nobody else. Raises Closed, and RagError while there is no index."""
        if llm in ("", NO_LLM):
            ours = self._opening.assistant
            return ours.answering_with(NO_LLM) if llm else ours
        with self._guard:
            if llm not in self._open:
                raise Closed
            return self._open[llm]

    def look(self, llm: str) -> Told:
        """What there is now."""
        assistant = self.answering(llm)
        models = assistant.models()
        return {
            "llm": llm,
            "answering": "".join(_about_llm(models, private=self._private)),
            "local": "".join(_about_local(models, private=self._private)),
            "how": {"": "server", NO_LLM: "quotes"}.get(llm, "endpoint"),
            "answers": _named(models),
            "server": _named(self._opening.assistant.models()),
            "has_llm": models.llm != NO_LLM,
            "has_key": bool(llm) and assistant.settings.llm_api_key is not None,
        }

    def test(self, llm: str) -> Told:
        """Ask the LLM for one word; it may take as long as the deadlines allow."""
        assistant = self.answering(llm)
        if not assistant.test_llm():
            return {**self.look(llm), "tested": "It is being tested already."}
        return {**self.look(llm), "tested": _tested(assistant.models())}

    def choose(self, before: str, how: str, url: str, model: str, key: SecretStr) -> str:
        """Who answers from now on. An answer that is under way ends with what it began with. Raises RagError."""
        if how == "endpoint":
            return self._with_endpoint(before, url, model, key)
        with self._guard:
            self._open.pop(before, None)
        return NO_LLM if how == "quotes" else ""

    def end(self, llm: str) -> None:
        """The page is closed."""
        with self._guard:
            ended = self._open.pop(llm, None)
        if ended:
            ended.close()

    def _with_endpoint(self, before: str, url: str, model: str, key: SecretStr) -> str:
        if not self._private:
            raise RagError("an endpoint can be set only where the page is served to this machine alone")
        url, model, typed = _checked_urls(url), _checked_model(model), _checked_key(key)
        with self._guard:
            mine = self._open.get(before)
        same = mine is not None and mine.settings.llm_base_url == url
        kept = mine.settings.llm_api_key if mine and same else None  # a key goes nowhere else
        now, name = self._opening.assistant.answering_with(model, url, typed or kept), secrets.token_urlsafe(16)
        with self._guard:
            self._open.pop(before, None)
            self._open[name] = now
            oldest = self._open.popitem(last=False)[1] if len(self._open) > _MOST else None
        if oldest:
            oldest.close()
        return name


def place(bench: Bench, script: str, header: gr.HTML, top: Callable[[str], str], *, private: bool) -> None:
    """The button that opens the panel, and the panel. The `header` says at once what was chosen."""
    # Ends an hour after it was set, once the page's connection has broken: the page may be there still, and is told.
    mine = gr.State("", delete_callback=bench.end)

    def look_at_models(llm: Any) -> Told:
        return _told(lambda: bench.look(str(llm)))

    def test_model(llm: Any) -> Told:
        return _told(lambda: bench.test(str(llm)))

    panel = gr.HTML(
        {},
        html_template=_panel(private=private),
        elem_id="models",
        js_on_load=script,
        server_functions=[look_at_models, test_model],
        apply_default_css=False,
    )

    def choose_model(event: gr.EventData) -> list[Any]:
        def choose() -> Told:
            key = SecretStr(_sent(event, "key"))
            before, how = _sent(event, "before"), _sent(event, "how")
            told = bench.look(bench.choose(before, how, _sent(event, "url"), _sent(event, "model"), key))
            return {**told, "says": f"From now on answers are {told['answers']}."}

        told = {**_told(choose), "count": _sent(event, "count")}
        if "llm" not in told:
            return [gr.skip(), told, gr.skip()]
        return [told["llm"], told, top(told["llm"])]

    panel.choose_model(
        choose_model,
        None,
        [mine, panel, header],
        queue=False,
        trigger_mode="multiple",
        show_progress="hidden",
        api_visibility="private",
    )


# -- between the browser and the bench ---------------------------------------------------------------------------------


def _told(do: Callable[[], Told]) -> Told:
    """What `do` tells, or in plain words why it could not."""
    try:
        return do()
    except FieldWrong as error:
        return {"problem": str(error), "field": error.field}
    except Closed as error:
        return {"problem": str(error), "closed": True}
    except RagError as error:
        return {"problem": str(error)}
    except Exception:  # the page stays usable whatever broke
        logger.exception("the model panel broke")
        return {"problem": BROKE}


def _sent(event: gr.EventData, name: str) -> str:
    brought = event._data if isinstance(event._data, dict) else {}
    return str(brought.get(name, "")).strip()


def _checked_urls(typed: str) -> str:
    """One address, or several with commas between."""
    if len(typed) > _LONGEST:
        raise FieldWrong("url", f"no address is like this; write one such as {_EXAMPLE}")
    each = [_checked_url(url) for url in addresses_in(typed) or [""]]
    if len(set(each)) < len(each):
        raise FieldWrong("url", "an address stands there twice; write each once")
    return ", ".join(each)


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
    if "," in url:
        raise FieldWrong("url", "behind a comma stands another address, which begins with http:// or https://")
    if url.split() != [url] or not url.isprintable():
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


def _named(models: Models) -> str:
    if models.llm == NO_LLM:
        return "quotes"
    return f"by {models.llm} at {models.host}" if models.host else f"by {models.llm}"


# Where weights lie, and which of their files is missing, is told to nobody from elsewhere.


def _about_llm(models: Models, *, private: bool) -> Iterator[str]:
    """The rows of a description list."""
    if models.llm == NO_LLM:
        why = models.note if private or not models.note else _DOCTOR
        yield _fact("Answers", "Quotes: no LLM is asked", why)
    else:
        place = f"at {models.host}" if models.host else "in this server's process"
        yield _fact("Answers", f"{models.llm}, every sentence checked", place)
        yield f"<div><dt>Last asked</dt><dd>{_last(models.outcome)}</dd></div>"
        if len(models.endpoints) > 1:
            yield f"<div><dt>Addresses</dt><dd>{''.join(map(_about_endpoint, models.endpoints))}</dd></div>"


def _about_endpoint(endpoint: LLMEndpoint) -> str:
    return f'<span dir="auto">{escape(endpoint.address)}</span><span class="small">{_last(endpoint.outcome)}</span>'


def _tested(models: Models) -> str:
    if models.outcome and models.outcome.problem:
        return "It failed."
    broken = [address for address, outcome in models.endpoints if outcome and outcome.problem]
    return f"It answers, but not at {' and '.join(broken)}." if broken else "It answers."


def _about_local(models: Models, *, private: bool) -> Iterator[str]:
    embedder = models.embedder
    name = embedder.name if private else re.split(r"[\\/]", embedder.name.rstrip("\\/"))[-1]  # it can be a folder
    yield _fact("Embedding", f"{name}, {embedder.dimension} dimensions", _weights(embedder, private))
    if models.reader:
        yield _fact("Reader", "points at the answer in the first passages", _weights(models.reader, private))
    else:
        yield _fact("Reader", "none is used beside this embedding model", "")


def _fact(name: str, value: str, more: str) -> str:
    small = f'<span class="small" dir="auto">{escape(more)}</span>' if more else ""
    return f'<div><dt>{name}</dt><dd><span dir="auto">{escape(value)}</span>{small}</dd></div>'


def _weights(model: LocalModel, private: bool) -> str:
    if model.missing:
        return model.missing if private else _DOCTOR
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
