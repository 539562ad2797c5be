"""What a mapping is drafted from, and what comes out."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

_WEIGHTS = (
    *("feeds", "columns.id", "columns.price", "decimal", "only", "columns.status", "rows"),
    *("columns.parent", "columns.title", "columns.operation", "columns.availability"),
    *("columns.images", "defaults.currency", "columns.currency", "attributes", "snapshot"),
    *("columns.description", "columns.seller"),
)


@dataclass(frozen=True)
class Sample:
    """The first records of a file.

    Attributes:
        name: Of the file, relative to the folder that catalog.yaml will lie in, or a URI.
        records: Its first rows, as objects.
        columns: The names of its columns; None where only the rows have names.
        read_as: How it was read, for people.
        whole: Whether the records are all that the file has.
        broken: How many rows could not be read.
    """

    name: str
    records: Sequence[dict[str, Any]]
    columns: Sequence[str] | None = None
    read_as: str = ""
    whole: bool = True
    broken: int = 0


@dataclass
class Draft:
    """A mapping that was drafted.

    Attributes:
        settings: What a catalog.yaml says.
        reasons: Setting (`columns.title`) -> why, in a short sentence.
        unused: Column -> why it stays unused.
        unsure: Setting -> what a person should look at; the setting may be one that is missing.
        recognized: The known export that the files are, if they are one.
        minor: Doubts that are likely to be for nothing; they are shown last.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    unused: dict[str, str] = field(default_factory=dict)
    unsure: dict[str, list[str]] = field(default_factory=dict)
    recognized: str = ""
    minor: set[str] = field(default_factory=set)

    @property
    def usable(self) -> bool:
        """Whether it names the column of the ids, without which there is no catalog."""
        return bool(self.settings.get("columns", {}).get("id"))

    def doubt(self, setting: str, text: str, *, minor: bool = False) -> None:
        """Notes what a person should look at, once."""
        said = self.unsure.setdefault(setting, [])
        if minor:
            self.minor.add(text)
        if text not in said:
            said.append(text)

    def ranked(self) -> list[tuple[str, str]]:
        """(setting, doubt), what changes most of what a shopper sees first."""
        found = [(setting, one) for setting, doubts in self.unsure.items() for one in doubts]
        return sorted(found, key=lambda pair: (pair[1] in self.minor, _weight(pair[0])))


def _weight(setting: str) -> int:
    return _WEIGHTS.index(setting) if setting in _WEIGHTS else len(_WEIGHTS)
