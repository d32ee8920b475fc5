"""Settings: keywords, then `RAG_…` variables, then `rag.toml`, then these defaults.

The only place that reads the environment. Settings are values: they build nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import platformdirs
from pydantic import Field, PrivateAttr, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from .errors import QuestionInvalid, SettingsError
from .settingsfile import SETTINGS_FILE as SETTINGS_FILE
from .settingsfile import SettingsFile

FAISS = "faiss"
EMBEDDED_LLM = "embedded"
NO_LLM = "none"
_SECRET_IN_ADDRESS = re.compile(r"(?<=://).*(?=@)|(?<=[?#]).*")
_BETWEEN_ADDRESSES = re.compile(r"\s*,\s*(?=https?://)")  # a comma alone may stand in a password
PACKAGED_EMBEDDER = "all-MiniLM-L6-v2"
ADDRESSES = ("llm_base_url", "store", "catalogue")  # settings in which a password can stand
_PREFIX = "RAG_"
_NO_SETTINGS = ("JUDGE_API_KEY",)  # variables that begin like ours and that only the evaluation reads
_IN_OUR_WORDS: Mapping[str, str] = {  # pydantic's kind of error → what is said of the setting
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "must be a smaller number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "finite_number": "must be a number that is not infinite",
    "greater_than_equal": "must be at least {ge:g}",
    "greater_than": "must be more than {gt:g}",
    "less_than_equal": "must be at most {le:g}",
    "string_type": "must be text",
    "path_type": "must be a path",
    "none_required": "is reserved and takes no value yet",
}


class Settings(BaseSettings):
    """Everything that can be set. Invalid values raise `SettingsError`, naming the setting."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX,
        env_ignore_empty=True,  # how a shell unsets one for a single command
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,  # a key under a name that is mistyped is still a key
    )

    documents: Path = Field(default_factory=lambda: default_documents(), description="folder, file or .jsonl to index")
    index_dir: Path = Field(default=Path(".rag"), description="where the index lives")
    store: str = Field(default=FAISS, description="where vectors live: faiss, postgresql://… or milvus://…")
    catalogue: str = Field(default="", description="where texts live: postgresql://…; empty: as store, or index_dir")
    embed_model: str = Field(default=PACKAGED_EMBEDDER, description="packaged name, a folder, or a hub name")
    llm: str = Field(default=NO_LLM, description="'none' (quotes), 'embedded', or a model name at llm_base_url")
    llm_base_url: str | None = Field(default=None, description="OpenAI-compatible endpoints (…/v1), commas between")
    llm_api_key: SecretStr | None = Field(default=None, description="its key")
    auth: SecretStr | None = Field(default=None, description="who may use the page: name:password,name2:password2")
    proxy: str = Field(default="", description="address of a proxy in front of the page, which says who asks")
    rerank_model: None = Field(default=None, description="reserved for a cross-encoder; not read yet")
    top_k: int = Field(default=8, ge=1, le=100, description="passages the answer is made from")
    refuse_below: float = Field(default=0.5, ge=0, le=1, description="refuse when confidence is lower")
    passage_words: int = Field(default=120, ge=20, le=1000, description="words a passage may have")
    question_chars: int = Field(default=4000, ge=1, description="longest question accepted, in characters")
    file_megabytes: float = Field(default=100, gt=0, le=100_000, description="largest file read")
    text_megabytes: float = Field(default=50, gt=0, le=10_000, description="most text taken from one file, in memory")
    read_megabytes: int = Field(default=1024, ge=256, le=1_000_000, description="memory that reading one file may take")
    read_seconds: float = Field(default=120, gt=0, le=86400, description="time that reading one file may take, seconds")
    first_token_s: float = Field(default=20, gt=0, le=86400, description="deadline for the LLM's first token, seconds")
    total_s: float = Field(default=60, gt=0, le=86400, description="deadline for the whole LLM reply, seconds")
    traces: bool = Field(default=False, description="send OpenTelemetry traces of each step (extra 'otel')")
    trace_text: bool = Field(default=False, description="put questions, answers, prompts and sources into the traces")
    cache_dir: Path = Field(
        default_factory=lambda: platformdirs.user_cache_path("rag-quoted"), description="where pulled weights live"
    )
    _in_file: dict[str, str] = PrivateAttr(default_factory=dict)  # what rag.toml says of ADDRESSES

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise SettingsError(_told(error.errors()[0])) from error
        except (ValueError, OSError, RecursionError) as error:  # rag.toml that is not TOML, or may not be read
            why = "it is nested too deeply" if isinstance(error, RecursionError) else _one_line(str(error))
            raise SettingsError(f"{SETTINGS_FILE} cannot be read: {why}; correct it or move it away") from error
        elsewhere = {*values, *(name.lower() for name in _variables())}
        in_file = self.model_fields_set - elsewhere
        self._in_file = {name: value for name in ADDRESSES if name in in_file and (value := getattr(self, name))}

    @property
    def llm_addresses(self) -> tuple[str, ...]:
        """What `llm_base_url` names, as it is written; () where it names nothing."""
        return tuple(addresses_in(self.llm_base_url or ""))

    def chosen_by_file(self, name: str) -> bool:
        """Whether one of `ADDRESSES` is what rag.toml says: whoever wrote that file chose where texts and key go."""
        return name in self._in_file and getattr(self, name) == self._in_file[name]

    @field_validator("traces", mode="before")
    @classmethod
    def _no_address(cls, traces: object) -> object:
        if "://" in str(traces):
            raise ValueError("must be true or false (OTEL_EXPORTER_OTLP_ENDPOINT says where they go)")
        return traces

    @field_validator("auth")
    @classmethod
    def _each_name_once(cls, auth: SecretStr | None) -> SecretStr | None:
        names = [pair.strip().partition(":")[0] for pair in auth.get_secret_value().split(",")] if auth else []
        if len(set(names)) < len(names):
            raise ValueError("names a user twice: give each name once, or a name would have two passwords")
        return auth

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        for name, value in super().__repr_args__():
            yield name, shown_address(value) if name in ADDRESSES and value else value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, SettingsFile(settings_cls)

    def fingerprint(self, **made_with: str | int) -> str:
        """A hash of what changes the index and of nothing else.

        `made_with` is what only the loaded parts know: weight hash, dimension, splitter, schema.
        """
        parts: dict[str, str | int] = {"passage_words": self.passage_words, **made_with}
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def unknown_variables() -> list[str]:
    """What to say about each `RAG_…` variable that sets nothing, with the setting that was probably meant."""
    known = [*(name.upper() for name in Settings.model_fields), *_NO_SETTINGS]
    return [
        f"there is no setting {_PREFIX}{name}; {_meant(name, known, _PREFIX)}"
        for name in sorted(_variables())
        if name not in known
    ]


