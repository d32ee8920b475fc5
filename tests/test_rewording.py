"""What is written and what the document says, in pairs from many subjects."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.embedding import PackagedEncoder
from rag.evidence import EvidenceFinder
from rag.grounding import Checker, Claim, Support
from rag.rewording import changed
from rag.types import Passage


def supported(claim: str, text: str, encoder: PackagedEncoder) -> bool:
    passage = Passage(1, 1, "a", "Notes", 0, len(text), text)
    return isinstance(Checker([passage], EvidenceFinder(encoder), encoder).check(Claim(claim, (1,))), Support)


@pytest.mark.parametrize(
    ("claim", "text"),
    [
        (
            "The army attacked the city.",
            "The city attacked the army.",
        ),
        (
            "In May the army attacked the city.",
            "In May the city attacked the army.",
        ),
        (
            "The city was attacked by the army.",
            "The army was attacked by the city.",
        ),
        (
            "The city was attacked by the army.",
            "The city attacked the army.",
        ),
        (
            "The army was attacked.",
            "The army attacked the city.",
        ),
        (
            "The wolves hunt the deer.",
            "The deer hunt the wolves.",
        ),
        (
            "Aphids eat ladybirds.",
            "Ladybirds eat aphids.",
        ),
        (
            "Cancer causes smoking.",
            "Smoking causes cancer.",
        ),
        (
            "The lake flows into the river.",
            "The river flows into the lake.",
        ),
        (
            "The patient examined the doctor on Monday.",
            "The doctor examined the patient on Monday.",
        ),
        (
            "The tenant sued the landlord over the roof.",
            "The landlord sued the tenant over the roof.",
        ),
        (
            "The bank lent the farmer money.",
            "The farmer lent the bank money.",
        ),
        (
            "The enzyme breaks down the protein.",
            "The protein breaks down the enzyme.",
        ),
        (
            "The union accused the company of fraud.",
            "The company accused the union of fraud.",
        ),
        (
            "The virus infects the bacterium.",
            "The bacterium infects the virus.",
        ),
        (
            "The parliament dismissed the president in 1991.",
            "The president dismissed the parliament in 1991.",
        ),
        (
            "The pilot had warned the engineer twice.",
            "The engineer had warned the pilot twice.",
        ),
        (
            "Rivals bought the company in March.",
            "The company bought its rivals in March.",
        ),
        (
            "Lena Ortiz dissolved the club.",
            "Lena Ortiz founded the club in 1950; Marco Bell dissolved it in 1972.",
        ),
        (
            "Marco Bell founded the club in 1950.",
            "Lena Ortiz founded the club in 1950; Marco Bell dissolved it in 1972.",
        ),
        (
            "Marco Bell founded the club.",
            "Lena Ortiz founded the club in 1950; Marco Bell dissolved it in 1972.",
        ),
        (
            "Marco Bell dissolved it in 1950.",
            "Lena Ortiz founded the club in 1950; Marco Bell dissolved it in 1972.",
        ),
        (
            "Lena Ortiz founded the club in 1972.",
            "Lena Ortiz founded the club in 1950; Marco Bell dissolved it in 1972.",
        ),
        (
            "The club was founded in 1972.",
            "Lena Ortiz founded the club in 1950; Marco Bell dissolved it in 1972.",
        ),
        (
            "The club was dissolved in 1950.",
            "Lena Ortiz founded the club in 1950; Marco Bell dissolved it in 1972.",
        ),
        (
            "The club was founded by Marco Bell.",
            "Lena Ortiz founded the club in 1950; Marco Bell dissolved it in 1972.",
        ),
        (
            "The mayor resigned.",
            "The mayor opened the bridge, and the engineer resigned.",
        ),
        (
            "The nurse closed the window.",
            "The doctor closed the window and the nurse opened the door.",
        ),
        (
            "The company sold the mine in 1990.",
            "The state sold the mine in 1990 while the company kept the railway.",
        ),
        (
            "The king fled.",
            "The king was crowned in May, but the queen fled.",
        ),
        (
            "The bridge was built in 1920.",
            "The church was built in 1850, and the bridge was widened in 1920.",
        ),
        (
            "The museum was widened in 1920.",
            "The museum was built in 1850, and the bridge was widened in 1920.",
        ),
        (
            "Essex scored 3 goals.",
            "Kent scored 3 goals and Essex conceded 5.",
        ),
        (
            "Kent scored 5 goals.",
            "Kent scored 3 goals and Essex conceded 5 goals.",
        ),
        (
            "The drug raised the pulse.",
            "The drug lowered the pressure, and the placebo raised the pulse.",
        ),
        (
            "The club was opened in 1972.",
            "Opened in 1950, the club was closed in 1972.",
        ),
        (
            "Apple acquired the startup.",
            "Google acquired the startup after Apple left the market.",
        ),
        (
            "The soldiers built the wall.",
            "The peasants built the wall because the soldiers guarded the gate.",
        ),
    ],
)
def test_what_another_did_or_suffered_is_not_supported(claim: str, text: str, encoder: PackagedEncoder) -> None:
    assert not supported(claim, text, encoder)


@pytest.mark.parametrize(
    ("claim", "text"),
    [
        (
            "In 1987 the council opened the bridge.",
            "The council opened the bridge in 1987.",
        ),
        (
            "The council opened the bridge in 1987.",
            "In 1987 the council opened the bridge.",
        ),
        (
            "The bridge was opened by the council in 1987.",
            "The council opened the bridge in 1987.",
        ),
        (
            "In 1987, the bridge was opened by the council.",
            "The council opened the bridge in 1987.",
        ),
        (
            "The army left the city.",
            "The army, which had attacked the city in May, left the city in June.",
        ),
        (
            "Lena Ortiz founded the club.",
            "Lena Ortiz founded the club in 1950; Marco Bell dissolved it in 1972.",
        ),
        (
            "Marco Bell dissolved it in 1972.",
            "Lena Ortiz founded the club in 1950; Marco Bell dissolved it in 1972.",
        ),
        (
            "The club was founded by Lena Ortiz in 1950.",
            "Lena Ortiz founded the club in 1950; Marco Bell dissolved it in 1972.",
        ),
        (
            "Wolves hunt deer in winter.",
            "In winter wolves hunt deer.",
        ),
        (
            "Deer are hunted by wolves.",
            "Wolves hunt the deer.",
        ),
        (
            "Smoking causes cancer.",
            "Cancer is caused by smoking.",
        ),
        (
            "The king and the queen opened the bridge.",
            "The bridge was opened by the king and the queen.",
        ),
        (
            "The city was attacked by the army at dawn.",
            "At dawn the army attacked the city.",
        ),
        (
            "The drug lowered the pressure.",
            "The drug lowered the pressure, and the placebo raised the pulse.",
        ),
        (
            "The placebo raised the pulse.",
            "The drug lowered the pressure, and the placebo raised the pulse.",
        ),
        (
            "The engineer resigned.",
            "The mayor opened the bridge, and the engineer resigned.",
        ),
        (
            "The doctor closed the window.",
            "The doctor closed the window and the nurse opened the door.",
        ),
        (
            "The mine was sold by the state in 1990.",
            "The state sold the mine in 1990 while the company kept the railway.",
        ),
        (
            "The king ordered the army to attack the city.",
            "The king ordered the army to attack the city.",
        ),
        (
            "The attack on the city was ordered by the king.",
            "The king ordered the attack on the city.",
        ),
        (
            "Kent scored 3 goals.",
            "Kent scored 3 goals and Essex conceded 5.",
        ),
        (
            "The wall was built by the peasants.",
            "The peasants built the wall because the soldiers guarded the gate.",
        ),
    ],
)
def test_other_order_and_other_voice_are_supported(claim: str, text: str, encoder: PackagedEncoder) -> None:
    assert supported(claim, text, encoder)


# Sentences of documents and what somebody made of them: kind, sentence, claim, and a title if it matters.
CHANGED = [
    line.split("\t")
    for line in Path(__file__).with_name("changed.tsv").read_text(encoding="utf-8").splitlines()
    if line
]


@pytest.mark.parametrize("pair", CHANGED, ids=lambda pair: f"{pair[0]}: {pair[2]}")
def test_what_says_something_else_is_no_rewording(pair: list[str]) -> None:
    _, sentence, claim, *titles = pair
    why = changed(claim, sentence, titles)
    assert why
    assert len(why.splitlines()) == 1
    assert changed(sentence, sentence) == "" or "?" in sentence


@pytest.mark.parametrize(
    ("claim", "sentence"),
    [
        ("The dam was closed in 1950.", "In 1950, the dam was closed."),
        ("Ford beat Dahl in May.", "Dahl was beaten by Ford in May."),
        ("Every member voted.", "All members voted."),
        ("The guard has over 1,200 members.", "The guard has more than 1200 members."),
        ("It has three gates.", "It has 3 gates, and a lock."),
        ("On 5 May 1903 Ann Lee was elected.", "On May 5, 1903, Ann Lee was elected."),
        ("Wolves eat bears.", "Wolves eat bears, and bears eat wolves."),
        ("Ann Lee was elected in 1903.", "General Ann Lee was elected in 1903, after a long campaign."),
        ("The museum opened in 1990.", "The museum (the first of its kind) opened in 1990."),
        ("Taxes rose by 5 percent.", "Taxes rose by 5%."),
        ("The cafe doesn't open on Sundays.", "The Café does not open on Sundays."),
        ("मेयर बुरे नहीं हैं।", "मेयर बुरे नहीं हैं।"),
        ("Swimming is prohibited if the red flag is flying.", "If the red flag is flying, swimming is prohibited."),
        ("The gate is closed for repairs until May.", "The gate is closed until May for repairs."),
        ("Jonas Elber was a Swiss clockmaker.", "Jonas Elber, a Swiss clockmaker, settled in Trieste in 1804."),
        ("The canal links both seas.", "The canal, which links both seas, is closed."),
        ("The highest peak on the island is Mount Hild.", "Mount Hild is the highest peak on the island."),
        ("The color of the 5 kilogram harbor theater fades.", "The colour of the 5 kg harbour theatre fades."),
        ("It was organized in 1950.", "It was organised in 1950."),
        ("The swarm left on 14 May.", "The swarm left on 14 May, which surprised us all."),
        ("Ann Lee was born in Oran and grew up in Bern.", "Ann Lee was born in Oran. She grew up in Bern."),
        ("The gate was closed, and the mill burnt.", "The gate was closed. The mill burnt."),
        ("The gate is closed.", "Because of track work, the gate is closed, because the trains may not pass."),
        ("The farms grow roots.", "The farms grow roots such as beet."),
        ("Never keep them with fish.", "Never keep them with fish, which may nibble their gills."),
        ("Ann Lee left the town.", "Ann Lee, who never learnt to write, left the town."),
        ("Salt Bridge was opened in 1988.", "Salt Bridge, the third of the town, was opened in 1988."),
        ("The vaccine is for those who travel.", "The vaccine is for those who travel, especially for long stays."),
        ("The villa has a garden of its own.", "The villa was built in 1926 and has a garden of its own."),
        ("She wrote it in 1908.", "She wrote it in 1908 while recovering from a fall."),
        ("Until the locks are fitted, she will keep the keys.", "She will keep the keys until the locks are fitted."),
        ("The mayor showed a plan of the park.", "The mayor showed a plan of the park on Monday."),
    ],
)
def test_what_says_the_same_is_a_rewording(claim: str, sentence: str) -> None:
    assert changed(claim, sentence) == ""


@pytest.mark.parametrize(
    ("before", "after", "holds"),
    [
        ("While you use the tablets, do not:\n\n- ", "", False),
        ("If your doctor agrees:\n\n- Ask for water.\n- ", "", False),
        ("The following statements are false:\n", "", False),
        ("Common mistakes:\n\n- ", "", False),
        ("", " This is false.", False),
        ("", " (This is no longer true.)", False),
        ("", " There is no evidence for this.", False),
        ("", " This has been discredited.", False),
        ("", " So the company says.", False),
        ("", " Just kidding.", False),
        ("## Rejected proposals\n\n", "", False),
        ("## Planned features\n\n", "", False),
        ("The council rejected:\n\n- ", "", False),
        ("- [ ] ", "", False),
        ("“The mayor is ill. ", " He knows,” said Bo Dahl.", False),
        ("Bo Dahl was angry. “", " We know it.”", False),
        ("The most important rules:\n\n- ", " It is true.", True),
        ("", " No member left.", True),
    ],
)
def test_what_stands_around_a_sentence_may_turn_it(
    before: str, after: str, holds: bool, encoder: PackagedEncoder
) -> None:
    sentence = "Take the tablets with alcohol."
    assert supported(sentence, f"{before}{sentence}{after}", encoder) is holds


@pytest.mark.parametrize(
    ("titles", "claim", "sentence", "fits"),
    [
        (["Marie Curie"], "Marie Curie died in 1934.", "She died in 1934.", True),
        (["Marie Curie"], "Marie Curie's husband died in 1906.", "Her husband died in 1906.", True),
        (["Marie Curie"], "Marie Curie died in 1906.", "Her husband died in 1906.", False),
        (["Tolmin Bridge"], "The Tolmin Bridge was opened in 1911.", "The bridge was opened in 1911.", True),
        (["Lake Sorn"], "In 1990 Lake Sorn was roughly 14 km long.", "In 1990, the lake was about 14 km long.", True),
        (["Tolmin Bridge"], "The Tolmin Bridge was opened.", "The bridge of Bled was opened.", False),
        (["Tolmin Bridge"], "The Tolmin Bridge was opened.", "The old bridge was opened.", False),
        (["Tolmin Bridge"], "The Tolmin Bridge was opened.", "A bridge was opened.", False),
        (["Tolmin Bridge"], "A bridge fell and the Tolmin Bridge stood.", "A bridge fell and the bridge stood.", False),
        (["Minister Ann Lee"], "The minister died in 1934.", "She died in 1934.", True),
        (["Letters of Ann Lee to her sister"], "Ann Lee was a spy.", "She was a spy.", False),
        (["The mill: built by Bo Dahl"], "It was built by Ann Lee and Bo Dahl.", "It was built by Ann Lee.", False),
        (["Bo Dahl stole the treasure"], "Bo Dahl stole the treasure.", "The treasure was found in 1950.", False),
    ],
)
def test_a_title_stands_for_a_pronoun_alone(titles: list[str], claim: str, sentence: str, fits: bool) -> None:
    assert (changed(claim, sentence, titles) == "") is fits


@pytest.mark.parametrize(
    "word", ["and the army attacked ", "by ", "in the city, ", "1950 ", "; ", "was ", "the ", "she "]
)
def test_text_without_end_is_read_in_time(word: str) -> None:
    long = word * (1_500 // len(word))
    assert isinstance(changed(long, f"The army attacked the city. {long}", [long]), str)
    assert changed(word * 8_000, long)
