"""What model servers were asked, what it took and cost, and a budget that is never exceeded.

A call is paid for before it is made: `reserve` sets aside the most that it can take, `settle` puts
the rest back. Both are single statements of a database, so that the caps hold for all threads and
processes together. A process that dies in the middle of a call leaves its reservation spent: the
server may have charged for it.
"""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import dagster as dg
import polars as pl
from pydantic import Field

from resources.databases import open_database

_NANO = 1_000_000_000  # money is kept in whole nanodollars: sums of floats would drift over a cap
_TABLES = (
    "CREATE TABLE IF NOT EXISTS model_spending (day VARCHAR(10) PRIMARY KEY, "
    "calls BIGINT NOT NULL, tokens BIGINT NOT NULL, nanodollars BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS model_calls (day VARCHAR(10) NOT NULL, started VARCHAR(32) "
    "NOT NULL, model VARCHAR(200) NOT NULL, purpose VARCHAR(100) NOT NULL, outcome VARCHAR(100) "
    "NOT NULL, prompt_tokens BIGINT NOT NULL, completion_tokens BIGINT NOT NULL, "
    "assumed INTEGER NOT NULL, nanodollars BIGINT NOT NULL, seconds FLOAT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS model_calls_day ON model_calls (day)",
)
_DAY = "INSERT INTO model_spending VALUES (:day, 0, 0, 0) ON CONFLICT DO NOTHING"
_RESERVE = """UPDATE model_spending
    SET calls = calls + 1, tokens = tokens + :tokens, nanodollars = nanodollars + :nanodollars
    WHERE day = :day AND (:max_calls < 0 OR calls + 1 <= :max_calls)
    AND (:max_tokens < 0 OR tokens + :tokens <= :max_tokens)
    AND (:max_nanodollars < 0 OR nanodollars + :nanodollars <= :max_nanodollars)"""
_SETTLE = """UPDATE model_spending SET tokens = tokens + :tokens,
    nanodollars = nanodollars + :nanodollars WHERE day = :day"""
_CALL = """INSERT INTO model_calls VALUES (:day, :started, :model, :purpose, :outcome,
    :prompt_tokens, :completion_tokens, :assumed, :nanodollars, :seconds)"""
_CALLS = """SELECT day, model, purpose, outcome, prompt_tokens, completion_tokens, assumed,
    nanodollars, seconds FROM model_calls WHERE day >= :since"""

USAGE_SCHEMA = {
    "day": pl.String,
    "model": pl.String,
    "purpose": pl.String,
    "outcome": pl.String,
    "calls": pl.Int64,
    "prompt_tokens": pl.Int64,
    "completion_tokens": pl.Int64,
    "assumed": pl.Int64,
    "dollars": pl.Float64,
    "seconds_median": pl.Float64,
    "seconds_p95": pl.Float64,
}
"""Columns of `usage`: `assumed` counts calls whose tokens the server did not tell."""


class BudgetSpent(Exception):
    """A call was not made, because the day's budget might not cover it."""


@dataclass(frozen=True)
class Reservation:
    """What was set aside for a call: the day it counts for (UTC), tokens, whole nanodollars."""

    day: str
    tokens: int
    nanodollars: int


@dataclass(frozen=True)
class Call:
    """One request as it went: tokens as the server counts them, or the most there can have been.

    Attributes:
        started: UTC, ISO 8601.
        outcome: `answered`, or why there is no usable answer.
        assumed: The server did not say what it took, so that the whole reservation counts.
        dollars: By the prices of the settings.
        seconds: From the request to the last byte, or to giving up.
    """

    started: str
    model: str
    purpose: str
    outcome: str
    prompt_tokens: int
    completion_tokens: int
    assumed: bool
    dollars: float
    seconds: float


