"""Drafts a mapping: which settings of a catalog.yaml fit files of which samples are given."""

from collections.abc import Sequence

from pinlanding_assets.catalog.drafting import attributes, fields, money, words
from pinlanding_assets.catalog.drafting.exported import Recipe
from pinlanding_assets.catalog.drafting.files import patterns, stem_of
from pinlanding_assets.catalog.drafting.history import is_full, rejoined
from pinlanding_assets.catalog.drafting.identity import Identity, identify
from pinlanding_assets.catalog.drafting.known_exports import recognize
from pinlanding_assets.catalog.drafting.names import key_of
from pinlanding_assets.catalog.drafting.pictures import pictures, split_of
from pinlanding_assets.catalog.drafting.profile import Column
from pinlanding_assets.catalog.drafting.related import (
    Join,
    is_about_others,
    is_log,
    join_of,
    main_of,
)
from pinlanding_assets.catalog.drafting.samples import Draft, Sample
from pinlanding_assets.catalog.drafting.table import Table, alike

_ORDER = (
    *("id", "parent", "parent_key", "operation", "title", "description", "images", "price"),
    *("currency", "seller", "availability", "status", "url", "day"),
)
_FEW_SELLERS = 12  # of fewer, three in one collection are rare


def draft(samples: Sequence[Sample]) -> Draft:
    """The settings that fit files, with reasons, and what is unsure.

    Args:
        samples: The first records of each file, or of some files of each kind.
    """
    tables = _tables(samples)
    if not tables:
        found = Draft()
        found.doubt("feeds", "no file with rows was found")
        return found
    return _Drafting(tables).run()


def _tables(samples: Sequence[Sample]) -> list[Table]:
    """Samples with the same columns together, in the order of their names."""
    found: dict[str, Table] = {}
    named = patterns([sample.name for sample in samples])
    for sample in sorted(samples, key=lambda s: (named[s.name][1] or "", s.name)):
        pattern, day = named[sample.name]
        if sample.records:
            found.setdefault(pattern, Table([pattern])).samples.append((day, sample))
    merged: list[Table] = []
    for table in found.values():
        for other in merged:
            dated = ["{day" in t.patterns[0] for t in (table, other)]
            if dated[0] == dated[1] and alike(table.names, other.names):
                other.patterns += table.patterns
                other.samples += table.samples
                break
        else:
            merged.append(table)
    return merged


