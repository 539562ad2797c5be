import json
from pathlib import Path

import pytest

from operations.capacity import (
    CARDS,
    GUESS,
    Request,
    assumptions,
    measurements,
    partitions,
    public_figure,
    stages,
    storage,
)
from operations.plan import lines, request

BILLION = Request(1e9, 1e7, "h100", 8, 1e5)


def of(request: Request, measured: dict[str, float] | None = None):
    return assumptions(request, measured or {})


def test_the_arithmetic_by_hand():
    embed = stages(BILLION, of(BILLION))["first load"][1]
    rate = 990e12 * 0.30 * 0.90 / 46.44e9  # items/s of one card
    assert embed.rate == pytest.approx(rate)
    assert embed.hours == pytest.approx(1e9 / rate / 3600)
    assert embed.wall == pytest.approx(embed.hours / 8)
    assert embed.dollars == pytest.approx(embed.hours * 3.99)
    kept = storage(BILLION, of(BILLION))
    assert kept["images_gb"] == pytest.approx(160_000)
    assert kept["index_memory_gb"] == pytest.approx(1e9 * 768 * 4 * 1.5 / 1e9)
    assert kept["dollars_of_puts"] == pytest.approx(5_000)


def test_work_grows_with_products_and_shrinks_with_cards():
    small = Request(1e6, 1e4, "a100", 8, 150)
    for name in ("first load", "a day"):
        work, more = stages(small, of(small))[name], stages(BILLION, of(BILLION))[name]
        assert all(a.items <= b.items for a, b in zip(work, more, strict=True))
    by_card = {
        card: stages(one := Request(1e6, 1e4, card, 8, 150), of(one))["first load"][1].hours
        for card in CARDS
    }
    assert by_card["h100"] < by_card["l40s"] < by_card["a100"]


def test_readers_keep_up_with_the_cards():
    load = stages(BILLION, of(BILLION))["first load"]
    decode, embed = load[0], load[1]
    assert decode.workers * decode.rate >= embed.workers * embed.rate
    assert partitions(BILLION, of(BILLION))["reader_actors"] == decode.workers


def test_a_day_costs_its_changes_not_the_catalog():
    days = stages(BILLION, of(BILLION))
    assert days["a day"][1].hours == pytest.approx(days["first load"][1].hours / 100)


def test_a_measured_ratio_goes_before_the_bar(tmp_path: Path):
    results = tmp_path / "results.json"
    assert measurements(results) == {}
    largest = {
        f"{stage}, 10,000,000 products, cost a product": {"ours": cost, "ratio": 1.0}
        for stage, cost in (("topics", 30.0), ("collections", 40.0))
    }
    results.write_text(json.dumps({"embedding stage": {"ratio": 0.95, "ours": 660.0}} | largest))
    measured = measurements(results)
    assert measured == {"stage_ratio": 0.95, "topic_cpu": pytest.approx(70e-6)}
    assert of(BILLION, measured)["stage_ratio"].source == "benchmarks/results.json"
    assert "not a measurement" in of(BILLION)["stage_ratio"].source


def test_every_assumption_has_a_source_or_says_that_it_is_a_guess():
    for card in CARDS:
        for one in of(Request(1e6, 1e4, card, 1, 150)).values():
            assert one.source == GUESS or len(one.source) > 12, one.name
            assert one.value > 0
            assert one.unit


def test_the_public_run_is_compared_for_both_readings():
    (few, few_hours, few_dollars), (many, hours, dollars) = public_figure(of(BILLION))
    assert (few, many) == (1e8, 1e9)
    assert hours == pytest.approx(10 * few_hours)
    assert dollars == pytest.approx(hours * 8 * 500 / 96)
    assert few_dollars == pytest.approx(dollars / 10)


def test_the_text_names_every_assumption_and_where_it_breaks():
    text = "\n".join(lines(request(1e9, 1e7, "h100", 8, None)))
    assert all(name in text for name in of(BILLION))
    assert "-> 1e+09" in text
    assert text.count("http") >= 6
