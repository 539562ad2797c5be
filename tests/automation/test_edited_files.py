"""An edit of a file that people edit reaches what is made from it, and nothing else."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.observe import observe

from pinlanding_assets.edited_files.assets import READERS, edited_files, read_by
from resources.event_log import RANGE_END, RANGE_START
from resources.feeds.catalog_config import PARTS, CatalogConfig
from tests.automation.small_platform import DAYS, FOLLOW, START

CATALOG = "feeds: [a.csv]\ncolumns: {id: sku}\n"
NOT_READ = {"name", "search_log", "models", "vlm_budget", "limits"}  # the profile, nights, checks


class Shop:
    """A daily asset and a following one over the files of a folder, with a clock."""

    def __init__(self, folder: Path, instance: dg.DagsterInstance) -> None:
        self.catalog, self.instance, self.cursor = folder / "catalog.yaml", instance, None
        self.catalog.write_text(CATALOG)
        self.files = edited_files(str(self.catalog))

        @dg.asset(
            deps=read_by("catalog"),
            partitions_def=DAYS,
            automation_condition=FOLLOW,
            backfill_policy=dg.BackfillPolicy.single_run(),
        )
        def catalog() -> None: ...

        @dg.asset(deps=[catalog, *read_by("attribute_vocabulary")], automation_condition=FOLLOW)
        def attribute_vocabulary() -> dg.MaterializeResult:
            return dg.MaterializeResult(data_version=dg.DataVersion("same"))

        self.assets = [catalog, attribute_vocabulary]
        self.definitions = dg.Definitions(assets=[*self.files, *self.assets])
        self.now = datetime.now(UTC)

    def tick(self) -> set[str]:
        """What is requested now, which is then done."""
        self.now += timedelta(seconds=30)
        found = dg.evaluate_automation_conditions(
            self.definitions, self.instance, evaluation_time=self.now, cursor=self.cursor
        )
        self.cursor = found.cursor
        names = {r.key.to_user_string() for r in found.results if not r.true_subset.is_empty}
        self.make(names & {"catalog", "attribute_vocabulary"})
        if looked_at := [one for one in self.files if one.key.to_user_string() in names]:
            observe(looked_at, instance=self.instance)
        return names

    def make(self, names: set[str]) -> None:
        for one in self.assets:
            if one.key.to_user_string() in names:
                day = {RANGE_START: START, RANGE_END: START} if one.partitions_def else {}
                dg.materialize(
                    [*self.files, *self.assets],
                    selection=[one.key],
                    instance=self.instance,
                    tags=day,
                )


@pytest.fixture
def shop(tmp_path) -> Iterator[Shop]:
    """Everything was made before anybody looked at the files."""
    with dg.DagsterInstance.ephemeral() as instance:
        found = Shop(tmp_path, instance)
        found.make({"catalog", "attribute_vocabulary"})
        yield found


def test_the_first_look_makes_nothing_out_of_date(shop):
    assert shop.tick() == {*READERS}
    assert shop.tick() == set()


def test_an_edited_vocabulary_is_followed_once(shop):
    shop.tick()
    words = shop.catalog.with_name("vocabulary.yaml")
    words.write_text("colour: {jet: black}\n")
    assert [shop.tick() for _ in range(3)] == [
        {"vocabulary_words"},
        {"attribute_vocabulary"},
        set(),
    ]
    words.write_text("# a comment\ncolour:\n  jet: black\n")
    assert shop.tick() == set()
    words.unlink()
    assert [shop.tick() for _ in range(2)] == [{"vocabulary_words"}, {"attribute_vocabulary"}]


def test_an_edited_catalog_reaches_what_reads_that_part_of_it(shop):
    shop.tick()
    shop.catalog.write_text(CATALOG + "site: {title: Hats}\n")
    assert [shop.tick() for _ in range(2)] == [{"page_settings"}, set()]
    shop.catalog.write_text(CATALOG.replace("id: sku", "id: sku, title: name"))
    assert shop.tick() == {"page_settings", "row_settings"}
    assert "catalog" in shop.tick()


def test_a_file_in_the_middle_of_an_edit_is_left_alone(shop):
    shop.tick()
    for broken in ("feeds: [", "colour", ""):
        shop.catalog.write_text(broken)
        assert shop.tick() == set()
    shop.catalog.write_text(CATALOG)
    assert shop.tick() == set()


def test_every_key_of_a_catalog_is_read_by_somebody():
    read = {key for part in PARTS.values() for key in part}
    assert read | NOT_READ == set(CatalogConfig.model_fields)
    assert {*PARTS, "vocabulary_words"} == {*READERS}