class _Drafting:
    """One draft in the making."""

    def __init__(self, tables: Sequence[Table]):
        self.table = main_of(list(tables))
        self.others = [table for table in tables if table is not self.table]
        self.columns = rejoined(self.table)
        self.result = Draft()
        self.used: set[str] = set()
        self.joins: list[Join] = []

    def run(self) -> Draft:
        result, table = self.result, self.table
        result.settings["feeds"] = list(table.patterns)
        result.settings["columns"] = {}
        if is_log(table):
            result.doubt(
                "columns.id", "the file looks like a log of searches, which has no products"
            )
            return result
        self._join()
        export = recognize(table.names)
        self.recipe = Recipe(export, table, self.columns) if export else None
        if export:
            result.recognized = export.name
        title = self._title()
        identity = self._identity(title)
        self._images()
        self._fields(title)
        self._prices()
        self._attributes()
        self._leave_out_tables()
        self._history(identity)
        self._unused()
        columns = result.settings["columns"]
        result.settings["columns"] = {name: columns[name] for name in _ORDER if name in columns}
        if not (columns.get("title") or columns.get("images")):
            result.doubt("columns.title", "no column of titles was found")
        return result

    # what other files add

    def _join(self) -> None:
        for other in self.others:
            shown = ", ".join(other.patterns)
            why = "a log of searches" if is_log(other) else ""
            why = why or ("tells of people, not of products" if is_about_others(other) else "")
            join = None if why else join_of(self.table, other, {j.name for j in self.joins})
            if join is None:
                why = why or "no column of it is one of the products"
                self.result.unused[shown] = f"this file is left out: {why}"
                continue
            self.joins.append(join)
            setting = {"path": other.patterns[0], "key": join.key, "of": join.of}
            self.result.settings.setdefault("tables", {})[join.name] = setting
            many = "several rows for one product" if join.several else "one row for each"
            self.result.reasons[f"tables.{join.name}"] = (
                f"{join.key!r} is {join.of!r} of the products, {many}"
            )
            if len(other.patterns) > 1:
                self.result.doubt(f"tables.{join.name}", f"only one of {shown} can be named")
            joined = _joined_columns(self.table, join)
            self.columns |= joined
            self.used |= set(joined) if join.keyed else {f"{join.name}[].{_quoted(join.key)}"}

    def _leave_out_tables(self) -> None:
        """Tables of which nothing is used, unless other tables need them."""
        for join in self.joins:
            own = {name for name in self.columns if name.startswith(f"{join.name}[]")}
            named = own | {join.name}
            if join.keyed or (self.used & named) - {f"{join.name}[].{_quoted(join.key)}"}:
                continue
            del self.result.settings["tables"][join.name]
            self.result.reasons.pop(f"tables.{join.name}", None)
            for name in own:
                self.columns.pop(name)
                self.result.unused.pop(name, None)
            self.result.unused[", ".join(join.table.patterns)] = "nothing in this file is needed"
        if not self.result.settings.get("tables", True):
            del self.result.settings["tables"]

    # the fields

    def _title(self) -> Column | None:
        given = self.recipe.field("title") if self.recipe else None
        if given is not None:
            return self._column(given[0]) if given else None
        found = [c for _, c in fields.ranked(self._open(), "title", fields.is_title)]
        if found:
            return next((c for c in found if not self._is_joined(c)), found[0])
        for column in self._open():
            wordy = [text for text in column.texts if len(text.split()) > 1]
            likely = column.fill > 0.9 and fields.is_title(column) and column.length < 120
            many = column.distinct >= 0.9 * column.filled and column.filled > 2
            if likely and many and len(wordy) > 0.6 * len(column.texts) and not column.listed:
                self.result.doubt("columns.title", f"only its texts say that {column.name!r} is it")
                return column
        return None

    def _identity(self, title: Column | None) -> Identity:
        table = self.table
        given = self.recipe.field("id") if self.recipe else None
        if given:
            column = self._column(given[0])
            identity = Identity(given[0], "the export's own", rows=self.recipe.rows(column))
        else:
            identity = identify(_seen(table, self.columns), title)
        self.identity = identity
        for setting, doubt in identity.doubts:
            self.result.doubt(setting, doubt)
        for column in self.columns.values():
            # a time at which a row was withdrawn: those without are there
            gone = fields.plain(column.name) in ("deleted at", "archived at", "discontinued at")
            if gone and column.fill < 1:
                identity.only[column.name] = [""]
                if len(table.days) > 1:
                    self.result.doubt(
                        "only", f"what {column.name!r} says is gone stays from before"
                    )
        only = {**identity.only, **(self.recipe.only(self.result) if self.recipe else {})}
        if only:
            self.result.settings["only"] = only
            self.result.reasons["only"] = "other rows are no products of their own, or not for sale"
            self.used |= set(only)
        if not identity.column:
            return identity
        self._set("id", [identity.column], identity.reason)
        if identity.rows and not (
            only and self.recipe and identity.rows == "joined" and (not self.recipe.rows(None))
        ):
            self.result.settings["rows"] = identity.rows
            self.result.reasons["rows"] = "rows with the same id are " + (
                "parts of one product" if identity.rows == "joined" else "changes of it, in order"
            )
        if identity.day:
            self._set("day", [identity.day], "tells the rows of one id apart")
        return identity

    def _images(self) -> None:
        given = self.recipe.images() if self.recipe else []
        found = []
        if given:
            self.result.reasons["columns.images"] = "the export's own"
            for name, split in given:
                texts = self.columns[name].texts if name in self.columns else []
                several = split if split and split_of(texts) != "|" else split_of(texts)
                found.append({"column": name, "split": several} if several else name)
                self.used.add(name)
        else:
            for picture in pictures({c.name: c for c in self._open(but_id=True)}):
                others = self.columns[picture.name].others if picture.name in self.columns else []
                for name in (picture.name, *others):
                    split = picture.split
                    found.append({"column": name, "split": split} if split else name)
                self.used |= {picture.name, *picture.covers}
                self.result.reasons.setdefault("columns.images", picture.reason)
        if found:
            self.result.settings["columns"]["images"] = found[0] if len(found) == 1 else found[:50]

    def _fields(self, title: Column | None) -> None:
        if title is not None:
            self._set("title", self._titles(title), "texts that differ, under this name")
        self._field("operation", fields.is_operation)
        if "operation" in self.result.settings["columns"]:
            self._operation()
        self._descriptions()
        self._field("seller", fields.is_seller)
        self._availability()
        self._field("status", fields.is_status)
        self._field("url", fields.is_url_column)
        if self.recipe:
            self.recipe.parents(self._set)

    def _titles(self, title: Column) -> list[str]:
        given = self.recipe.field("title") if self.recipe else None
        if given:
            return given
        found = fields.by_language(title, self.columns.values())
        if len(found) > 1:
            self.result.doubt("columns.title", "there are several languages; the first is taken")
        if title.fill < 0.95 and len(found) == 1:
            ranked = fields.ranked(self._open(), "title", fields.is_title)
            found += [c for _, c in ranked if c is not title and c.fill > 0.5][:1]
        names = []
        for column in found:
            longer = any(isinstance(v, list) and len(v) > 1 for _, v in column.values)
            if longer and "[]" not in column.name:  # other titles, or the same in other languages
                bare = column.name if column.parents else _quoted(column.name)
                names.append(f"{bare}[0]")
                self.used.add(column.name)
            names.append(column.one)
        return names

    def _descriptions(self) -> None:
        given = self.recipe.field("description") if self.recipe else None
        if given is not None:
            self._set("description", given, "the export's own")
            return
        found = [c for _, c in fields.ranked(self._open(), "description", fields.is_description)]
        title = self._column(_first(self.result.settings["columns"].get("title")))
        found = [c for c in found if title is None or c.texts != title.texts]
        found.sort(key=self._is_joined)
        more = [
            c
            for c in found[1:]
            if c.listed
            or c.length > 30
            and not attributes.split_of(c)
            or "short" in c.name.casefold()
        ]
        if found:
            chosen = fields.by_language(found[0], self.columns.values())
            names = [
                c.one if not c.listed or "[]" in c.name else c.name for c in (*chosen, *more[:1])
            ]
            self._set("description", list(dict.fromkeys(names)), "texts under this name")
            return
        for column in self._open():
            if (
                fields.is_description(column)
                and column.length > 80
                and column.distinct > 0.5 * column.filled
            ):
                self._set("description", [column.name], "the longest texts")
                self.result.doubt("columns.description", "only its long texts say that this is it")
                return

    def _availability(self) -> None:
        given = self.recipe.availability() if self.recipe else None
        if given is not None:
            self._set("availability", given, "the export's own")
            return
        found = [c for _, c in fields.ranked(self._open(), "availability", fields.is_availability)]
        if not found:
            return
        column = found[0]
        self._set("availability", [fields.availability_path(column)], "words or numbers in stock")
        self.used.add(column.name)
        unknown = fields.unknown_words(column)
        if unknown:
            shown = ", ".join(repr(word[:40]) for word in unknown[:8])
            self.result.doubt(
                "columns.availability",
                f"not sold until words.availability says what they mean: {shown}",
            )
        if fields.tokens(column.name) <= {
            "quantity",
            "qty",
            "menge",
            "cantidad",
            "quantita",
            "aantal",
        }:
            self.result.doubt(
                "columns.availability", f"{column.name!r} is taken for goods in stock"
            )

    def _operation(self) -> None:
        column = self._column(self.result.settings["columns"]["operation"])
        words = fields.operation_words(column) if column else {}
        if words:
            self.result.settings["words"] = {"operation": words}
            self.result.reasons["words.operation"] = "what its values mean"

    def _prices(self) -> None:
        given = self.recipe.field("price") if self.recipe else None
        candidates = [c for c in self._open() if not c.keyed]
        if given:
            candidates = [c for name in given if (c := self._column(name)) and c.values]
        chosen, doubts = fields.prices(candidates)
        for name, doubt in doubts:
            self.result.doubt("columns.price", f"{name!r}: {doubt}")
        if not chosen:
            return
        found = [c for _, c in fields.ranked(self._open(), "currency", fields.is_currency)]
        inner = [c for c in found if c.parents and c.parents == chosen[-1].parents]
        currency = (inner or found or [None])[0]
        self._set("price", [c.one for c in chosen], "numbers under this name")
        if currency:
            self._set("currency", [currency.one], "codes of currencies")
        for column in self.columns.values():
            dates = fields.tokens(column.name) & {
                "date",
                "dates",
                "from",
                "to",
                "effective",
                "starts",
                "ends",
            }
            sale = fields.tokens(column.name) & {"sale", "special", "discount"}
            if len(chosen) > 1 and dates and sale and column.values:
                self.result.doubt(
                    "columns.price", f"the days of a sale ({column.name!r}) are not heeded"
                )
        money.describe(self.result, chosen, currency)

    def _field(self, name: str, fits: object) -> None:
        given = self.recipe.field(name) if self.recipe else None
        if self.recipe and name == "status":
            given = self.recipe.status()
        if given is not None:
            self._set(name, given, "the export's own")
            return
        found = [c for _, c in fields.ranked(self._open(), name, fits)]  # type: ignore[arg-type]
        if found:
            self._set(name, [found[0].one], "its name and values say so")
            self.used.add(found[0].name)

    # everything else

    def _attributes(self) -> None:
        chosen: dict[str, Column] = {}
        setting: dict[str, object] = {}
        splits: dict[str, str | None] = {}
        pairs: list[dict[str, object]] = []
        if self.recipe:
            for key, name, split in self.recipe.attributes():
                column = self.columns[name]
                chosen[key], splits[key] = column, split
                self.used.add(name)
            pairs += self.recipe.pairs(self.used)
        pairs += [{"column": join.name} for join in self.joins if join.keyed]
        pairs += attributes.numbered_pairs(self._open(), self.used)
        for column in self._open():
            if self.recipe and self.recipe.ignores(column.name):
                continue
            if column.name in self.used:
                continue
            if self._in_another_language(column):
                self.result.unused.setdefault(column.name, "says the same in another language")
                continue
            why = attributes.why_unused(column)
            if why:
                self.result.unused.setdefault(column.name, why)
            elif column.keyed:
                pairs.append({"column": column.name})
                self.used.add(column.name)
            elif self._is_joined(column) and key_of(column.name) in chosen:
                self.result.unused.setdefault(column.name, "is said by the products themselves")
            elif (same := chosen.get(key_of(column.name))) and not same.listed:
                same.others.append(column.name)
                self.used.add(column.name)
            elif equal := next((k for k, c in chosen.items() if c.texts == column.texts), None):
                self.result.unused.setdefault(column.name, f"says the same as {equal}")
            else:
                key = attributes.key_for(column, chosen)
                chosen[key], splits[key] = column, attributes.split_of(column)
                self.used.add(column.name)
        for key, column in chosen.items():
            split = splits[key]
            values = self.recipe.values(column) if self.recipe else {}
            one = [
                {
                    "column": name,
                    **({"split": split} if split else {}),
                    **({"values": values} if values else {}),
                }
                for name in (column.name, *column.others)
            ]
            short = [c["column"] if len(c) == 1 else c for c in one]
            setting[key] = short[0] if len(short) == 1 else short
        if pairs:
            setting["*"] = pairs[0]["column"] if len(pairs) == 1 and len(pairs[0]) == 1 else pairs
            if len(pairs) == 1 and len(pairs[0]) > 1:
                setting["*"] = pairs[0]
        if setting:
            self.result.settings["attributes"] = setting
        wanted = self.recipe.product_type(chosen) if self.recipe else None
        best = wanted or attributes.product_type(chosen, splits)
        if best:
            self.result.settings["product_type"] = best
            self.result.reasons["product_type"] = "says what kind of thing a product is"

    def _in_another_language(self, column: Column) -> bool:
        stem, language = fields.language_of(column.name)
        title = _first(self.result.settings["columns"].get("title"))
        wanted = fields.language_of(title)[1] if title else ""
        if not language or language == wanted:
            return False
        siblings = [c for c in self.columns.values() if c.values and c is not column]
        own = {
            fields.language_of(c.name)[1] for c in siblings if fields.language_of(c.name)[0] == stem
        }
        return wanted in own or bool(own & set(words.LANGUAGES[: words.LANGUAGES.index(language)]))

    def _history(self, identity: Identity) -> None:
        if len(self.table.days) < 2:
            return
        column = self.columns.get(identity.column)
        names = [column.name, *column.others] if column else []
        if "operation" in self.result.settings["columns"]:
            return
        full, why = is_full(self.table, names)
        if full:
            self.result.settings["snapshot"] = "full"
            self.result.reasons["snapshot"] = why
        else:
            self.result.doubt(
                "snapshot",
                "a later day is taken for changes; if each day's file is the whole catalog, say full",
            )
        if any(not sample.whole for _, sample in self.table.samples):
            self.result.doubt("snapshot", "only the first rows of each day were compared")

    def _unused(self) -> None:
        for column in self.columns.values():
            if column.name not in self.used:
                why = attributes.why_unused(column) or "is not needed for this export"
                self.result.unused.setdefault(column.name, why)
        for name in self.used:
            self.result.unused.pop(name, None)
        count = sum(sample.broken for _, sample in self.table.samples)
        if count:
            self.result.doubt("feeds", f"{count} rows could not be read; `products` says why")
        sellers = self._column(_first(self.result.settings["columns"].get("seller")))
        if sellers is not None and sellers.distinct < _FEW_SELLERS:
            self.result.settings["collections"] = {"min_sellers": 1}
            self.result.reasons["collections"] = (
                "there is one seller"
                if sellers.distinct == 1
                else f"there are {sellers.distinct} sellers"
            )

    # small things

    def _open(self, *, but_id: bool = False) -> list[Column]:
        """The columns that no field has yet; that of the ids may hold images, too."""
        free = {self.identity.column} if but_id and hasattr(self, "identity") else set()
        return [c for c in self.columns.values() if c.name not in self.used or c.name in free]

    def _is_joined(self, column: Column) -> bool:
        return any(column.name.startswith(f"{join.name}[]") for join in self.joins)

    def _column(self, name: str | None) -> Column | None:
        if name is None:
            return None
        return self.columns.get(name) or next(
            (c for c in self.columns.values() if c.one == name), None
        )

    def _set(self, field: str, names: Sequence[str], reason: str) -> None:
        listed: list[str] = []
        for name in names:
            column = self._column(name)
            found = [name] if column is None else [name, *column.others]
            listed += [one for one in found if one not in listed]
            self.used |= {name, *(column.others if column else ())}
            if column is not None:
                self.used.add(column.name)
        if listed:
            self.result.settings["columns"][field] = listed[0] if len(listed) == 1 else listed[:20]
            self.result.reasons[f"columns.{field}"] = reason


