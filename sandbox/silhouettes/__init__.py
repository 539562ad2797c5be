"""The shape of each category: how its sketch is drawn from its attributes and its cut."""

from collections.abc import Callable, Mapping

from sandbox.silhouettes.accessories import draw_hat, draw_scarf
from sandbox.silhouettes.bags import draw_backpack, draw_handbag
from sandbox.silhouettes.footwear import draw_boots, draw_sneakers
from sandbox.silhouettes.lower import draw_jumpsuit, draw_shorts, draw_skirt, draw_trousers
from sandbox.silhouettes.outerwear import draw_coat, draw_hoodie, draw_jacket
from sandbox.silhouettes.sketch import Array, Sketch
from sandbox.silhouettes.tops import draw_dress, draw_shirt, draw_sweater, draw_tshirt

# (attributes, three numbers in [0, 1) that vary the cut) -> sketch
DRAW: Mapping[str, Callable[[Mapping[str, str], Array], Sketch]] = {
    "dress": draw_dress,
    "t-shirt": draw_tshirt,
    "sweater": draw_sweater,
    "shirt": draw_shirt,
    "skirt": draw_skirt,
    "trousers": draw_trousers,
    "jacket": draw_jacket,
    "coat": draw_coat,
    "hoodie": draw_hoodie,
    "shorts": draw_shorts,
    "jumpsuit": draw_jumpsuit,
    "sneakers": draw_sneakers,
    "boots": draw_boots,
    "handbag": draw_handbag,
    "backpack": draw_backpack,
    "hat": draw_hat,
    "scarf": draw_scarf,
}
