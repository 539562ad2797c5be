"""One run of TRL's DDPOTrainer. `rl_against_trl` starts it with an interpreter of its own:

    PEER benchmarks/trl_peer.py JOB.json

Nothing of this repository is imported. The last line that it prints is the run, as JSON.
"""

import io
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

QUALITY = 95  # of the JPEG, as in the DDPO paper


def compressibility(pictures: np.ndarray) -> np.ndarray:
    """The reward of both sides, DDPO's own: minus the size of every picture as a JPEG, in kB."""
    sizes = []
    for pixels in pictures:
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=QUALITY)
        sizes.append(file.tell() / 1000)
    return -np.array(sizes)


def captions(prompts: Sequence[str], group: int, seed: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every prompt `group` times, in another order every time; TRL asks for one after the other."""
    rng = np.random.default_rng(seed)
    while True:
        for row in rng.permutation(len(prompts)):
            for _ in range(group):
                yield prompts[int(row)], {}


def open_pipeline(base: str, lora: Mapping[str, Any] | None) -> Any:
    """The folder as TRL's pipeline.

    Older transformers cannot read how newer ones name the text encoder's weights and describe the
    tokenizer: these two are put together here, from the same files.

    Args:
        base: Folder of a StableDiffusionPipeline.
        lora: Arguments of the adapter; empty for TRL's own, None to train the whole UNet.
    """
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline
    from diffusers import UNet2DConditionModel as UNet
    from peft import LoraConfig
    from safetensors.torch import load_file
    from transformers import CLIPTextConfig, CLIPTextModel, PreTrainedTokenizerFast
    from trl import DefaultDDPOStableDiffusionPipeline  # pyright: ignore[reportMissingImports]

    encoder = CLIPTextModel(CLIPTextConfig.from_pretrained(base, subfolder="text_encoder"))
    weights = load_file(f"{base}/text_encoder/model.safetensors")
    encoder.load_state_dict({f"text_model.{name}": value for name, value in weights.items()})
    with open(f"{base}/tokenizer/tokenizer_config.json") as file:
        about = json.load(file)
    names = ("bos_token", "eos_token", "pad_token", "unk_token", "model_max_length")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=f"{base}/tokenizer/tokenizer.json", **{name: about[name] for name in names}
    )

    parts: dict[str, Any] = {
        "vae": AutoencoderKL.from_pretrained(base, subfolder="vae").requires_grad_(False),
        "text_encoder": encoder.eval().requires_grad_(False),
        "tokenizer": tokenizer,
        "unet": UNet.from_pretrained(base, subfolder="unet").requires_grad_(lora is None),
        "scheduler": DDIMScheduler.from_pretrained(base, subfolder="scheduler"),
        "safety_checker": None,
        "feature_extractor": None,
    }

    class Pipeline(DefaultDDPOStableDiffusionPipeline):
        def __init__(self) -> None:
            self.sd_pipeline = StableDiffusionPipeline(**parts, requires_safety_checker=False)
            self.use_lora = lora is not None

        def get_trainable_layers(self) -> Any:
            if not lora:
                return super().get_trainable_layers()
            self.sd_pipeline.unet.add_adapter(LoraConfig(**lora))
            return self.sd_pipeline.unet

    return Pipeline()


def train(job: Mapping[str, Any]) -> dict[str, Any]:
    """Train for `job["seconds"]` of CPU after a first iteration that only warms up.

    Returns:
        Of every iteration after the first, the CPU-seconds since then and the mean reward.
    """
    import torch
    from accelerate import PartialState
    from safetensors.torch import save_file
    from trl import DDPOConfig, DDPOTrainer  # pyright: ignore[reportMissingImports]

    torch.set_num_threads(1)
    PartialState(cpu=True)  # DDPOTrainer logs before it makes one
    pipeline, rewards = open_pipeline(job["base"], job["lora"]), list[float]()

    def reward(images: Any, *_: Any) -> tuple[Any, dict[str, Any]]:
        pixels = (images.permute(0, 2, 3, 1) * 255).round().to(torch.uint8).numpy()
        values = compressibility(pixels)
        rewards.append(float(values.mean()))
        return torch.tensor(values, dtype=torch.float32), {}

    asked = captions(job["prompts"], job["group"], job["config"]["seed"])
    trainer = DDPOTrainer(DDPOConfig(**job["config"]), reward, lambda: next(asked), pipeline)
    pipeline.set_progress_bar_config(disable=True)
    step = trainer.step(0, 0)
    began, seconds = time.process_time(), list[float]()
    while not seconds or seconds[-1] < job["seconds"]:
        step = trainer.step(len(seconds) + 1, step)
        seconds.append(time.process_time() - began)
    if job["lora"] is not None:
        pipeline.unet.fuse_lora()
        pipeline.unet.unload_lora()
    save_file(pipeline.unet.state_dict(), job["weights"])
    return {"seconds": seconds, "rewards": rewards[1:]}


if __name__ == "__main__":
    with open(sys.argv[1]) as given:
        print(json.dumps(train(json.load(given))))
