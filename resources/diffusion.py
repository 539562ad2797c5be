"""Text-to-image models: pipelines of Stable Diffusion 1 and 2, XL and 3, opened as their parts."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import dagster as dg
import numpy as np

from resources.model_folder import weights_variant

if TYPE_CHECKING:
    import torch

DTYPES = {"float32": "float32", "float16": "float16", "bfloat16": "bfloat16"}
FLOW_SCHEDULER = "FlowMatchEulerDiscreteScheduler"
KNOWN_BYTES = 2**29  # of captions that were read


@dataclass
class TextToImage:
    """The parts of a pipeline: what a policy needs and `pipeline(...)` hides.

    This class is that of `StableDiffusionPipeline`: a UNet that attends to one text encoder.

    Attributes:
        denoiser: Predicts noise, velocity or picture; the only part that is trained.
        scheduler: Its noise schedule.
        hidden: Caption -> what the denoiser is conditioned on, one row of `encode`: as long as
            the text encoders are frozen, every caption is read once (of the last `KNOWN_BYTES`).
        text_learns: Whether they are not: captions are read anew, with gradients where enabled.
        precision: What the denoiser computes in, whatever its weights are kept in: float32, or
            bfloat16 where that loses nothing that counts (torch.autocast).
    """

    # What `from_pretrained` is told besides.
    opening: ClassVar[dict[str, Any]] = {"safety_checker": None, "requires_safety_checker": False}

    pipeline: Any
    device: str
    hidden: dict[str, Any] = field(default_factory=dict)
    text_learns: bool = False
    precision: str = "float32"

    @property
    def denoiser(self) -> Any:
        return self.pipeline.unet

    @property
    def unet(self) -> Any:
        """The denoiser, as it is called where it is a UNet."""
        return self.denoiser

    @property
    def scheduler(self) -> Any:
        return self.pipeline.scheduler

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        config = self.denoiser.config
        side = config.sample_size
        return config.in_channels, side, side

    @property
    def side(self) -> int:
        """Side of a picture in pixels."""
        return self.denoiser.config.sample_size * 2 ** (
            len(self.pipeline.vae.config.block_out_channels) - 1
        )

    def check(self) -> None:
        """Refuse a pipeline that needs more than it is given here.

        Raises:
            ValueError: it does; names the setting.
        """
        from diffusers import UNet2DConditionModel

        unet, scheduler = self.denoiser, type(self.scheduler).__name__
        plain = isinstance(unet, UNet2DConditionModel)
        if not plain or getattr(unet.config, "addition_embed_type", None) is not None:
            raise ValueError(
                "StableDiffusionPipeline needs a UNet that is conditioned on a caption alone; one "
                "with SDXL's extra conditions belongs into a StableDiffusionXLPipeline"
            )
        _check_unet(unet, scheduler)

    @property
    def text_encoder(self) -> Any:
        """The one text encoder, if there is one only."""
        return self.pipeline.text_encoder

    def encode(self, captions: Sequence[str]) -> Any:
        """What the denoiser is conditioned on; captions are cut to fit.

        Returns:
            Hidden states, float32 ``[n, tokens, width]``; with SDXL and Stable Diffusion 3
            `Conditions`.
        """
        import torch

        known = {} if self.text_learns else self.hidden
        fresh = [caption for caption in dict.fromkeys(captions) if caption not in known]
        for start in range(0, len(fresh), 64):
            part = fresh[start : start + 64]
            with torch.set_grad_enabled(self.text_learns and torch.is_grad_enabled()):
                known |= dict(zip(part, self._read(part), strict=True))
        rows = [known[caption] for caption in captions]
        if fresh and not self.text_learns:
            self._forget(captions, rows[0])
        return self._batch(rows)

    def _forget(self, captions: Sequence[str], row: Any) -> None:
        """What was read first, until captions fit `KNOWN_BYTES`: none of those that are asked for
        now, and not the empty one."""
        size = sum(part.nbytes for part in (row if isinstance(row, tuple) else (row,)))
        needed, spare = {"", *captions}, len(self.hidden) - KNOWN_BYTES // size
        oldest = [caption for caption in self.hidden if caption not in needed]
        for caption in oldest[: max(0, spare)]:
            del self.hidden[caption]

    def _read(self, captions: list[str]) -> Any:
        """One row a caption."""
        tokenizer, encoder = self.pipeline.tokenizer, self.pipeline.text_encoder
        tokens = tokenizer(
            captions,
            padding="max_length",
            max_length=tokenizer.model_max_length,
            truncation=True,
            return_tensors="pt",
        )
        return encoder(tokens["input_ids"].to(self.device)).last_hidden_state.float()

    def _batch(self, rows: list[Any]) -> Any:
        import torch

        return torch.stack(rows)

    def predict(
        self,
        latents: "torch.Tensor",
        time: "torch.Tensor",
        hidden: Any,
        guidance: float,
        denoiser: Any = None,
    ) -> "torch.Tensor":
        """The denoiser's prediction, guided through both branches (Ho & Salimans 2022), float32.

        Args:
            latents: ``[n, c, h, w]``.
            time: One timestep for all; without guidance also one for each, ``[n]``.
            hidden: Of `encode`, of n captions.
            guidance: 1 needs one pass and is the conditional model itself.
            denoiser: Another set of weights than the pipeline's own.
        """
        import torch

        denoiser = denoiser or self.denoiser
        # A UNet of diffusers moves one timestep for all to its device, but not one for each.
        latents, time = latents.to(denoiser.dtype), time.to(latents.device)
        half = self.precision == "bfloat16"
        with torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=half):
            if guidance == 1.0:
                return self._answer(denoiser, latents, time, hidden)
            both = self._with_empty(hidden)
            answers = self._answer(denoiser, torch.cat([latents] * 2), time, both)
        without, given = answers.chunk(2)
        return without + guidance * (given - without)

    def _with_empty(self, hidden: Any) -> Any:
        """Conditions of both branches, that of the empty caption first."""
        import torch

        return torch.cat([self.encode([""]).expand_as(hidden), hidden])

    def _answer(
        self, denoiser: Any, latents: "torch.Tensor", time: "torch.Tensor", hidden: Any
    ) -> "torch.Tensor":
        return denoiser(latents, time, hidden.to(denoiser.dtype)).sample.float()

    def _sampler(self) -> tuple[Any, dict[str, Any]]:
        """Scheduler for `sample`, and what the pipeline is told besides."""
        return ddim_of(self.scheduler), {"eta": 1.0}

    def sample(
        self, captions: Sequence[str], seeds: Sequence[int], *, steps: int, guidance: float
    ) -> np.ndarray:
        """One picture per caption and seed, uint8 ``[n, h, w, 3]``; what a seed gives does not
        depend on the others. The sampler is DDIM with noise (eta 1), of a flow its ODE."""
        import torch

        scheduler = self.pipeline.scheduler
        self.pipeline.scheduler, noise = self._sampler()
        self.pipeline.set_progress_bar_config(disable=True)
        parts = []
        for at in range(0, len(captions), 32):
            draws = [torch.Generator().manual_seed(seed) for seed in seeds[at : at + 32]]
            made = self.pipeline(
                list(captions[at : at + 32]),
                num_inference_steps=steps,
                guidance_scale=guidance,
                generator=draws,
                output_type="np",
                **noise,
            ).images
            parts.append((made * 255).round().astype(np.uint8))
        self.pipeline.scheduler = scheduler
        return np.concatenate(parts) if parts else np.zeros((0, self.side, self.side, 3), np.uint8)

    def render(self, latents: "torch.Tensor") -> "torch.Tensor":
        """Clean latents as pictures in [-1, 1] or a little beyond, float32 ``[n, 3, h, w]``;
        carries gradients."""
        vae = self.pipeline.vae
        shift = getattr(vae.config, "shift_factor", None) or 0.0
        made = vae.decode(latents.to(vae.dtype) / vae.config.scaling_factor + shift).sample
        return made.float()

    def decode(self, latents: "torch.Tensor", batch: int = 32) -> np.ndarray:
        """Pictures of clean latents, uint8 ``[n, h, w, 3]``."""
        import torch

        parts = []
        with torch.no_grad():
            for part in latents.split(batch):
                pixels = (self.render(part) * 127.5 + 127.5).round().clamp(0, 255).to(torch.uint8)
                parts.append(pixels.permute(0, 2, 3, 1).cpu().numpy())
        return np.concatenate(parts)

    def pack(self, pictures: np.ndarray, batch: int = 32) -> "torch.Tensor":
        """Clean latents of pictures, uint8 ``[n, h, w, 3]`` -> float32 ``[n, c, h, w]``."""
        import torch

        vae, parts = self.pipeline.vae, []
        shift = getattr(vae.config, "shift_factor", None) or 0.0
        with torch.no_grad():
            for start in range(0, len(pictures), batch):
                part = torch.from_numpy(np.ascontiguousarray(pictures[start : start + batch]))
                part = part.to(self.device, vae.dtype).permute(0, 3, 1, 2) / 127.5 - 1.0
                packed = (vae.encode(part).latent_dist.mean - shift) * vae.config.scaling_factor
                parts.append(packed.float())
        return torch.cat(parts)

    def lay_out(self, channels_last: bool) -> None:
        """Put the weights of convolutions into the order that these are fastest in, or into the
        one that files have."""
        import torch

        order = torch.channels_last if channels_last else torch.contiguous_format
        for part in (self.denoiser, self.pipeline.vae):
            part.to(memory_format=order)

    def save(self, target: Path) -> None:
        """The whole pipeline as a folder that its class's `from_pretrained` opens."""
        self.lay_out(channels_last=False)
        self.pipeline.save_pretrained(target, safe_serialization=True)
        self.lay_out(channels_last=True)


