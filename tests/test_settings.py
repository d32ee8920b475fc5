from pathlib import Path

import pytest

from rag.errors import SettingsError
from rag.settings import Settings, resource


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
