import traceback
from pathlib import Path

import pytest

from rag.errors import SettingsError
from rag.settings import Settings, resource, shown_address


def test_keywords_win_over_variables_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rag.toml").write_text('llm = "from-file"\ntop_k = 3\nrefuse_below = 0.1\n')
    monkeypatch.setenv("RAG_LLM", "from-variable")
    monkeypatch.setenv("RAG_TOP_K", "4")
    settings = Settings(llm="keyword")
    assert (settings.llm, settings.top_k, settings.refuse_below) == ("keyword", 4, 0.1)


@pytest.mark.parametrize("values", [{"top_k": 0}, {"refuse_below": 2}, {"passage_words": "many"}, {"nonsense": 1}])
def test_an_impossible_value_is_named_with_its_cure(values: dict[str, object]) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings(**values)
    (name,) = values
    assert f"'{name}'" in str(caught.value)
    assert f"RAG_{name.upper()}" in str(caught.value)


@pytest.mark.parametrize("text", ["llm = ", '"a\\nb" = 1', "llm = " + "[" * 5000, "top_k = " + "9" * 5000])
def test_a_broken_file_is_one_line(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rag.toml").write_text(text)
    with pytest.raises(SettingsError, match=r"rag\.toml") as caught:
        Settings()
    assert "\n" not in str(caught.value)


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
