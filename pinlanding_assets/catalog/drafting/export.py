"""What a known export is: the meaning of its columns, by their names."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Export:
    """What the columns of an export mean.

    Attributes:
        name: For people.
        needs: Columns that are all there; one with `|` is any of several.
        columns: Field -> its columns, the first that is not blank counts. () leaves a field out.
            One with `&&` is an expression (JMESPath) with the names of columns in quotes.
        images: Columns, paths or expressions, and how they are split; {n} stands for 1, 2, 3, ...
        images_from: The address that bare names of images are below.
        attributes: Key -> column and how it is split.
        pairs: Columns of keys and values, as the setting `attributes."*"` has them.
        only: Column -> the values of rows that count, where the column has no other values than
            these and those of `not_sold`.
        ignored: Columns that say nothing, by the beginning of their names.
        notes: Setting -> what is doubtful where a column is there (always, for "").
    """

    name: str
    needs: tuple[str, ...]
    columns: dict[str, tuple[str, ...]] = field(default_factory=dict)
    images: tuple[tuple[str, str | None], ...] = ()
    images_from: str = ""
    attributes: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    pairs: tuple[dict[str, Any], ...] = ()
    only: dict[str, tuple[str, ...]] = field(default_factory=dict)
    rows: str = ""
    product_type: str = ""
    ignored: tuple[str, ...] = ()
    notes: dict[str, tuple[str, str]] = field(default_factory=dict)
