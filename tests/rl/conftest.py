"""A tiny random Stable Diffusion folder, and rewards that are plain functions of pixels."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from resources.diffusion import TextToImage, load_text_to_image
from rl_diffusion_assets.policy.settings import Training
from rl_diffusion_assets.policy.tasks import Prompt, Rewards, Sampling
from rl_diffusion_assets.policy.trainer import Data, Trainer
from rl_diffusion_assets.rewards.composition import Detections, Wanted
from rl_diffusion_assets.rewards.models import People

LATENT = (4, 8, 8)
D = 4 * 8 * 8
START, END = "<|startoftext|>", "<|endoftext|>"
SCHEDULER: dict[str, Any] = {  # of sandbox.train.diffusion.build_scheduler
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
    "timestep_spacing": "leading",
}


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def ddim(**changes: Any) -> Any:
    from diffusers import DDIMScheduler

    return DDIMScheduler(**(SCHEDULER | changes))


def write_tiny_diffusion(folder: Path, **unet: Any) -> Path:
    """A loadable pipeline folder with random weights; its tokenizer spells."""
    from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
    from tokenizers import pre_tokenizers
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    torch.manual_seed(0)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [*alphabet, *(f"{letter}</w>" for letter in alphabet), START, END]
    vocabulary = {word: index for index, word in enumerate(words)}
    tokenizer = CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=12)
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=16,
            intermediate_size=32,
            projection_dim=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=12,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 16),
        latent_channels=LATENT[0],
        norm_num_groups=8,
        sample_size=16,
        mid_block_add_attention=False,
    )
    model = UNet2DConditionModel(
        sample_size=LATENT[1],
        in_channels=LATENT[0],
        out_channels=LATENT[0],
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(16, 32),
        layers_per_block=1,
        cross_attention_dim=16,
        attention_head_dim=4,
        norm_num_groups=8,
        **unet,
    )
    pipeline = StableDiffusionPipeline(
        vae=vae,
        text_encoder=text,
        tokenizer=tokenizer,
        unet=model,
        scheduler=ddim(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(folder, safe_serialization=True)
    return folder


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory) -> Path:
    return write_tiny_diffusion(tmp_path_factory.mktemp("diffusion"))


@pytest.fixture(scope="session")
def loaded(tiny_folder) -> TextToImage:
    return load_text_to_image(str(tiny_folder))


@pytest.fixture
def fresh(loaded) -> Callable[..., TextToImage]:
    """Makes models with weights of their own; changes go to the scheduler."""

    def make(**changes: Any) -> TextToImage:
        parts = loaded.pipeline.components | {
            name: copy.deepcopy(getattr(loaded.pipeline, name))
            for name in ("unet", "vae", "text_encoder")
        }
        parts["scheduler"] = ddim(**changes)
        pipeline = type(loaded.pipeline)(**parts, requires_safety_checker=False)
        return TextToImage(pipeline, "cpu")

    return make


@pytest.fixture
def model(fresh) -> TextToImage:
    return fresh()


# -- rewards ---------------------------------------------------------------------------------------


class Brightness:
    """Scores the mean of a picture, times `sign`."""

    def __init__(self, sign: float = 1.0) -> None:
        self.sign = sign

    def score(self, pictures, captions):
        return self.sign * pictures.mean((1, 2, 3)) / 255

    def rate(self, pixels, captions):
        return self.sign * (pixels.mean((1, 2, 3)) + 1) / 2


class Missing:
    """Has nothing to say about any picture, or about some."""

    def __init__(self, share: float = 1.0) -> None:
        self.share = share

    def score(self, pictures, captions):
        out = pictures.mean((1, 2, 3)) / 255
        out[: round(self.share * len(out))] = np.nan
        return out


class Script:
    """Says one thing after the other, whatever it is shown."""

    def __init__(self, *values: float) -> None:
        self.values = list(values)

    def score(self, pictures, captions):
        return np.full(len(pictures), self.values.pop(0))


class Person:
    """Tone and gender from the brightness of two corners; everybody is found."""

    def rate(self, pixels):
        a, b = pixels[:, :, :8, :8].mean((1, 2, 3)), pixels[:, :, 8:, 8:].mean((1, 2, 3))
        return {
            "tone": 2 * torch.stack([a, b, -a, -b], 1).log_softmax(1),
            "gender": 2 * torch.stack([a, b], 1).log_softmax(1),
            "found": torch.zeros(len(pixels)),
        }

    def read(self, pictures):
        a, b = (pictures[:, :8, :8].mean((1, 2, 3)), pictures[:, 8:, 8:].mean((1, 2, 3)))
        tone = np.stack([a, b, 255 - a, 255 - b], 1) ** 4
        gender = np.stack([a, b], 1) ** 4
        found = np.ones(len(pictures))
        return People(
            tone / tone.sum(1, keepdims=True), gender / gender.sum(1, keepdims=True), found
        )


class Detector:
    """Hats are bright, bags dark, in a 4 x 4 grid."""

    def detect(self, pictures):
        cells = pictures.reshape(len(pictures), 4, 4, 4, 4, 3).mean((2, 4)) / 255
        hat, red = cells.mean(-1), cells[..., 0]
        return Detections(
            ("hat", "bag"),
            ("red", "blue"),
            np.stack([hat, 1 - hat], -1),
            np.stack([red, 1 - red], -1),
        )


def rewards(*scorers: Any) -> Rewards:
    return Rewards(list(scorers) or [Brightness()], Person(), Detector())


# -- runs ------------------------------------------------------------------------------------------

HAT_AND_BAG = Wanted((("hat", "red"), ("bag", "blue")), "next to")
PROMPTS = {
    "preference": [Prompt(text, Wanted(())) for text in ("a", "b", "c", "d")],
    "fairness": [Prompt(text, Wanted(())) for text in ("baker", "nurse")],
    "composition": [Prompt(text, HAT_AND_BAG) for text in ("hat", "bag", "hat bag", "bag hat")],
}
SAMPLING = {
    "preference": Sampling(4, 2),
    "fairness": Sampling(2, 4),
    "composition": Sampling(4, 2),
}
SMALL = Training(
    objective="preference",
    method="policy-gradient",
    iterations=3,
    steps=5,
    trained_steps=2,
    warm_up=1,
    cool_down=0.0,
    lora_rank=4,
    learning_rate=1e-3,
    ema=0.0,
    interpolation=1.0,
    pretraining_steps=1,
    pretraining_batch=4,
    evaluate_every=2,
    checkpoint_every=1,
    alarm_fall=9.0,
    sampling=SAMPLING,
)


@pytest.fixture(scope="session")
def data() -> Data:
    generator = torch.Generator().manual_seed(5)
    latents = torch.randn((16, *LATENT), generator=generator)
    probes = PROMPTS | {"fairness": PROMPTS["fairness"][:1]}
    return Data(PROMPTS, probes, (latents, [f"real {i % 3}" for i in range(16)]))


@pytest.fixture(scope="session")
def accelerator() -> Any:
    from accelerate import Accelerator

    return Accelerator(cpu=True)


@pytest.fixture
def make_trainer(fresh, data, accelerator, tmp_path) -> Callable[..., Trainer]:
    """Makes trainers of a fresh model; keywords change `SMALL`."""
    from dataclasses import replace

    def make(
        *,
        folder: Path = tmp_path,
        model: TextToImage | None = None,
        proxy: Rewards | None = None,
        judge: Rewards | None = None,
        learn: Data = data,
        threads: int = 1,
        **changes: Any,
    ) -> Trainer:
        folder.mkdir(exist_ok=True)
        return Trainer(
            model or fresh(),
            replace(SMALL, **changes),
            learn,
            proxy or rewards(),
            judge or rewards(),
            folder,
            accelerator,
            log=lambda line: None,
            threads=threads,
        )

    return make


def weights_of(trainer: Trainer) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in trainer.parameters]


def rounding(deviation: float) -> float:
    """What a log-probability may move by when its sums are taken in another order: a mean that is
    off by some 16 roundings of float32, over the step's deviation. IEEE 754 promises the bits of an
    addition, not those of a convolution, whose order is the library's and the CPU's."""
    return 16 * 2**-23 / float(deviation)


def same(first: Any, second: Any) -> bool:
    """Bit by bit."""
    return len(first) == len(second) and all(
        torch.equal(a, b) for a, b in zip(first, second, strict=True)
    )
