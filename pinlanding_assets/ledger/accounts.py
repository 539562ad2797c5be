"""What model servers cost: the ledger's days, brought up to date and summed up."""

import polars as pl

ANSWERED = "answered"


def up_to_date(before: pl.DataFrame, since: pl.DataFrame) -> pl.DataFrame:
    """The table `usage` with days that have been read again; the earlier ones are closed.

    Args:
        before: The table as it was.
        since: Days from the last one of `before` on.
    """
    first = since["day"].min() if since.height else None
    kept = before if first is None else before.filter(pl.col("day") < first)
    return pl.concat([kept, since]).sort("day", "model", "purpose", "outcome")


def newest_day(usage: pl.DataFrame) -> dict[str, float]:
    """Calls, tokens, US$, the share of usable answers and latency (s) of the newest day."""
    day = usage.filter(pl.col("day") == pl.col("day").max())
    answered = day.filter(outcome=ANSWERED)
    calls = int(day["calls"].sum())
    return {
        "calls": calls,
        "tokens": int((day["prompt_tokens"] + day["completion_tokens"]).sum()),
        "dollars": float(day["dollars"].sum()),
        "dollars_in_all": float(usage["dollars"].sum()),
        **({"answered": int(answered["calls"].sum()) / calls} if calls else {}),
        **(
            {
                "seconds_median": float(answered["seconds_median"].median()),  # type: ignore[arg-type]
                "seconds_p95": float(answered["seconds_p95"].max()),  # type: ignore[arg-type]
            }
            if answered.height
            else {}
        ),
    }


def days(usage: pl.DataFrame) -> pl.DataFrame:
    """A row a day: calls, calls without a usable answer, tokens, US$; the newest first."""
    return (
        usage.group_by("day")
        .agg(
            pl.col("calls").sum(),
            pl.col("calls").filter(pl.col("outcome") != ANSWERED).sum().alias("failed"),
            (pl.col("prompt_tokens") + pl.col("completion_tokens")).sum().alias("tokens"),
            pl.col("dollars").sum(),
        )
        .sort("day", descending=True)
    )
