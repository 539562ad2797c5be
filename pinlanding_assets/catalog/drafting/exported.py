"""A known export applied to the columns that are there."""

import json
import re
from collections.abc import Callable, Mapping, Sequence

from pinlanding_assets.catalog.drafting.attributes import split_of
from pinlanding_assets.catalog.drafting.export import Export
from pinlanding_assets.catalog.drafting.names import plain
from pinlanding_assets.catalog.drafting.profile import Column
from pinlanding_assets.catalog.drafting.samples import Draft
from pinlanding_assets.catalog.drafting.shapes import is_url
from pinlanding_assets.catalog.drafting.table import Table

_MAX_NUMBERED = 50


class Recipe:
    """What a known export says of a table's columns."""

    def __init__(self, export: Export, table: Table, columns: Mapping[str, Column]):
        self._export, self._table, self._columns = export, table, columns
        self._names: dict[str, str] = {}
        for name in (*table.names, *columns):
            self._names.setdefault(plain(name), name)

    @property
    def fields(self) -> Mapping[str, tuple[str, ...]]:
        """The fields of which the export says something."""
        return self._export.columns

    def _named(self, wanted: str) -> str | None:
        name = self._names.get(plain(wanted), "")
        return name if name in self._columns and self._columns[name].values else None

    def field(self, field: str) -> list[str] | None:
        """The columns of a field; None: the export says nothing of it."""
        if field not in self._export.columns:
            return None
        found = []
        for wanted in self._export.columns[field]:
            if "&&" in wanted:
                name = self._expression(wanted)
            else:
                name = wanted if "[" in wanted and self._of_path(wanted) else self._named(wanted)
            if name:
                found.append(name)
        return found if found or not self._export.columns[field] else None

    def _expression(self, wanted: str) -> str | None:
        """An expression with the columns' own names; None: one of them is not there."""
        names = {quoted: self._named(quoted) for quoted in re.findall(r'"([^"]*)"', wanted)}
        if not all(names.values()):
            return None
        return re.sub(r'"([^"]*)"', lambda m: json.dumps(names[m[1]], ensure_ascii=False), wanted)

    def _of_path(self, path: str) -> bool:
        return any(column.one == path and column.values for column in self._columns.values())

    def rows(self, column: Column | None) -> str:
        repeats = column is not None and not self._table.is_unique(column)
        return self._export.rows or (
            "joined" if repeats and "parent" not in self._export.columns else ""
        )

    def images(self) -> list[tuple[str, str | None]]:
        found = []
        for wanted, split in self._export.images:
            if "[]" in wanted or "&&" in wanted:
                path = wanted if wanted in self._columns else None
                if name := self._expression(wanted) if "&&" in wanted else path:
                    found.append((name, split))
                continue
            numbers = range(1, _MAX_NUMBERED) if "{n}" in wanted else [0]
            for n in numbers:
                name = self._named(wanted.replace("{n}", str(n)))
                if name:
                    found.append((name, split))
        known = self._columns
        addresses = [one for one in found if one[0] in known and known[one[0]].share(is_url) > 0.5]
        # the same photos by their names alone
        files = [one for one in found if one not in addresses and " file " in plain(one[0])]
        return [one for one in found if not addresses or one not in files]

    def images_from(self, images: list[tuple[str, str | None]]) -> str:
        """The address that images are below, where they are bare names; "": there is none."""
        named = [self._columns[name] for name, _ in images if name in self._columns]
        bare = named and all(column.share(is_url) == 0 for column in named)
        return self._export.images_from if bare else ""

    def attributes(self) -> list[tuple[str, str, str | None]]:
        found = []
        for key, (wanted, split) in self._export.attributes.items():
            name = self._named(wanted)
            if name:
                column = self._columns[name]
                other = split_of(column) if split else None
                said = not split or any(split in text for text in column.texts)
                several = other if not said and other in ("|", ";") else split
                if split == ">" and not any(split in text for text in column.texts):
                    several = None
                found.append((key, name, None if column.listed else several))
        return found

    def values(self, column: Column) -> dict[str, str]:
        """Values that are the shop software's own words for nothing."""
        empty = {"Default Title", "Default"} & set(column.texts)
        return dict.fromkeys(sorted(empty), "")

    def product_type(self, chosen: Mapping[str, Column]) -> str | None:
        wanted = self._export.product_type
        return wanted if wanted in chosen and chosen[wanted].distinct > 1 else None

    def pairs(self, used: set[str]) -> list[dict[str, object]]:
        """Columns of keys and values."""
        found: list[dict[str, object]] = []
        for pair in self._export.pairs:
            shown: dict[str, object] = dict(pair)
            for setting in ("names", "column"):
                if setting not in pair:
                    continue
                name = self._named(pair[setting].replace("{n}", "1"))
                if name is None:
                    break
                shown[setting] = name.replace("1", "{n}", 1) if "{n}" in pair[setting] else name
                used.add(name)
                for n in range(2, _MAX_NUMBERED):
                    numbered = self._names.get(plain(pair[setting].replace("{n}", str(n))))
                    if numbered:
                        used.add(numbered)
            else:
                found.append(shown)
        return found + self._options(used)

    def _options(self, used: set[str]) -> list[dict[str, object]]:
        """Shopify's options."""
        listed = self._columns.get("options")
        if listed is not None and listed.keyed and "variants" in self._export.needs:
            used.add("options")
            return [{"column": "options", "keys": {"Title": ""}}]
        numbered = [
            (n, v)
            for i in range(1, 4)
            if (n := self._named(f"option{i} name")) and (v := self._named(f"option{i} value"))
        ]
        if not numbered:
            return []
        used |= {name for pair in numbered for name in pair}
        names, values = (name.replace("1", "{n}", 1) for name in numbered[0])
        return [{"names": names, "column": values, "keys": {"Title": ""}}]

    def only(self, draft: Draft) -> dict[str, list[str]]:
        """Which rows count, for columns that have other values."""
        found: dict[str, list[str]] = {}
        for wanted, values in self._export.only.items():
            name = self._named(wanted)
            if not name:
                continue
            column = self._columns[name]
            texts = set(column.texts) | ({""} if column.fill < 1 else set())
            if texts - set(values) and texts & set(values):
                found[name] = list(values)
            elif texts - set(values):
                draft.doubt("only", f"{name!r} has none of the values {', '.join(values)}")
        for setting, (column, note) in self._export.notes.items():
            if not column or self._named(column):
                draft.doubt(setting, note)
        return found

    def parents(self, set_field: Callable[[str, Sequence[str], str], None]) -> None:
        """The column of the product that a row is a part of, where rows have one."""
        parent = self._export.columns.get("parent")
        name = self._named(parent[0]) if parent else None
        if not name:
            return
        set_field("parent", [name], "names the product that a row is a part of")
        key = self._export.columns.get("parent_key")
        key_name = self._named(key[0]) if key else None
        if key_name:
            set_field("parent_key", [key_name], "what the column of the parent names")

    def ignores(self, name: str) -> bool:
        """Whether the export says that a column is none of a product's."""
        first = re.split(r"[.\[]", name)[0]
        return any(plain(one).startswith(self._export.ignored) for one in (name, first)) and bool(
            self._export.ignored
        )

    def availability(self) -> list[str] | None:
        """The columns, or for Shopify paths that mind the policy of a variant."""
        if "variant inventory qty" in self._names or "variant inventory policy" in self._names:
            return self._shopify()
        for column in self._columns.values():
            if column.name == "variants[].available" and self._export.name.startswith(
                "the products"
            ):
                return ["variants[].available | contains(@, `true`)"]
        return self.field("availability")

    def _shopify(self) -> list[str]:
        """What says whether a variant can be had: its policy, whether it is counted, its count."""
        quoted = {key: json.dumps(name, ensure_ascii=False) for key, name in self._names.items()}
        found = []
        if policy := quoted.get("variant inventory policy"):
            found.append(f"{policy} == 'continue' && 'yes' || ''")
        tracker, price = quoted.get("variant inventory tracker"), quoted.get("variant price")
        if tracker and price:
            found.append(f"{price} && !{tracker} && 'yes' || ''")
        return [*found, *filter(None, [self._names.get("variant inventory qty")])]

    def status(self) -> list[str] | None:
        """The columns that say whether a product is for sale at all."""
        named = self.field("status")
        published = self._named("published")
        if not named or not published or "handle" not in self._export.needs:
            return named
        column = self._columns[published]
        no = sorted({text for text in column.texts if text.casefold() == "false"})
        if not no or published in named[:1]:
            return named
        # an active product that is published nowhere is not sold either
        quoted = json.dumps(published, ensure_ascii=False)
        first = [f"{quoted} == {json.dumps(text)[1:-1]!r} && 'no' || ''" for text in no]
        return [*first, *[name for name in named if name != published]]
