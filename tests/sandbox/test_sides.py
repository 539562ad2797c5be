"""Which of two garments lies where: what the base was taught, and the stage that taught it."""

import numpy as np
import pytest
import torch

from sandbox.raters import SLOTS, Eye
from sandbox.scenes import HELD_OUT_OBJECTS, OBJECTS, RELATIONS, SCENE_COLOURS, Scene, Thing
from sandbox.studio import Maker, generate, load_base
from sandbox.train import diffusion

COUNT = 96


@pytest.fixture(scope="module")
def base():
    return load_base()


def place(sight, row: int, thing: Thing) -> tuple[int, int] | None:
    """Where the eye sees a thing in its colour, if it does."""
    for slot, where in enumerate(SLOTS[:4]):
        name, colour = sight.objects[row, slot].argmax(), sight.colours[row, slot].argmax()
        if name == OBJECTS.index(thing.name) and colour == SCENE_COLOURS.index(thing.colour):
            return where
    return None


@pytest.mark.parametrize(
    "names", [[n for n in OBJECTS if n not in HELD_OUT_OBJECTS], list(HELD_OUT_OBJECTS)]
)
def test_the_base_knows_its_sides_and_composes_often_enough_to_learn_from(base, names: list[str]):
    rng = np.random.default_rng(7)
    scenes = []
    for relation in [list(RELATIONS)[n % 4] for n in range(COUNT)]:
        objects, colours = rng.choice(names, 2, False), rng.choice(SCENE_COLOURS, 2, False)
        first, second = map(Thing, map(str, objects), map(str, colours))
        scenes.append(Scene((first, second), relation))
    drawn = generate(base, [scene.caption for scene in scenes], Maker(1.0), 7)
    sight = Eye().see(drawn)
    both, right = 0, 0
    for row, scene in enumerate(scenes):
        first, second = (place(sight, row, thing) for thing in scene.things)
        if first and second:
            both += 1
            way = ((second[0] - first[0]) // 2, (second[1] - first[1]) // 2)
            right += way in RELATIONS[scene.relation]
    assert right >= 0.95 * both
    assert right >= 0.45 * COUNT  # or reinforcement has nothing to hold on to


def test_the_opposite_of_a_caption_is_one_for_a_side_alone():
    asked = "a red dress to the left of a blue hat"
    assert diffusion.opposite(asked) == "a red dress to the right of a blue hat"
    assert diffusion.opposite("boots above a hat") == "boots below a hat"
    for caption in ("a red dress next to a blue hat", "a portrait of a doctor", "a black hat"):
        assert diffusion.opposite(caption) == caption


def test_the_stage_makes_a_picture_likelier_under_its_own_caption(base, tmp_path, monkeypatch):
    left = "a red dress to the left of a blue hat"
    captions = [left, diffusion.opposite(left), "a red dress next to a blue hat", "a hat"]
    rng = np.random.default_rng(1)
    latents = rng.normal(size=(4, 8, 8, 8)).astype(np.float16)
    np.savez(tmp_path / "packed_0000.npz", latents=latents, captions=np.array(captions))
    monkeypatch.setattr(diffusion, "FOLDER", tmp_path)
    monkeypatch.setattr(diffusion, "BATCH", 8)
    monkeypatch.setattr(diffusion, "SIDES_STEPS", 30)
    monkeypatch.setattr(diffusion, "DISTIL_EMA", 0.5)
    before = {"text": base.text_encoder, "unet": base.unet, "tokenizer": base.tokenizer}
    after = diffusion.learn_sides(before | {"scaling": 1.0})

    def odds(made) -> float:
        """That the picture of `left` is one of it and not of the opposite, at one noise."""
        ids = base.tokenizer(captions[:2], padding="max_length", return_tensors="pt")["input_ids"]
        noise = torch.randn(1, 8, 8, 8, generator=torch.Generator().manual_seed(3))
        alpha = diffusion.build_scheduler().alphas_cumprod[700]
        noisy = alpha.sqrt() * torch.from_numpy(latents[:1]).float() + (1 - alpha).sqrt() * noise
        with torch.no_grad():
            words = made["text"](ids).last_hidden_state
            told = made["unet"](noisy.expand(2, -1, -1, -1), torch.tensor(700), words).sample
        own, other = (told - noise).square().sum((1, 2, 3))
        return (other - own).item() / 2

    assert after["sides"]["step"] == 30
    assert odds(after) > odds(before) + 1
