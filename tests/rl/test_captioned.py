"""Captioned pictures that a run learns plainly from: only those that show what they say."""

import io

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image

from rl_diffusion_assets.policy import train
from rl_diffusion_assets.policy.train import read_captioned
from tests.rl.conftest import rewards


def write(path, captions):
    """Pictures whose left is bright and red as a red hat's, whose right is dark and blue."""
    rng = np.random.default_rng(0)
    rows = []
    for caption in captions:
        pixels = rng.integers(0, 40, (16, 16, 3), np.uint8)
        pixels[:, :8] = 255
        pixels[:, 8:, 2] = 90
        drawn = io.BytesIO()
        Image.fromarray(pixels).save(drawn, "png")
        rows.append({"image": drawn.getvalue(), "caption": caption})
    pl.DataFrame(rows).write_parquet(path)
    return path


CAPTIONS = ["a red hat", "a portrait of a baker", "a blue hat", "a portrait of a nurse"] * 5


def test_a_picture_that_does_not_show_its_caption_is_left_out(model, tmp_path):
    path = write(tmp_path / "captioned.parquet", CAPTIONS)
    (latents, captions), chances = read_captioned(path, model, rewards(), ("tone", "gender"))
    assert captions == [caption for caption in CAPTIONS if caption != "a blue hat"]
    assert latents.shape == (15, *model.latent_shape)
    assert chances.shape == (15,)
    assert chances.sum() == pytest.approx(1)


def test_how_many_are_read_side_by_side_changes_nothing(model, tmp_path, monkeypatch):
    monkeypatch.setattr(train, "READ_AT_ONCE", 4)
    path = write(tmp_path / "captioned.parquet", CAPTIONS)
    ((one, said), chances), ((three, again), others) = (
        read_captioned(path, model, rewards(), ("tone",), threads) for threads in (1, 3)
    )
    torch.testing.assert_close(one, three)
    assert said == again
    np.testing.assert_allclose(chances, others, rtol=1e-6)


def test_an_empty_file_is_named(model, tmp_path):
    path = tmp_path / "captioned.parquet"
    pl.DataFrame(schema={"image": pl.Binary, "caption": pl.String}).write_parquet(path)
    with pytest.raises(ValueError, match=r"captioned\.parquet: there are no"):
        read_captioned(path, model, rewards(), ())


def test_a_file_in_which_nothing_is_true_is_named(model, tmp_path):
    path = write(tmp_path / "captioned.parquet", ["a blue hat"] * 3)
    with pytest.raises(ValueError, match=r"captioned\.parquet: the detector finds"):
        read_captioned(path, model, rewards(), ())
