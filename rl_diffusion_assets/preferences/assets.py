"""The day's ratings become pairs of images with their votes, and a measure of agreement."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import dagster as dg
import polars as pl

from resources.feeds.catalog_source import feed_version
from resources.feeds.image_fetch import ImageUnavailable
from resources.feeds.parquet import CELL
from resources.feeds.studio import ReceivedRatings, Studio
from resources.lake import Lake
from resources.quality import Limits, daily_results, specs, stop
from resources.reporting import (
    Progress,
    contact_sheet,
    feeds_table,
    markdown_table,
    rounded,
    table_metadata,
)
from rl_diffusion_assets.checks import CHECKS, rating_figures
from rl_diffusion_assets.columns import COLUMNS
from rl_diffusion_assets.partitions import DAILY, RANGE
from rl_diffusion_assets.preferences.agreement import cohen_kappas, krippendorff_alpha
from rl_diffusion_assets.preferences.formats import Vote, read_votes
from rl_diffusion_assets.preferences.pairs import (
    BadImage,
    Preferences,
    build_pairs,
    normalise_image,
)
from rl_diffusion_assets.prompts.assets import prompt_sets
from rl_diffusion_assets.prompts.prompts import Reject, refused_whole

_SHEET_PAIRS = 12


@dg.asset(
    partitions_def=DAILY,
    backfill_policy=RANGE,
    deps=[prompt_sets],
    group_name="preferences",
    kinds={"parquet", "polars"},
    code_version="3",
    check_specs=specs(CHECKS, "preference_pairs"),
)
def preference_pairs(
    context: dg.AssetExecutionContext, studio: Studio, lake: Lake, limits: Limits
) -> Iterator[dg.MaterializeResult]:
    """The day's ratings as pairs of images, with votes, ties and the agreement of raters."""
    prompts = lake.read("prompt_sets", "prompts")
    splits, checked = dict(prompts.select("prompt_id", "split").iter_rows()), {}
    for day in context.partition_keys:
        votes: list[Vote] = []
        rejects, files = [], dict[str, ReceivedRatings]()
        for received in studio.ratings(day):
            read, refused = read_votes(
                received.rows,
                file=received.file,
                format=received.format,
                columns=received.columns,
                words=received.words,
            )
            votes += read
            rejects += refused
            files[received.file] = received
        named = {
            (v.file, name) for v in votes for name in (v.a, v.b) if _is_there(files[v.file], name)
        }
        progress = Progress(context.log.info, f"preference_pairs {day}", len(named), "images")

        def keep(
            file: str, reference: str, files: dict = files, progress: Progress = progress
        ) -> str | None:
            if not _is_there(files[file], reference):
                return None
            progress.advance()
            try:
                received_image = studio.image(reference, file)
            except ImageUnavailable as error:
                raise BadImage(str(error)) from None
            image_hash, data = normalise_image(received_image)
            lake.put_image(image_hash, data)
            return image_hash

        built = build_pairs(votes, rejects, keep, splits)
        _refuse_useless(files.values(), votes, rejects, built.rejects)
        provenance, agreement = studio.provenance(day), _agreement(built)
        manifest = lake.commit(
            "preference_pairs",
            {"pairs": built.pairs, "votes": built.votes, "rejects": built.rejects},
            partition=day,
            versions={"feed": feed_version(provenance)},
        )
        context.add_asset_metadata(
            {
                **table_metadata(manifest, "pairs", COLUMNS["preference_pairs"]),
                **agreement,
                "files": feeds_table(provenance),
                "rejects": markdown_table(
                    built.rejects.group_by("field", "reason")
                    .len("rows")
                    .sort("rows", "field", "reason", descending=[True, False, False])
                    .head(30)
                    .to_dicts()
                ),
                "winner_and_loser": _sheet(built.pairs, lake),
            },
            partition_key=day,
        )
        context.log.info(
            f"preference_pairs {day}: {built.pairs.height:,} pairs, {built.votes.height:,} votes, "
            f"{built.rejects.height:,} rejects"
        )
        checked[day] = rating_figures(
            built.votes,
            built.rejects,
            agreement.get("krippendorff_alpha"),
            agreement.get("share_of_first_shown"),
            limits,
        )
    results = daily_results(CHECKS, "preference_pairs", "pairs", checked, lake, limits)
    yield dg.MaterializeResult(check_results=results)
    stop(results)


def _is_there(received: ReceivedRatings, reference: str) -> bool:
    """Whether the pixels of an image are there to be read."""
    return received.cells if reference.startswith(CELL) else received.pixels


def _refuse_useless(
    files: Iterable[ReceivedRatings],
    votes: Sequence[Vote],
    refused: Sequence[Reject],
    rejects: pl.DataFrame,
) -> None:
    """Refuse a file with rows of which nothing could be used.

    Args:
        files: of the day.
        votes: that were read from them.
        refused: rows that were none.
        rejects: those, and the votes whose images could not be used.

    Raises:
        FeedError: names the file and the commonest reason.
    """
    read, before = Counter(vote.file for vote in votes), Counter(row.file for row in refused)
    after = Counter(rejects["file"])
    for received in files:
        name = received.file
        if received.rows and read[name] + before[name] == after[name]:
            own = [Reject(*row) for row in rejects.filter(file=name).iter_rows()]
            advice = "; `pixels: false` says that its images are not there" if read[name] else ""
            raise refused_whole(name, own, f"ratings in studio.yaml{advice}")


def _agreement(built: Preferences) -> dict[str, Any]:
    """Numbers about the raters; those that are undefined on a day are left out."""
    kappas = cohen_kappas(built.votes)
    defined = [row.kappa for row in kappas if row.kappa is not None]
    ties = (built.votes["choice"] == "tie").mean() if built.votes.height else None
    numbers = {
        "krippendorff_alpha": krippendorff_alpha(built.votes),
        "mean_cohen_kappa": sum(defined) / len(defined) if defined else None,
        "share_of_ties": ties,
        "share_of_first_shown": built.first_shown_wins,
        "held_out_share": (built.pairs["split"] == "held_out").mean(),
    }
    return {
        **rounded({name: value for name, value in numbers.items() if value is not None}),
        "raters": built.votes["rater"].n_unique() - (built.votes["rater"].null_count() > 0),
        "repeated_votes": built.repeated,
        "contradicting_votes": built.contradictions,
        "cohen_kappa": markdown_table(row._asdict() for row in kappas[:30]),
    }


def _sheet(pairs: pl.DataFrame, lake: Lake) -> dg.MarkdownMetadataValue:
    """Some decided pairs, the winner always left of the loser."""
    decided = pairs.filter(
        pl.col("image_a").is_not_null() & (pl.col("votes_a") != pl.col("votes_b"))
    )
    images, captions = [], []
    for row in decided.sample(min(_SHEET_PAIRS, decided.height), seed=0).to_dicts():
        winner, loser = ("a", "b") if row["votes_a"] > row["votes_b"] else ("b", "a")
        for which in (winner, loser):
            images.append(lake.image(row[f"image_{which}"]))
            captions.append(f"{row[f'votes_{which}']} votes: {row['prompt']}")
    return contact_sheet(images, captions)
