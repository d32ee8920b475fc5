"""Sentences, clauses and passages as a reader would cut them, and never a character lost."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.clauses import clauses
from rag.sentences import LIST_ITEM, sentences
from rag.splitting import chunks
from rag.types import Span

SEEDS = Path(__file__).parent.parent / "seeds"
POWER = "000_373ae191a64daa9e.txt"
WARS = "004_2d7373b97c18fe89.txt"
MEGABYTE = 1_000_000

FRAGMENTS = [
    "Dr.", "U.S.", "e.g.", "3.14", "The end.", "the", "It", "foo bar", "“Quote.”", "(Yes!)", "...", ". .", "?!", ")",
    "one two three four five six seven eight nine", ", The rest of it goes on and on for many words here",
    "In addition to", "al-Hakim", "متى وصل؟", "ثم ذهب۔", "你好。", "再见！", "e\u0301", "👩🏽‍🚀", "x" * 50,
    " ", "  ", "\t", "\n", "\n\n", "\r\n", "\u00a0", "\u3000", "- ", "1- ", "(1) ", "# ", "> ", "```", "---",
]  # fmt: skip
TEXTS = st.one_of(st.text(), st.lists(st.sampled_from(FRAGMENTS), max_size=60).map("".join))


def cut(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences(text)]


def words(text: str) -> int:
    return len(text.split())


def assert_exact(text: str, spans: list[Span], start: int, end: int) -> None:
    """Ordered, apart, trimmed, inside the range; only whitespace is left out."""
    edges = [start, *(edge for span in spans for edge in span), end]
    assert edges == sorted(edges)
    assert all(text[a:b] and text[a:b] == text[a:b].strip() for a, b in spans)
    gaps = [text[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True)]
    assert not "".join(gaps).strip()


@settings(deadline=None)  # a busy machine is no failure
@given(TEXTS, st.data())
def test_sentences_lose_and_double_nothing(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    assert_exact(text, sentences(text, start, end), start, end)


@settings(deadline=None)
@given(TEXTS, st.data())
def test_the_sentences_of_a_part_are_those_of_the_whole(text: str, data: st.DataObject) -> None:
    spans = sentences(text)
    first = data.draw(st.integers(0, len(spans)))
    last = data.draw(st.integers(first, len(spans)))
    part = spans[first:last]
    assert not part or sentences(text, part[0].start, part[-1].end) == part


@settings(deadline=None)
@given(TEXTS, st.integers(2, 30))
def test_clauses_are_exact_and_short_enough(text: str, max_words: int) -> None:
    for span in sentences(text):
        pieces = clauses(text, span, max_words)
        assert_exact(text, pieces, *span)
        assert all(words(text[a:b]) <= max_words for a, b in pieces)


@settings(deadline=None)
@given(TEXTS, st.sampled_from(["text/plain", "text/markdown"]), st.integers(5, 40))
def test_chunks_are_exact_and_short_enough(text: str, media_type: str, max_words: int) -> None:
    found = chunks(text, media_type, max_words)
    assert_exact(text, [Span(c.start, c.end) for c in found], 0, len(text))
    assert all(words(text[c.start : c.end]) <= max_words for c in found)


@settings(deadline=None)
@given(TEXTS)
def test_a_chunk_ends_where_a_sentence_ends(text: str) -> None:
    long = 2 * len(text) + 10  # no sentence has that many words, so none may be cut
    assert {c.end for c in chunks(text, max_words=long)} <= {span.end for span in sentences(text)}


@pytest.mark.parametrize("text", ["", " ", "\n \t\n", "\u3000\u00a0"])
def test_no_words_no_spans(text: str) -> None:
    assert sentences(text) == []
    assert chunks(text) == []


SENTENCES = [
    ["Dr. Omar met Mr. J. K. Smith.", "They spoke."],
    ["He lives in St. Albans, i.e. near No. 5, cf. Fig. 2.", "See also vol. II."],
    ["On Dec. 7 the U.S. Senate met at 10 a.m. in Washington.", "It was cold."],
    ["They moved to the U.S.", "In 1990 they left."],
    ["Apple Inc. sells phones made by Foxconn Ltd.", "The phones sell well."],
    ["Pi is 3.14 and e is 2.72.", "Both are 100.5% real."],
    ["Research and Human Rights ....", "Thualfuqar is private."],
    ["Wait... there is more.", "Well…", "That was all."],
    ["It may be present. .", "And perhaps not."],
    ["It included a coup (opposite). ) as it sees fit.", "Then it ended."],
    ["nicknamed “Abu Montazer Al-Husseini.”", "The official went on."],
    ["He said “Go!” and left.", "(She stayed.)", "‘Why?’", "Nobody knows."],
    ['"Where are you?" John asked.', '"Here."'],
    ["It fell in 1999.[12]", "Later it rose.[3][4]", "The end."],
    ["a raid on the Green Zone.", "a strong response came later."],
    ["They cannot do anything.", "but the Kurds are clear."],
    ["The film was made by Warner Bros. in 1950, etc. and so on."],
    ["He has an iPhone.", "iPhones are dear.", "al-Sadr disagreed."],
    ["Take vitamin C.", "Studies back it."],
    ["It ran 20 m.", "Later it ran 30."],
    ["Is it so?!", "No!", "Yes."],
    ["She reigned (1176? – 1216) there.", "Others (Phil. 4:15) followed (D-Iowa).", "And so on."],
    ["Figure 2. A map of Iraq."],
    ["متى وصل؟", "وصل أمس.", "ثم ذهب۔", "الكاتب د.عمر محمود"],
    ["Writer Dr. Omar Abdel Sattar Mahmoud"],
    ["Spaced stops work too .", "This is one . . . and more ."],
    ["3. Oktober 1990 war ein Mittwoch.", "Am 3. Oktober kam z.B. Hans."],
]


@pytest.mark.parametrize("expected", SENTENCES, ids=lambda expected: expected[0][:30])
def test_a_line_is_cut_as_a_reader_would(expected: list[str]) -> None:
    assert cut(" ".join(expected)) == expected


def test_cuts_without_a_space() -> None:
    assert cut("We reached the end.The next part follows.") == ["We reached the end.", "The next part follows."]
    assert len(cut("See rag.types, Node.js or www.Example.com for it.")) == 1
    assert len(cut("Read rag.types.This one.")) == 1
    assert cut("你好。:. Next one.") == ["你好。", ":. Next one."]
    assert cut("「行く。」と言った。はい") == ["「行く。」と言った。", "はい"]
    assert cut("你好。“今天好！”他说。再见！走吧") == ["你好。", "“今天好！”他说。", "再见！", "走吧"]


WRAPPED = """\
The quick brown fox jumps over the lazy dog and then goes to
Baghdad, where it meets Dr. Omar, who is an old friend of
Ithaca. It stays there for a long time, until the winter is
over and the river Tigris does not freeze any more.
"""

LINES = [
    ("wrap at 60", WRAPPED, 2),
    ("blank line", "The first paragraph without a stop\n \t\nThe second one", 2),
    ("short lines", "Roses are red\nViolets are blue\nSugar is sweet", 3),
    ("facts", "Paris is the capital of France and a large city\nBerlin is that of Germany\nRome is Italy's", 3),
    ("paragraphs of one line", "A" + " long line" * 30 + "\nAnother" + " long line" * 20, 2),
    ("plainly unfinished", "You may engage the services of the office of the\nDepartment of Child Support\nHere", 2),
    ("bullets", "We have the following three things in our large bag:\n- apples, which are red\n* pears\n• plums", 4),
    ("first item", "We have the following three things in our large bag:\n- apples, which are red", 2),
    ("numbers", "1- Hadi Al-Ameri, head of the Badr Organization\n2. Qais\n3) Hezbollah\n(4) Others\na) and more", 5),
    ("heading", "# A heading which is as long as any other line here\nText follows it right away", 2),
    ("table", "| a | b |\n|---|---|\n| one. Two. | three |", 4),
    ("rule", "A title over a long line of dashes, forty or so chars\n-----\nText", 3),
    (
        "block quote",
        "> The quick brown fox jumps over the lazy dog and then\n> Omar comes and the dog is happy",
        1,
    ),
    ("paragraphs of a quote", "> The quick brown fox jumps over the lazy dog\n>\n> Omar comes and the dog is happy", 3),
    ("quote after text", "He wrote a very long letter to all of his old friends and\n> Please come", 2),
]


@pytest.mark.parametrize(("text", "count"), [case[1:] for case in LINES], ids=[case[0] for case in LINES])
def test_a_line_break_is_a_boundary_unless_it_is_a_wrap(text: str, count: int) -> None:
    assert len(cut(text)) == count


def test_a_list_item_keeps_its_marker() -> None:
    text = "including:\n\n1- Hadi Al-Ameri, head of the Badr Organization\n\n2- Hezbollah\n3. Dr. Who. He came."
    assert cut(text) == [
        "including:",
        "1- Hadi Al-Ameri, head of the Badr Organization",
        "2- Hezbollah",
        "3. Dr. Who.",
        "He came.",
    ]


def test_repeated_lines_have_their_own_places() -> None:
    text = "It rains.\n\nIt rains.\n\nIt rains."
    assert sentences(text) == [Span(0, 9), Span(11, 20), Span(22, 31)]


def test_a_run_on_list_item_ends_with_its_name() -> None:
    rest = "In addition to some forty factions, they owe full allegiance to others."
    assert cut(f"5- Al-Maliki {rest}") == ["5- Al-Maliki", rest]
    assert cut("5- The Lord Of The Rings In Iraq") == ["5- The Lord Of The Rings In Iraq"]
    assert cut(f"Al-Maliki {rest}") == [f"Al-Maliki {rest}"]


def test_a_comma_before_a_new_sentence_is_a_stop_forgotten() -> None:
    left, right = "The meeting that took place at his house came with the same tone,", "We are waiting for his visit to"
    assert cut(f"{left} {right} the United States.") == [left, f"{right} the United States."]
    assert len(cut("He starred in the old series with the long name, In the Heat of the Night, and others too.")) == 1
    assert len(cut("He said, The king is dead.")) == 1


def test_lines_outside_of_the_range_tell_whether_a_break_is_a_wrap() -> None:
    first = "Paris is the capital of France and of all of its departments"
    text = f"{first}\nBerlin is the capital of Germany since then\nRome is Italy's"
    assert sentences(text, len(first), len(text)) == sentences(text)[1:]


SEED_SENTENCES = [
    (POWER, "The change in the Iraqi situation after assigning Mustafa Al-Kazemi"),
    (POWER, "1- The Sadrist movement headed by Muqtada al-Sadr"),
    (POWER, "2- The victory movement headed by Haider al-Abadi"),
    (POWER, "3- The stream of wisdom movement headed by Ammar al-Hakim"),
    (POWER, "1- Lieutenant General Abdel Wahab Al-Saadi as a head of the Counter-Terrorism Service (popularly accepted"
     " for his participation in the liberation operations against ISIS and for being a competent leader)."),
    (POWER, "2- Lieutenant General Abdul Ghani Al-Asadi, Director of the National Security Agency, considered to be a"
     " distinguished and moderate military figure."),
    (POWER, "3- Lieutenant General- Othman Al-Ghanmi, Minister of the Interior, and he is a distinguished and moderate"
     " military figure."),
    (POWER, "4- Qasim Al-Araji is a national security advisor, and despite his affiliation with the Badr Organization,"
     " he has a moderate personality and a good security capabilities."),
    (POWER, "6- Lieutenant General Abdul Amir Al-Shammari as head of the Joint Operations Department."),
    (POWER, "He has moderate figure in addition to a good military and security experience."),
    (POWER, "1- Hadi Al-Ameri, head of the Badr Organization"),
    (POWER, "2- Qais Khazali, head of the League of the Righteous"),
    (POWER, "3- Hezbollah"),
    (POWER, "4- Al-Nujaba Movement"),
    (POWER, "5- Al-Maliki"),
    (POWER, "In addition to about 40 medium and small armed factions, and they owe full allegiance to the Wali al-Faqih"
     " in Iran, with direct support and funding from the Revolutionary Guard."),
    (POWER, "The official for the protection of the Green Zone by confronting the attacking force and preventing it"
     " from entering, the direct order of Al-Kazemi was disobeyed."),
    (POWER, "The last meeting that took place at Hadi Al-Amiri’s house and in the presence of pro-Iranian personalities"
     " came with the same tone,"),
    (POWER, "Thualfuqar Center for Strategic Studies, Research and Human Rights ...."),
    (POWER, "No comments"),
    (POWER, "contact us"),
    (WARS, "Al-Kazemi's wars for power"),
    (WARS, "They killed (your guest) in your home (Soleimani was not a guest) and they openly admitted this crime."),
    (WARS, "When Iran felt that Al-Kazemi might represent another line, it raised the red card."),
    (WARS, "A report by the Iranian Fars Agency revealed what we called the wars on power and the coup against it."),
    (WARS, "Writer Dr. Omar Abdel Sattar Mahmoud"),
    (WARS, "الكاتب د.عمر عبدالستار محمود"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "expected"), SEED_SENTENCES, ids=lambda value: value[:25])
def test_the_seeds_are_cut_as_a_reader_would(name: str, expected: str) -> None:
    assert expected in cut((SEEDS / name).read_text("utf-8"))


@pytest.mark.parametrize(("name", "count"), [(POWER, 43), (WARS, 56)])
def test_the_seeds_have_as_many_sentences_as_a_reader_counts(name: str, count: int) -> None:
    assert len(cut((SEEDS / name).read_text("utf-8"))) == count


@pytest.mark.parametrize("name", [POWER, WARS])
def test_the_sentences_of_a_seed_passage_are_those_of_the_seed(name: str) -> None:
    text = (SEEDS / name).read_text("utf-8")
    short = {span for span in sentences(text) if words(text[span.start : span.end]) <= 120}
    in_passages = {span for chunk in chunks(text) for span in sentences(text, chunk.start, chunk.end)}
    assert short <= in_passages


def clause_texts(text: str, max_words: int) -> list[str]:
    return [text[start:end] for start, end in clauses(text, Span(0, len(text)), max_words)]


def test_a_short_span_is_its_own_clause() -> None:
    text = "one, two; three: four"
    assert clauses(text, Span(5, 15), 2) == [Span(5, 15)]


def test_clauses_end_where_a_reader_pauses() -> None:
    text = (
        "The men who came to the old town in winter were tired, cold, and hungry; the women, who had waited for them,"
        " gave them bread and soup, because nobody should have to sleep without a meal."
    )
    assert clause_texts(text, 20) == [
        "The men who came to the old town in winter were tired, cold, and hungry;",
        "the women, who had waited for them, gave them bread and soup,",
        "because nobody should have to sleep without a meal.",
    ]


def test_a_clause_does_not_begin_inside_an_enumeration_or_a_date() -> None:
    text = (
        "They had to find some solutions for the economic, services, health, and financial sectors by June 26, 2020,"
        " after the prices had fallen on all markets"
    )
    assert clause_texts(text, 20)[1] == "after the prices had fallen on all markets"


def test_a_strong_mark_near_the_end_makes_no_stump() -> None:
    assert min(words(text) for text in clause_texts("word " * 57 + "word; one two three", 60)) >= 8


def test_without_punctuation_clauses_are_about_even() -> None:
    sizes = [words(text) for text in clause_texts("word " * 100, 60)]
    assert sizes == [50, 50]


@pytest.mark.parametrize("name", [POWER, WARS])
def test_no_clause_of_a_seed_is_a_stump(name: str) -> None:
    text = (SEEDS / name).read_text("utf-8")
    sizes = [[words(text[a:b]) for a, b in clauses(text, span)] for span in sentences(text)]
    assert all(8 <= size <= 60 for pieces in sizes if len(pieces) > 1 for size in pieces)


def passages(text: str, media_type: str = "text/plain", max_words: int = 120) -> list[str]:
    return [text[c.start : c.end] for c in chunks(text, media_type, max_words)]


def test_passages_are_whole_sentences_packed_full() -> None:
    text = " ".join(f"This is sentence number {number} of ten." for number in range(10))
    assert [words(passage) for passage in passages(text, max_words=24)] == [21, 21, 21, 7]


def test_a_passage_that_is_full_enough_ends_with_its_paragraph() -> None:
    full, short = "A b c d e f g h i j k l.", "M n o."
    assert passages(f"{full}\n\n{short}", max_words=20) == [full, short]
    assert passages(f"{short}\n\n{short}", max_words=20) == [f"{short}\n\n{short}"]


def test_a_paragraph_that_begins_late_is_not_torn() -> None:
    items = "1- One two three four five six seven eight nine ten.\n\n2- Six seven. He is eight of nine and ten."
    assert passages(items, max_words=16) == items.split("\n\n")


def test_a_line_that_introduces_a_list_stays_with_it() -> None:
    before = "There were many words in front of it, ten."
    listed = "The forces were:\n\n1- Hezbollah and its friends\n\n2- Others"
    assert passages(f"{before} {listed}", max_words=14) == [before, listed]


def test_a_plain_title_stays_with_its_paragraph() -> None:
    before, after = "One two three four five six.", "Seven eight nine ten eleven twelve."
    assert passages(f"{before}\n\nA title\n\n{after}", max_words=12) == [before, f"A title\n\n{after}"]


def test_a_long_title_stays_with_its_paragraph() -> None:
    text = f"{'Long ' * 11}title\n\nSeven eight nine ten eleven."
    assert passages(text, max_words=20) == [text]


def test_a_list_goes_on_in_a_passage_that_is_nearly_full() -> None:
    text = "1- One two three four five six.\n\n2- Seven eight nine ten eleven twelve.\n\n3- Thirteen fourteen."
    assert passages(text, max_words=20) == [text]


def test_a_heading_is_not_left_alone() -> None:
    item = "- " + "word " * 13 + "word."
    assert passages(f"# A\nThese are the things:\n\n{item}", "text/markdown", 20) == [
        "# A\nThese are the things:",
        item,
    ]


MARKDOWN = """\
---
title: not a heading
# nor is this
---
Intro before any heading.

