"""Which column holds the ids, and whether rows of one id belong together."""

from dataclasses import dataclass, field

from pinlanding_assets.catalog.drafting import shapes, words
from pinlanding_assets.catalog.drafting.fields import is_operation, ranked
from pinlanding_assets.catalog.drafting.names import field_rank, plain, tokens
from pinlanding_assets.catalog.drafting.profile import Column
from pinlanding_assets.catalog.drafting.table import Table
from pinlanding_assets.catalog.drafting.words import said
from pinlanding_assets.catalog.schema import MAX_ID

_WEAK = (
    "title",
    "image url",
    "file",
    "url",
    "link",
    "product url",
    "image",
    "no",
    "num",
    "number",
    "item",
)
_IDS = said("id, nr, no, code, key, number, sku, nummer, uid, uuid, ref")
_GROUPS = said("slug, group, family, parent, model, style, permalink, handle")
_NO_GROUP = words.NEVER["id"] - {"parent", "group", "set", "class"}
_DAYS = said("day, date, datum, jour, fecha, data, snapshot, dia, giorno, dag")
_REASON = "its name says so, and no value stands twice on a day"
_PLACES = ("unnamed", "index", "level 0", "row", "column 1", "row number", "rownum")


@dataclass
class Identity:
    """The column of the ids, and what goes with it."""

    column: str = ""
    reason: str = ""
    rows: str = ""
    parent: str = ""
    only: dict[str, list[str]] = field(default_factory=dict)
    day: str = ""
    doubts: list[tuple[str, str]] = field(default_factory=list)


def identify(table: Table, title: Column | None) -> Identity:
    """The column of the ids of a table; without one, the doubts say why."""
    columns = list(table.columns.values())
    rejected: list[str] = []
    named = [column for _, column in ranked(columns, "id", lambda c: _may_be_id(c))]
    strong = [c for c in named if plain(c.name) not in _WEAK]
    grouping = [c for c in columns if tokens(c.name) & _GROUPS and _may_be_id(c)]
    for column in [*strong, *grouping]:
        if _begins_with_titles(table, column, title):
            reason = "its rows follow each other, and the first of each alone has a title"
            return Identity(column.name, reason, rows="joined")
    for column in strong:
        if table.is_unique(column):
            if _means_the_same_each_day(table, column, title):
                return _of_variants(table, column, title) or Identity(column.name, _REASON)
            rejected.append(column.name)
            continue
        found = _of_repeated(table, column, title)
        if found:
            return found
        rejected.append(column.name)
    for column in _with_gaps(table, columns, 0.1):
        if _continues(table, column, title):
            return Identity(column.name, "rows without one follow their product's", rows="joined")
    for column in _with_gaps(table, columns, 0.5):
        gaps = f"{column.rows - column.filled} of {column.rows} rows have none and are refused"
        return Identity(column.name, _REASON, doubts=[("columns.id", gaps)])
    for column in columns:
        also = tokens(column.name) & _IDS and not tokens(column.name) & words.NEVER["id"]
        if also and column not in named and _may_be_id(column) and table.is_unique(column):
            doubt = (
                "its name says an id and its values differ, but nothing else says that it is one"
            )
            return Identity(column.name, _REASON, doubts=[("columns.id", doubt)])
    for column in named:
        if table.is_unique(column) and plain(column.name) in _WEAK:
            doubt = f"no column of ids was found; each row has another {column.name!r}"
            return Identity(column.name, "different in each row", doubts=[("columns.id", doubt)])
    if rejected:
        return _none(rejected)
    return _by_image(table) or _by_place(table, title) or _none([])


def _of_variants(table: Table, column: Column, title: Column | None) -> Identity | None:
    """Rows of variants have ids of their own, their title in common, and an id of the product.
    Those with a photo or a page of their own stay products, which count as one; others are parts of
    one product."""
    groups = table.repeated(title) if title is not None and title is not column else []
    if title is None or sum(map(len, groups)) < 0.1 * title.filled:
        return None
    for other in table.columns.values():
        if other is column or not names_variants(other, groups, title):
            continue
        if _show_themselves(table, groups):
            doubt = (
                f"rows of one {other.name!r} have one title, but photos or pages of their own, so "
                f"they stay products; if they are one: id: {other.name!r} and rows: joined"
            )
            doubts = [("columns.parent", doubt)]
            return Identity(column.name, _REASON, parent=other.name, doubts=doubts)
        doubt = (
            f"rows of one {other.name!r} have one title, so they are taken for variants of a "
            f"product; if they are products of their own: id: {column.name!r}, "
            f"parent: {other.name!r}, without rows"
        )
        reason = "its rows have one title, and other titles have others"
        return Identity(other.name, reason, rows="joined", doubts=[("columns.id", doubt)])
    return None