class Conditions(NamedTuple):
    """What a denoiser with several text encoders is conditioned on.

    Attributes:
        hidden: What it attends to, float32 ``[n, tokens, width]``.
        pooled: Added to the embedding of the time, float32 ``[n, width]``.
    """

    hidden: "torch.Tensor"
    pooled: "torch.Tensor"


class _SeveralEncoders(TextToImage):
    """A denoiser that is conditioned on `Conditions`."""

    encoders: ClassVar[tuple[str, ...]]  # `encode_prompt`'s further captions; None is the first

    @property
    def text_encoder(self) -> None:
        return None

    def _read(self, captions: list[str]) -> Any:
        hidden, _, pooled, _ = self.pipeline.encode_prompt(
            captions,
            device=self.device,
            do_classifier_free_guidance=False,
            **dict.fromkeys(self.encoders),
        )
        return [Conditions(*row) for row in zip(hidden.float(), pooled.float(), strict=True)]

    def _batch(self, rows: list[Any]) -> Any:
        import torch

        return Conditions(*(torch.stack(parts) for parts in zip(*rows, strict=True)))

    def _empty(self, given: Conditions) -> Conditions:
        """Of as many empty captions as are given."""
        return self.encode([""] * len(given.hidden))

    def _with_empty(self, hidden: Any) -> Any:
        import torch

        pairs = zip(self._empty(hidden), hidden, strict=True)
        return Conditions(*(torch.cat(pair) for pair in pairs))


