import os
import traceback
from pathlib import Path

import pytest

from rag.errors import SettingsError
from rag.settings import Settings, resource, shown_address, unknown_variables


def test_keywords_win_over_variables_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rag.toml").write_text('llm = "from-file"\ntop_k = 3\nrefuse_below = 0.1\n')
    monkeypatch.setenv("RAG_LLM", "from-variable")
    monkeypatch.setenv("RAG_TOP_K", "4")
    settings = Settings(llm="keyword")
    assert (settings.llm, settings.top_k, settings.refuse_below) == ("keyword", 4, 0.1)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("top_k", 0, "must be at least 1"),
        ("top_k", "many", "must be a whole number"),
        ("top_k", 1.5, "must be a whole number"),
        ("top_k", [], "must be a whole number"),
        ("top_k", "9" * 5000, "must be a smaller number"),
        ("refuse_below", 2, "must be at most 1"),
        ("refuse_below", "high", "must be a number"),
        ("file_megabytes", 0, "must be more than 0"),
        ("total_s", "nan", "must be a number that is not infinite"),
        ("llm", 1, "must be text"),
        ("auth", 1, "must be text"),
        ("documents", 1, "must be a path"),
        ("rerank_model", "a/b", "is reserved and takes no value yet"),
        ("auth", "ada:x, bob:y,ada:z", "names a user twice: give each name once, or a name would have two passwords"),
    ],
)
def test_an_impossible_value_is_named_with_its_cure(name: str, value: object, told: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings(**{name: value})
    cure = f"correct the keyword, RAG_{name.upper()} or rag.toml"
    assert str(caught.value) == f"setting '{name}' {told}; {cure}"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("foo = 1", "there is no setting 'foo'; 'rag config' lists those there are"),
        ("refuse_belwo = 0.9", "there is no setting 'refuse_belwo'; did you mean refuse_below?"),
        ("[rag]\nllm = 'none'", "there is no setting 'rag'; write the settings into rag.toml without a line [rag]"),
    ],
)
def test_a_setting_that_does_not_exist_is_named_with_the_one_that_was_meant(
    text: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rag.toml").write_text(text)
    with pytest.raises(SettingsError) as caught:
        Settings()
    assert str(caught.value) == told


def test_a_variable_that_sets_nothing_is_named_with_the_one_that_was_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAG_AUHT", "RAG_REFUSE_BELWO", "RAG_XYZZY", "RAG_TOP_K", "rag_llm", "RAG_JUDGE_API_KEY"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("RAG_EMPTY", "")
    assert unknown_variables() == [
        "there is no setting RAG_AUHT; did you mean RAG_AUTH?",
        "there is no setting RAG_REFUSE_BELWO; did you mean RAG_REFUSE_BELOW?",
        "there is no setting RAG_XYZZY; 'rag config' lists those there are",
    ]


def test_an_empty_variable_is_not_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rag.toml").write_text("top_k = 3\n")
    monkeypatch.setenv("RAG_TOP_K", "")
    monkeypatch.setenv("RAG_LLM", "")
    assert (Settings().top_k, Settings().llm) == (3, "none")


@pytest.mark.parametrize("text", ["llm = ", '"a\\nb" = 1', "llm = " + "[" * 5000, "top_k = " + "9" * 5000])
def test_a_broken_file_is_one_line(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rag.toml").write_text(text)
    with pytest.raises(SettingsError, match=r"rag\.toml|no setting 'a b'") as caught:
        Settings()
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
@pytest.mark.parametrize("kind", ["folder", "link to nothing", "pipe"])
def test_a_settings_file_that_is_none_is_not_passed_over(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if kind == "folder":
        Path("rag.toml").mkdir()
    elif kind == "pipe":
        os.mkfifo("rag.toml")
    else:
        Path("rag.toml").symlink_to("nowhere")
    with pytest.raises(SettingsError, match=r"rag\.toml is no file; move it away"):
        Settings()


@pytest.mark.skipif(os.name == "nt", reason="folders say there who may write")
@pytest.mark.parametrize(("mode", "is_read"), [(0o600, True), (0o644, True), (0o664, True), (0o646, False)])
def test_a_settings_file_that_others_may_write_is_not_read(
    mode: int, is_read: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rag.toml").write_text("top_k = 3\n")
    os.chown("rag.toml", -1, os.getegid())
    Path("rag.toml").chmod(mode)
    if is_read:
        assert Settings().top_k == 3
    else:
        with pytest.raises(SettingsError, match=r"may be written by other users .* run 'chmod go-w rag\.toml'"):
            Settings()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root gives files to others")
@pytest.mark.parametrize(
    ("owner", "group", "told"),
    [
        (65534, 0, r"rag\.toml belongs to another user \(\w+\) and is not read; .* 'chown'"),
        (4_000_000, 0, r"another user \(4000000\)"),
        (0, 65534, "may be written by other users"),
    ],
)
def test_a_settings_file_of_another_user_is_not_read(
    owner: int, group: int, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rag.toml").write_text("top_k = 3\n")
    Path("rag.toml").chmod(0o664)
    os.chown("rag.toml", owner, group)
    with pytest.raises(SettingsError, match=told):
        Settings()


def test_it_is_known_whether_the_file_names_the_endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    url, other = "http://there/v1", "http://elsewhere/v1"
    assert not Settings(llm_base_url=url).chosen_by_file("llm_base_url")
    Path("rag.toml").write_text(f'llm_base_url = "{url}"\n')
    assert Settings().chosen_by_file("llm_base_url")
    assert not Settings(llm_base_url=other).chosen_by_file("llm_base_url")
    assert not Settings().model_copy(update={"llm_base_url": other}).chosen_by_file("llm_base_url")
    monkeypatch.setenv("RAG_LLM_BASE_URL", url)
    assert not Settings().chosen_by_file("llm_base_url")


def test_the_key_is_never_shown() -> None:
    settings = Settings(llm_api_key="sesame")
    assert "sesame" not in repr(settings) + str(settings.model_dump())


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://joe:sesame@localhost/v1", "http://***@localhost/v1"),
        ("http://joe:ses/ame@localhost/v1", "http://***@localhost/v1"),
        ("http://joe:p@sesame@localhost/v1?x=1", "http://***@localhost/v1?***"),
        ("http://localhost/v1?key=sesame", "http://localhost/v1?***"),
        ("http://localhost:8000/v1", "http://localhost:8000/v1"),
    ],
)
def test_what_is_secret_in_an_address_is_not_shown(url: str, shown: str) -> None:
    settings = Settings(llm_base_url=url)
    assert f"llm_base_url='{shown}'" in repr(settings)
    assert "ame" not in shown_address(url)
    assert settings.llm_base_url == url


@pytest.mark.parametrize("mistake", ["llm_apikey = 'sesame'", "llm_api_key = ['sesame']", "top_k = 'sesame'"])
def test_a_secret_at_the_wrong_place_is_in_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mistake: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rag.toml").write_text(mistake)
    with pytest.raises(SettingsError) as caught:
        Settings()
    assert "sesame" not in "".join(traceback.format_exception(caught.value))


def test_the_fingerprint_changes_with_what_changes_the_index_only() -> None:
    made_with = {"weights": "w", "dimension": 3}
    same = Settings(llm="none", refuse_below=0.1).fingerprint(**made_with)
    assert Settings(llm="other", top_k=2).fingerprint(**made_with) == same
    assert Settings(passage_words=50).fingerprint(**made_with) != same
    assert Settings().fingerprint(weights="v", dimension=3) != same


def test_documents_default_to_the_seeds_here_or_the_packaged_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Settings().documents == resource("seeds")
    assert any(Settings().documents.iterdir())
    (tmp_path / "seeds").mkdir()
    assert Settings().documents == Path("seeds")
