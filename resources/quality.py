"""Data-quality checks: their limits in one place, and what was found as results that Dagster shows.

A check is either a warning, which is shown and stops nothing, or it stops: what it finds bad must
not be built upon. A step whose check stops fails with what to do about it, and names the partitions
that it refuses: for the night these have failed, and nothing follows them (resources/staleness.py).
A backfill starts the runs of downstream assets all the same (blocking checks do not reach them), so
whatever publishes verifies again in its own body, with the same functions.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import dagster as dg
from pydantic import Field

from resources.event_log import REFUSED
from resources.lake import Lake, Manifest
from resources.reporting import rounded

SHOWN = 5  # failures named in a description
_GOES_ON = "goes_on"  # metadata of a check that ends no run


class Limits(dg.ConfigurableResource):
    """From where on data counts as bad; `limits:` in catalog.yaml and PLATFORM_LIMITS change it.

    Shares are between 0 and 1.
    """

    days_before: int = Field(7, ge=1, description="days that a day's row count is compared with")
    min_days_before: int = Field(3, ge=1, description="days needed for that comparison")
    row_count_factor: float = Field(3.0, gt=1, description="times more or fewer rows than usual")
    reject_rate: float = Field(0.2, ge=0, le=1, description="refused rows of a day, at most")
    shrinks: float = Field(
        0.5, ge=0, le=1, description="products that a full export may lack, of those known before"
    )
    respelled_ids: float = Field(
        0.02, ge=0, le=1, description="ids that are known ones in another spelling"
    )
    replaced_rows: float = Field(
        0.2, ge=0, le=1, description="rows that replace another of their product and day"
    )
    unknown_words: float = Field(
        0.2, ge=0, le=1, description="products whose word for availability is not known"
    )
    images_refused: float = Field(0.2, ge=0, le=1, description="refused images of a day")
    field_jump: float = Field(
        0.3, gt=0, le=1, description="change of a field's shares against the days before"
    )
    repeated: float = Field(
        0.5, ge=0, le=1, description="products of a feed of changes that did not change"
    )
    valid_answers: float = Field(0.7, ge=0, le=1, description="usable answers of the vision model")
    unanswered_days: int = Field(5, ge=1, description="days that a proposal may wait, of 7")
    calls_answered: float = Field(0.8, ge=0, le=1, description="usable answers of model servers")
    mentions_kept: float = Field(
        0.5, ge=0, le=1, description="raw mentions that the vocabulary has"
    )
    embedded: float = Field(0.9, ge=0, le=1, description="products of a day that have a vector")
    norm_tolerance: float = Field(1e-3, gt=0, description="distance of a vector's length from 1")
    index_recall: float = Field(0.95, ge=0, le=1, description="recall@10 against an exact scan")
    coverage: float = Field(0.5, ge=0, le=1, description="products with at least one attribute")
    largest_cluster: float = Field(0.6, gt=0, le=1, description="products in one cluster, at most")
    searches_understood: float = Field(0.2, ge=0, le=1, description="known words of searches")
    collections_accepted: float = Field(0.2, ge=0, le=1, description="topics that become pages")
    p_at_10: float = Field(0.7, ge=0, le=1, description="right products among a page's first ten")
    estimated_precision: float = Field(
        0.85, ge=0, le=1, description="right statements about hidden labels"
    )
    estimated_statements: int = Field(
        50, ge=1, description="statements about hidden labels that an estimate needs"
    )
    said_gap: float = Field(
        0.05, ge=0, le=1, description="a key's probabilities away from its hidden labels, at most"
    )
    pages_kept: float = Field(0.5, ge=0, le=1, description="pages, as a share of the live site's")
    rater_agreement: float = Field(0.1, ge=-1, le=1, description="Krippendorff's alpha of a day")
    first_shown_bias: float = Field(0.2, ge=0, le=0.5, description="first-shown wins, away from ½")
    min_votes: int = Field(30, ge=1, description="votes of a day that say anything about raters")
    reward_accuracy: float = Field(0.8, ge=0, le=1, description="right answers of reward models")
    found_in_nothing: float = Field(0.1, ge=0, le=1, description="people seen where none are")
    people_found: float = Field(0.9, ge=0, le=1, description="drawn people that are found")
    kept: float = Field(0.95, ge=0, description="sharpness and variety, relative to the base's")


@dataclass(frozen=True)
class Check:
    """A data-quality check of an asset.

    Attributes:
        name: Its name under the asset.
        description: What holds while it passes.
        remedy: What to do when it does not.
        stops: Nothing may be built on data that fail it; else it warns.
        goes_on: It is an error of single partitions, and the others go on.
    """

    name: str
    description: str
    remedy: str
    stops: bool = False
    goes_on: bool = False

    def spec(self, asset: str | dg.AssetKey, *, blocking: bool = True) -> dg.AssetCheckSpec:
        """What Dagster shows before the check has run; not `blocking`: it fails no run."""
        return dg.AssetCheckSpec(
            self.name,
            asset=asset,
            description=self.description,
            blocking=blocking and self.stops,
        )


@dataclass(frozen=True)
class Finding:
    """What a check saw: a number to plot, and what is wrong (empty: nothing)."""

    value: float | None = None
    failure: str = ""


def specs(
    checks: Mapping[str, Sequence[Check]], asset: str, *, blocking: bool = True
) -> list[dg.AssetCheckSpec]:
    """The check specs of an asset."""
    return [check.spec(asset, blocking=blocking) for check in checks[asset]]


def at_least(value: float | None, limit: float, what: str) -> Finding:
    """Passes where `value` reaches the limit, or cannot be known (None)."""
    if value is None or value >= limit:
        return Finding(value)
    return Finding(value, f"{what}: {value:.4g}, at least {limit:.4g} wanted")


def at_most(value: float | None, limit: float, what: str) -> Finding:
    """Passes where `value` keeps to the limit, or cannot be known (None)."""
    if value is None or value <= limit:
        return Finding(value)
    return Finding(value, f"{what}: {value:.4g}, at most {limit:.4g} allowed")


def check_results(
    checks: Mapping[str, Sequence[Check]],
    asset: str,
    found: Mapping[str, Mapping[str, Finding]] | Mapping[None, Mapping[str, Finding]],
) -> list[dg.AssetCheckResult]:
    """One result a check over everything that a run made.

    Args:
        checks: The checks of every asset.
        asset: The one that was made.
        found: Partition (None: unpartitioned) -> check name -> what was seen.

    Raises:
        KeyError: a check that nothing was found for.
    """
    results = []
    for check in checks[asset]:
        findings = {where: per_check[check.name] for where, per_check in found.items()}
        failures = [
            f"{where}: {finding.failure}" if where else finding.failure
            for where, finding in findings.items()
            if finding.failure
        ]
        values = [one.value for one in findings.values() if one.value is not None]
        value = values[-1] if values else math.nan
        more = f" (and {len(failures) - SHOWN} more)" if len(failures) > SHOWN else ""
        told = "; ".join(failures[:SHOWN]) + more
        results.append(
            dg.AssetCheckResult(
                asset_key=asset,
                check_name=check.name,
                passed=not failures,
                severity=dg.AssetCheckSeverity.ERROR
                if check.stops or check.goes_on
                else dg.AssetCheckSeverity.WARN,
                description=f"{told}. What to do: {check.remedy}" if failures else None,
                metadata={
                    **({REFUSED: _refused(findings)} if failures and check.stops else {}),
                    **({_GOES_ON: "the other partitions"} if check.goes_on else {}),
                    **(rounded({"value": value}) if math.isfinite(value) else {}),
                    # a text, since the UI plots every number
                    **({"partitions": str(len(findings))} if None not in findings else {}),
                },
            )
        )
    return results


def _refused(findings: Mapping[str | None, Finding]) -> list[str | None]:
    return [where for where, finding in findings.items() if finding.failure]


def stop(results: Iterable[dg.AssetCheckResult]) -> None:
    """Ends a step whose checks stop.

    Raises:
        Failure: a check that is no warning has failed; the message says what to do.
    """
    failed = [
        result
        for result in results
        if not result.passed
        and result.severity == dg.AssetCheckSeverity.ERROR
        and _GOES_ON not in result.metadata
    ]
    if failed:
        raise dg.Failure(
            "\n".join(f"{result.check_name}: {result.description}" for result in failed),
            metadata={
                "failed_checks": ", ".join(str(result.check_name) for result in failed),
                REFUSED: [where for result in failed for where in _refused_by(result)],
            },
            allow_retries=False,
        )


def _refused_by(result: dg.AssetCheckResult) -> list[Any]:
    found = result.metadata.get(REFUSED)
    return [*(found.data or [])] if isinstance(found, dg.JsonMetadataValue) else []


ROW_COUNT = Check(
    "row_count",
    "A day has about as many rows as the days before it.",
    "open the day's metadata and compare its feed with earlier ones. If the feed was cut off or "
    "sent twice, get it sent again and materialize the day again; else there is nothing to do.",
)
SCHEMA = Check(
    "schema",
    "A day has the columns and types of the day before it; days of different columns cannot be "
    "read together.",
    "the code or the model has changed since the other day was made: backfill the earlier days of "
    "this asset.",
    stops=True,
)


def daily_results(
    checks: Mapping[str, Sequence[Check]],
    asset: str,
    table: str,
    found: Mapping[str, Mapping[str, Finding]],
    lake: Lake,
    limits: Limits,
) -> list[dg.AssetCheckResult]:
    """`check_results` of committed days, ROW_COUNT and SCHEMA of `table` among them."""
    usual = against_days_before(lake, asset, table, list(found), limits)
    return check_results(checks, asset, {day: {**found[day], **usual[day]} for day in found})


def against_days_before(
    lake: Lake, asset: str, table: str, days: Sequence[str], limits: Limits
) -> dict[str, dict[str, Finding]]:
    """Findings of ROW_COUNT and SCHEMA; of a day that was not kept, nothing is said.

    The rows of a day are compared with the median of the days before it, so that one odd day does
    not make the next one look odd; with too few days before it, nothing is said.
    """
    known = lake.partitions(asset)
    read: dict[str, Manifest | None] = {}

    def manifest(day: str) -> Manifest:
        if day not in read:
            read[day] = lake.manifest(asset, day)
        found = read[day]
        assert found is not None, f"{asset} {day} was committed and is gone"
        return found

    nothing = {"row_count": Finding(), "schema": Finding()}

    out: dict[str, dict[str, Finding]] = {}
    for day in days:
        if day not in known:
            out[day] = nothing
            continue
        before = [other for other in known if other < day][-limits.days_before :]
        rows = manifest(day).tables[table].rows
        counts = [manifest(other).tables[table].rows for other in before]
        out[day] = {
            "row_count": _row_count(rows, counts, limits),
            "schema": _schema(manifest(day), manifest(before[-1]) if before else None),
        }
    return out


def _row_count(rows: int, before: Sequence[int], limits: Limits) -> Finding:
    if len(before) < limits.min_days_before:
        return Finding(rows)
    usual, factor = median(before), limits.row_count_factor
    # a handful of rows goes up and down by itself
    if max(rows, usual) < 10 or usual / factor <= rows <= usual * factor:
        return Finding(rows)
    return Finding(rows, f"{rows:,} rows, {usual:,.0f} is usual")


def _schema(now: Manifest, before: Manifest | None) -> Finding:
    if before is None:
        return Finding()
    changes = [
        f"{name}.{column} was {old.columns.get(column)} on {before.partition}, "
        f"is {now.tables[name].columns.get(column) if name in now.tables else None}"
        for name, old in before.tables.items()
        for column in {**old.columns, **(now.tables[name].columns if name in now.tables else {})}
        if name not in now.tables or old.columns.get(column) != now.tables[name].columns.get(column)
    ]
    return Finding(len(changes), ", ".join(changes[:SHOWN]))
