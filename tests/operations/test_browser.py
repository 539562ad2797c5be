"""What an operator does in the UI: clicks in a headless Chromium on a live server, tiny world."""

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import pytest

from operations.instance import environment, open_instance, server
from resources.profiles import settings
from sandbox.world import write_world
from tests.operations.chromium import CHROMIUM, FLAGS, WHY

PATIENCE = 240_000  # ms: a run starts within seconds, and within minutes where others are at work
TODAY = datetime.now(UTC).date()
DAYS = [TODAY - timedelta(days=ago) for ago in (3, 2)]  # that a feed exists for
MISSING = TODAY - timedelta(days=1)

pytestmark = pytest.mark.skipif(not CHROMIUM, reason=WHY)


@pytest.fixture(scope="module")
def url(tmp_path_factory) -> Iterator[str]:
    """A live server; of three closed days the last one has no feed."""
    data = tmp_path_factory.mktemp("browser")
    world = {"products": 6, "image_size": 32, "huge_title": 1_000}
    write_world(data / "sandbox" / "world", truth=data / "sandbox" / "truth", days=DAYS, **world)
    (data / "studio.yaml").write_text("name: tiny\n")
    ours = {name for name in os.environ if not name.startswith(("DAGSTER_", "PLATFORM_"))}
    chosen = {
        "PLATFORM_DATA": str(data),
        "PLATFORM_STUDIO": str(data / "studio.yaml"),
        "PLATFORM_START_DATE": DAYS[0].isoformat(),
        "PLATFORM_DEADLINE_CRON": "* * * * *",  # every day was due a minute after it closed
    }
    kept = {name: os.environ[name] for name in ours}
    with patch.dict(os.environ, kept | chosen, clear=True):
        found = settings()
        environment(found)
        open_instance().dispose()
        with server(found) as live:
            yield live.url


@pytest.fixture(scope="module")
def browser() -> Iterator:
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser, url) -> Iterator:
    context = browser.new_context(
        base_url=url,
        viewport={"width": 1600, "height": 1200},
        reduced_motion="reduce",  # spinners cost a core where there is no graphics card
    )
    context.set_default_timeout(PATIENCE)
    yield context.new_page()
    context.close()


def seen(page, text: str | re.Pattern[str]) -> None:
    """Waits until the text is there."""
    from playwright.sync_api import expect

    expect(page.get_by_text(text).first).to_be_visible()


def launch(page, asset: str, *, days: str | None = None) -> None:
    """Materialize as a person does, and follow the link to the run or the backfills."""
    page.goto(f"/assets/{asset}")
    page.get_by_role("button", name="Materialize").first.click()
    if days:
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("textbox").first.fill(days)
        dialog.get_by_role("textbox").first.press("Enter")
        dialog.get_by_role("button", name=re.compile(r"^Launch (backfill|1 run)$")).click()
    link = page.get_by_role("link", name=re.compile("^View( open_in_new)?$"))
    page.goto(link.get_attribute("href"))


def test_an_asset_is_materialized_by_its_button(page):
    launch(page, "prompt_sets")
    seen(page, re.compile("^Success$"))
    page.goto("/assets/prompt_sets")
    seen(page, "Prompts of the preference, fairness and composition objectives")
    seen(page, "Row count")
    seen(page, "prompts_by_family")


def test_a_backfill_is_launched_from_its_dialog_and_a_missing_day_is_red(page):
    launch(page, "raw_catalog", days=f"[{DAYS[0]}...{DAYS[1]}]")
    seen(page, "100% completed")
    page.goto("/assets/raw_catalog?view=partitions")
    seen(page, "Materialized (2)")
    seen(page, "Missing (1)")
    # the badge looks at the newest event alone: green, while a day is missing
    page.goto("/assets/raw_catalog")
    seen(page, "Passing")
    page.goto("/assets/raw_catalog?view=checks&checkDetail=window_complete")
    seen(page, f"missing: {MISSING}. What to do: ")
    seen(page, re.compile("^Failed$"))


def test_the_page_of_a_failed_run_says_what_to_do(page):
    launch(page, "raw_catalog", days=f"{MISSING}")
    seen(page, re.compile("^Failure$"))  # a single day is a run of its own
    seen(page, f"no such feed for {MISSING}")
    seen(page, "What to do: have the file sent again")


def test_lineage_shows_both_systems_and_their_stages(page):
    page.goto("/asset-groups")
    for group in ("catalog", "collections", "prompts", "promotion"):
        seen(page, re.compile(f"^{group}$"))
    page.goto("/assets/catalog?view=lineage&lineageScope=neighbors")
    for asset in ("raw_catalog", "product_attributes"):
        seen(page, asset)
    page.goto("/assets/catalog")
    page.get_by_role("link", name="raw_catalog").first.click()  # where a column comes from
    seen(page, "The day's feed as received")