class StableDiffusionXL(_SeveralEncoders):
    """Of `StableDiffusionXLPipeline`: a UNet that is also told the size of its picture."""

    opening: ClassVar[dict[str, Any]] = {"add_watermarker": False}
    encoders: ClassVar[tuple[str, ...]] = ("prompt_2",)

    def check(self) -> None:
        """Refuse a pipeline that needs more than it is given here.

        Raises:
            ValueError: it does; names the setting.
        """
        unet, vae = self.denoiser, self.pipeline.vae
        if unet.config.addition_embed_type != "text_time":
            raise ValueError(
                f"StableDiffusionXLPipeline with addition_embed_type="
                f"{unet.config.addition_embed_type!r}: only 'text_time' is supported"
            )
        if str(vae.dtype) == "torch.float16" and vae.config.force_upcast:
            raise ValueError(
                "the autoencoder of this StableDiffusionXLPipeline overflows in float16 "
                "(force_upcast): open it in bfloat16 or float32"
            )
        _check_unet(unet, type(self.scheduler).__name__)

    def _empty(self, given: Conditions) -> Conditions:
        import torch

        if self.pipeline.config.force_zeros_for_empty_prompt:
            return Conditions(*(torch.zeros_like(part) for part in given))
        return super()._empty(given)

    def _answer(
        self, denoiser: Any, latents: "torch.Tensor", time: "torch.Tensor", hidden: Any
    ) -> "torch.Tensor":
        import torch

        # Original size, corner of the crop, target size: a whole picture of the model's own size.
        size = torch.tensor([[self.side, self.side, 0, 0, self.side, self.side]])
        added = {
            "text_embeds": hidden.pooled.to(denoiser.dtype),
            "time_ids": size.to(latents.device).expand(len(latents), -1),
        }
        states = hidden.hidden.to(denoiser.dtype)
        return denoiser(latents, time, states, added_cond_kwargs=added).sample.float()


class StableDiffusion3(_SeveralEncoders):
    """Of `StableDiffusion3Pipeline`: a transformer that predicts the velocity of a flow."""

    opening: ClassVar[dict[str, Any]] = {}
    encoders: ClassVar[tuple[str, ...]] = ("prompt_2", "prompt_3")

    @property
    def denoiser(self) -> Any:
        return self.pipeline.transformer

    def check(self) -> None:
        """Refuse a pipeline that needs more than it is given here.

        Raises:
            ValueError: it does; names the setting.
        """
        name = type(self.scheduler).__name__
        if name != FLOW_SCHEDULER:
            raise ValueError(f"StableDiffusion3Pipeline with {name}: a flow needs {FLOW_SCHEDULER}")

    def _answer(
        self, denoiser: Any, latents: "torch.Tensor", time: "torch.Tensor", hidden: Any
    ) -> "torch.Tensor":
        return denoiser(
            hidden_states=latents,
            timestep=time.expand(len(latents)),
            encoder_hidden_states=hidden.hidden.to(denoiser.dtype),
            pooled_projections=hidden.pooled.to(denoiser.dtype),
        ).sample.float()

    def _sampler(self) -> tuple[Any, dict[str, Any]]:
        return self.scheduler, {}


