"""Model providers fail in every way there is on their wire: another answers, or an honest refusal does."""

import pytest

from blackstart import (
    BlastRadius,
    Control,
    Drill,
    Objectives,
    experiment,
    llm_content_filter,
    llm_context_length,
    llm_cut,
    llm_duplicate_chunk,
    llm_embeddings_dimension,
    llm_embeddings_space,
    llm_empty,
    llm_error,
    llm_hang,
    llm_malformed_json,
    llm_malformed_sse,
    llm_malformed_tool_call,
    llm_quota,
    llm_rate_limit,
    llm_refusal,
    llm_slow_first_token,
    llm_slow_tokens,
    llm_unfinished,
    llm_wrong_model,
)
from fixtures.cache import age
from fixtures.chats import ask, question
from fixtures.llm import (
    SLACK_S,
    WINDOW_S,
    attempts,
    beyond_budget,
    count_probes,
    meet_each,
    second_calls,
    shopped,
)
from fixtures.load import FEW_OTHERS, MORE_CHATS
from fixtures.postgres import bill

# Per app replica and endpoint: 5 failures open the breaker while one more call is under way; then one probe
# every 2 s while the fault lasts, and one more.
ATTEMPTS = 3 * 2 * (5 + 1 + 12 // 2 + 1)
# Two providers whose models each ask for 3 s of patience, for 10 s: per replica and model the first call and
# one that was under way beside it, one after each wait, and one more.
STORM = 3 * 4 * (2 + 10 // 3 + 1)
# One provider that asks for 5 s of patience, for 12 s: per replica and endpoint the same, and one more. Its
# cheap model is not asked: the fallback's strong one comes before it, and answers.
PATIENT = 3 * 2 * (2 + 12 // 5 + 2)
BOTH = BlastRadius(instances=2, zones=2)
#: So old, seconds, no answer of the cache is fresh; it is kept for an hour.
STALE = 400
#: In the words of a model that declines.
DECLINED = "can't help"
#: What a conversation may cost.
BUDGET_USD = 1.0


@pytest.mark.headline
@experiment(
    hypothesis="When the primary model provider fails, the fallback answers every chat, the dead provider is "
    "asked by one probe at a time only, and it is used again once it is back.",
    runbook="llm-provider-down",
    objectives=Objectives(
        availability={"chat": 1.0},
        mode=["fallback-model", "no-retrieval"],
        declared={"chat": 0.9},
        attempts=ATTEMPTS,
        probes_at_once=1,
        lost=0,
        duplicate=0,
    ),
    control=(
        Control(variant="no-breakers", breaks="attempts"),
        Control(variant="crowded-probes", breaks="probes_at_once"),
    ),
    load=MORE_CHATS,
)
def test_primary_provider_down(drill: Drill) -> None:
    # A refused chat takes longer than it takes the next one to come: a breaker that lets it through shows.
    chats = llm_error("llm-1", status=503, delay="1s", endpoint="chat")
    embeddings = llm_error("llm-1", status=503, endpoint="embeddings")
    with drill.inject(chats), drill.inject(embeddings):
        drill.hold("12s")
        drill.count("attempts", attempts(drill.stack, "llm-1"))
        count_probes(drill, "llm-1")


@experiment(
    hypothesis="When the primary model provider takes calls and answers none, the fallback answers every "
    "chat, and few calls are left to hang.",
    runbook="llm-provider-down",
    objectives=Objectives(
        availability={"chat": 1.0},
        mode=["fallback-model", "no-retrieval"],
        declared={"chat": 0.9},
        attempts=ATTEMPTS,
        probes_at_once=1,
        lost=0,
        duplicate=0,
    ),
    control=Control(variant="no-breakers", breaks="attempts"),
    load=MORE_CHATS,
)
def test_primary_provider_hangs(drill: Drill) -> None:
    with drill.inject(llm_hang("llm-1")):
        drill.hold("12s")
        drill.count("attempts", attempts(drill.stack, "llm-1"))
        count_probes(drill, "llm-1")


@experiment(
    hypothesis="When the primary model provider answers 429, it is asked seldom, and the fallback answers "
    "every chat.",
    runbook="llm-provider-down",
    objectives=Objectives(
        availability={"chat": 1.0},
        mode=["fallback-model", "no-retrieval"],
        declared={"chat": 0.9},
        attempts=PATIENT,
        lost=0,
        duplicate=0,
    ),
    control=Control(variant="no-breakers", breaks="attempts"),
    load=MORE_CHATS,
)
def test_rate_limited(drill: Drill) -> None:
    with drill.inject(llm_rate_limit("llm-1", retry_after="5s")):
        drill.hold("12s")
        drill.count("attempts", attempts(drill.stack, "llm-1"))


@experiment(
    hypothesis="However the primary provider fails to answer, by an error, a broken body or too late, the "
    "fallback answers every chat and says so.",
    runbook="llm-provider-down",
    objectives=Objectives(
        availability={"chat": 1.0}, mode=["fallback-model"], declared={"chat": 0.9}, lost=0, duplicate=0
    ),
    control=Control(variant="no-model-fallback", breaks="availability"),
)
def test_every_failure(drill: Drill) -> None:
    faults = (
        llm_error("llm-1", status=500, endpoint="chat"),
        llm_error("llm-1", status=401, endpoint="chat"),
        llm_quota("llm-1", endpoint="chat"),
        llm_cut("llm-1", endpoint="chat"),
        llm_malformed_json("llm-1", endpoint="chat"),
        llm_slow_first_token("llm-1", delay="5s", endpoint="chat"),
        llm_slow_tokens("llm-1", gap="1s", endpoint="chat"),
    )
    meet_each(drill, who="chats", provider="llm-1", faults=faults, hold="3s")


@experiment(
    hypothesis="An answer that is none, because it is empty, unfinished or a call of a tool that was never "
    "offered, is given to no client: the fallback answers.",
    runbook="llm-answers-wrong",
    objectives=Objectives(
        availability={"chat": 1.0}, mode=["fallback-model"], declared={"chat": 0.9}, lost=0, duplicate=0
    ),
    control=Control(variant="no-answer-check", breaks="declared"),
)
def test_useless_answers(drill: Drill) -> None:
    faults = (
        llm_empty("llm-1", endpoint="chat"),
        llm_unfinished("llm-1", endpoint="chat"),
        llm_malformed_tool_call("llm-1", endpoint="chat"),
    )
    meet_each(drill, who="chats", provider="llm-1", faults=faults, hold="4s")


@experiment(
    hypothesis="What the content filter withholds or the context is too short for is told to the client, and "
    "no other provider is asked.",
    runbook="llm-answers-wrong",
    objectives=Objectives(
        excess_calls=0, wrong_answers=0, availability={"session": 1.0}, lost=0, duplicate=0
    ),
    control=Control(variant="refusals-shopped", breaks="excess_calls"),
)
def test_refusals_are_final(drill: Drill) -> None:
    faults = (
        llm_content_filter("llm-1", endpoint="chat"),
        llm_context_length("llm-1", endpoint="chat"),
    )
    told: list[int] = []
    meet_each(
        drill,
        who="chats",
        provider="llm-1",
        faults=faults,
        hold="4s",
        meanwhile=lambda: told.extend(ask(drill.stack, question()).status for _ in range(3)),
    )
    # Withheld, and too long.
    meant = (422, 422, 422, 413, 413, 413)
    drill.count("wrong_answers", sum(was != is_to_be for was, is_to_be in zip(told, meant, strict=True)))
    drill.count("excess_calls", shopped(drill.stack, "llm-1", "llm-2"))


@experiment(
    hypothesis="An answer of another model than the one that was asked is declared.",
    runbook="llm-answers-wrong",
    objectives=Objectives(
        availability={"chat": 1.0}, mode=["fallback-model"], declared={"chat": 0.9}, lost=0, duplicate=0
    ),
    control=Control(variant="no-model-check", breaks="declared"),
)
def test_another_model_answers(drill: Drill) -> None:
    with drill.inject(llm_wrong_model("llm-1", endpoint="chat")):
        drill.hold("8s")


@experiment(
    hypothesis="What a model declines in words is passed on once and is nobody's answer later.",
    runbook="llm-answers-wrong",
    objectives=Objectives(availability={"chat": 1.0}, wrong_answers=0, lost=0, duplicate=0),
    control=Control(variant="declined-cached", breaks="wrong_answers"),
)
def test_model_declines(drill: Drill) -> None:
    with drill.inject(llm_refusal("llm-1", endpoint="chat")):
        drill.hold("3s")
        declined = [ask(drill.stack, question()) for _ in range(6)]
    again = [ask(drill.stack, reply.question) for reply in declined]
    late = [reply.model == "cache" or DECLINED in reply.answer for reply in again]
    drill.count("wrong_answers", sum(late) + sum(reply.status != 200 for reply in again))
    drill.premise("the model declined", all(DECLINED in reply.answer for reply in declined))


@experiment(
    hypothesis="While no provider answers, what was answered before is given again and declared, everything "
    "else is refused with the time to come back, and a turn that was recorded is answered then.",
    runbook="llm-provider-down",
    # Of 15 answers one may miss a cache that is given 80 ms; where nothing stale is given, five are missing.
    objectives=Objectives(rto="16s", availability={"session": 1.0}, wrong_answers=1, lost=0, duplicate=0),
    control=Control(variant="no-stale-answers", breaks="wrong_answers"),
    blast_radius=BOTH,
)
def test_no_provider_answers(drill: Drill, known: list[str]) -> None:
    with drill.inject(llm_error("llm", status=503, endpoint="chat")):
        drill.hold("6s")
        age(drill.stack, STALE)
        again = [ask(drill.stack, each) for each in known]
        refused = [ask(drill.stack, question()) for _ in known]
    drill.observe(limit="20s")
    late = [ask(drill.stack, reply.question, reply.session, reply.key) for reply in refused]
    kept = sum(reply.status == 200 and "cached" in reply.degraded for reply in again)
    honest = sum(reply.status == 503 and reply.retry_after is not None for reply in refused)
    answered = sum(reply.status == 200 for reply in late)
    drill.count("wrong_answers", 3 * len(known) - kept - honest - answered)


@experiment(
    hypothesis="When all providers answer 429, they are asked no more often than they said, and chats are "
    "back as soon as they are.",
    runbook="llm-provider-down",
    objectives=Objectives(attempts=STORM, rto="20s", availability={"session": 1.0}, lost=0, duplicate=0),
    control=Control(variant="no-breakers", breaks="attempts"),
    load=MORE_CHATS,
    blast_radius=BOTH,
)
def test_rate_limit_storm(drill: Drill) -> None:
    with drill.inject(llm_rate_limit("llm", retry_after="3s", endpoint="chat")):
        drill.hold("10s")
        drill.count("attempts", sum(attempts(drill.stack, each) for each in ("llm-1", "llm-2")))


@experiment(
    hypothesis="When all providers answer 429 and name no time to wait, a provider is asked again for the "
    "same turn as often as its retry budget grants, and no more.",
    runbook="llm-provider-down",
    # That no call is made beyond the budget depends on no machine's speed.
    objectives=Objectives(excess_calls=0, rto="16s", availability={"session": 1.0}, lost=0, duplicate=0),
    control=Control(variant="no-retry-budget", breaks="excess_calls"),
    load=MORE_CHATS,
    blast_radius=BOTH,
)
def test_retry_budget(drill: Drill) -> None:
    # The budget counts the calls of its window, the providers' logs those since the reset.
    drill.hold(f"{WINDOW_S + SLACK_S}s")
    # A 429 with a wait would hold its model: the next call of the other one would be a turn's first.
    with drill.inject(llm_rate_limit("llm", retry_after="0s", endpoint="chat")):
        drill.hold("10s")
        drill.count("excess_calls", sum(beyond_budget(drill.stack, each) for each in ("llm-1", "llm-2")))
        again = sum(second_calls(drill.stack, each) for each in ("llm-1", "llm-2"))
    drill.premise("providers were asked a second time for a turn", again > 0)


@experiment(
    hypothesis="A stream that breaks, before its first token or after it, ends in one coherent answer.",
    runbook="llm-answers-wrong",
    # A token that comes twice is passed on, and no degradation: of six faults five are to be declared.
    objectives=Objectives(
        availability={"stream": 1.0}, mode=["fallback-model"], declared={"stream": 0.7}, lost=0, duplicate=0
    ),
    control=(
        Control(variant="no-stream-fallback", breaks="availability"),
        Control(variant="no-stream-reset", breaks="availability"),
    ),
    load={"stream": 3, **FEW_OTHERS},
)
def test_stream_breaks(drill: Drill) -> None:
    faults = (
        # The breaker is still closed then: the first strikes most streams.
        llm_cut("llm-1", chunks=3, endpoint="chat"),
        llm_unfinished("llm-1", chunks=3, endpoint="chat"),
        llm_malformed_json("llm-1", endpoint="chat"),
        llm_malformed_sse("llm-1"),
        llm_duplicate_chunk("llm-1"),
        llm_error("llm-1", status=500, endpoint="chat"),
    )
    meet_each(drill, who="streams", provider="llm-1", faults=faults, hold="4s")


@experiment(
    hypothesis="A conversation that has used up its budget costs nothing more, whichever provider would "
    "answer, and no other one notices.",
    runbook="llm-provider-down",
    objectives=Objectives(
        availability={"chat": 1.0}, mode=["fallback-model"], wrong_answers=0, lost=0, duplicate=0
    ),
    control=Control(variant="no-session-budget", breaks="wrong_answers"),
)
def test_budget_used_up(drill: Drill) -> None:
    with drill.inject(llm_error("llm-1", status=503, endpoint="chat")):
        drill.hold("4s")
        spent = ask(drill.stack, question()).session
        bill(drill.stack, spent, BUDGET_USD)
        more = [ask(drill.stack, question(), spent) for _ in range(5)]
    drill.count("wrong_answers", sum(reply.status != 402 for reply in more))


@experiment(
    hypothesis="Without usable embeddings chats are answered without documents, and say so.",
    runbook="embeddings-unusable",
    objectives=Objectives(
        availability={"chat": 1.0}, mode=["no-retrieval"], declared={"chat": 0.9}, lost=0, duplicate=0
    ),
    control=Control(variant="retrieval-required", breaks="availability"),
)
def test_embeddings_fail(drill: Drill) -> None:
    faults = (
        llm_error("llm-1", status=503, endpoint="embeddings"),
        llm_hang("llm-1", endpoint="embeddings"),
        llm_malformed_json("llm-1", endpoint="embeddings"),
        llm_embeddings_dimension("llm-1"),
    )
    meet_each(drill, who="searches", provider="llm-1", faults=faults, hold="4s")


@experiment(
    hypothesis="Embeddings of another space or another model than the index's are never compared with it: "
    "chats are answered without documents, and say so.",
    runbook="embeddings-unusable",
    objectives=Objectives(
        availability={"chat": 1.0}, mode=["no-retrieval"], declared={"chat": 0.9}, lost=0, duplicate=0
    ),
    control=Control(variant="no-embedding-check", breaks="declared"),
)
def test_embeddings_of_another_space(drill: Drill) -> None:
    with drill.inject(llm_embeddings_space("llm-1")):
        drill.hold("6s")
    with drill.inject(llm_wrong_model("llm-1", endpoint="embeddings")):
        drill.hold("6s")
