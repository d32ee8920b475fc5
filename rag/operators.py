"""Words that turn what other words say: it is denied, doubted, told by somebody, or holds only under a condition.

Closed classes of English, folded as `terms.words` gives them, with the forms in which people use them. A quote that has
lost one of these says something else than its document, and so does a claim.
"""

from __future__ import annotations

from .sentences import word_set

NEGATIONS = word_set(
    "not no never none nobody nothing nowhere neither nor without cannot cant isnt arent wasnt werent aint dont doesnt"
    " didnt hasnt havent hadnt wont wouldnt couldnt shouldnt mustnt neednt maynt mightnt shant hardly barely scarcely"
    " fail fails failed refuse refuses refused lack lacks lacked"
)
PROHIBITIONS = word_set(
    "avoid avoids avoided avoiding forbid forbids forbidden forbade prohibit prohibits prohibited prohibiting"
    " prohibition banned bans refrain abstain beware disallow disallowed illegal unlawful"
)
CONDITIONS = word_set("if unless whether provided providing suppose supposing assuming lest otherwise")
# Of a list's introduction they say when its items hold. In a story they only tell when something was.
CIRCUMSTANCES = word_set("when whenever while until till once before after during only")
EXCEPTIONS = word_set("except excepting excepted exception exceptions exclude excludes excluded excluding unlike apart")
DOUBTS = word_set(
    "may might could possibly perhaps maybe probably likely unlikely reportedly allegedly supposedly apparently"
    " presumably potentially purportedly seemingly alleged supposed suspected doubt doubts doubted doubtful uncertain"
    " unclear unproven unconfirmed seem seems seemed appears hypothetical"
)
TELLING = word_set(
    "say says said saying tell tells told claim claims claimed claiming argue argues argued arguing allege alleges"
    " alleged alleging allegation allegations assert asserts asserted insist insists insisted contend contends"
    " contended declare declares declared announce announces announced stated believe believes believed belief"
    " beliefs think thinks thought suggest suggests suggested propose proposes proposed predict predicts predicted"
    " speculate speculates speculated assume assumes assumed suspect suspects imagine imagines imagined pretend"
    " pretends pretended deny denies denied rumour rumours rumoured rumor rumors rumored accuse accuses accused"
    " reported according warn warns warned hope hopes hoped fear fears feared wrote writes"
)
FALSEHOODS = word_set(
    "false falsely untrue wrong wrongly incorrect incorrectly mistake mistakes mistaken mistakenly inaccurate"
    " misleading myth myths lie lies lied hoax hoaxes fake faked fabricated fabrication invented misconception"
    " misconceptions fallacy fallacies debunked disproved disproven refuted retracted withdrawn outdated obsolete"
    " superseded"
)
# Behind a negation, what is said of something false: "not true", "never happened", "no evidence".
TRUTHS = word_set(
    "true truth correct right accurate valid case proven proved confirmed verified substantiated happened evidence"
    " proof basis"
)
# What is said of it is not so any more, or never came to be.
REVERSALS = word_set("rejected rejects reject cancelled canceled abandoned discredited disputed")
# Of what stands under such a heading or in such a list, the one is not so now, and the other not in this world.
OTHER_TIMES = word_set("removed deprecated discontinued former formerly planned plans")
FICTIONS = word_set("fiction fictional plot synopsis hypothesis hypotheses satire parody")

OPERATORS = (
    NEGATIONS
    | PROHIBITIONS
    | CONDITIONS
    | EXCEPTIONS
    | DOUBTS
    | TELLING
    | FALSEHOODS
    | REVERSALS
    | OTHER_TIMES
    | FICTIONS
)

# What turns, limits, doubts or hands on to somebody else what is said: it is never left out. Wider than `OPERATORS`: by
# those a quote grows, by these a sentence is refused.
TURNING = OPERATORS | word_set(
    # no, and nearly no
    "rarely seldom lacking failing failure refusing denying denial ban prevent prevents prevented preventing stop"
    " stops stopped stopping cease ceases ceased ceasing cancel abandon exclusion exempt exempts exempting exempted"
    " save bar barring instead rather contrary opposite contraindicated unable impossible solely exclusively"
    # perhaps
    " would should can must will shall potential plan planning expected expects expect attempt attempts attempted try"
    " tries tried intended intends going need needs needed mock toy pseudo theoretical theoretically"
    # somebody says so
    " report reports opinion view views accusing charge charged state states maintain maintained maintains tale"
    " testified testify testifies heard hears explained explains promised promises complained complains recalled"
    " concluded concludes boasted remarked admitted admits revealed reveals added write quoted quote forecast"
    " estimate estimated estimates wonder wondered ask asked asks asking question questions questioned dispute appear"
    " appeared deem deemed consider considered"
    # not in this world
    " novel story stories play film movie poem legend tradition version versions dream dreams dreamed dreamt game"
    " episode fictitious scenario example joke joked"
    # only then
    " given subject case condition conditions else depending depends where when whenever until till only"
)
LIMITING = TURNING | word_set(
    # how many, how much, which
    "just merely half third quarter most mostly many few fewer several some partly partially almost nearly about"
    " approximately roughly around up less more least than other another second next last once originally initially"
    " previously ex vice deputy acting both either or versus every any especially usually often sometimes"
    " occasionally generally typically mainly primarily largely little afew alittle"
)
