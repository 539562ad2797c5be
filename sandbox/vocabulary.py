"""The values of the rendered world, their synonyms, and which of them a product can have."""

from collections.abc import Mapping
from dataclasses import dataclass, field

# The order is the order in which the sandbox vision-language model writes its answer.
KEYS = ("category", "colour", "pattern", "material", "sleeve", "neck", "length")
REQUIRED = ("category", "colour", "pattern", "material")

# How a value reads after the noun; the other keys stand before it ("red striped dresses").
PHRASES = {"sleeve": "with {value} sleeves"}

COLOURS: Mapping[str, tuple[int, int, int]] = {
    "black": (40, 40, 45),
    "white": (240, 240, 237),
    "grey": (140, 143, 148),
    "red": (200, 32, 44),
    "pink": (242, 158, 186),
    "orange": (240, 126, 30),
    "yellow": (244, 208, 56),
    "green": (52, 138, 70),
    "teal": (22, 148, 152),
    "blue": (58, 120, 216),
    "navy": (32, 44, 98),
    "purple": (124, 66, 168),
    "brown": (112, 72, 44),
    "beige": (214, 190, 152),
}
PATTERNS = (
    "plain",
    "striped",
    "checked",
    "dotted",
    "floral",
    "zigzag",
    "leopard",
    "camouflage",
)
MATERIALS = ("cotton", "denim", "wool", "leather", "linen", "silk")
SLEEVES = ("cap", "short", "puff", "long", "bell")
NECKS = ("crew-neck", "v-neck", "square-neck", "boat-neck", "high-neck")
SKIRT_LENGTHS = ("mini", "midi", "maxi")
LEG_LENGTHS = ("cropped", "full-length")
LENGTHS = SKIRT_LENGTHS + LEG_LENGTHS


@dataclass(frozen=True)
class Kind:
    """What a category allows.

    Attributes:
        weight: Share of the catalogue, relative to the other categories.
        price: Median price in euro of a cotton one.
        materials: Weight of each material it is made of.
        optional: Values of the keys that only some categories have.
    """

    weight: float
    price: float
    materials: Mapping[str, float]
    optional: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def _materials(**weights: float) -> Mapping[str, float]:
    return weights


_TOP = {"sleeve": SLEEVES, "neck": NECKS}
CATEGORIES: Mapping[str, Kind] = {
    "dress": Kind(
        10,
        69,
        _materials(cotton=4, silk=3, linen=3, denim=2, wool=2, leather=1),
        {**_TOP, "length": SKIRT_LENGTHS},
    ),
    "t-shirt": Kind(9, 24, _materials(cotton=6, linen=2, silk=1.5, wool=1.5), _TOP),
    "sweater": Kind(8, 59, _materials(wool=6, cotton=3, silk=1, linen=1), _TOP),
    "shirt": Kind(8, 45, _materials(cotton=4, linen=3, denim=2.5, silk=2), {"sleeve": SLEEVES}),
    "skirt": Kind(
        7,
        42,
        _materials(cotton=3, denim=3, silk=2, leather=2, wool=2, linen=2),
        {"length": SKIRT_LENGTHS},
    ),
    "trousers": Kind(
        7,
        55,
        _materials(denim=4, cotton=3, linen=2, wool=2, leather=1.5, silk=1),
        {"length": LEG_LENGTHS},
    ),
    "jacket": Kind(6, 99, _materials(leather=4, denim=4, cotton=2, wool=2, linen=1, silk=1)),
    "coat": Kind(
        5,
        149,
        _materials(wool=5, leather=2, cotton=3, linen=1, denim=1),
        {"length": SKIRT_LENGTHS},
    ),
    "hoodie": Kind(6, 49, _materials(cotton=5, wool=3, linen=1, denim=1, silk=1)),
    "shorts": Kind(5, 35, _materials(cotton=3, denim=4, linen=3, leather=1, silk=1, wool=1)),
    "jumpsuit": Kind(
        4,
        79,
        _materials(cotton=3, denim=3, linen=3, silk=2, leather=1),
        {**_TOP, "length": LEG_LENGTHS},
    ),
    "sneakers": Kind(6, 79, _materials(leather=4, cotton=4, denim=2, wool=2, linen=1, silk=0.5)),
    "boots": Kind(5, 119, _materials(leather=5, denim=1.5, wool=2, cotton=2)),
    "handbag": Kind(5, 89, _materials(leather=5, cotton=2, linen=2, denim=2, silk=2, wool=1)),
    "backpack": Kind(4, 65, _materials(leather=2, cotton=4, denim=3, linen=2, wool=1)),
    "hat": Kind(4, 29, _materials(wool=4, cotton=3, linen=3, leather=2, denim=2, silk=0.5)),
    "scarf": Kind(4, 29, _materials(wool=5, silk=4, cotton=3, linen=3)),
}

