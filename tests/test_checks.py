"""Every data-quality check of both locations: green on good data, red on bad."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import dagster as dg
import numpy as np
import polars as pl
import pytest

from pinlanding_assets import checks as shop
from pinlanding_assets.catalog import checks as days
from pinlanding_assets.catalog.feed import ParsedFeed, parse_records
from pinlanding_assets.catalog.schema import Records
from pinlanding_assets.collections.gates import Gates
from resources.feeds.catalog_config import CatalogConfig
from resources.lake import Lake
from resources.profiles import resources
from resources.quality import ROW_COUNT, SCHEMA, Finding, Limits, check_results
from rl_diffusion_assets import checks as rl
from rl_diffusion_assets.policy.assets import rl_diffusion_weights
from rl_diffusion_assets.promotion.assets import judge_verdict
from rl_diffusion_assets.rewards.building import REWARDS

LIMITS = Limits()
SPENT = {"calls": 10, "tokens": 900, "dollars": 0.25}
Findings = Mapping[str, Finding]


def records(*rows: str, error: str | None = None) -> days.Received:
    frame = pl.DataFrame(
        [("f", at, row, 9, error) for at, row in enumerate(rows, start=1)],
        schema=Records.create_empty().schema,
        orient="row",
    )
    received = days.Received()
    assert len(list(received.watch([frame]))) == 1
    return received


def goods(products: int, *rejected: str, of: int = 0, snapshot: str = "changes") -> ParsedFeed:
    """So many products, a picture each, of `of` rows, and a reject of each field."""
    settings = {
        **{"name": "t", "feeds": ["f"], "snapshot": snapshot},
        "columns": {"id": "id", "title": "t", "images": "i"},
    }
    mapping = CatalogConfig.model_validate(settings).model_dump()
    rows = [
        {"id": str(at % products), "t": f"hat {at}", "i": f"{at}"} for at in range(of or products)
    ]
    frame = pl.DataFrame(
        [("f", at, json.dumps(row), 9, None) for at, row in enumerate(rows, start=1)],
        schema=Records.create_empty().schema,
        orient="row",
    )
    parsed = parse_records(frame, mapping)
    reason = {"availability": "unknown word: not sold"}
    rejects = [
        ("f", at, None, name, reason.get(name, "wrong"), "x") for at, name in enumerate(rejected)
    ]
    return replace(
        parsed, rejects=pl.DataFrame(rejects, schema=parsed.rejects.schema, orient="row")
    )


def bare(parsed: ParsedFeed) -> pl.DataFrame:
    """The profile of the same products without titles."""
    products = parsed.products.with_columns(title=pl.lit(""))
    return days.profile(replace(parsed, products=products))


def day(parsed: ParsedFeed, *, received: int = 10, known: Any = (), **more: Any) -> Findings:
    ids = [str(at) for at in range(known)] if isinstance(known, int) else list(known)
    before = pl.Series("product_id", ids, pl.String)
    return days.catalog_day(
        received, parsed, parsed.rejects, before, LIMITS, **{"rows_said": False, **more}
    )


def answers(*reasons: str | None) -> pl.DataFrame:
    rows = [(reason is None, reason) for reason in reasons]
    return pl.DataFrame(rows, schema={"valid": pl.Boolean, "reason": pl.String}, orient="row")


def embeddings(*vectors: list[float]) -> pl.DataFrame:
    ids = [f"p{at}" for at in range(len(vectors))]
    return pl.DataFrame(
        {"product_id": ids, "vector": list(vectors)},
        schema={"product_id": pl.String, "vector": pl.Array(pl.Float32, 2)},
    )


def retrieval(encoder: float) -> pl.DataFrame:
    return pl.DataFrame(
        {"figure": "recall_at_10", "method": ["encoder", "frequency"], "value": [encoder, 0.3]}
    )


def estimates(gap: float, stated: float = 50.0) -> pl.DataFrame:
    row = {"key": "color", "stated": stated, "said": 0.9, "precision": 0.9 - gap, "gap": gap}
    return pl.DataFrame([row])


def assignments(p: float | None = 0.9, products: int = 1) -> pl.DataFrame:
    ids = [f"p{at}" for at in range(products)]
    return pl.DataFrame({"product_id": ids, "p": [p] * products},
                        schema={"product_id": pl.String, "p": pl.Float64})  # fmt: skip


def topics(accepted: int, of: int = 10) -> pl.DataFrame:
    values = [at < accepted for at in range(of)]
    return pl.DataFrame({"accepted": values}, schema={"accepted": pl.Boolean})


def figures(**values: float | None) -> pl.DataFrame:
    rows = [(name.replace("__", "."), value, 400) for name, value in values.items()]
    return pl.DataFrame(rows, schema={"name": pl.String, "value": pl.Float64, "n": pl.Int64},
                        orient="row")  # fmt: skip


def encoded(
    vectors: Any = (0.6, 0.8), recall: float = 0.9, said: pl.DataFrame | None = None
) -> Findings:
    kept = estimates(0.05) if said is None else said
    return shop.encoder_figures(embeddings(list(vectors)), retrieval(recall), kept, LIMITS)


SHELF = pl.DataFrame({"product_id": ["p0", "p1"], "seller": ["a", "b"], "availability": "in_stock",
                      "images": [["0"], ["1"]]})  # fmt: skip
ITEMS = pl.DataFrame({"topic_id": ["t", "t"], "rank": [1, 2], "product_id": ["p0", "p1"]})
PAGE = pl.DataFrame({"topic_id": ["t"], "slug": ["red-hats"], "title": ["Red hats"],
                     "entries": [["type=hat"]], "accepted": [True]})  # fmt: skip
PUBLICATION: dict[str, Any] = {
    "collections": PAGE,
    "items": ITEMS,
    "shelf": SHELF,
    "gates": Gates(min_products=2, min_sellers=2),
    "embeddings": embeddings([1, 0], [0, 1]),
    "assignments": assignments(products=2),
    "figures": figures(collections__p_at_10=0.9),
    "pages_before": 1,
    "limits": LIMITS,
}


def publication(**changes: Any) -> Findings:
    return shop.publication(**PUBLICATION | changes)


def pictures(deviation: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, deviation + 1, (3, 8, 8, 3), np.uint8)


SHOP: Mapping[tuple[str, str], tuple[Callable[[], Findings], Callable[[], Findings]]] = {
    ("raw_catalog", "fields"): (
        lambda: days.raw_day(records('{"id": 1, "t": 2}'), records('{"id": 1}').fields, LIMITS),
        lambda: days.raw_day(records('{"id": 1}'), records('{"id": 1, "title": 2}').fields, LIMITS),
    ),
    ("raw_catalog", "mapped_fields"): (
        lambda: days.raw_day(
            records('{"id": 1}'), records('{"id": 1, "t": 2}').fields, LIMITS, ["id"]
        ),
        lambda: days.raw_day(
            records('{"id": 1}'), records('{"id": 1, "t": 2}').fields, LIMITS, ["t"]
        ),
    ),
    ("raw_catalog", "feed_there"): (
        lambda: days.raw_day(records(), None, LIMITS),
        lambda: days.raw_day(records(), None, LIMITS, missing="a.csv: no such feed"),
    ),
    ("raw_catalog", "broken_rows"): (
        lambda: days.raw_day(records('{"id": 1}'), None, LIMITS),
        lambda: days.raw_day(records("{", error="no JSON"), None, LIMITS),
    ),
    ("catalog", "taken_over"): (lambda: day(goods(1)), lambda: day(goods(0, "id"), received=3)),
    ("catalog", "whole_export"): (
        lambda: day(goods(5, snapshot="full"), known=10),
        lambda: day(goods(4, snapshot="full"), known=10),
    ),
    ("catalog", "ids"): (
        lambda: day(goods(3), known=["a", "0", "1"]),
        lambda: day(goods(3), known=["a", "00", "1.0"]),
    ),
    ("catalog", "replaced_rows"): (lambda: day(goods(8, of=10)), lambda: day(goods(5, of=10))),
    ("catalog", "reject_rate"): (
        lambda: day(goods(5, "price"), received=10),
        lambda: day(goods(5, "price", "price", "price"), received=10),
    ),
    ("catalog", "sold"): (
        lambda: day(goods(5, "availability")),
        lambda: day(goods(5, "availability", "availability")),
    ),
    ("catalog", "words"): (lambda: day(goods(5)), lambda: day(goods(5, "availability"))),
    ("catalog", "images"): (lambda: day(goods(5, "images")), lambda: day(goods(4, "images"))),
    ("catalog", "field_profile"): (
        lambda: day(goods(30), profiles=[days.profile(goods(30))] * 4),
        lambda: day(goods(30), profiles=[*[days.profile(goods(30))] * 3, bare(goods(30))]),
    ),
    ("catalog", "changes"): (
        lambda: day(goods(30), repeated=days.repeated_share(goods(30).products, None)),
        lambda: day(
            goods(30), repeated=days.repeated_share(goods(30).products, goods(40).products)
        ),
    ),
    ("vlm_attributes", "valid_answers"): (
        lambda: shop.answers_day(answers(None), LIMITS),
        lambda: shop.answers_day(answers(None, "not JSON"), LIMITS),
    ),
    ("vlm_attributes", "nothing_left"): (
        lambda: shop.answers_day(answers("not JSON", "error: the image cannot be read"), LIMITS),
        lambda: shop.answers_day(answers(None, "error: HTTP 500"), LIMITS),
    ),
    ("attribute_vocabulary", "not_empty"): (
        lambda: shop.vocabulary(1, 1.0, LIMITS),
        lambda: shop.vocabulary(0, 1.0, LIMITS),
    ),
    ("attribute_vocabulary", "mentions_kept"): (
        lambda: shop.vocabulary(1, 1.0, LIMITS),
        lambda: shop.vocabulary(1, 0.4, LIMITS),
    ),
    ("dual_encoder", "entry_vectors"): (
        encoded,
        lambda: encoded(vectors=[math.nan, 1]),
    ),
    ("dual_encoder", "better_than_frequency"): (
        encoded,
        lambda: encoded(recall=0.2),
    ),
    ("dual_encoder", "said_holds"): (
        lambda: encoded(said=estimates(0.2, stated=49)),  # too few to say anything
        lambda: encoded(said=estimates(-0.06)),
    ),
    ("product_embeddings", "vectors"): (
        lambda: shop.embeddings_day(embeddings([1, 0]), 1, LIMITS),
        lambda: shop.embeddings_day(embeddings([1, 0], [3, 4]), 2, LIMITS),
    ),
    ("product_embeddings", "embedded"): (
        lambda: shop.embeddings_day(embeddings([1, 0]), 1, LIMITS),
        lambda: shop.embeddings_day(embeddings([1, 0]), 2, LIMITS),
    ),
    ("product_attributes", "coverage"): (
        lambda: shop.attributes_day(assignments(), pl.Series(["p0", "p1"]), LIMITS),
        lambda: shop.attributes_day(assignments(), pl.Series(["p0", "p1", "p2"]), LIMITS),
    ),
    ("product_attributes", "probabilities"): (
        lambda: shop.attributes_day(assignments(), pl.Series(["p0"]), LIMITS),
        lambda: shop.attributes_day(assignments(math.nan), pl.Series(["p0"]), LIMITS),
    ),
    ("vector_index", "recall"): (
        lambda: shop.index_figures(0.99, LIMITS),
        lambda: shop.index_figures(0.9, LIMITS),
    ),
    ("product_clusters", "largest_cluster"): (
        lambda: shop.cluster_sizes(pl.Series([5, 5, 5, 5]), LIMITS),
        lambda: shop.cluster_sizes(pl.Series([90, 5, 5, 5]), LIMITS),
    ),
    ("demand", "understood"): (
        lambda: shop.searches_understood(pl.Series([0.5]), LIMITS),
        lambda: shop.searches_understood(pl.Series([0.1]), LIMITS),
    ),
    ("topics", "not_empty"): (
        lambda: shop.accepted_share(topics(1), LIMITS),
        lambda: shop.accepted_share(topics(0), LIMITS),
    ),
    ("collections", "not_empty"): (
        lambda: shop.accepted_share(topics(5), LIMITS),
        lambda: shop.accepted_share(topics(0, of=0), LIMITS),
    ),
    ("collections", "accepted_share"): (
        lambda: shop.accepted_share(topics(5), LIMITS),
        lambda: shop.accepted_share(topics(1), LIMITS),
    ),
    ("search_log_collections", "not_empty"): (
        lambda: shop.accepted_share(topics(5), LIMITS),
        lambda: shop.accepted_share(topics(0), LIMITS),
    ),
    ("keyword_collections", "not_empty"): (
        lambda: shop.accepted_share(topics(5), LIMITS),
        lambda: shop.accepted_share(topics(0), LIMITS),
    ),
    ("collection_ratings", "readable"): (
        lambda: shop.readable(0, 0),
        lambda: shop.readable(9, 1),
    ),
    ("scorecard", "p_at_10"): (
        lambda: shop.measured(figures(collections__p_at_10=None), LIMITS),  # no truth
        lambda: shop.measured(figures(collections__p_at_10=0.6), LIMITS),
    ),
    ("scorecard", "estimated_precision"): (
        lambda: shop.measured(figures(estimated__precision=0.86), LIMITS),
        lambda: shop.measured(figures(estimated__precision=0.84), LIMITS),
    ),
    ("scorecard", "beats_search_log"): (
        lambda: shop.measured(figures(comparison__p_at_10_gain=0.1), LIMITS),
        lambda: shop.measured(figures(comparison__p_at_10_gain=-0.1), LIMITS),
    ),
    **{
        (facet, "log_intact"): (
            lambda: shop.log_of_decisions(""),
            lambda: shop.log_of_decisions("event 3 of the log is not what was written"),
        )
        for facet in shop.FACETS
    },
    ("curation_proposals", "answered"): (
        lambda: shop.proposals_answered([0.5, 4.9], LIMITS),
        lambda: shop.proposals_answered([0.5, 5.1], LIMITS),
    ),
    ("model_ledger", "within_budget"): (
        lambda: shop.model_calls({}, SPENT, {"calls": 10, "dollars": 0.5}, LIMITS),
        lambda: shop.model_calls({}, SPENT, {"calls": 9}, LIMITS),
    ),
    ("model_ledger", "calls_answered"): (
        lambda: shop.model_calls({}, SPENT, {}, LIMITS),  # nothing was asked
        lambda: shop.model_calls({"answered": 0.7}, SPENT, {}, LIMITS),
    ),
    ("collection_covers", "not_blank"): (
        lambda: shop.blank_covers(pictures(255)),
        lambda: shop.blank_covers(pictures(0)),
    ),
    ("published_collections", "gates"): (
        publication,
        lambda: publication(shelf=SHELF.head(1)),  # one of the page's two products was sold
    ),
    ("published_collections", "not_empty"): (
        publication,
        lambda: publication(collections=PAGE.head(0), items=ITEMS.head(0)),
    ),
    ("published_collections", "pages_kept"): (
        lambda: publication(pages_before=3, accept_fewer_pages=True),
        lambda: publication(pages_before=3),
    ),
    ("published_collections", "vectors"): (
        publication,
        lambda: publication(embeddings=embeddings([math.inf, 0], [0, 1])),
    ),
    ("published_collections", "coverage"): (
        publication,
        lambda: publication(assignments=assignments(products=0)),
    ),
    ("published_collections", "p_at_10"): (
        publication,
        lambda: publication(figures=figures(collections__p_at_10=0.6)),
    ),
    ("published_collections", "estimated_precision"): (
        lambda: publication(  # too few statements to say anything
            figures=figures(estimated__precision=0.5).with_columns(n=pl.lit(49, pl.Int64))
        ),
        lambda: publication(figures=figures(estimated__precision=0.84)),
    ),
}


def prompts(*pairs: tuple[str, str]) -> pl.DataFrame:
    all_pairs = pairs or [(o, s) for o in rl.OBJECTIVES for s in ("train", "held_out")]
    frame = pl.DataFrame(all_pairs, schema=["objective", "split"], orient="row")
    return frame.with_columns(count=pl.lit(1, pl.Int64))


def ratings(rejects: int = 0, alpha: float = 0.5, first: float = 0.5, votes: int = 50) -> Findings:
    tables = [pl.DataFrame({"row": list(range(n))}) for n in (votes, rejects)]
    return rl.rating_figures(*tables, alpha, first, LIMITS)


def trained(loss: float = 0.1, status: str = "finished") -> Findings:
    table = pl.DataFrame({"iteration": [1, 2], "loss": [None, loss]})
    return rl.training_figures(table, table, {"status": status, "reason": "reward fell"})


EVALUATED = {"win_rate": 0.6, "found": 0.99, "sharpness_ratio": 1.0, "diversity_ratio": 1.0}


def evaluated(**changes: float) -> Findings:
    return rl.evaluation_figures(EVALUATED | changes, LIMITS)


def rewarded(**values: float) -> Findings:
    return rl.reward_figures(figures(**values), LIMITS)


def gated(passed: bool) -> Findings:
    return rl.gate_figures(pl.DataFrame({"gate": ["win_rate"], "passed": [passed]}))


RL: Mapping[tuple[str, str], tuple[Callable[[], Findings], Callable[[], Findings]]] = {
    ("prompt_sets", "not_empty"): (
        lambda: rl.prompt_figures(prompts(), 0, LIMITS),
        lambda: rl.prompt_figures(prompts(("preference", "train")), 0, LIMITS),
    ),
    ("prompt_sets", "reject_rate"): (
        lambda: rl.prompt_figures(prompts(), 0, LIMITS),
        lambda: rl.prompt_figures(prompts(), 6, LIMITS),
    ),
    ("preference_pairs", "reject_rate"): (ratings, lambda: ratings(rejects=50)),
    ("preference_pairs", "rater_agreement"): (
        lambda: ratings(alpha=0.0, votes=5),  # too few to say anything
        lambda: ratings(alpha=0.0),
    ),
    ("preference_pairs", "first_shown_bias"): (ratings, lambda: ratings(first=0.9)),
    ("reward_models", "preferences"): (
        lambda: rewarded(pairwise_accuracy=0.56),
        lambda: rewarded(judge__pairwise_accuracy=0.53),  # of 400 pairs: may be chance
    ),
    ("reward_models", "people"): (
        lambda: rewarded(tone_accuracy_drawn=0.9, found_drawn=0.99, found_in_ruined=0.01),
        lambda: rewarded(person__found_in_objects=0.4),
    ),
    ("reward_models", "objects"): (
        lambda: rewarded(fully_right_drawn=0.9, fully_right_wrong_caption_drawn=0.01),
        lambda: rewarded(fully_right_wrong_caption_drawn=0.9, fully_right_drawn=0.9),
    ),
    ("base_diffusion", "not_empty"): (
        lambda: rl.samples_shown(pl.DataFrame({"seed": [0]})),
        lambda: rl.samples_shown(pl.DataFrame({"seed": []})),
    ),
    ("rl_diffusion_weights", "finished"): (trained, lambda: trained(status="stopped")),
    ("rl_diffusion_weights", "finite"): (trained, lambda: trained(loss=math.nan)),
    ("rl_evaluation", "finite"): (evaluated, lambda: evaluated(win_rate=math.nan)),
    ("rl_evaluation", "win_rate"): (evaluated, lambda: evaluated(win_rate=0.4)),
    ("rl_evaluation", "people_found"): (evaluated, lambda: evaluated(found=0.5)),
    ("rl_evaluation", "kept"): (evaluated, lambda: evaluated(diversity_ratio=0.5)),
    ("promoted_diffusion_weights", "gates"): (lambda: gated(True), lambda: gated(False)),
}
CASES = [(shop.CHECKS, *case, *found) for case, found in SHOP.items()] + [
    (rl.CHECKS, *case, *found) for case, found in RL.items()
]


@pytest.mark.parametrize(
    ("checks", "asset", "name", "good", "bad"), CASES, ids=[f"{c[1]}:{c[2]}" for c in CASES]
)
def test_it_is_green_on_good_data_and_red_on_bad(checks, asset, name, good, bad):
    (check,) = [one for one in checks[asset] if one.name == name]
    verdicts = [check_results({asset: [check]}, asset, {None: found()})[0] for found in (good, bad)]
    assert [verdict.passed for verdict in verdicts] == [True, False], verdicts[0].description
    assert check.remedy in str(verdicts[1].description)
    assert (verdicts[1].severity == dg.AssetCheckSeverity.ERROR) == (check.stops or check.goes_on)


def test_every_check_is_tried_here_or_with_the_days_before():
    both = [*shop.CHECKS.items(), *rl.CHECKS.items()]
    declared = {(asset, one.name) for asset, several in both for one in several
                if one not in (ROW_COUNT, SCHEMA)}  # fmt: skip
    assert declared == {*SHOP, *RL}


def test_publication_keeps_to_the_limits_it_is_given():
    strict = Limits(coverage=1.0, p_at_10=0.95)
    found = publication(limits=strict, assignments=assignments())
    assert [name for name, one in found.items() if one.failure] == ["coverage", "p_at_10"]


def test_reward_models_are_all_examined_whichever_was_materialized(tmp_path):
    lake = Lake(root=str(tmp_path))
    for name, accuracy in (("preference", 0.4), ("judge", 0.9)):
        table = figures(pairwise_accuracy=accuracy)
        lake.commit("reward_models", {"figures": table}, partition=name)
    done = list(rl.reward_model_checks(lake=lake, limits=LIMITS))
    preferences = next(one for one in done if one.check_name == "preferences")
    assert not preferences.passed
    assert str(preferences.description).startswith("preference: pairwise_accuracy 0.400")


def test_a_bad_reward_model_is_not_tuned_to_and_fails_no_run_of_another(tmp_path, monkeypatch):
    monkeypatch.setenv("PLATFORM_DATA", str(tmp_path))
    used = resources() | {"pipes": dg.PipesSubprocessClient()}
    lake, version = used["lake"], {"checkpoint": "v1"}
    lake.commit("base_diffusion", {"samples": pl.DataFrame({"seed": [0]})}, versions=version)
    for name in REWARDS:
        table = figures(pairwise_accuracy=0.4 if name == "judge" else 0.9)
        lake.commit("reward_models", {"figures": table}, partition=name, versions=version)

    def run(selection: Any, **of: Any) -> dg.ExecuteInProcessResult:
        both = [rl_diffusion_weights, rl.reward_model_checks]
        return dg.materialize(both, selection=selection, resources=used, raise_on_error=False, **of)

    examined = run(dg.AssetSelection.checks(rl.reward_model_checks))
    assert examined.success
    red = [one.check_name for one in examined.get_asset_check_evaluations() if not one.passed]
    assert red == ["preferences"]
    tuned = run([rl_diffusion_weights], partition_key="joint")
    assert not tuned.success
    (failure,) = [event for event in tuned.all_events if event.is_step_failure]
    message = failure.step_failure_data.user_failure_data.description
    assert message.startswith("preferences: judge: pairwise_accuracy 0.400")
    assert "What to do: " in message


def test_a_judge_that_cannot_judge_promotes_nothing(tmp_path):
    lake = Lake(root=str(tmp_path))

    def examined(accuracy: float) -> None:
        lake.commit(
            "reward_models",
            {"figures": figures(preference__pairwise_accuracy=accuracy)},
            partition="judge",
            versions={"checkpoint": "v1"},
        )

    assert not judge_verdict(lake, "v1", LIMITS).passed  # there is none
    examined(0.9)
    assert judge_verdict(lake, "v1", LIMITS).passed
    assert not judge_verdict(lake, "v0", LIMITS).passed  # another one was asked
    examined(0.5)
    assert not judge_verdict(lake, "v1", LIMITS).passed
