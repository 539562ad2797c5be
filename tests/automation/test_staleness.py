"""What follows a change: once, in order, and only when content really changed."""

from datetime import UTC, datetime, timedelta

import dagster as dg

from operations.retention import delete, superseded
from resources.event_log import PARTITION
from resources.staleness import Follow
from tests.automation.small_platform import (
    BROKEN,
    CONTENT,
    NIGHT,
    PLATFORM,
    UNFIT,
    Platform,
    asset,
    every_day,
)

FIRST, SECOND, THIRD = "2026-11-01", "2026-11-02", "2026-11-03"
WHOLE = (FIRST, THIRD)


def made(platform: Platform) -> None:
    assert platform.run("feed", "answers", days=WHOLE)
    platform.follow()


def test_what_was_never_made_follows_in_order_and_then_rests(platform):
    assert platform.tick() == {}  # nothing to follow: the days are the night's
    platform.run("feed", "answers", days=WHOLE)
    assert platform.follow() == [{"words"}, {"encoder"}, {"vectors"}, {"index"}, {"site"}]
    assert platform.tick() == {}


def test_the_same_content_again_makes_nothing_out_of_date(platform):
    made(platform)
    platform.run("feed", "answers", days=WHOLE)
    assert platform.tick() == {}


def test_changed_content_reaches_the_end_once(platform):
    made(platform)
    CONTENT["words", None] = CONTENT["encoder", None] = "new"
    CONTENT["answers", SECOND] = "new"
    platform.run("answers", days=(SECOND, SECOND))
    # the index and the encoder have other inputs, too, but nothing is made before its inputs are
    assert platform.tick() == {"words": {None}}
    platform.run("words")
    assert platform.tick() == {"encoder": {None}}
    platform.run("encoder")
    assert platform.tick() == {"vectors": {FIRST, SECOND, THIRD}}  # every day, by the new encoder
    CONTENT["vectors", THIRD] = "new"
    platform.run("vectors", days=WHOLE)
    assert platform.follow() == [{"index"}, {"site"}]


def test_runs_that_are_pruned_make_nothing_out_of_date(platform):
    """The content is known of runs that are not the last: those that others were made from."""
    made(platform)
    for _ in range(2):
        platform.run("feed", "answers", days=WHOLE)
        platform.run("words")
    later = datetime.now(UTC) + timedelta(days=1)
    gone = [
        one.dagster_run.run_id for one in superseded(platform.instance, later, [platform.graph])
    ]
    assert gone
    for run_id in gone:
        delete(platform.instance, run_id)
    assert platform.tick() == {}
    CONTENT["words", None] = "new"
    platform.run("words")
    assert platform.tick() == {"encoder": {None}}


def test_a_change_that_changes_no_content_ends_there(platform):
    made(platform)
    CONTENT["answers", SECOND] = "new"
    platform.run("answers", days=(SECOND, SECOND))
    assert platform.follow() == [{"words"}]


def test_days_that_look_at_the_days_before_follow_these(platform):
    made(platform)
    CONTENT["feed", SECOND] = "new"
    platform.run("feed", days=(SECOND, SECOND))
    assert platform.tick() == {"answers": {SECOND, THIRD}}


def test_nothing_follows_while_a_run_is_at_work_upstream(platform):
    made(platform)
    CONTENT["answers", SECOND] = "new"
    platform.run("answers", days=(SECOND, SECOND))
    run = platform.instance.create_run_for_job(
        platform.definitions.resolve_implicit_global_asset_job_def(),
        asset_selection=frozenset({dg.AssetKey("feed")}),
        status=dg.DagsterRunStatus.STARTED,
        tags={PARTITION: THIRD},
    )
    assert platform.tick() == {}
    platform.instance.report_run_canceled(run)
    assert platform.tick() == {"words": {None}}


def test_an_input_that_changed_during_the_run_is_not_lost(platform):
    """The consumer was planned first, its input made by another run, the consumer finished."""
    made(platform)
    CONTENT["words", None] = "during"

    @dg.asset(name="site", deps=["index", "words", every_day("feed")])
    def slow() -> None:
        platform.run("words")

    others = [one for one in PLATFORM if one.key != dg.AssetKey("site")]
    assert dg.materialize(
        [*others, slow], selection=[dg.AssetKey("site")], instance=platform.instance
    ).success
    changes = list(platform.records().changes(dg.AssetKey("site"), None))
    assert [change.asset for change in changes] == ["words"]