# Alpha
Text of alpha.

## Beta ##

Text of beta.

```sh
ls
# not a heading
```

### Gamma
## About C#
Text of delta.

Epsilon
=======
Text of epsilon.

- item
---
#nospace is no heading.
"""


def test_markdown_headings_open_passages_and_name_them() -> None:
    found = chunks(MARKDOWN, "text/markdown")
    assert [chunk.heading for chunk in found] == ["", "Alpha", "Alpha > Beta", "Alpha > About C#", "Epsilon"]
    starts = ["---\ntitle", "# Alpha\n", "## Beta ##", "### Gamma\n## About C#\nText", "Epsilon\n======="]
    assert [MARKDOWN[chunk.start :].startswith(start) for chunk, start in zip(found, starts, strict=True)] == [True] * 5


def test_plain_text_has_no_headings() -> None:
    assert [chunk.heading for chunk in chunks("# Alpha\nText.\n\n# Beta\nMore.")] == [""]


def test_a_heading_is_reduced_to_its_words() -> None:
    text = "# A **proxy** [![Build](https://x/y.svg)](https://x) by [Omar](https://o)\nText."
    assert [chunk.heading for chunk in chunks(text, "text/markdown")] == ["A proxy by Omar"]


def test_a_heading_is_not_repeated_at_any_length() -> None:
    found = chunks("# " + "very " * 10_000 + "long\ntext", "text/markdown")
    assert max(len(chunk.heading) for chunk in found) <= 200


def test_a_heading_holds_for_every_passage_below_it() -> None:
    found = chunks("# Alpha\n" + "Some words here. " * 20, "text/markdown", 30)
    assert len(found) > 1
    assert {chunk.heading for chunk in found} == {"Alpha"}


def test_a_sentence_too_long_for_a_passage_is_cut_into_clauses() -> None:
    text = "He came, " * 30 + "and went."
    found = passages(text, max_words=20)
    assert all(words(passage) <= 20 for passage in found)
    assert all(passage.endswith((",", ".")) for passage in found)


MONOTONOUS = [".", "x", "A. ", "U.", "?!", '." ', ".) ", "a, ", "#", "# ", "> ", "(", "字", "e\u0301", "a\n"]


@pytest.mark.parametrize("media_type", ["text/plain", "text/markdown"])
@pytest.mark.parametrize("text", [unit * (MEGABYTE // 20 // len(unit)) for unit in MONOTONOUS], ids=MONOTONOUS)
def test_monotonous_text_makes_passages_of_bounded_size(text: str, media_type: str) -> None:
    found = chunks(text, media_type)
    assert_exact(text, [Span(c.start, c.end) for c in found], 0, len(text))
    assert max(chunk.end - chunk.start for chunk in found) <= 120 * 33


@pytest.mark.parametrize("unit", ["7", "word ", "a. ", "字"])
def test_a_line_of_a_megabyte_makes_passages_of_bounded_size(unit: str) -> None:
    text = unit * (MEGABYTE // len(unit))
    found = chunks(text)
    assert_exact(text, [Span(c.start, c.end) for c in found], 0, len(text))
    assert max(chunk.end - chunk.start for chunk in found) <= 120 * 33


def test_a_list_stays_with_its_introduction_up_to_twice_the_words() -> None:
    items = "\n\n".join(f"{i}- Guard number {i} of the lake, who knows every stone of its shore" for i in range(1, 40))
    text = f"The lake is deep.\n\nIts guards are these:\n\n{items}\n\nNobody else may enter."
    first, second, *_ = chunks(text, max_words=120)
    assert "12- Guard" in text[first.start : first.end]
    assert 120 < len(text[first.start : first.end].split()) <= 240
    assert LIST_ITEM.match(text, second.start)


def test_each_page_opens_a_passage() -> None:
    line = "Two is a sentence that goes on and on up to the end of the"
    text = f"Title\n\nOne.\n\n{line}\npage and over it. Three.\n\nFour."
    pages = (0, text.index("page"), text.index("Four"), text.index("Four"))
    cut = chunks(text, "application/pdf", 120, pages)
    assert [(text[c.start : c.end], c.page) for c in cut] == [
        (f"Title\n\nOne.\n\n{line}\npage and over it.", 1),
        ("Three.", 2),
        ("Four.", 4),  # the third page is empty
    ]
    assert [c.page for c in chunks(text, "application/pdf", 120)] == [None]


def test_only_some_media_types_have_headings() -> None:
    assert [c.heading for c in chunks("# A\n\ntext", "text/html")] == ["A"]
    assert [c.heading for c in chunks("# A\n\ntext", "application/pdf")] == [""]


@pytest.mark.parametrize("answer", ["No, never. They may not.", "- No\n- Never"])
def test_a_question_stays_with_its_answer(answer: str) -> None:
    before = "The tablets are white and round and old and are made by Ann Lee in York. " * 4
    text = f"{before}May children take the tablets?\n\n{answer} {'They are not for them. ' * 4}"
    asked, answered = text.index("May"), text.index(answer)
    assert any(chunk.start <= asked and answered + 4 <= chunk.end for chunk in chunks(text, max_words=60))


def test_what_is_taken_back_stays_with_what_takes_it_back() -> None:
    text = "The tablets are white and round and old and are made by Ann Lee. " * 6 + "That is a myth."
    cut = [text[chunk.start : chunk.end] for chunk in chunks(text, max_words=78)]
    assert cut[-1] == "The tablets are white and round and old and are made by Ann Lee. That is a myth."


def test_a_list_that_goes_on_in_another_passage_keeps_an_introduction_that_turns_it() -> None:
    items = "\n".join(f"- take {i} tablets with milk. It is white" for i in range(30))
    text = f"You may walk.\n\nWhile you drive, do not:\n\n{items}\n\nYou may sing. {'You may walk. ' * 30}"
    cut = chunks(text, max_words=50)
    inside = [
        chunk for chunk in cut if chunk.start > text.index("- take 0") and "tablets" in text[chunk.start : chunk.end]
    ]
    assert len(inside) > 1
    assert {chunk.heading for chunk in inside} == {"While you drive, do not:"}
    assert cut[-1].heading == ""
    plain = chunks(text.replace("While you drive, do not:", "These are here:"), max_words=50)
    assert {chunk.heading for chunk in plain} == {""}
