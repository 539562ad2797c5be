import dataclasses

import numpy as np
import polars as pl
import pytest
import torch

from pinlanding_assets.embeddings.encode import encode_products
from pinlanding_assets.encoder.features import jittered
from pinlanding_assets.encoder.objective import attribute_loss, composition_loss
from pinlanding_assets.encoder.targets import KeySpan
from pinlanding_assets.encoder.training import TrainingSettings, train
from pinlanding_assets.encoder.vectors import vector_matrix

FROZEN = TrainingSettings(
    epochs=30, batch=32, learning_rate=1e-2, folds=3, tower_samples=0, patience=10
)


def run(backbone, world, settings, **kwargs):
    return train(
        backbone,
        world.products,
        world.labels,
        world.entries,
        world.keys,
        load_image=world.images.__getitem__,
        settings=settings,
        **kwargs,
    )


@pytest.fixture(scope="module")
def trained(backbone, world):
    return run(backbone, world, FROZEN)


def test_heads_learn_what_the_pictures_show(trained, backbone, world):
    assert trained.model.backbone.version == backbone.version
    assert trained.metrics["held_out"] == 90
    report = trained.retrieval
    recall = report.filter(pl.col("figure") == "recall_at_1").select("modality", "method", "value")
    by = {(r[0], r[1]): r[2] for r in recall.iter_rows()}
    assert by["both", "encoder"] > by["none", "frequency"] + 0.1
    assert trained.calibration.height == 5
    assert trained.calibration.schema["support"] == pl.Int64
    assert trained.calibration["support"].sum() == 180
    hidden = trained.estimates
    assert hidden["key"].to_list() == ["colour", "shape"]
    assert hidden["labelled"].to_list() == hidden["labels"].to_list() == [90, 90]
    assert hidden["entries"].to_list() == [3, 2]
    assert 0 < hidden["recall"][0] <= hidden["coverage"][0] <= 1
    assert hidden["precision"][0] > 0.8


def test_nothing_is_said_of_a_side_that_a_product_lacks(backbone, world):
    blind = world.products["product_id"].to_list()[:10]
    lacks = pl.col("product_id").is_in(blind)
    none = pl.lit([], dtype=pl.List(pl.String))
    products = world.products.with_columns(
        images=pl.when(lacks).then(none).otherwise(pl.col("images"))
    )
    found = train(
        backbone,
        products,
        world.labels,
        world.entries,
        world.keys,
        load_image=world.images.__getitem__,
        settings=dataclasses.replace(FROZEN, epochs=2),
    )
    said = {
        modality: set(found.held_out.filter(modality=modality)["product_id"])
        for modality in ("both", "image", "text")
    }
    assert said["image"] == set(products["product_id"]) - set(blind)
    assert set(blind) & said["text"] < said["text"] < said["both"] == said["image"] | said["text"]
    asked = found.retrieval.filter(figure="recall_at_1", method="encoder")
    counted = {modality: len(products) for modality, products in said.items()}
    assert dict(asked.select("modality", "n").iter_rows()) == counted


def test_training_is_deterministic_and_order_free(trained, backbone, world):
    again = train(
        backbone,
        world.products.sample(fraction=1.0, shuffle=True, seed=1),
        world.labels.sample(fraction=1.0, shuffle=True, seed=2),
        world.entries.reverse(),
        world.keys,
        load_image=world.images.__getitem__,
        settings=FROZEN,
    )
    assert again.model.version == trained.model.version
    assert again.calibration.equals(trained.calibration)
    assert again.estimates.equals(trained.estimates)
    assert again.metrics == trained.metrics


def test_what_was_trained_on_need_not_be_read_again(trained, world):
    """The vectors that training leaves are, bit for bit, what encoding those products gives."""
    found = encode_products(trained.model, world.products, world.images.__getitem__).embeddings
    of_training = found.join(trained.vectors, on="content_hash", suffix="_left")
    assert of_training.height == trained.metrics["products"]
    assert of_training["vector"].equals(of_training["vector_left"], check_names=False)
    assert of_training["readings"].equals(of_training["readings_left"], check_names=False)


