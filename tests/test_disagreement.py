from __future__ import annotations

import pytest

from rag.disagreement import disagreement


@pytest.mark.parametrize(
    ("claim", "quote"),
    [
        ("The dam was not closed.", "The dam was closed."),
        ("The yield fell in spring.", "The yield rose in spring."),
        ("It was unlawful.", "It was lawful."),
        ("All members voted.", "Some members voted."),
        ("Garlic lowers the risk.", "Garlic may lower the risk."),
        ("The guard has 1,200 members.", "The guard has more than 1,200 members."),
        ("The dam will be closed.", "The dam will be closed if it leaks."),
        ("The dam is too low.", "Some engineers claim that the dam is too low."),
        ("It has 3 gates and 8 locks.", "It has 8 gates and 3 locks."),
        ("Dahl was replaced by Ford.", "Ford was replaced by Dahl."),
        ("Ford beat Dahl.", "Ford was beat by Dahl."),
        ("Ann Lee met the mayor of Kent.", "Ann Lee met the mayor of Essex."),
        ("Unlike Ann Lee, Bo Dahl took bribes.", "Unlike Bo Dahl, Ann Lee took bribes."),
        ("Bo Dahl took bribes.", "Unlike Bo Dahl, Ann Lee took bribes."),
        ("Dahl was chosen.", "Ford was chosen instead of Dahl."),
    ],
)
def test_what_says_something_else_is_noticed(claim: str, quote: str) -> None:
    assert disagreement(claim, quote)


@pytest.mark.parametrize(
    ("claim", "quote"),
    [
        ("The dam was closed in 1950.", "In 1950, the dam was closed."),
        ("Ford beat Dahl in May.", "Dahl was beat by Ford in May."),
        ("Every member voted.", "All members voted."),
        ("The guard has over 1,200 members.", "The guard has more than 1,200 members."),
        ("It has three gates.", "It has 3 gates, and a lock."),
        ("On 5 May 1903 Ann Lee was elected.", "On May 5, 1903, Ann Lee was elected."),
        ("If it leaks, the dam will be closed.", "The dam will be closed if it leaks."),
        ("Ann Lee, unlike Bo Dahl, took bribes.", "Unlike Bo Dahl, Ann Lee took bribes."),
        ("Ford was chosen.", "Ford was chosen instead of Dahl."),
        ("Wolves fear bears.", "Wolves fear bears as bears fear wolves."),
        ("Wolves fear bears as bears fear wolves.", "Wolves fear bears as bears fear wolves."),
    ],
)
def test_other_words_for_the_same_are_no_disagreement(claim: str, quote: str) -> None:
    assert disagreement(claim, quote) == ""
