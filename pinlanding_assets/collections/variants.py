"""What tells the variants of one product apart: the attributes that differ among them.

The catalog's own words are taken, not what a model says: a model that is unsure of one photo would
make variants differ in what they share.
"""

from collections.abc import Mapping, Sequence

from pinlanding_assets.collections.wording import clean, readable

MAX_KEYS = 3  # attributes that a variant is told by
MAX_LABEL = 40  # characters of one value

Told = tuple[tuple[str, str], ...]
"""(attribute, its values) as shown."""


def told_apart(variants: Mapping[str, Sequence[Mapping[str, str]]]) -> dict[str, Told]:
    """What each variant is told by: of the attributes that all of them state and that differ, the
    first three, in the order of the first variant.

    Args:
        variants: product_id -> its attributes, as {key, value}; all of one parent.
    """
    stated = {product: _values(attributes) for product, attributes in sorted(variants.items())}
    first = next(iter(stated.values()), {})
    differing = [
        key
        for key in first
        if all(key in values for values in stated.values())
        and len({values[key] for values in stated.values()}) > 1
    ][:MAX_KEYS]
    return {
        product: tuple((readable(key), values[key]) for key in differing)
        for product, values in stated.items()
    }


def nearest_first(own: Told, others: Mapping[str, Told]) -> list[str]:
    """Ids of other variants: those that differ from this one in the fewest attributes first."""
    return sorted(others, key=lambda product: (_differences(own, others[product]), product))


def _values(attributes: Sequence[Mapping[str, str]]) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for pair in attributes:
        found.setdefault(pair["key"], []).append(pair["value"])
    return {
        key: text for key, values in found.items() if (text := clean(" / ".join(values), MAX_LABEL))
    }


def _differences(one: Told, other: Told) -> int:
    return sum(mine != theirs for mine, theirs in zip(one, other, strict=True))
