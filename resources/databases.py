"""Databases that processes share: SQLite in a file, PostgreSQL on a server."""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy import Engine


@lru_cache(maxsize=8)
def open_database(url: str, tables: tuple[str, ...]) -> "Engine":
    """A database with its tables; one pool of connections a process.

    Args:
        url: SQLAlchemy URL.
        tables: Statements that make what is not there.
    """
    import sqlalchemy

    options: dict[str, Any] = {}
    if url.startswith("sqlite"):
        options["connect_args"] = {"timeout": 60}  # s to wait for another writer
        Path(sqlalchemy.make_url(url).database or "").parent.mkdir(parents=True, exist_ok=True)
    engine = sqlalchemy.create_engine(url, **options)
    with engine.begin() as database:
        if url.startswith("sqlite"):
            database.execute(sqlalchemy.text("PRAGMA journal_mode=WAL"))
        else:  # two that create a table at once would meet in PostgreSQL's catalog
            database.execute(sqlalchemy.text("SELECT pg_advisory_xact_lock(7202411)"))
        for statement in tables:
            database.execute(sqlalchemy.text(statement))
    return engine
