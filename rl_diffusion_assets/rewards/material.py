"""Tables of the lake and the studio become arrays that reward models learn from."""

import io
from collections.abc import Callable, Iterable

import numpy as np
import polars as pl
from PIL import Image

from rl_diffusion_assets.rewards.building import GENDERS, Objects, People, bucket_of
from rl_diffusion_assets.rewards.composition import Wanted
from rl_diffusion_assets.rewards.training import Pairs


def read_picture(data: bytes, side: int) -> np.ndarray:
    """uint8 ``[side, side, 3]`` of an encoded image."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    if image.size != (side, side):
        image = image.resize((side, side), Image.Resampling.LANCZOS)
    return np.asarray(image)


def make_pairs(
    table: pl.DataFrame, image: Callable[[str], bytes], side: int
) -> tuple[Pairs, np.ndarray]:
    """Rows of `preference_pairs` that have pixels, and which of them are held out.

    Raises:
        ValueError: there is none; says what to do.
    """
    rows = table.filter(pl.col("image_a").is_not_null() & pl.col("image_b").is_not_null())
    if not rows.height:
        raise ValueError("no rated pair has pictures; rate some, and materialize preference_pairs")
    rows = rows.sort("pair_id")
    place: dict[tuple[str, str], int] = {}
    ends = [
        [
            place.setdefault(picture, len(place))
            for picture in zip(rows[end], rows["prompt"], strict=True)
        ]
        for end in ("image_a", "image_b")
    ]
    return (
        Pairs(
            pictures=np.stack([read_picture(image(name), side) for name, _ in place]),
            captions=[prompt for _, prompt in place],
            first=np.array(ends[0]),
            second=np.array(ends[1]),
            share=rows["share_a"].to_numpy(),
            votes=(rows["votes_a"] + rows["votes_b"] + rows["ties"]).to_numpy(),
        ),
        (rows["split"] == "held_out").to_numpy(),
    )


def make_people(table: pl.DataFrame, side: int) -> People:
    """Labelled pictures of people: columns image, monk (1 to 10), gender (man or woman).

    Raises:
        ValueError: a label is not one of those; names the row.
    """
    for row, (monk, gender) in enumerate(zip(table["monk"], table["gender"], strict=True)):
        if monk not in range(1, 11) or gender not in GENDERS:
            raise ValueError(f"people, row {row}: monk {monk!r}, gender {gender!r} is not a label")
    return People(
        pictures=np.stack([read_picture(data, side) for data in table["image"]]),
        tone=np.array([bucket_of(monk) for monk in table["monk"]]),
        gender=np.array([GENDERS.index(gender) for gender in table["gender"]]),
    )


def make_objects(table: pl.DataFrame, side: int) -> Objects:
    """Labelled pictures of objects: columns image, relation, objects (name, colour, x, y)."""
    wanted = [
        Wanted(tuple((one["name"], one["colour"]) for one in objects), relation)
        for objects, relation in zip(table["objects"], table["relation"], strict=True)
    ]
    return Objects(
        pictures=np.stack([read_picture(data, side) for data in table["image"]]),
        objects=[
            [(one["name"], one["colour"], one["x"], one["y"]) for one in objects]
            for objects in table["objects"]
        ],
        wanted=wanted,
    )


def make_captioned(tables: Iterable[pl.DataFrame], side: int) -> tuple[np.ndarray, list[str]]:
    """Captioned pictures of every table that has captions: columns image, caption."""
    rows = pl.concat(
        [table.select("image", "caption") for table in tables if "caption" in table.columns]
    )
    pictures = np.stack([read_picture(data, side) for data in rows["image"]])
    return pictures, rows["caption"].to_list()
