import io

import numpy as np
import pytest
import torch
from PIL import Image

from resources import encoders
from resources.encoders import Encoders, OpenClip, decode_image, load_backbone
from tests.encoder.conftest import as_siglip, picture, write_tiny_open_clip


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    torch.set_num_threads(1)
    return write_tiny_open_clip(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def pictures():
    return [picture(colour, "box", i) for i, colour in enumerate(["red", "green", "blue"] * 3)]


def alike(one, other):
    """Up to the roundings of sums whose order is the library's and the CPU's."""
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5 * np.abs(other).max())


def test_transparency_is_laid_on_white_and_garbage_is_named():
    buffer = io.BytesIO()
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(buffer, "PNG")
    assert decode_image(buffer.getvalue()).getpixel((1, 1)) == (255, 255, 255)
    with pytest.raises(ValueError, match="cannot be decoded"):
        decode_image(b"not an image")


def test_open_clip_features_do_not_depend_on_neighbours(tiny, pictures):
    backbone = OpenClip(str(tiny))
    assert backbone.image_dim == backbone.text_dim == 24
    features = backbone.image_features(pictures)
    assert features.shape == (9, 24)
    alike(backbone.image_features([pictures[5]])[0], features[5])
    texts = ["red box", "", "x" * 5_000]
    alike(backbone.text_features(texts)[::-1], backbone.text_features(texts[::-1]))
    with pytest.raises(ValueError, match="image 1"):
        backbone.image_features([pictures[0], b"broken"])


def test_a_clone_is_independent_and_versions_follow_the_weights(tiny, pictures):
    backbone = OpenClip(str(tiny))
    clone = backbone.clone()
    assert clone.version == backbone.version == OpenClip(str(tiny)).version
    state = {n: t * 2 if t.is_floating_point() else t for n, t in clone.module.state_dict().items()}
    clone.load_weights(state)
    assert clone.version != backbone.version
    changed = clone.image_features(pictures) != backbone.image_features(pictures)
    assert changed.any()


def test_gradients_reach_the_towers(tiny, pictures):
    backbone = OpenClip(str(tiny)).clone()
    pixels, tokens = backbone.prepare_images(pictures), backbone.prepare_texts(["red", "blue"])
    (backbone.forward_images(pixels).sum() + backbone.forward_texts(tokens).sum()).backward()
    assert all(
        p.grad is not None for name, p in backbone.module.named_parameters() if "logit" not in name
    )


def test_settings_are_checked(tiny):
    with pytest.raises(ValueError, match="expected 'pretrained-features'"):
        Encoders(base="magic").backbone()
    with pytest.raises(FileNotFoundError, match="no such folder"):
        Encoders(base="open_clip:/nowhere/at/all").backbone()
    assert Encoders(base=f"open_clip:{tiny}").backbone().trainable


def test_a_checkpoint_of_the_hub_is_found_by_its_revision(tiny, monkeypatch):
    asked = []
    monkeypatch.setattr(encoders, "model_folder", lambda name: asked.append(name) or tiny)
    for name in ("hf-hub:Marqo/marqo-fashionSigLIP", "Marqo/marqo-fashionSigLIP@0123abc"):
        assert OpenClip(name).image_dim == OpenClip(str(tiny)).image_dim
    assert [asked[0], asked[2]] == [
        "Marqo/marqo-fashionSigLIP",
        "Marqo/marqo-fashionSigLIP@0123abc",
    ]


def test_a_fashion_siglip_is_opened_by_its_name_from_the_cache(tmp_path, monkeypatch, pictures):
    """As the hub's client left it: files under a commit, which a branch names."""
    from huggingface_hub import constants

    name, commit = "Marqo/marqo-fashionSigLIP", "0123456789abcdef0123456789abcdef01234567"
    kept = tmp_path / "models--Marqo--marqo-fashionSigLIP"
    folder = as_siglip(write_tiny_open_clip(kept / "snapshots" / commit))
    (kept / "refs").mkdir()
    (kept / "refs" / "main").write_text(commit)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    backbone = OpenClip(f"hf-hub:{name}")
    assert type(backbone.module).__name__ == "CustomTextCLIP"
    assert backbone.version == OpenClip(str(folder)).version == OpenClip(f"{name}@{commit}").version
    assert backbone.image_features(pictures).shape == (9, 96)
    words = backbone.text_features(["red box", "Red, box!", "blue bar"])
    alike(words[0], words[1])  # its tokenizer canonicalizes
    assert (words[0] != words[2]).any()
    pixels, tokens = backbone.prepare_images(pictures), backbone.prepare_texts(["red", "blue"])
    towers = backbone.clone()
    (towers.forward_images(pixels).sum() + towers.forward_texts(tokens).sum()).backward()
    for tower in ("visual", "text"):
        learned = [p for n, p in towers.module.named_parameters() if n.startswith(tower)]
        assert all(parameter.grad is not None for parameter in learned)
    with pytest.raises(FileNotFoundError, match="not in the local cache"):
        OpenClip(f"{name}@{'f' * 40}")


def test_pretrained_features_offline(pictures):
    backbone = load_backbone("pretrained-features")
    assert not backbone.trainable
    features = backbone.image_features(pictures[:2])
    assert features.shape == (2, 1584)
    assert np.isfinite(features).all()
    alike(backbone.image_features(pictures[1:2])[0], features[1])
    texts = ["a red dress", "a crimson gown", "a frying pan for eggs"]
    words = backbone.text_features(texts)
    unit = words / np.linalg.norm(words, axis=1, keepdims=True)
    assert unit[0] @ unit[1] > unit[0] @ unit[2] + 0.2
    alike(backbone.text_features(texts[1:2])[0], words[1])