def _show_themselves(table: Table, groups: list[list[int]]) -> bool:
    """Whether the rows of most groups have an image or an address each that the others lack."""
    for column in table.columns.values():
        if column.share(lambda v: shapes.is_image(v) or shapes.is_url(v)) < 0.9:
            continue
        values = column.by_record()
        of = [[values.get(place) for place in places] for places in groups]
        own = sum(len(set(found) - {None}) == len(found) for found in of)
        if own > 0.5 * len(groups):
            return True
    return False


def is_id_name(name: str) -> bool:
    """Whether a name has a word for an id in it, and none for a class of things."""
    return bool(tokens(name) & _IDS) and not tokens(name) & words.NEVER["id"]


def names_variants(column: Column, groups: list[list[int]], title: Column) -> bool:
    """Whether the name of a column says an id or a group, the rows of each title have one value of
    it, and those of other titles have others."""
    named = tokens(column.name)
    called = named & (_IDS | _GROUPS | {"id", "design"}) and not named & _NO_GROUP
    other = any(field_rank(column.name, f) is not None for f in ("title", "description", "seller"))
    if not called or other or column.fill < 0.98 or column.listed or column.distinct < 2:
        return False
    values, titles = column.by_record(), title.by_record()
    same = all(len({values.get(place) for place in places}) == 1 for places in groups)
    titles_of: dict[str, set[str]] = {}
    for place, value in values.items():
        titles_of.setdefault(value, set()).add(titles.get(place, ""))
    return same and all(len(found) == 1 for found in titles_of.values())


def _begins_with_titles(table: Table, column: Column, title: Column | None) -> bool:
    """Whether the rows with a title are just those that begin another value of a column."""
    if title is None or title is column or not 1 < title.filled < title.rows:
        return False
    if column.share(shapes.is_truth) > 0.5:
        return False
    ids, titles = column.by_record(), title.by_record()
    files, before = table.file_of, None
    for place in range(column.rows):
        here = files[place], ids.get(place)
        if here[1] is None or (here != before) != (place in titles):
            return False
        before = here
    days = [(table.day_of[place], ids[place]) for place in titles]
    return len(set(days)) == len(days)


def _continues(table: Table, column: Column, title: Column | None) -> bool:
    """Whether no row without an id has a title, so that it is a part of the one before."""
    if title is None or title is column or column.filled < 2:
        return False
    ids, titles = column.by_record(), title.by_record()
    without = [place for place in range(column.rows) if place not in ids]
    files = table.file_of
    first = {file: place for place, file in reversed([*enumerate(files)])}
    return all(place not in titles and place != first[files[place]] for place in without)


def _with_gaps(table: Table, columns: list[Column], fill: float) -> list[Column]:
    """Columns that are called after ids and have some in so many rows."""
    named = ranked(columns, "id", lambda c: _may_be_id(c, fill))
    return [c for _, c in named if plain(c.name) not in _WEAK and table.is_unique(c)]


def _may_be_id(column: Column, fill: float = 0.98, *, named: bool = True) -> bool:
    if column.fill < fill or column.listed or "[" in column.name:
        return False
    texts = [text for text in column.texts if text]
    if (named and plain(column.name) in _PLACES) or len(column.parts) != len(texts):
        return False
    whole = all(not isinstance(v, float) or v.is_integer() for v in column.parts)
    single = all(len(text) <= MAX_ID and text.isprintable() for text in texts)
    truths = column.share(lambda v: isinstance(v, bool)) == 0
    return whole and single and truths and column.share(shapes.is_date) < 0.9


def _of_repeated(table: Table, column: Column, title: Column | None) -> Identity | None:
    """What rows with the same id are: parts, changes, languages, days; None: not of one product."""
    groups = table.repeated(column)
    records = table.records
    again = sum(len(places) for places in groups)
    operation = [c for _, c in ranked(table.columns.values(), "operation", is_operation)]
    reason = "its name says so"
    if operation:
        return Identity(column.name, reason, rows="last")
    if all(records[place] == records[places[0]] for places in groups for place in places):
        doubt = f"{len(groups)} ids stand twice, each time with the same values"
        return Identity(column.name, reason, doubts=[("columns.id", doubt)])
    for other in table.columns.values():
        if plain(other.name) in words.LOCALE_COLUMNS and _tells_apart(other, groups):
            return _of_language(column, other)
    for other in table.columns.values():
        days = tokens(other.name) & _DAYS and other.share(shapes.is_date) == 1 and other.fill == 1
        if days and _tells_apart(other, groups):
            doubt = (
                "rows of one id differ by their day, so each is taken for the product on that day"
            )
            return Identity(column.name, reason, day=other.name, doubts=[("columns.day", doubt)])
    if title is None or title is column:
        if again <= 0.02 * column.filled:
            doubt = f"{len(groups)} ids stand twice; the last row of each counts"
            return Identity(column.name, reason, rows="last", doubts=[("columns.id", doubt)])
        return None
    titles = title.by_record()
    same = 0
    for places in groups:
        named = {titles[place].casefold() for place in places if place in titles}
        same += len(named) <= 1
    if same >= 0.95 * len(groups):
        shown = f"{again} of {column.rows} rows share their id and its title with others"
        return Identity(column.name, f"its name says so; {shown}", rows="joined")
    if len(groups) <= 0.02 * column.rows:
        doubt = f"{len(groups)} ids stand twice with different titles; the last row counts"
        return Identity(column.name, reason, rows="last", doubts=[("columns.id", doubt)])
    return None


