"""The log of decisions: who proposed what, who decided it, and why. It is only ever added to.

Every event carries a hash over itself and over the hash of the event before it, so that a row that
was changed, left out or put in between shows. What the log means is folded from it elsewhere
(`pinlanding_assets/curation/state.py`): nothing here knows an operation.
"""

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import dagster as dg
from pydantic import Field

from resources.databases import open_database

EVENTS = ("propose", "apply", "refuse", "revert")
MAX_BODY = 20_000  # characters of an event's content, as JSON
_TRIES = 20  # to be the next in the log, among writers of one moment
_PAUSE = 0.05  # s
_START = "0" * 64
_TABLES = (
    """CREATE TABLE IF NOT EXISTS curation_log (catalog VARCHAR(60) NOT NULL,
    seq BIGINT NOT NULL, at VARCHAR(32) NOT NULL, event VARCHAR(10) NOT NULL,
    proposal VARCHAR(16) NOT NULL, actor VARCHAR(100) NOT NULL, body TEXT NOT NULL,
    previous_hash VARCHAR(64) NOT NULL, hash VARCHAR(64) NOT NULL, PRIMARY KEY (catalog, seq))""",
)
_LAST = """SELECT seq, hash FROM curation_log WHERE catalog = :catalog ORDER BY seq DESC LIMIT 1"""
_ADD = """INSERT INTO curation_log VALUES (:catalog, :seq, :at, :event, :proposal, :actor, :body,
    :previous_hash, :hash)"""
_ALL = """SELECT seq, at, event, proposal, actor, body, previous_hash, hash FROM curation_log
    WHERE catalog = :catalog ORDER BY seq"""


class LogBroken(ValueError):
    """The log is not what was written; names the first event that does not fit."""


class LogMoved(Exception):
    """Somebody else has written to the log since it was read."""


@dataclass(frozen=True)
class Event:
    """One row of the log.

    Attributes:
        seq: From 1, without gaps.
        at: UTC, ISO 8601.
        event: One of `EVENTS`.
        proposal: Id of the proposal that it is about.
        actor: `agent:<name>`, `person:<name>` or `mcp:<name>`.
        body: What belongs to the event, as JSON's objects.
        hash: SHA-256 of the event and of the hash before it, in hexadecimal digits.
    """

    seq: int
    at: str
    event: str
    proposal: str
    actor: str
    body: Mapping[str, Any]
    hash: str


class DecisionLog(dg.ConfigurableResource):
    """The decisions on one catalog, in a database that several processes may write to."""

    url: str = Field(
        repr=False,  # it may hold a password
        description="SQLAlchemy URL of the database: sqlite:///<file>, postgresql+psycopg2://...",
    )
    catalog: str = Field(description="Name of the catalog whose decisions these are.")

    def events(self) -> list[Event]:
        """The whole log, oldest first, with its chain of hashes checked.

        Raises:
            LogBroken: an event was changed, removed or put in between.
        """
        from sqlalchemy import text

        with open_database(self.url, _TABLES).connect() as database:
            rows = database.execute(text(_ALL), {"catalog": self.catalog}).all()
        return list(_checked(rows))

    def head(self) -> str:
        """The hash of the last event: another one whenever something was added. "" without any."""
        from sqlalchemy import text

        with open_database(self.url, _TABLES).connect() as database:
            last = database.execute(text(_LAST), {"catalog": self.catalog}).one_or_none()
        return str(last[1]) if last else ""

    def add(
        self,
        event: str,
        proposal: str,
        actor: str,
        body: Mapping[str, Any],
        *,
        after: int | None = None,
    ) -> int:
        """Append an event, whole or not at all.

        Args:
            event: One of `EVENTS`.
            proposal: Id of the proposal that it is about.
            actor: Who acts.
            body: What belongs to it; at most `MAX_BODY` characters as JSON.
            after: The last event that the writer has read; None: it does not matter.

        Returns:
            Its place in the log.

        Raises:
            LogMoved: the log has grown beyond `after`, or too many write at this moment.
            ValueError: the event is unknown, or the body too long.
        """
        return self.add_all([(event, proposal, actor, body)], after=after)

    def add_all(
        self,
        events: Sequence[tuple[str, str, str, Mapping[str, Any]]],
        *,
        after: int | None = None,
    ) -> int:
        """Append events together, or none of them; see `add`. Returns the place of the last."""
        from sqlalchemy import text
        from sqlalchemy.exc import IntegrityError, OperationalError

        told = [
            (event, proposal, actor, _canonical(body)) for event, proposal, actor, body in events
        ]
        for event, _, actor, body in told:
            if event not in EVENTS:
                raise ValueError(f"event {event!r} is none of {', '.join(EVENTS)}")
            if len(body) > MAX_BODY or len(actor) > 100:
                raise ValueError(f"an event of {len(body)} characters; {MAX_BODY} are allowed")
        for _ in range(_TRIES):
            try:
                with open_database(self.url, _TABLES).begin() as database:
                    last = database.execute(text(_LAST), {"catalog": self.catalog}).one_or_none()
                    seq, previous = (int(last[0]), str(last[1])) if last else (0, _START)
                    if after is not None and seq != after:
                        raise LogMoved(f"the log has {seq} events, not {after}: read it again")
                    for event, proposal, actor, body in told:
                        seq += 1
                        at = datetime.now(UTC).isoformat(timespec="microseconds")
                        row = (seq, at, event, proposal, actor, body, previous)
                        now = _hash(row)
                        names = ("seq", "at", "event", "proposal", "actor", "body", "previous_hash")
                        values = dict(zip(names, row, strict=True))
                        database.execute(
                            text(_ADD), values | {"catalog": self.catalog, "hash": now}
                        )
                        previous = now
                return seq
            except (IntegrityError, OperationalError) as error:
                busy = error  # another writer took the place, or holds SQLite's lock
                time.sleep(_PAUSE)
        raise LogMoved(f"others write to the log at this moment: {type(busy).__name__}")

    def export(self) -> str:
        """The log as JSON Lines, for version control."""
        return "".join(
            json.dumps({**vars(event), "body": dict(event.body)}, sort_keys=True) + "\n"
            for event in self.events()
        )


def _checked(rows: Sequence[Any]) -> Iterator[Event]:
    previous = _START
    for place, row in enumerate(rows, 1):
        seq, at, event, proposal, actor, body, told, found = row
        if seq != place or told != previous or _hash((seq, *row[1:7])) != found:
            raise LogBroken(
                f"event {place} of the log of decisions is not what was written; nothing is "
                "decided by a log that was changed: restore it from a backup"
            )
        previous = found
        yield Event(seq, at, event, proposal, actor, json.loads(body), found)


def _hash(row: Sequence[Any]) -> str:
    return hashlib.sha256(json.dumps(list(row), ensure_ascii=True).encode()).hexdigest()


def _canonical(body: Mapping[str, Any]) -> str:
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
