"""Text-to-image models: opened from folders, captions read once, pictures packed and rendered."""

import shutil

import dagster as dg
import numpy as np
import pytest
import torch

from resources import diffusion
from resources.diffusion import Diffusion, load_text_to_image
from tests.rl.conftest import LATENT, _one_thread, fresh, loaded, tiny_folder, write_tiny_diffusion

__all__ = ["_one_thread", "fresh", "loaded", "tiny_folder"]


@pytest.fixture
def model(fresh):
    return fresh()


def opened(base) -> Diffusion:
    return Diffusion(base=str(base), scorer="nowhere")


def test_a_folder_is_opened_frozen_and_in_evaluation_mode(tiny_folder):
    model = opened(tiny_folder).load()
    assert model.latent_shape == LATENT
    for part in (model.unet, model.pipeline.vae, model.pipeline.text_encoder):
        assert not part.training
        assert not any(parameter.requires_grad for parameter in part.parameters())
        assert {parameter.dtype for parameter in part.parameters()} == {torch.float32}
    assert model.side == 16
    assert model.scheduler.config.timestep_spacing == "leading"
    assert model.pipeline.safety_checker is None


def test_another_folder_than_the_base_can_be_opened(tiny_folder):
    assert opened("nowhere").load(str(tiny_folder)).latent_shape == LATENT


def test_an_unknown_precision_is_refused_by_its_name(tiny_folder):
    with pytest.raises(ValueError, match="precision 'int4': one of float32, float16, bfloat16"):
        load_text_to_image(str(tiny_folder), precision="int4")
    with pytest.raises(dg.Failure, match="precision 'int4'"):
        opened(tiny_folder).load(precision="int4")


def test_a_missing_or_empty_folder_is_a_failure_that_names_it(tmp_path):
    for folder in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(dg.Failure, match=str(folder)):
            opened(folder).load()


def test_pickled_weights_are_not_read(tiny_folder, tmp_path):
    folder = tmp_path / "pickled"
    shutil.copytree(tiny_folder, folder)
    path = folder / "unet" / "diffusion_pytorch_model.safetensors"
    torch.save({}, path.with_suffix(".bin"))
    path.unlink()
    with pytest.raises(dg.Failure, match="cannot be opened"):
        opened(folder).load()


def test_a_unet_with_more_conditions_than_a_caption_is_refused(tmp_path):
    folder = write_tiny_diffusion(
        tmp_path / "xl",
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=64,
    )
    with pytest.raises(ValueError, match="conditioned on a caption alone"):
        load_text_to_image(str(folder))
    with pytest.raises(dg.Failure, match="SDXL"):
        opened(folder).load()


def test_a_caption_is_read_once(model):
    encoder, calls = model.pipeline.text_encoder, []
    encoder.register_forward_hook(lambda _module, inputs, _out: calls.append(len(inputs[0])))
    hidden = model.encode(["red", "blue", "red"])
    assert hidden.shape == (3, 12, 16)
    assert hidden.dtype == torch.float32
    assert torch.equal(hidden[0], hidden[2])
    assert not torch.equal(hidden[0], hidden[1])
    assert calls == [2]
    assert torch.equal(model.encode(["blue", "green"])[0], hidden[1])
    assert calls == [2, 1]
    assert not hidden.requires_grad


def test_many_captions_are_read_in_parts_and_keep_their_order(model):
    captions = [f"{i:03d}" for i in range(150)]
    hidden = model.encode(captions)
    model.hidden.clear()
    torch.testing.assert_close(hidden[99:100], model.encode(captions[99:100]))


def test_a_long_caption_is_cut(model):
    a, b = model.encode(["a" * 11 + "b" * 40, "a" * 11 + "c" * 40])
    torch.testing.assert_close(a, b)


def test_packing_and_rendering_keep_shapes_types_and_rows(model):
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)
    latents = model.pack(pictures, batch=2)
    assert latents.shape == (5, *LATENT)
    assert latents.dtype == torch.float32
    assert not latents.requires_grad
    torch.testing.assert_close(model.pack(pictures[3:4]), latents[3:4], rtol=1e-4, atol=1e-4)
    made = model.decode(latents, batch=2)
    assert made.shape == (5, 16, 16, 3)
    assert made.dtype == np.uint8
    again = model.decode(latents[3:4])
    assert np.abs(again.astype(int) - made[3:4].astype(int)).max() <= 1


def test_latents_are_scaled_as_the_autoencoder_says(model):
    pictures = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
    vae = model.pipeline.vae
    pixels = torch.from_numpy(pictures).permute(0, 3, 1, 2) / 127.5 - 1
    assert (pixels.min(), pixels.max()) == (-1, 1)
    mean = vae.encode(pixels).latent_dist.mean
    torch.testing.assert_close(model.pack(pictures), mean * vae.config.scaling_factor)
    rendered = vae.decode(mean).sample.permute(0, 2, 3, 1).numpy() * 127.5 + 127.5
    made = model.decode(mean * vae.config.scaling_factor)
    np.testing.assert_allclose(made, rendered.clip(0, 255), atol=0.51)


def test_pixels_are_clamped_and_do_not_wrap(model):
    with torch.no_grad():
        model.pipeline.vae.decoder.conv_out.bias.copy_(torch.tensor([9.0, -9.0, 0.0]))
    made = model.decode(torch.zeros((1, *LATENT)))
    assert (made[..., 0] == 255).all()
    assert (made[..., 1] == 0).all()


def test_a_model_of_another_precision_predicts(tiny_folder, loaded):
    """Latents and log-probabilities stay float32; the weights are what is halved."""
    model = load_text_to_image(str(tiny_folder), precision="bfloat16")
    assert {parameter.dtype for parameter in model.unet.parameters()} == {torch.bfloat16}
    latents = torch.randn((2, *LATENT), generator=torch.Generator().manual_seed(0))
    pictures = model.decode(latents)
    assert pictures.dtype == np.uint8
    assert model.pack(pictures).dtype == torch.float32
    with torch.no_grad():
        made, exact = (
            each.predict(latents, torch.tensor(501), each.encode(["red", "blue"]), 2.0)
            for each in (model, loaded)
        )
    torch.testing.assert_close(made.float(), exact, rtol=0.1, atol=0.1)


def test_a_saved_model_opens_as_the_same(model, tmp_path):
    with torch.no_grad():
        model.unet.conv_out.bias.add_(0.5)
    model.save(tmp_path)
    again = load_text_to_image(str(tmp_path))
    latents = torch.ones((1, *LATENT))
    with torch.no_grad():
        a, b = (
            each.predict(latents, torch.tensor(7), each.encode(["red"]), 3.0)
            for each in (model, again)
        )
    torch.testing.assert_close(a, b)
    assert list(tmp_path.rglob("*.safetensors"))
    assert not list(tmp_path.rglob("*.bin"))


def test_captions_are_forgotten_the_oldest_first(model, monkeypatch):
    size = model.encode(["a"]).nbytes
    model.hidden.clear()
    monkeypatch.setattr(diffusion, "KNOWN_BYTES", 4 * size)
    model.encode([""])
    for captions in (["a", "b"], ["c", "d"]):
        model.encode(captions)
    assert list(model.hidden) == ["", "b", "c", "d"]
    asked = model.encode(["e", "f", "g", "h", "i"])  # more than fits: all of them stay
    assert list(model.hidden) == ["", "e", "f", "g", "h", "i"]
    assert torch.equal(asked[:1], model.encode(["e"]))