def _means_the_same_each_day(table: Table, column: Column, title: Column | None) -> bool:
    """Whether an id has the same title on the days that it is there; row numbers have not."""
    if title is None or len(table.days) < 2 or title is column:
        return True
    titles, seen = title.by_record(), dict[str, str]()
    again = same = 0
    for place, value in column.by_record().items():
        if place in titles:
            again += value in seen
            same += seen.get(value) == titles[place]
            seen[value] = titles[place]
    return same >= 0.5 * again


def _tells_apart(other: Column, groups: list[list[int]]) -> bool:
    """Whether rows of one id differ in another column."""
    values = other.by_record()
    return all(len({values.get(place, "") for place in places}) == len(places) for places in groups)


def _of_language(column: Column, other: Column) -> Identity:
    values = other.by_record()
    ids = column.by_record()
    counts: dict[str, set[str]] = {}
    for place in range(column.rows):
        counts.setdefault(values.get(place, ""), set()).add(ids.get(place, ""))
    preferred = ("", "default", "all", "admin", *words.LANGUAGES)
    most = max(len(found) for found in counts.values())

    def order(value: str) -> tuple:
        name = value.casefold().replace("-", "_")
        place = preferred.index(name) if name in preferred else len(preferred)
        return len(counts[value]) < 0.9 * most, place, value

    wanted = sorted(counts, key=order)[0]
    doubt = f"there is a row for each of {', '.join(sorted(map(repr, counts))[:8])}; one is taken"
    return Identity(
        column.name,
        "its name says so; its rows differ by language or store view",
        only={other.name: [wanted]},
        doubts=[("only", doubt)],
    )


def _by_image(table: Table) -> Identity | None:
    """Data sets of images often have no id: the path of the image is one, or its place."""
    for column in table.columns.values():
        path = column.parents and column.name.endswith(".path") and column.fill == 1
        if path and table.is_unique(column) and not column.listed:
            doubt = "there is no column of ids; the path of the image is taken"
            return Identity(column.name, "different in each row", doubts=[("columns.id", doubt)])
    for column in table.columns.values():
        in_file = column.parents and column.name.endswith(".bytes") and column.fill == 1
        if in_file and len(table.samples) == 1 and table.samples[0][0] is None:
            name = f'{column.name}."$bytes"'
            doubt = (
                "there is no column of ids; the place of the row in its file is taken, which holds "
                "only as long as the file stays as it is"
            )
            return Identity(name, "the place of the row", doubts=[("columns.id", doubt)])
    return None


def _by_place(table: Table, title: Column | None) -> Identity | None:
    """Without ids: the numbers of the rows, in one file that names no day; else the titles."""
    for column in table.columns.values():
        numbers = plain(column.name) in _PLACES or plain(column.name).startswith("unnamed")
        alone = len(table.samples) == 1 and not table.days
        if numbers and alone and _may_be_id(column, named=False) and table.is_unique(column):
            doubt = "no ids were found; the numbers of the rows hold while the file stays as it is"
            return Identity(column.name, "the number of the row", doubts=[("columns.id", doubt)])
    short = title is not None and title.fill == 1 and not title.listed and not title.parents
    if title is not None and short and title.length < MAX_ID and table.is_unique(title):
        doubt = "no column of ids was found; each row has another title, which is taken"
        return Identity(title.name, "different in each row", doubts=[("columns.id", doubt)])
    return None


def _none(rejected: list[str]) -> Identity:
    why = "no column has an id in every row"
    if rejected:
        shown = ", ".join(map(repr, rejected[:5]))
        why = f"rows with the same {shown} are of different products"
    return Identity(doubts=[("columns.id", f"no id was found: {why}")])
