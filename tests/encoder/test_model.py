import json

import numpy as np
import pytest

from pinlanding_assets.encoder.model import DualEncoder, HeadShape, build_heads


def make(backbone, aligned=True, seed=0):
    dim = backbone.text_dim if aligned else 16
    shape = HeadShape(backbone.image_dim, backbone.text_dim, dim, aligned)
    heads = build_heads(shape, 2, seed)
    return DualEncoder(backbone, shape, ["colour=red", "colour=blue"], heads)


def sides(model, n, seed=0):
    rng = np.random.default_rng(seed)
    image = rng.normal(size=(n, model.shape.image_dim)).astype(np.float32)
    text = rng.normal(size=(n, model.shape.text_dim)).astype(np.float32)
    return image, text


@pytest.mark.parametrize("aligned", [True, False])
def test_vectors_are_unit_and_do_not_depend_on_neighbours(backbone, aligned):
    model = make(backbone, aligned)
    image, text = sides(model, 300)
    seen = np.ones(300, dtype=bool)
    vectors = model.product_vectors(image, text, seen, seen)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    few = [7, 280, 41]
    alone = model.product_vectors(image[few], text[few], seen[few], seen[few])
    np.testing.assert_allclose(alone, vectors[few], atol=1e-6)


def test_missing_side_has_no_influence(backbone):
    model = make(backbone)
    image, text = sides(model, 4)
    yes, no = np.ones(4, dtype=bool), np.zeros(4, dtype=bool)
    only = model.product_vectors(image, text, yes, no)
    np.testing.assert_allclose(only, model.product_vectors(image, text * 0 + 9, yes, no), atol=1e-6)
    assert not np.allclose(only, model.product_vectors(image, text, yes, yes))
    with pytest.raises(ValueError, match="row 2 has neither"):
        model.product_vectors(image, text, np.array([1, 1, 0, 1], bool), no)


def test_aligned_heads_start_as_the_zero_shot_encoder(backbone):
    model = make(backbone)
    image, text = sides(model, 3)
    no = np.zeros(3, dtype=bool)
    vectors = model.product_vectors(image, text, ~no, no)
    unit = image / np.linalg.norm(image, axis=1, keepdims=True)
    np.testing.assert_allclose(vectors, unit, atol=1e-5)
    phrase = backbone.text_features(["green"])[0]
    entry = model.entry_vectors(["colour=green"], ["green"])[0]
    np.testing.assert_allclose(entry, phrase / np.linalg.norm(phrase), atol=1e-5)


def test_round_trip_and_version(backbone, tmp_path):
    model = make(backbone, seed=1)
    model.save(tmp_path / "a")
    again = DualEncoder.load(tmp_path / "a", backbone)
    assert again.version == model.version == make(backbone, seed=5).version  # aligned: no dice
    assert make(backbone, aligned=False).version != make(backbone, aligned=False, seed=1).version
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == [
        "config.json",
        "heads.safetensors",
    ]


def test_tuned_towers_are_saved_and_checked(backbone, tmp_path):
    tuned = backbone.clone()
    state = {
        name: t * 1.5 if t.is_floating_point() else t
        for name, t in tuned.module.state_dict().items()
    }
    tuned.load_weights(state)
    base = make(backbone)
    model = DualEncoder(tuned, base.shape, base.entry_ids, base.heads, backbone.version)
    model.save(tmp_path)
    again = DualEncoder.load(tmp_path, backbone)
    assert again.tuned
    assert again.version == model.version != base.version
    np.testing.assert_allclose(
        again.backbone.text_features(["red"]), tuned.text_features(["red"]), rtol=1e-4, atol=1e-5
    )
    with pytest.raises(ValueError, match="trained from base"):
        DualEncoder.load(tmp_path, tuned)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "entry_ids": ["x=1", "x=2"]}))
    with pytest.raises(ValueError, match="does not match"):
        DualEncoder.load(tmp_path, backbone)
