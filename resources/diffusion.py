"""Text-to-image models: any pipeline of the Stable Diffusion class, opened as its parts."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import numpy as np

if TYPE_CHECKING:
    import torch

DTYPES = {"float32": "float32", "float16": "float16", "bfloat16": "bfloat16"}


@dataclass
class TextToImage:
    """The parts of a pipeline: what a policy needs and `pipeline(...)` hides.

    Attributes:
        unet: Predicts the noise; the only part that is trained.
        scheduler: Its noise schedule.
        hidden: Caption -> what the UNet attends to, ``[tokens, width]``; the text encoder is
            frozen, so every caption is read once.
    """

    pipeline: Any
    device: str
    hidden: dict[str, "torch.Tensor"] = field(default_factory=dict)

    @property
    def unet(self) -> Any:
        return self.pipeline.unet

    @property
    def scheduler(self) -> Any:
        return self.pipeline.scheduler

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        config = self.unet.config
        side = config.sample_size
        return config.in_channels, side, side

    @property
    def side(self) -> int:
        """Side of a picture in pixels."""
        return self.unet.config.sample_size * 2 ** (
            len(self.pipeline.vae.config.block_out_channels) - 1
        )

    def encode(self, captions: Sequence[str]) -> "torch.Tensor":
        """What the UNet attends to, float32 ``[n, tokens, width]``; captions are cut to fit."""
        import torch

        fresh = [caption for caption in dict.fromkeys(captions) if caption not in self.hidden]
        for start in range(0, len(fresh), 64):
            part = fresh[start : start + 64]
            tokenizer, encoder = self.pipeline.tokenizer, self.pipeline.text_encoder
            tokens = tokenizer(
                part,
                padding="max_length",
                max_length=tokenizer.model_max_length,
                truncation=True,
                return_tensors="pt",
            )
            with torch.no_grad():
                states = encoder(tokens["input_ids"].to(self.device)).last_hidden_state.float()
            self.hidden |= dict(zip(part, states, strict=True))
        return torch.stack([self.hidden[caption] for caption in captions])

    def predict(
        self,
        latents: "torch.Tensor",
        time: "torch.Tensor",
        hidden: "torch.Tensor",
        guidance: float,
        unet: Any = None,
    ) -> "torch.Tensor":
        """The UNet's prediction, guided through both branches (Ho & Salimans 2022).

        Args:
            latents: ``[n, c, h, w]``.
            time: One timestep for all.
            hidden: Of `encode`, ``[n, tokens, width]``.
            guidance: 1 needs one pass and is the conditional model itself.
            unet: Another set of weights than the pipeline's own.
        """
        import torch

        unet = unet or self.unet
        latents, hidden = latents.to(unet.dtype), hidden.to(unet.dtype)
        if guidance == 1.0:
            return unet(latents, time, hidden).sample.float()
        empty = self.encode([""]).to(unet.dtype).expand_as(hidden)
        both = unet(torch.cat([latents, latents]), time, torch.cat([empty, hidden])).sample.float()
        without, given = both.chunk(2)
        return without + guidance * (given - without)

    def sample(
        self, captions: Sequence[str], seeds: Sequence[int], *, steps: int, guidance: float
    ) -> np.ndarray:
        """One picture per caption and seed by the stochastic DDIM sampler (eta 1), uint8
        ``[n, h, w, 3]``; what a seed gives does not depend on the others."""
        import torch
        from diffusers import DDIMScheduler

        scheduler = self.pipeline.scheduler
        self.pipeline.scheduler = DDIMScheduler.from_config(scheduler.config)
        self.pipeline.set_progress_bar_config(disable=True)
        parts = []
        for at in range(0, len(captions), 32):
            draws = [torch.Generator().manual_seed(seed) for seed in seeds[at : at + 32]]
            made = self.pipeline(
                list(captions[at : at + 32]),
                num_inference_steps=steps,
                guidance_scale=guidance,
                eta=1.0,
                generator=draws,
                output_type="np",
            ).images
            parts.append((made * 255).round().astype(np.uint8))
        self.pipeline.scheduler = scheduler
        return np.concatenate(parts) if parts else np.zeros((0, self.side, self.side, 3), np.uint8)

    def decode(self, latents: "torch.Tensor", batch: int = 32) -> np.ndarray:
        """Pictures of clean latents, uint8 ``[n, h, w, 3]``."""
        import torch

        vae, parts = self.pipeline.vae, []
        with torch.no_grad():
            for part in latents.split(batch):
                made = vae.decode(part.to(vae.dtype) / vae.config.scaling_factor).sample
                pixels = (made.float() * 127.5 + 127.5).round().clamp(0, 255).to(torch.uint8)
                parts.append(pixels.permute(0, 2, 3, 1).cpu().numpy())
        return np.concatenate(parts)

    def pack(self, pictures: np.ndarray, batch: int = 32) -> "torch.Tensor":
        """Clean latents of pictures, uint8 ``[n, h, w, 3]`` -> float32 ``[n, c, h, w]``."""
        import torch

        vae, parts = self.pipeline.vae, []
        with torch.no_grad():
            for start in range(0, len(pictures), batch):
                part = torch.from_numpy(np.ascontiguousarray(pictures[start : start + batch]))
                part = part.to(self.device, vae.dtype).permute(0, 3, 1, 2) / 127.5 - 1.0
                packed = vae.encode(part).latent_dist.mean * vae.config.scaling_factor
                parts.append(packed.float())
        return torch.cat(parts)

    def save(self, target: Path) -> None:
        """The whole pipeline as a folder that `StableDiffusionPipeline.from_pretrained` opens."""
        self.pipeline.save_pretrained(target, safe_serialization=True)


class Diffusion(dg.ConfigurableResource):
    """Opens text-to-image models.

    `base` is the folder or hub id of the model that is tuned, `scorer` of the CLIP that preference
    scorers start from; `steps` and `guidance` are those of the sampler, in training and afterwards.
    `revision` pins a hub id. Only safetensors are read and no code of a repository is run.
    """

    base: str
    scorer: str
    steps: int = 10
    guidance: float = 1.0
    revision: str = ""

    def load(
        self, source: str = "", *, device: str = "cpu", precision: str = "float32"
    ) -> TextToImage:
        """Open a folder or hub id; `base` when none is named.

        Raises:
            dg.Failure: it cannot be opened, or is not of the Stable Diffusion class.
        """
        source = source or self.base
        try:
            return load_text_to_image(source, device, precision, self.revision or None)
        except (OSError, ValueError) as error:
            raise dg.Failure(f"diffusion model {source!r} cannot be opened: {error}") from error


def load_text_to_image(
    source: str, device: str = "cpu", precision: str = "float32", revision: str | None = None
) -> TextToImage:
    """Open a pipeline folder or hub id without Dagster: a training program does.

    Raises:
        ValueError: the precision or the kind of pipeline is not supported.
        OSError: there is no such model.
    """
    import torch
    from diffusers import StableDiffusionPipeline, UNet2DConditionModel
    from diffusers.utils import logging

    if precision not in DTYPES:
        raise ValueError(f"precision {precision!r}: one of {', '.join(DTYPES)}")
    logging.disable_progress_bar()
    pipeline = StableDiffusionPipeline.from_pretrained(
        source,
        revision=revision,
        dtype=getattr(torch, precision),
        use_safetensors=True,
        safety_checker=None,
        requires_safety_checker=False,
    )
    unet: Any = pipeline.unet
    plain = isinstance(unet, UNet2DConditionModel)
    if not plain or getattr(unet.config, "addition_embed_type", None) is not None:
        raise ValueError(
            "a policy needs a UNet that is conditioned on a caption alone (Stable Diffusion 1 and "
            "2 class); SDXL's extra conditions and transformer or flow-matching models are not"
        )
    for part in (pipeline.vae, pipeline.text_encoder, unet):
        part.requires_grad_(False)
        part.eval()
    pipeline.to(device)
    return TextToImage(pipeline, device)