PIPELINES: dict[str, type[TextToImage]] = {
    "StableDiffusionPipeline": TextToImage,
    "StableDiffusionXLPipeline": StableDiffusionXL,
    "StableDiffusion3Pipeline": StableDiffusion3,
}


def ddim_of(scheduler: Any) -> Any:
    """A `DDIMScheduler` on another scheduler's noise; it clips where that one does."""
    from diffusers import DDIMScheduler

    # DDIM's own default is to clip, which the latents of a scheduler that cannot would not survive.
    clips = scheduler.config.get("clip_sample", False)
    return DDIMScheduler.from_config(scheduler.config, clip_sample=clips)


def _check_unet(unet: Any, scheduler: str) -> None:
    """Refuse conditions of a UNet beyond its pipeline's own, and a noise schedule of another kind.

    Raises:
        ValueError: names the setting.
    """
    for setting in ("time_cond_proj_dim", "class_embed_type", "num_class_embeds"):
        if unet.config[setting] is not None:
            raise ValueError(
                f"a UNet with {setting}={unet.config[setting]!r} (guidance distilled into it, or "
                "classes) is not supported: it must be conditioned on time and caption"
            )
    if scheduler == FLOW_SCHEDULER:
        raise ValueError(
            f"a UNet with {scheduler} is not supported: flow matching needs a "
            "StableDiffusion3Pipeline"
        )


class Diffusion(dg.ConfigurableResource):
    """Opens text-to-image models.

    `base` is the folder or hub id of the model that is tuned, `scorer` of the CLIP that preference
    scorers start from; `steps` and `guidance` are those of the sampler, in training and afterwards;
    `distilled_guidance` is the strength that the model draws with already in a single pass.
    `revision` pins a hub id. Only safetensors are read and no code of a repository is run.
    """

    base: str
    scorer: str
    steps: int = 10
    guidance: float = 1.0
    distilled_guidance: float = 1.0
    revision: str = ""

    def load(
        self, source: str = "", *, device: str = "cpu", precision: str = "float32"
    ) -> TextToImage:
        """Open a folder or hub id; `base` when none is named.

        Raises:
            dg.Failure: it cannot be opened, or is of a class that is not in `PIPELINES`.
        """
        source = source or self.base
        try:
            return load_text_to_image(source, device, precision, self.revision or None)
        except (OSError, ValueError) as error:
            raise dg.Failure(f"diffusion model {source!r} cannot be opened: {error}") from error


def load_text_to_image(
    source: str, device: str = "cpu", precision: str = "float32", revision: str | None = None
) -> TextToImage:
    """Open a pipeline folder or hub id (`owner/model@revision`) without Dagster: a training program
    does.

    Raises:
        ValueError: the precision, the pipeline's class or one of its settings is not supported.
        OSError: there is no such model.
    """
    import diffusers
    import torch

    if precision not in DTYPES:
        raise ValueError(f"precision {precision!r}: one of {', '.join(DTYPES)}")
    diffusers.utils.logging.disable_progress_bar()
    if not Path(source).is_dir() and "@" in source:
        source, _, revision = source.partition("@")
    index: Any = diffusers.DiffusionPipeline.load_config(source, revision=revision)
    name = str(index.get("_class_name"))
    if name not in PIPELINES:
        raise ValueError(f"{name}: not supported in a policy; one of {', '.join(PIPELINES)} is")
    kind = PIPELINES[name]
    absent = {part: None for part, module in index.items() if module == [None, None]}
    read = [Path(source) / part for part in index if part not in kind.opening]
    pipeline = getattr(diffusers, name).from_pretrained(
        source,
        revision=revision,
        variant=weights_variant(read),
        dtype=getattr(torch, precision),
        use_safetensors=True,
        **(absent | kind.opening),  # a Stable Diffusion 3 without its T5, say
    )
    if getattr(pipeline.vae.config, "latents_mean", None) is not None:
        raise ValueError(f"{name}: latents_mean of its autoencoder is not supported")
    for part in pipeline.components.values():
        if isinstance(part, torch.nn.Module):
            part.requires_grad_(False)
            part.eval()
    pipeline.to(device)
    model = kind(pipeline, device)
    model.check()
    model.lay_out(channels_last=True)
    return model
