"""Who does what: pairs of what is written and what the document says, from many subjects, through the whole checker."""

from __future__ import annotations

import pytest

from rag.embedding import PackagedEncoder
from rag.evidence import EvidenceFinder
from rag.grounding import Checker, Claim, Support
from rag.roles import deeds, misattributed
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
            "The council opened the bridge.",
            "The bridge, which the council opened in 1987, was closed last year.",
        ),
        (
            "The bridge that the council opened in 1987 was closed.",
            "The bridge, which the council opened in 1987, was closed last year.",
        ),
        (
            "The bridge was opened in 1987.",
            "The bridge, which the council opened in 1987, was closed last year.",
        ),
        (
            "The army left the city.",
            "The army, which had attacked the city in May, left the city in June.",
        ),
        (
            "Lena Ortiz dissolved the club in 1972.",
            "Lena Ortiz founded the club in 1950 and dissolved it, the club, in 1972.",
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
            "The club, founded in 1950, was dissolved in 1972.",
            "Lena Ortiz founded the club in 1950; Marco Bell dissolved the club in 1972.",
        ),
        (
            "The club was founded in 1950 and dissolved in 1972.",
            "Founded in 1950, the club was dissolved in 1972.",
        ),
        (
            "The tower stands in the centre of the town.",
            "In the centre of the town stands the tower.",
        ),
        (
            "The forest lies to the east of the lake.",
            "To the east of the lake lies the forest.",
        ),
        (
            "The army fought in the city center.",
            "In the center of the city the army fought.",
        ),
        (
            "The shop was opened in 1950.",
            "The shop opened in 1950.",
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
            "The king opened the bridge.",
            "The bridge was opened by the mayor, the bishop and the king.",
        ),
        (
            "The city was attacked by the army at dawn.",
            "At dawn the army attacked the city.",
        ),
        (
            "The army attacked the city and burned the fort.",
            "The army attacked the city, and it burned the fort.",
        ),
        (
            "The army left the region.",
            "The army attacked the city and the fort, and later left the region.",
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
            "The committee was given the report by the minister.",
            "The minister gave the committee the report.",
        ),
        (
            "The queen fled in May.",
            "The king was crowned in May, and in May the queen fled.",
        ),
        (
            "Kent scored 3 goals.",
            "Kent scored 3 goals and Essex conceded 5.",
        ),
        (
            "The union accused the company of fraud.",
            "The company was accused of fraud by the union.",
        ),
        (
            "The company was accused of fraud.",
            "The union accused the company of fraud.",
        ),
        (
            "The wall was built by the peasants.",
            "The peasants built the wall because the soldiers guarded the gate.",
        ),
        (
            "The church, built in 1850, was widened.",
            "The church was built in 1850 and was widened in 1920.",
        ),
        (
            "Ann Lee, the mayor, opened the bridge.",
            "The bridge was opened by the mayor, Ann Lee.",
        ),
        (
            "The enzyme, found in the liver, breaks down the protein.",
            "Found in the liver, the enzyme breaks down the protein.",
        ),
        (
            "The river that the road crosses flows into the lake.",
            "The road crosses the river that flows into the lake.",
        ),
        (
            "The novel was written by Ann Lee and published in 1950.",
            "Ann Lee wrote the novel, which was written and published in 1950.",
        ),
    ],
)
def test_other_order_and_other_voice_are_supported(claim: str, text: str, encoder: PackagedEncoder) -> None:
    assert supported(claim, text, encoder)


def test_a_passive_is_turned_round() -> None:
    (active,) = deeds("In May the army of the north attacked the old city.")
    (passive,) = deeds("The old city was attacked by the army.")
    assert active.doer == passive.doer == {"armi"}
    assert active.done == passive.done == {"old", "citi"}


@pytest.mark.parametrize(
    "text",
    [
        "The newly formed army has an animated, united leadership of one hundred.",  # adjectives
        "The attack of the army on the city in May.",  # nouns
        "The king ordered, to attack.",  # what was only asked for
    ],
)
def test_what_is_not_surely_a_verb_speaks_against_nothing(text: str) -> None:
    assert not {deed.verb for deed in deeds(text)} & {"form", "anim", "unit", "attack"}


@pytest.mark.parametrize("word", ["and the army attacked ", "by ", "the wolves hunt the deer ", "1950 ", "; ", "was "])
def test_text_without_end_is_read_too(word: str) -> None:
    long = word * (8_000 // len(word))
    assert misattributed(long, "The army attacked the city.") is not None
