"""From what extractors said to a clean attribute vocabulary (PinLanding, section 2).

Normalise, merge, drop, judge. Every raw value ends in `aliases` exactly once with the reason, so
that the vocabulary can be audited and undone.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import polars as pl

from pinlanding_assets.attributes.extraction import clean_key
from pinlanding_assets.attributes.hierarchy import induced_parents
from pinlanding_assets.attributes.judging import (
    Candidate,
    Judge,
    count_searches,
    judge_by_statistics,
)
from pinlanding_assets.attributes.merging import (
    RELATIVE,
    YES,
    Embed,
    Merges,
    Raw,
    Value,
    flag_label,
    follow,
    gather_evidence,
    group_spellings,
    merge_meanings,
    merge_slips,
    name_values,
)
from pinlanding_assets.attributes.normalisation import fold, fold_word, words
from pinlanding_assets.attributes.overrides import Overrides, decided, dropped_words
from pinlanding_assets.attributes.themes import THEME
from pinlanding_assets.attributes.witness import merge_by_witness

ENTRIES_SCHEMA = {
    "entry_id": pl.String,
    "key": pl.String,
    "value": pl.String,
    "phrase": pl.String,
    "products": pl.Int64,
    "mentions": pl.Int64,
    "searchability": pl.Float64,
    "coherence": pl.Float64,
    "label": pl.String,
}
ALIASES_SCHEMA = {
    "key": pl.String,
    "raw_value": pl.String,
    "count": pl.Int64,
    "entry_id": pl.String,
    "action": pl.String,
    "reason": pl.String,
}
NAMES = frozenset(
    "artist author band brand character club collection composer creator designer director "  # noqa: SIM905
    "label league maker manufacturer marca marke marque player publisher seller shop studio "
    "supplier team vendor writer".split()
)
"""Words of keys whose values are names."""
EXISTING = "collection"
"""Role of the key whose values are collections that people made."""
KEYS_SCHEMA = {
    "key": pl.String,
    "coverage": pl.Float64,
    "values": pl.Int64,
    "multi": pl.Boolean,
    "role": pl.String,
}


@dataclass(frozen=True)
class VocabularySettings:
    """Thresholds; the defaults hold from tens to millions of products.

    Attributes:
        floor: Fewest products of an entry; None means 2 below `small_catalog` products, else
            max(3, `floor_share` x products).
        small_catalog: See `floor`.
        floor_share: See `floor`.
        ceiling: An entry on more than this share of its key's products tells nothing apart,
            unless the key covers less than half of the catalog or names the product type.
        merge_cosine: Least cosine of every pair inside a merged group.
        variant_share: Up to this share of another value's frequency a value can be its variant.
        typo_ratio: A right spelling is at least this many times as frequent as a slip.
        multi_share: A key is multi-valued where some source gives at least this share of its
            products several values.
        stated_share: The same for the catalog's own fields, which do not guess: what remains below
            it is dirt (the tolerance of an approximate functional dependency), and `multi_least`
            products at least.
        multi_least: See `stated_share`.
        open_keys: Keys of words rather than of kinds: with several values a product, and never
            the product type.
        compared_values: Most frequent values of a key that merging looks at (cost is quadratic).
        min_score: Entries scored lower by the judge, on either scale, are dropped.
    """

    floor: int | None = None
    small_catalog: int = 200
    floor_share: float = 1e-5
    ceiling: float = 0.95
    merge_cosine: float = 0.92
    variant_share: float = 0.2
    typo_ratio: float = 20.0
    multi_share: float = 0.1
    stated_share: float = 0.01
    multi_least: int = 3
    open_keys: frozenset[str] = frozenset({THEME})
    compared_values: int = 5_000
    min_score: float = 2.0

    def least(self, products: int) -> int:
        """The frequency floor of a catalog of this size."""
        if self.floor is not None:
            return self.floor
        if products < self.small_catalog:
            return 2
        return max(3, -int(-self.floor_share * products // 1))


@dataclass(frozen=True)
class Vocabulary:
    """The tables of `attribute_vocabulary` (docs/architecture.md)."""

    entries: pl.DataFrame
    aliases: pl.DataFrame
    keys: pl.DataFrame
    parents: pl.DataFrame


def build_vocabulary(
    mentions: pl.DataFrame,
    *,
    products: int,
    embed: Embed,
    product_type: str | None,
    existing: str | None = None,
    demand: pl.DataFrame | None = None,
    settings: VocabularySettings | None = None,
    judge: Judge = judge_by_statistics,
    overrides: Overrides | None = None,
    multi: Mapping[str, bool] | None = None,
) -> Vocabulary:
    """Clean vocabulary of all mentions.

    Args:
        mentions: Table `mentions`, all days that count.
        products: Size of the catalog, described or not.
        embed: Texts to unit vectors [n, d]; only asked for values of keys with several.
        product_type: Key that names what a product is. Where it has no entries, or is None, the
            key with the widest coverage takes the role.
        existing: Key whose values are collections that people made: an open key, whose names are
            not merged.
        demand: Optional `query`, `count`: searches; they move the searchability.
        settings: Thresholds.
        judge: Scores the entries.
        overrides: What was decided on words.
        multi: Folded key -> whether products have several values of it, where that was decided.

    Returns:
        Tables in a fixed order. `aliases.key` and `raw_value` are those of the mentions, so the
        two join; its `count` is in products.
    """
    settings = settings or VocabularySettings()
    if existing is not None:
        existing = clean_key(existing)
        settings = replace(settings, open_keys=settings.open_keys | {existing or ""})
    floor = settings.least(products)
    said = mentions.select(
        "product_id", pl.col("image_hash").fill_null(""), "source", "key", "value"
    ).unique(maintain_order=True)
    counts = said.group_by("key", "value").agg(pl.col("product_id").n_unique().alias("count"))
    raws: dict[Raw, int] = {
        (key, value): count for key, value, count in counts.sort("key", "value").iter_rows()
    }
    stated = said.filter(pl.col("source") == "catalog").select("key", "value").unique()
    forbidden = dropped_words(overrides or {}, raws)
    allowed = {raw: count for raw, count in raws.items() if raw not in forbidden}
    spelling, fate = group_spellings(allowed, set(stated.iter_rows()))
    fate |= forbidden
    said = said.join(
        pl.DataFrame(
            [(*raw, at) for raw, at in spelling.items()],
            schema={"key": pl.String, "value": pl.String, "at": pl.Int64},
            orient="row",
        ),
        on=["key", "value"],
        maintain_order="left",
    )
    values = name_values(said, spelling, raws)
    key_of = pl.DataFrame({"at": list(values), "key": [v.key for v in values.values()]})
    said = said.drop("key", "value").join(
        key_of.cast({"at": pl.Int64, "key": pl.String}), on="at", maintain_order="left"
    )
    told = multi or {}
    multi = {key: told.get(fold(key), found) for key, found in _multi(said, settings).items()}
    kept_by_hand, merged_by_hand = decided(overrides or {}, values)
    merged = {at: value for at, value in values.items() if value.key != existing}
    merges = _merges(said, merged, multi, embed, floor, settings)
    ends = follow(
        {at: found for at, found in merges.items() if at not in kept_by_hand} | merged_by_hand
    )
    said = said.with_columns(
        pl.col("at").replace_strict({a: end for a, (end, _) in ends.items()}, default=pl.col("at"))
        if ends
        else pl.col("at")
    )
    facts = {row["at"]: row for row in _facts(said, multi).iter_rows(named=True)}
    coverage = dict(
        said.group_by("key").agg(pl.col("product_id").n_unique()).sort("key").iter_rows()
    )
    named = [
        values[at].key
        for at, fact in facts.items()
        if fact["products"] >= floor and values[at].key not in settings.open_keys
    ]
    type_key = _product_type(named, coverage, product_type)
    # one kind of product is still a kind; a department above all kinds is not
    spared = type_key if type_key is None or not multi[type_key] else None
    dropped = _rare_or_common(values, facts, coverage, spared, products, floor, settings.ceiling)
    dropped = {at: why for at, why in dropped.items() if at not in kept_by_hand}
    alive = [at for at in sorted(facts) if at not in dropped]
    searches = count_searches(demand)
    elsewhere = _elsewhere([values[at] for at in facts], facts)
    candidates = [
        _candidate(values[at], facts[at], elsewhere[at], products, searches) for at in alive
    ]
    verdicts = dict(zip(alive, judge(candidates), strict=True))
    for at, verdict in verdicts.items():
        low = min(verdict.searchability, verdict.coherence) < settings.min_score
        if low and at not in kept_by_hand:
            scores = f"searchability {verdict.searchability}, coherence {verdict.coherence}"
            dropped[at] = f"{scores}: {verdict.reason}"
    kept = [at for at in alive if at not in dropped]

    ids = {at: f"{values[at].key}={values[at].name}" for at in kept}
    for raw, at in spelling.items():
        end, why = ends.get(at, (at, ""))
        if end in dropped:
            fate[raw] = (None, "drop", dropped[end])
        elif raw == (values[end].key, values[end].name):
            fate[raw] = (ids[end], "keep", "canonical")
        else:
            fate[raw] = (ids[end], "merge", why or "spelling")
    closed = [values[at].key for at in kept if values[at].key not in settings.open_keys]
    type_key = _product_type(closed, coverage, product_type)
    spoken = said.filter(pl.col("at").is_in(kept))
    roles = {type_key: "product_type", existing: EXISTING}
    keys = _keys(spoken, multi, roles, products)
    schema = {"at": pl.Int64, "entry_id": pl.String}
    entry_of = pl.DataFrame([*ids.items()], schema=schema, orient="row")
    parents = induced_parents(spoken.join(entry_of, on="at"))
    labels = _labels([values[at] for at in kept], mentions)
    phrases = _phrases([values[at] for at in kept], mentions, type_key)
    entries = pl.DataFrame(
        [
            (
                *(ids[at], values[at].key, values[at].name, phrases[at]),
                *(facts[at]["products"], facts[at]["mentions"]),
                *(verdicts[at].searchability, verdicts[at].coherence, labels[at]),
            )
            for at in kept
        ],
        schema=ENTRIES_SCHEMA,
        orient="row",
    )
    aliases = pl.DataFrame(
        [(*raw, count, *fate[raw]) for raw, count in raws.items()],
        schema=ALIASES_SCHEMA,
        orient="row",
    )
    ordered = entries.sort("key", "value"), aliases.sort("key", "raw_value")
    return Vocabulary(*ordered, keys, parents)


def second_values_lost(mentions: pl.DataFrame, found: Vocabulary) -> int:
    """Statements of the catalog that a single-valued key has no place for: of the values that it
    states of one product, all but one."""
    single = found.keys.filter(~pl.col("multi")).select(entry_key="key")
    own = (
        mentions.filter(source="catalog")
        .join(
            found.aliases.drop_nulls("entry_id"),
            left_on=["key", "value"],
            right_on=["key", "raw_value"],
        )
        .select("product_id", "entry_id")
        .unique()
        .join(found.entries.select("entry_id", entry_key="key"), on="entry_id")
        .join(single, on="entry_key", how="semi")
    )
    return own.height - own.select("product_id", "entry_key").n_unique()


def vocabulary_figures(found: Vocabulary) -> dict[str, float]:
    """How far the vocabulary squeezes what was said: raw values, entries, raw values an entry, and
    how many of either are said of one product only."""
    raw, entries = found.aliases, found.entries
    return {
        "raw_values": float(raw.height),
        "compression": raw.height / max(1, entries.height),
        "raw_singletons": float(raw.filter(pl.col("count") == 1).height),
        "singletons": float(entries.filter(pl.col("products") == 1).height),
    }


def _multi(said: pl.DataFrame, settings: VocabularySettings) -> dict[str, bool]:
    """Key -> whether some source commonly gives one product several values of it.

    A source counts if it speaks of at least five products and a twentieth of what the most
    talkative one covers; pictures of one product are looked at one by one. Of the catalog's own
    fields far fewer such products are enough: a second value that it states is not to be lost.
    """
    stated = pl.col("source") == "catalog"
    enough = pl.when(stated).then(settings.stated_share).otherwise(settings.multi_share)
    least = pl.when(stated).then(settings.multi_least).otherwise(1)
    share = (
        said.group_by("key", "source", "product_id", "image_hash")
        .agg(pl.col("at").n_unique())
        .group_by("key", "source")
        .agg(pl.len().alias("n"), (pl.col("at") > 1).sum().alias("several"))
        .filter(pl.col("n") >= pl.max_horizontal(5, 0.05 * pl.col("n").max().over("key")))
        .filter(pl.col("several") >= pl.max_horizontal(least, enough * pl.col("n")))
    )
    several = {*share["key"], *settings.open_keys}
    return {key: key in several for key in said["key"].unique().sort().to_list()}


def _merges(
    said: pl.DataFrame,
    values: Mapping[int, Value],
    multi: Mapping[str, bool],
    embed: Embed,
    floor: int,
    settings: VocabularySettings,
) -> Merges:
    evidence = gather_evidence(said)
    by_key: dict[str, list[Value]] = defaultdict(list)
    for value in values.values():
        by_key[value.key].append(value)
    merges = merge_by_witness(said, values, multi, embed)
    for key, members in sorted(by_key.items()):
        compared = settings.compared_values
        slips = merge_slips(members, evidence, ratio=settings.typo_ratio, compared=compared)
        merges = slips | merges
        merges |= merge_meanings(
            [value for value in members if value.at not in merges],
            evidence,
            embed,
            multi=multi[key],
            cosine=settings.merge_cosine,
            variant_share=settings.variant_share,
            floor=floor,
            compared=compared,
        )
    return merges


def _facts(said: pl.DataFrame, multi: Mapping[str, bool]) -> pl.DataFrame:
    """Per value: products, mentions, and how often a second source was there and agreed.

    Of several values a source names some and leaves others out: for multi-valued keys its silence
    about one counts for nothing.
    """
    several = [key for key, is_multi in multi.items() if is_multi]
    spoken = said.select("product_id", "key", "source", "at").unique()
    sources = pl.col("source").n_unique()
    agreement = (
        spoken.with_columns(sources.over("product_id", "key").alias("speaking"))
        .group_by("product_id", "at")
        .agg(
            (pl.col("speaking").first() > 1) & ~pl.col("key").first().is_in(several),
            (sources > 1).alias("agreed"),
        )
        .group_by("at")
        .agg(
            (pl.col("speaking") | pl.col("agreed")).sum().alias("contested"),
            pl.col("agreed").sum().alias("confirmed"),
        )
    )
    totals = said.group_by("at").agg(
        pl.col("product_id").n_unique().alias("products"), pl.len().alias("mentions")
    )
    return totals.join(agreement, on="at").sort("at")


def _rare_or_common(
    values: Mapping[int, Value],
    facts: Mapping[int, dict],
    coverage: Mapping[str, int],
    spared: str | None,
    products: int,
    floor: int,
    ceiling: float,
) -> dict[int, str]:
    dropped = {}
    for at, fact in facts.items():
        key, count = values[at].key, fact["products"]
        if count < floor:
            dropped[at] = f"on {count} products, the floor is {floor}"
        elif key != spared and count > ceiling * coverage[key] and coverage[key] > 0.5 * products:
            dropped[at] = f"on {count} of the {coverage[key]} products with {key}"
    return dropped


def _elsewhere(values: Iterable[Value], facts: Mapping[int, dict]) -> dict[int, int]:
    """Per value: products of the same word under its most frequent other key."""
    of_word: dict[str, dict[int, int]] = defaultdict(dict)
    for value in values:
        of_word[value.fold][value.at] = facts[value.at]["products"]
    return {
        at: max((n for other, n in found.items() if other != at), default=0)
        for found in of_word.values()
        for at in found
    }


def _candidate(
    value: Value, fact: dict, elsewhere: int, products: int, searches: Counter[str] | None
) -> Candidate:
    label = flag_label(value.key) if value.name in YES else value.name
    return Candidate(
        key=value.key,
        value=label,
        words=len(words(label)),
        products=fact["products"],
        share=fact["products"] / max(products, 1),
        contested=fact["contested"],
        confirmed=fact["confirmed"],
        elsewhere=elsewhere,
        searches=None if searches is None else searches[fold(label)],
    )


def _product_type(keys: list[str], coverage: Mapping[str, int], wanted: str | None) -> str | None:
    for key in sorted(set(keys)):
        if wanted and fold(key) == fold(wanted):
            return key
    return min(set(keys), key=lambda key: (-coverage[key], key), default=None)


def _keys(
    said: pl.DataFrame, multi: Mapping[str, bool], roles: Mapping[str | None, str], products: int
) -> pl.DataFrame:
    counts = said.group_by("key").agg(pl.col("product_id").n_unique(), pl.col("at").n_unique())
    return pl.DataFrame(
        [
            (
                *(key, covered / max(products, covered), entries, multi[key]),
                roles.get(key, "attribute"),
            )
            for key, covered, entries in counts.sort("key").iter_rows()
        ],
        schema=KEYS_SCHEMA,
        orient="row",
    )


def _labels(kept: list[Value], mentions: pl.DataFrame) -> dict[int, str]:
    """How the catalog writes each value, where its capitals tell something.

    Values of keys that hold names ("brand") keep theirs. Elsewhere capitals may be no more than
    the way a column is written ("Red", "BLUE"): those that differ from it tell something ("USB"
    among "Wireless", "Europe" among "flag").
    """
    counts = mentions.filter(source="catalog").group_by("key", "value", "evidence").len()
    written: dict[tuple[str, str], tuple[int, str]] = {}
    for key, value, evidence, n in counts.sort("len", "evidence").iter_rows():
        written[fold(key), value] = (n, evidence or value)
    form = {value.at: written.get((fold(value.key), value.name), (0, ""))[1] for value in kept}
    usual: dict[str, Counter[str]] = defaultdict(Counter)
    for value in kept:
        if form[value.at]:
            usual[value.key][_case(form[value.at])] += 1
    labels = {}
    for value in kept:
        text = form[value.at]
        custom = usual[value.key].most_common(1)[0][0] if text else ""
        named = NAMES & set(words(value.key.replace("_", " ")))
        # beside words in lower case any capital counts, beside "Red" and "Light Blue" those inside
        telling = _case(text) != custom and (custom == "lower" or _case(text) == "inner")
        shown = text if text and custom != "upper" and (named or telling) else value.name
        labels[value.at] = shown.replace("_", " ")
    return labels


def _case(text: str) -> str:
    """lower; upper: all of it; inner: a word with capitals behind its first letter; else first."""
    if text == text.lower():
        return "lower"
    if text == text.upper() and sum(map(str.isalpha, text)) > 4:
        return "upper"
    return "inner" if any(word[1:] != word[1:].lower() for word in text.split()) else "first"


def _phrases(kept: list[Value], mentions: pl.DataFrame, type_key: str | None) -> dict[int, str]:
    """Text of each entry for the text tower.

    The value alone where it names itself, else "{value} {key}". The product type names itself, and
    so does a value that contains its key's noun ("v-neck"). Of the others these take the key:
    relative words ("long"), abbreviations, words that stand under two keys, and all values of a
    key whose noun sellers' titles put beside 30 % of them ("puff sleeve dress"; but "red dress").
    A yes/no attribute is called by its key.
    """
    beside, shown = Counter[str](), Counter[str]()
    noun = {key: fold_word(key.split("_")[-1]) for key in mentions["key"].unique().to_list()}
    titles = mentions.filter((pl.col("source") == "title") & pl.col("evidence").is_not_null())
    counted = titles.group_by("key", "evidence").len()
    for key, evidence, count in counted.iter_rows():
        shown[fold(key)] += count
        if noun[key] in {fold_word(word) for word in words(evidence)}:
            beside[fold(key)] += count
    keys_of = Counter(value.fold for value in kept)
    phrases = {}
    for value in kept:
        key = fold(value.key)
        tokens = [fold_word(word) for word in words(value.name)]
        alone = (
            beside[key] <= 0.3 * shown[key]
            and tokens[-1] not in RELATIVE
            and sum(c.isalpha() for c in value.name) > 2
            and keys_of[value.fold] == 1
        )
        if value.name in YES:
            phrases[value.at] = flag_label(value.key)
        elif value.key in (type_key, THEME) or noun.get(value.key) in tokens or alone:
            phrases[value.at] = value.name
        else:
            phrases[value.at] = f"{value.name} {value.key.replace('_', ' ')}"
    return phrases
