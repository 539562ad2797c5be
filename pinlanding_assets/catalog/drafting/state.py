"""A draft in the making: the columns, and which of them a setting has already."""

from collections.abc import Callable, Sequence

from pinlanding_assets.catalog.drafting import fields
from pinlanding_assets.catalog.drafting.exported import Recipe
from pinlanding_assets.catalog.drafting.history import rejoined
from pinlanding_assets.catalog.drafting.known_exports import recognize
from pinlanding_assets.catalog.drafting.profile import Column
from pinlanding_assets.catalog.drafting.related import Join
from pinlanding_assets.catalog.drafting.samples import Draft
from pinlanding_assets.catalog.drafting.table import Table


class State:
    """One draft.

    Attributes:
        table: The files of the products.
        columns: Their columns by name, one that has another name on later days once, and those of
            joined tables.
        result: What is known so far.
        used: The columns that a setting has.
        joins: The tables that are joined.
        recipe: The known export that the files are, if they are one.
        id_column: The column of the ids.
    """

    def __init__(self, table: Table):
        self.table = table
        self.columns = rejoined(table)
        self.own = dict(self.columns)
        self.result = Draft()
        self.result.settings = {"feeds": list(table.patterns), "columns": {}}
        self.used: set[str] = set()
        self.joins: list[Join] = []
        self.id_column = ""
        self.recipe: Recipe | None = None

    def recognize(self) -> None:
        """Sees whether the files are a known export."""
        export = recognize(self.table.names)
        if export:
            self.recipe = Recipe(export, self.table, self.columns)
            self.result.recognized = export.name

    def given(self, field: str) -> list[str] | None:
        """The columns that the known export has for a field; None: it says nothing of it."""
        return self.recipe.field(field) if self.recipe else None

    def open(self, *, but_id: bool = False) -> list[Column]:
        """The columns that no setting has yet; that of the ids may hold images, too."""
        free = self.id_column if but_id else None
        return [c for c in self.columns.values() if c.name not in self.used or c.name == free]

    def ranked(self, field: str, fits: Callable[[Column], bool]) -> list[Column]:
        """The open columns that fit a field, those of the products before those of other files."""
        found = [column for _, column in fields.ranked(self.open(), field, fits)]
        return sorted(found, key=self.is_joined)

    def column(self, name: str | list[str] | None) -> Column | None:
        """The column of a name or a path (of several, of the first)."""
        first = name[0] if isinstance(name, list) else name
        if first is None:
            return None
        same = (c for c in self.columns.values() if c.one == first)
        return self.columns.get(first) or next(same, None)

    def field(self, field: str) -> Column | None:
        """The column that a field has."""
        return self.column(self.result.settings["columns"].get(field))

    def is_joined(self, column: Column) -> bool:
        """Whether a column stands in another file."""
        return any(column.name.startswith(f"{join.name}[]") for join in self.joins)

    def set(self, field: str, names: Sequence[str], reason: str) -> None:
        """Gives a field its columns, with the names that they have on other days."""
        listed: list[str] = []
        for name in names:
            column = self.column(name)
            found = [name] if column is None else [name, *column.others]
            listed += [one for one in found if one not in listed]
            self.used |= {name, *([column.name, *column.others] if column else [])}
        if listed:
            self.result.settings["columns"][field] = listed[0] if len(listed) == 1 else listed[:20]
            self.result.reasons[f"columns.{field}"] = reason
