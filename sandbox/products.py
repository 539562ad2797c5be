"""Product number i of the world: a pure function of the seed and i, whatever the world's size."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sandbox.titles import spoken, write_description, write_title
from sandbox.vocabulary import (
    CATEGORIES,
    COLOUR_WEIGHTS,
    COLOURS,
    PATTERN_WEIGHTS,
    PATTERNS,
    keys_of,
)

SELLER_FIRST = ("Nord", "Luna", "Atlas", "Vela", "Mira", "Onda", "Terra", "Kite")
SELLER_LAST = ("Wear", "Studio", "Market", "Outlet", "Supply", "House")
SELLERS = tuple(f"{first} {last}" for first in SELLER_FIRST for last in SELLER_LAST)  # 48
CURRENCIES = ("EUR", "USD", "GBP")
COPY_RATE = 0.02  # products listed again by another seller, with the same photo
MATERIAL_PRICE = {"leather": 1.9, "silk": 1.6, "wool": 1.25, "linen": 1.15}
_CATEGORY_SHARE = np.cumsum([kind.weight for kind in CATEGORIES.values()])
_COLOUR_SHARE = np.cumsum(COLOUR_WEIGHTS)
_PATTERN_SHARE = np.cumsum(PATTERN_WEIGHTS)


@dataclass(frozen=True)
class Product:
    """A product as its seller lists it, with the truth about it.

    Attributes:
        index: Its number in the world.
        look: Seed of its cut and cloth; a relisted product has that of the original.
        attributes: The truth.
        views: How many photos it has; 0 is the front.
        product_type: The seller's own category field, if the seller gives one. May be wrong.
        color: The same for its colour.
    """

    index: int
    look: int
    attributes: Mapping[str, str]
    title: str
    description: str
    price: float
    currency: str
    seller: str
    availability: str
    views: int
    product_type: str | None
    color: str | None

    @property
    def sku(self) -> str:
        return sku_of(self.index)


def sku_of(index: int) -> str:
    return f"P{index:07d}"


def hashed(seed: int, salt: int, index: np.ndarray) -> np.ndarray:
    """Uniform numbers in [0, 1) for many product numbers at once (splitmix64)."""
    with np.errstate(over="ignore"):
        z = index.astype(np.uint64) + np.uint64((seed * 1_000_003 + salt) % 2**64)
        for multiplier in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB):
            z = (z + np.uint64(0x9E3779B97F4A7C15)) * np.uint64(multiplier | 1)
            z = z ^ (z >> np.uint64(29))
    return (z >> np.uint64(11)).astype(np.float64) / 2**53


def _pick(shares: np.ndarray, values: tuple[str, ...], rng: np.random.Generator) -> str:
    return values[int(np.searchsorted(shares, rng.random() * shares[-1], side="right"))]


def draw_attributes(rng: np.random.Generator, *, balanced: bool = False) -> dict[str, str]:
    """A product's truth.

    Args:
        rng: Source of the choice.
        balanced: Every value equally likely, as for training, instead of as in the catalogue.
    """
    names = tuple(CATEGORIES)
    category = names[rng.integers(len(names))] if balanced else _pick(_CATEGORY_SHARE, names, rng)
    kind = CATEGORIES[category]
    if balanced:
        colour = tuple(COLOURS)[rng.integers(len(COLOURS))]
        pattern = PATTERNS[rng.integers(len(PATTERNS))]
        material = tuple(kind.materials)[rng.integers(len(kind.materials))]
    else:
        colour = _pick(_COLOUR_SHARE, tuple(COLOURS), rng)
        pattern = _pick(_PATTERN_SHARE, PATTERNS, rng)
        shares = np.cumsum(list(kind.materials.values()))
        material = _pick(shares, tuple(kind.materials), rng)
    drawn = {"category": category, "colour": colour, "pattern": pattern, "material": material}
    for key, values in kind.optional.items():
        drawn[key] = values[rng.integers(len(values))]
    return {key: drawn[key] for key in keys_of(category)}


def original_of(seed: int, index: int) -> int:
    """The product whose photo and truth this one shares: itself, unless it is a relisting."""
    while index > 0:
        if hashed(seed, 1, np.array([index]))[0] >= COPY_RATE:
            return index
        back = 1 + int(hashed(seed, 2, np.array([index]))[0] * 40)
        index = max(index - back, 0)
    return index


def _field(key: str, value: str, rng: np.random.Generator) -> str | None:
    """A structured field as a seller fills it in, about one time in four."""
    if rng.random() >= 0.25:
        return None
    if rng.random() < 0.03:
        wrong = {"category": tuple(CATEGORIES), "colour": tuple(COLOURS)}[key]
        return wrong[rng.integers(len(wrong))]
    return spoken(key, value, rng, 0.2)


def product(seed: int, index: int, version: int = 0) -> Product:
    """Product `index` of the world of `seed`; later versions have another title and price."""
    original = original_of(seed, index)
    attributes = draw_attributes(np.random.default_rng([seed, 21, original]))
    rng = np.random.default_rng([seed, 22, index])
    kind = CATEGORIES[attributes["category"]]
    factor = MATERIAL_PRICE.get(attributes["material"], 1.0) * rng.lognormal(0.0, 0.3)
    price = float(np.floor(kind.price * factor) + rng.choice((0.0, 0.5, 0.9, 0.95, 0.99)))
    extra = int(rng.integers(1, 3)) if rng.random() < 0.15 else 0
    fixed = {
        "currency": CURRENCIES[int(rng.choice(3, p=(0.8, 0.12, 0.08)))],
        "seller": SELLERS[rng.integers(len(SELLERS))],
        "availability": "in stock" if rng.random() < 0.9 else "out of stock",
        "product_type": _field("category", attributes["category"], rng),
        "color": _field("colour", attributes["colour"], rng),
    }
    words = np.random.default_rng([seed, 23, index, version])
    return Product(
        index=index,
        look=(seed << 40) + original,
        attributes=attributes,
        title=write_title(attributes, words),
        description=write_description(attributes, words),
        price=round(price * float(words.uniform(0.7, 1.1) if version else 1.0), 2),
        views=1 + (extra if original == index else 0),
        **fixed,
    )