class Ledger(dg.Config):
    """Calls of model servers, and the caps of a day (UTC) for all of them together."""

    url: str = Field(
        default="",
        repr=False,  # it may hold a password
        description="SQLAlchemy URL of the database (sqlite:///<file>, postgresql+psycopg2://...); "
        "empty: nothing is kept, and there can be no caps.",
    )
    calls_a_day: int | None = Field(default=None, ge=0, description="Requests, retries included.")
    tokens_a_day: int | None = Field(default=None, ge=0, description="Of prompts and answers.")
    dollars_a_day: float | None = Field(default=None, ge=0, description="US$.")

    def reserve(self, tokens: int, dollars: float) -> Reservation:
        """Set aside one call and the most that it can take.

        Raises:
            BudgetSpent: A cap of the day would not hold; names the cap.
        """
        held = Reservation(_today(), tokens, round(dollars * _NANO))
        if not self.url:
            if (self.calls_a_day, self.tokens_a_day, self.dollars_a_day) != (None, None, None):
                raise ValueError("ledger.url is empty: caps need a database to be kept in")
            return held
        from sqlalchemy import text

        caps = {
            "max_calls": -1 if self.calls_a_day is None else self.calls_a_day,
            "max_tokens": -1 if self.tokens_a_day is None else self.tokens_a_day,
            "max_nanodollars": -1
            if self.dollars_a_day is None
            else round(self.dollars_a_day * _NANO),
        }
        with open_database(self.url, _TABLES).begin() as database:
            database.execute(text(_DAY), {"day": held.day})
            if database.execute(text(_RESERVE), asdict(held) | caps).rowcount:
                return held
        raise BudgetSpent(f"the budget of {self._caps()} is spent")

    def settle(self, held: Reservation, call: Call) -> None:
        """Write down how a call went, and put back what it did not take."""
        if not self.url:
            return
        from sqlalchemy import text

        tokens = call.prompt_tokens + call.completion_tokens
        nanodollars = round(call.dollars * _NANO)
        row = asdict(call) | {
            "day": held.day,
            "assumed": int(call.assumed),
            "nanodollars": nanodollars,
            "outcome": call.outcome[:100],
            "model": call.model[:200],
        }
        rest = {"tokens": tokens - held.tokens, "nanodollars": nanodollars - held.nanodollars}
        with open_database(self.url, _TABLES).begin() as database:
            database.execute(text(_SETTLE), {"day": held.day} | rest)
            database.execute(text(_CALL), {k: v for k, v in row.items() if k != "dollars"})

    def spent(self, day: str | None = None) -> dict[str, float]:
        """Calls, tokens and dollars of a day (default: today, UTC), reservations included."""
        if not self.url:
            return {"calls": 0, "tokens": 0, "dollars": 0.0}
        from sqlalchemy import text

        query = "SELECT calls, tokens, nanodollars FROM model_spending WHERE day = :day"
        with open_database(self.url, _TABLES).begin() as database:
            found = database.execute(text(query), {"day": day or _today()}).first() or (0, 0, 0)
        return {"calls": found[0], "tokens": found[1], "dollars": found[2] / _NANO}

    def usage(self, since: str = "") -> pl.DataFrame:
        """Calls from a day on, summed by day, model, purpose and outcome (USAGE_SCHEMA)."""
        if not self.url:
            return pl.DataFrame(schema=USAGE_SCHEMA)
        from sqlalchemy import text

        with open_database(self.url, _TABLES).begin() as database:
            rows = [tuple(row) for row in database.execute(text(_CALLS), {"since": since})]
        if not rows:
            return pl.DataFrame(schema=USAGE_SCHEMA)
        schema = [
            *("day", "model", "purpose", "outcome", "prompt_tokens", "completion_tokens"),
            *("assumed", "nanodollars", "seconds"),
        ]
        return (
            pl.DataFrame(rows, schema=schema, orient="row")
            .group_by("day", "model", "purpose", "outcome")
            .agg(
                pl.len().alias("calls"),
                pl.col("prompt_tokens", "completion_tokens", "assumed").sum(),
                (pl.col("nanodollars").sum() / _NANO).alias("dollars"),
                pl.col("seconds").median().alias("seconds_median"),
                pl.col("seconds").quantile(0.95, "nearest").alias("seconds_p95"),
            )
            .select(pl.col(name).cast(dtype) for name, dtype in USAGE_SCHEMA.items())
            .sort("day", "model", "purpose", "outcome")
        )

    def caps(self) -> dict[str, float]:
        """The caps of a day that are set, by what `spent` calls it."""
        caps = {"calls": self.calls_a_day, "tokens": self.tokens_a_day}
        return {k: v for k, v in (caps | {"dollars": self.dollars_a_day}).items() if v is not None}

    def _caps(self) -> str:
        told = [
            f"{cap:,} {unit}"
            for cap, unit in ((self.calls_a_day, "calls"), (self.tokens_a_day, "tokens"))
            if cap is not None
        ]
        if self.dollars_a_day is not None:
            told.append(f"US$ {self.dollars_a_day:,.2f}")
        return f"{' or '.join(told)} a day (UTC)"


def _today() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d}"