def _first(value: str | list[str] | None) -> str | None:
    return value[0] if isinstance(value, list) else value


def _seen(table: Table, columns: dict[str, Column]) -> Table:
    """The table with columns that were renamed under one name, without those of other files."""
    seen = Table(table.patterns, table.samples)
    own = {name: column for name, column in columns.items() if column.rows == len(table.records)}
    seen.__dict__["columns"] = {n: c for n, c in own.items() if not n.startswith("\0")}
    return seen


def _joined_columns(table: Table, join: Join) -> dict[str, Column]:
    """The columns of another table, as the products see them."""
    of: dict[str, list[int]] = {}
    for place, value in table.columns[join.of].by_record().items():
        of.setdefault(value, []).append(place)
    keys = join.table.columns[join.key].by_record()
    found: dict[str, Column] = {}
    for column in join.table.columns.values():
        name = f"{join.name}[].{column.name if column.parents else _quoted(column.name)}"
        parents = (join.name, f"{join.name}[]")
        new = found[name] = Column(name, len(table.records), [], column.keyed, parents)
        for place, value in column.values:
            new.values += [(mine, value) for mine in of.get(keys.get(place, ""), [])]
        new.values.sort(key=lambda pair: pair[0])
    return found


def _quoted(name: str) -> str:
    from pinlanding_assets.catalog.drafting.profile import step

    return step("", name)[1:]


def slug(samples: Sequence[Sample]) -> str:
    """A name for the catalog, from the name of its first file."""
    return stem_of(patterns([samples[0].name])[samples[0].name][0]) if samples else "catalog"