def test_what_failed_is_tried_again_once_a_night_and_not_in_a_loop(platform):
    platform.run("feed", "answers", days=WHOLE)
    BROKEN.add(("words", None))
    assert platform.tick() == {"words": {None}}
    platform.run("words")
    assert platform.tick() == {}
    platform.now += timedelta(days=1)
    assert "words" in platform.tick()
    BROKEN.clear()
    platform.run("words")
    assert platform.tick() == {"encoder": {None}}


def test_nothing_follows_what_a_check_refuses(platform):
    made(platform)
    CONTENT["feed", SECOND] = "unfit"
    UNFIT.add(("feed", SECOND))
    assert not platform.run("feed", days=(FIRST, SECOND))
    assert platform.records().refused(dg.AssetKey("feed")).keys() == {SECOND}
    assert platform.tick() == {}
    CONTENT["feed", SECOND] = "sent again"
    UNFIT.clear()
    assert platform.run("feed", days=(SECOND, SECOND))
    assert platform.tick() == {"answers": {SECOND, THIRD}}


def test_an_asset_without_days_that_a_check_refuses_waits_for_other_inputs(platform):
    made(platform)
    CONTENT["words", None] = "unfit"
    UNFIT.add(("words", None))
    CONTENT["answers", SECOND] = "new"
    platform.run("answers", days=(SECOND, SECOND))
    assert platform.tick() == {"words": {None}}
    assert not platform.run("words")
    platform.now += timedelta(days=1)
    assert platform.tick() == {}  # the same would come of the same
    UNFIT.clear()
    CONTENT["answers", SECOND] = "better"
    platform.run("answers", days=(SECOND, SECOND))
    assert platform.tick() == {"words": {None}}
    platform.run("words")
    assert platform.tick() == {"encoder": {None}}


def test_a_failed_day_is_left_to_the_night(platform):
    made(platform)
    CONTENT["feed", SECOND] = "new"
    platform.run("feed", days=(SECOND, SECOND))
    BROKEN.add(("answers", SECOND))
    platform.run("answers", days=(SECOND, SECOND))
    assert platform.tick() == {"answers": {THIRD}}


REWARDS = dg.StaticPartitionsDefinition(["preference", "judge"])
IN_THREE_DAYS = datetime.now(UTC) + timedelta(days=3)
WEEKLY = Follow(NIGHT, cron=f"0 5 * * {IN_THREE_DAYS.isoweekday() % 7}", rows=25)


@dg.asset(partitions_def=REWARDS, deps=[every_day("pairs")], automation_condition=WEEKLY)
def rewards(context: dg.AssetExecutionContext) -> None: ...


@dg.asset(
    partitions_def=dg.StaticPartitionsDefinition(["joint", "fairness"]),
    deps=[every_day("rewards")],
    automation_condition=Follow(NIGHT, inputs=("rewards",), only=("joint",)),
)
def weights(context: dg.AssetExecutionContext) -> None: ...


def test_trained_models_wait_for_their_week_or_for_enough_new_rows(platform):
    studio = [asset("pairs", daily=True, condition=None), rewards, weights]
    platform.definitions = dg.Definitions(assets=studio)

    def rated(*days: str) -> None:
        for day in days:
            CONTENT["pairs", day] = CONTENT.get(("pairs", day), "") + "more"
            dg.materialize(studio[:1], partition_key=day, instance=platform.instance)

    def trained(*models: str) -> None:
        for model in models:
            dg.materialize(
                studio, selection=["rewards"], partition_key=model, instance=platform.instance
            )

    rated(FIRST)
    assert platform.tick() == {}  # ten rows, and the week is not over
    rated(SECOND, THIRD)
    assert platform.tick() == {"rewards": {"preference", "judge"}}  # thirty rows are enough
    trained("preference", "judge")
    assert platform.tick() == {
        "weights": {"joint"}
    }  # follows new reward models, no other objective
    dg.materialize(studio, selection=["weights"], partition_key="joint", instance=platform.instance)
    rated(FIRST)
    assert platform.tick() == {}  # no new rows: what was there counts once
    platform.now += timedelta(days=4)
    assert platform.tick() == {"rewards": {"preference", "judge"}}


def test_an_asset_says_in_the_ui_what_it_waits_for():
    assert "25 new rows" in WEEKLY.description
    assert "words has changed content" in Follow(NIGHT, inputs=("words",)).description