VALUES: Mapping[str, tuple[str, ...]] = {
    "category": tuple(CATEGORIES),
    "colour": tuple(COLOURS),
    "pattern": PATTERNS,
    "material": MATERIALS,
    "sleeve": SLEEVES,
    "neck": NECKS,
    "length": LENGTHS,
}

# Relative frequency in the catalogue: a few values are everywhere, most are not.
COLOUR_WEIGHTS = (12, 11, 8, 8, 6, 5, 5, 7, 5, 10, 8, 5, 6, 6)
PATTERN_WEIGHTS = (34, 14, 11, 10, 11, 6, 7, 7)

# Words that sellers and searchers use for a value instead of the value itself.
SYNONYMS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "category": {
        "dress": ("gown", "frock"),
        "t-shirt": ("tee", "tshirt", "jersey top"),
        "sweater": ("jumper", "pullover"),
        "shirt": ("button-up", "button-down"),
        "skirt": ("a-line skirt",),
        "trousers": ("pants", "slacks"),
        "jacket": ("bomber", "blouson"),
        "coat": ("overcoat", "trench coat"),
        "hoodie": ("hooded sweatshirt", "hooded top"),
        "shorts": ("bermudas",),
        "jumpsuit": ("playsuit", "overall"),
        "sneakers": ("trainers", "running shoes"),
        "boots": ("ankle boots", "booties"),
        "handbag": ("purse", "tote"),
        "backpack": ("rucksack", "daypack"),
        "hat": ("fedora", "sun hat"),
        "scarf": ("shawl", "wrap"),
    },
    "colour": {
        "black": ("jet", "onyx"),
        "white": ("ivory", "off-white"),
        "grey": ("gray", "charcoal"),
        "red": ("crimson", "scarlet"),
        "pink": ("rose", "blush"),
        "orange": ("tangerine",),
        "yellow": ("mustard", "lemon"),
        "green": ("emerald", "forest"),
        "teal": ("petrol", "turquoise"),
        "blue": ("cobalt", "azure"),
        "navy": ("dark blue", "midnight"),
        "purple": ("violet", "plum"),
        "brown": ("chocolate", "tan"),
        "beige": ("sand", "camel"),
    },
    "pattern": {
        "plain": ("solid", "uni"),
        "striped": ("stripe", "breton"),
        "checked": ("gingham", "plaid"),
        "dotted": ("polka dot", "spotted"),
        "floral": ("flower print", "botanical"),
        "zigzag": ("chevron",),
        "leopard": ("animal print",),
        "camouflage": ("camo",),
    },
    "material": {
        "cotton": ("100% cotton", "jersey"),
        "denim": ("jean", "chambray"),
        "wool": ("knit", "knitted"),
        "leather": ("nappa", "faux leather"),
        "linen": ("flax",),
        "silk": ("satin", "silky"),
    },
    "sleeve": {
        "cap": ("cap sleeve", "cap-sleeved"),
        "short": ("short sleeve", "short-sleeved"),
        "puff": ("puff sleeve", "balloon sleeve"),
        "long": ("long sleeve", "long-sleeved"),
        "bell": ("bell sleeve", "flared sleeve"),
    },
    "neck": {
        "crew-neck": ("crew neck", "round neck"),
        "v-neck": ("v neck", "vneck"),
        "square-neck": ("square neck",),
        "boat-neck": ("boat neck", "bateau"),
        "high-neck": ("turtleneck", "mock neck"),
    },
    "length": {
        "mini": ("short cut", "above the knee"),
        "midi": ("knee length", "mid-length"),
        "maxi": ("ankle length", "floor length"),
        "cropped": ("crop", "7/8"),
        "full-length": ("full length", "long leg"),
    },
}


def keys_of(category: str) -> tuple[str, ...]:
    """The keys that apply to a category, in the order of `KEYS`."""
    optional = CATEGORIES[category].optional
    return tuple(key for key in KEYS if key in REQUIRED or key in optional)