def test_towers_are_tuned_and_the_base_is_left_alone(backbone, world, tmp_path):
    before = backbone.version
    settings = dataclasses.replace(
        FROZEN, epochs=3, tower_samples=120, tower_passes=1, tower_rate=1e-3, interpolations=(1.0,)
    )
    steps = []
    tuned = run(backbone, world, settings, progress=lambda *told: steps.append(told))
    assert backbone.version == before == tuned.model.base_version
    assert tuned.model.tuned
    assert [done for done, _, _ in steps][-1] == steps[-1][1] == 5
    assert "loss_interpolation_1" in tuned.metrics
    assert (tuned.estimates["labelled"] == tuned.metrics["held_out"]).all()
    tuned.model.save(tmp_path)
    back = type(tuned.model).load(tmp_path, backbone)
    images = world.images.__getitem__
    a = vector_matrix(encode_products(tuned.model, world.products, images).embeddings)
    b = vector_matrix(encode_products(back, world.products, images).embeddings)
    np.testing.assert_allclose(a, b, atol=1e-5)
    none = run(backbone, world, dataclasses.replace(settings, interpolations=(0.0,)))
    assert not none.model.tuned


def test_bad_input_is_named(backbone, world):
    with pytest.raises(ValueError, match="no entries"):
        train(
            backbone,
            world.products,
            world.labels.clear(),
            world.entries.clear(),
            world.keys,
            load_image=world.images.__getitem__,
        )
    with pytest.raises(ValueError, match="0 labelled products"):
        train(
            backbone,
            world.products,
            world.labels.clear(),
            world.entries,
            world.keys,
            load_image=world.images.__getitem__,
        )


def test_jittered_photos_keep_their_pixels():
    torch.manual_seed(0)
    photos = torch.arange(4 * 3 * 64 * 64, dtype=torch.float32).reshape(4, 3, 64, 64)
    moved = jittered(photos)
    assert moved.shape == photos.shape
    assert not torch.equal(moved, photos)
    for one, other in zip(moved, photos, strict=True):
        assert torch.equal(one.flatten(1).sort()[0], other.flatten(1).sort()[0])
    pairs = zip(moved, photos, strict=True)
    corner = [int((one[0] == other[0, 0, 0]).nonzero()[0, 0]) for one, other in pairs]
    assert all(row <= 2 or row >= 62 for row in corner)
    torch.manual_seed(0)
    assert torch.equal(jittered(photos), moved)


def test_unknown_keys_carry_no_gradient():
    logits = torch.zeros(2, 4, requires_grad=True)
    positive = torch.tensor([[1.0, 0, 0, 0], [0, 0, 1.0, 0]])
    weight = torch.tensor([[1.0, 1, 0, 0], [0, 0, 1, 1]])
    spans = [KeySpan("a", 0, 2, False), KeySpan("b", 2, 4, False)]
    attribute_loss(logits, positive, weight, spans, ranking=1.0, smoothing=0.1).backward()
    assert logits.grad is not None
    assert ((logits.grad != 0) == (weight > 0)).all()
    assert logits.grad[0, 0] < 0 < logits.grad[0, 1]


def test_composition_prefers_products_with_all_attributes():
    known = torch.eye(4)[:3]
    positive = torch.tensor([[1.0, 1, 0], [1, 0, 1], [0, 1, 0]])
    right = torch.nn.functional.normalize(positive @ known, dim=1)
    loss = [
        float(
            composition_loss(
                vectors,
                known,
                torch.tensor(10.0),
                positive,
                torch.ones(3, 3),
                torch.Generator().manual_seed(0),
            )
        )
        for vectors in (right, right.roll(1, 0))
    ]
    assert loss[0] < loss[1]
    assert np.isfinite(loss).all()


def test_hard_negatives_push_away_what_lacks_one_attribute_only():
    known = torch.eye(4)
    # the first product's combination; one that lacks one of it, and one that has nothing of it
    positive = torch.tensor([[1.0, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 1]])
    pull = []
    for hard in (1.0, 8.0):
        vectors = torch.full((3, 4), 0.5, requires_grad=True)
        loss = composition_loss(
            vectors,
            known,
            torch.tensor(1.0),
            positive,
            torch.ones(3, 4),
            torch.Generator().manual_seed(3),
            hard_negatives=hard,
        )
        loss.backward()
        assert vectors.grad is not None
        pull.append(float(vectors.grad[1, :2].sum() / vectors.grad[2, :2].sum()))
    assert pull[1] > 2 * pull[0]


@pytest.mark.parametrize(
    "losses", [{"sigmoid": 0.0, "ranking": 0.0, "composition": 1.0}, {"composition": 0.0}]
)
def test_each_loss_alone_trains_the_heads(backbone, world, losses):
    trained = run(backbone, world, dataclasses.replace(FROZEN, epochs=15, **losses))
    recall = trained.retrieval.filter(pl.col("figure") == "recall_at_1")
    chance = recall.filter(pl.col("method") == "random")["value"].item()
    assert trained.metrics["both_recall_at_1"] > 1.5 * chance
    assert trained.reliability["n"].sum() == 90 * 5
