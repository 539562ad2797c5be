import io

import numpy as np
import polars as pl
import pytest
from PIL import Image

from pinlanding_assets.encoder.folds import (
    group_folds,
    image_signature,
    joined,
    near_duplicates,
)
from pinlanding_assets.encoder.silence import absence
from pinlanding_assets.encoder.targets import build_targets
from tests.encoder.conftest import picture

ENTRIES = pl.DataFrame(
    {
        "entry_id": ["colour=red", "colour=blue", "use=run", "use=swim", "type=top", "type=pan"],
        "key": ["colour", "colour", "use", "use", "type", "type"],
        "phrase": ["red", "blue", "run", "swim", "top", "pan"],
    }
)
KEYS = pl.DataFrame(
    {
        "key": ["colour", "use", "type"],
        "multi": [False, True, False],
        "role": ["attribute", "attribute", "product_type"],
    }
)


def labels(*rows):
    return pl.DataFrame(
        rows,
        schema={"product_id": pl.String, "entry_id": pl.String, "weight": pl.Float64},
        orient="row",
    )


def at(targets, product, entry):
    row = targets.product_ids.index(product)
    column = targets.entries["entry_id"].to_list().index(entry)
    return targets.positive[row, column], targets.weight[row, column]


def test_same_key_is_negative_and_other_keys_are_unknown():
    targets = build_targets(["a", "b"], labels(("a", "colour=red", 0.5)), ENTRIES, KEYS)
    assert at(targets, "a", "colour=red") == (1.0, 0.5)
    assert at(targets, "a", "colour=blue") == (0.0, 0.5)
    assert at(targets, "a", "use=run") == (0.0, 0.0)
    assert not targets.weight[1].any()


def test_conflicting_values_leave_the_lighter_one_unknown():
    rows = labels(("a", "colour=red", 0.4), ("a", "colour=blue", 0.9), ("a", "use=run", 1.0))
    targets = build_targets(["a"], rows, ENTRIES, KEYS)
    assert at(targets, "a", "colour=blue") == (1.0, np.float32(0.9))
    assert at(targets, "a", "colour=red")[1] == 0.0
    both = build_targets(
        ["a"], labels(("a", "use=run", 1.0), ("a", "use=swim", 1.0)), ENTRIES, KEYS
    )
    assert at(both, "a", "use=run")[0] == at(both, "a", "use=swim")[0] == 1.0


def test_what_a_title_says_of_several_values_denies_none():
    rows = labels(("a", "use=run", 0.9), ("b", "use=run", 0.9))
    stated = pl.DataFrame({"product_id": ["b"], "key": ["use"]})
    targets = build_targets(["a", "b"], rows, ENTRIES, KEYS, stated)
    assert at(targets, "a", "use=swim") == (0.0, 0.0)
    assert at(targets, "b", "use=swim") == (0.0, np.float32(0.9))
    targets.deny(np.full((2, 3), 0.7))
    assert at(targets, "a", "colour=red") == (0.0, np.float32(0.7))
    assert at(targets, "b", "use=swim") == (0.0, np.float32(0.9))  # what is known stays


@pytest.mark.parametrize("seed", range(3))
def test_silence_is_absence_where_it_has_a_reason_and_omission_where_it_is_drawn(seed):
    rng = np.random.default_rng(seed)
    top = np.arange(400) % 2 == 0
    features = np.stack([top, ~top], axis=1) + rng.normal(scale=0.1, size=(400, 2))
    colour, sleeve = rng.random(400) < 0.7, top & (rng.random(400) < 0.7)
    rare = np.arange(400) % 20 == 0  # a tag that few have
    stated = np.stack([colour, sleeve, rare], axis=1)
    asked = np.ones_like(stated)
    lacking = absence(features, stated, asked, np.arange(400) % 5)
    assert lacking[~colour, 0].mean() < 0.3  # lost at random
    assert lacking[~top, 1].mean() > 0.9  # trousers have no sleeves
    assert lacking[top & ~sleeve, 1].mean() < 0.5
    assert lacking[~rare, 2].mean() > 0.9
    assert not lacking[stated].any()
    assert not absence(features, stated, ~asked, np.arange(400) % 5).any()


def test_bad_labels_are_named():
    with pytest.raises(ValueError, match="colour=mauve"):
        build_targets(["a"], labels(("a", "colour=mauve", 1.0)), ENTRIES, KEYS)
    with pytest.raises(ValueError, match="'a' is listed twice"):
        build_targets(["a", "a"], labels(), ENTRIES, KEYS)


def test_copies_of_a_photo_share_a_fold():
    data = picture("red", "box", 1)
    image = Image.open(io.BytesIO(data))
    copy = io.BytesIO()
    image.resize((80, 80)).save(copy, "JPEG", quality=80)
    photos = [data, picture("blue", "bar", 2), copy.getvalue(), picture("red", "bar", 1)]
    group = near_duplicates(np.array([image_signature(photo) for photo in photos]))
    assert group[0] == group[2]
    assert len(set(group.tolist())) == 3
    groups = [f"g{i // 2}" for i in range(40)]
    fold = group_folds(groups, 4, seed=3)
    assert (fold[::2] == fold[1::2]).all()
    assert sorted(np.bincount(fold)) == [10] * 4
    backwards = group_folds(groups[::-1], 4, seed=3)[::-1]
    assert (fold == backwards).all()


def test_what_shares_a_photo_or_a_text_is_held_out_together():
    photo = ["x", "x", None, "y", "z", "v", "u", "t"]
    text = ["a", "b", "b", "c", "d", "e", "f", "g"]
    found = joined([photo, text], folds=2)
    assert found[0] == found[1] == found[2]
    assert len(set(found)) == 6
    one_title = ["T-shirt"] * 8  # for all: no sign of a copy
    assert joined([photo, one_title], folds=2) == joined([photo], folds=2)