def _variables() -> set[str]:
    """The names of our variables, without what they begin with. An empty one is not set."""
    names = {name.upper() for name, value in os.environ.items() if value}
    return {_one_line(name.removeprefix(_PREFIX)) for name in names if name.startswith(_PREFIX)}


def _meant(name: str, known: Iterable[str], prefix: str = "") -> str:
    import difflib  # here alone: nobody else pays for a mistake

    near = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {prefix}{near[0]}?" if near else "'rag config' lists those there are"


def _told(error: Mapping[str, Any]) -> str:
    """An error of pydantic's in our words: what is wrong with which setting, and where to correct it."""
    name = _one_line(".".join(str(part) for part in error["loc"])) or "settings"
    if error["type"] == "extra_forbidden" and isinstance(error["input"], dict):
        return f"there is no setting '{name}'; write the settings into {SETTINGS_FILE} without a line [{name}]"
    if error["type"] == "extra_forbidden":
        return f"there is no setting '{name}'; {_meant(name.lower(), Settings.model_fields)}"
    context = error.get("ctx", {})
    told = _IN_OUR_WORDS.get(error["type"], "").format(**context) or str(context.get("error", error["msg"]))
    return f"setting '{name}' {_one_line(told)}; correct the keyword, {_PREFIX}{name.upper()} or {SETTINGS_FILE}"


def addresses_in(written: str) -> list[str]:
    """Addresses with commas between them, apart."""
    return _BETWEEN_ADDRESSES.split(written) if written else []


def shown_address(written: str) -> str:
    """Addresses as they may be shown: without the names, the passwords and the queries, where keys can stand."""
    shown = (_SECRET_IN_ADDRESS.sub("***", each) if "://" in each else each for each in addresses_in(written))
    return ", ".join(shown)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def resource(*parts: str) -> Path:
    """A file that travels with the package: `rag/data/…` in a wheel, the repository's own folder in a checkout."""
    package = Path(str(files("rag")))
    packaged = package.joinpath("data", *parts)
    return packaged if packaged.exists() else package.parent.joinpath(*parts)


def default_documents() -> Path:
    """`./seeds` where it is there, else the packaged seed documents."""
    return Path("seeds") if Path("seeds").is_dir() else resource("seeds")


def valid_question(question: str, settings: Settings) -> str:
    """The question without surrounding space and half characters; QuestionInvalid when empty or too long."""
    question = question.encode("utf-8", "replace").decode().strip()
    if not question:
        raise QuestionInvalid("the question is empty; ask something")
    limit = settings.question_chars
    if len(question) > limit:
        raise QuestionInvalid(f"the question has {len(question):,} characters; ask it in at most {limit:,}")
    return question
