"""Stable Diffusion XL and 3 behind the same policy: conditions, densities, training, refusals."""

import itertools
import json
import math
import shutil
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest
import torch

from resources.diffusion import Diffusion, TextToImage, load_text_to_image
from rl_diffusion_assets.policy.ddim import (
    FlowSchedule,
    log_probability,
    make_schedule,
    step_mean,
)
from rl_diffusion_assets.policy.rollout import Trajectories, roll_out, step_log_probability
from tests.rl.conftest import LATENT, SCHEDULER, rounding, same, weights_of, write_tiny_diffusion
from tests.rl.test_trainer import gradient

CAPTIONS = [f"picture {i % 3}" for i in range(4)]
SEEDS = list(range(4))
ALL = torch.arange(4)
STEPS = 5
KINDS = ("xl", "sd3")
PROMPT_WIDTH = 16  # of one CLIP


def clip(tokenizer: Any, name: str = "CLIPTextModelWithProjection") -> Any:
    import transformers

    return getattr(transformers, name)(
        transformers.CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=PROMPT_WIDTH,
            intermediate_size=32,
            projection_dim=PROMPT_WIDTH,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=12,
            initializer_factor=5.0,  # captions that a random model tells apart
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def write_xl(plain: Path, folder: Path, **changes: Any) -> Path:
    """A random SDXL of the tokenizer and autoencoder in `plain`; changes go to the UNet."""
    from diffusers import (
        AutoencoderKL,
        EulerDiscreteScheduler,
        StableDiffusionXLPipeline,
        UNet2DConditionModel,
    )
    from transformers import CLIPTokenizer

    torch.manual_seed(1)
    tokenizer = CLIPTokenizer.from_pretrained(plain / "tokenizer")
    config: dict[str, Any] = {
        "sample_size": LATENT[1],
        "in_channels": LATENT[0],
        "out_channels": LATENT[0],
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
        "block_out_channels": (16, 32),
        "layers_per_block": 1,
        "cross_attention_dim": 2 * PROMPT_WIDTH,
        "attention_head_dim": 4,
        "norm_num_groups": 8,
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 8,
        "projection_class_embeddings_input_dim": PROMPT_WIDTH + 6 * 8,
    }
    euler: Any = EulerDiscreteScheduler.from_config(SCHEDULER)  # as the published model has
    pipeline = StableDiffusionXLPipeline(
        vae=AutoencoderKL.from_pretrained(plain / "vae"),
        text_encoder=clip(tokenizer, "CLIPTextModel"),
        text_encoder_2=clip(tokenizer),
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        unet=UNet2DConditionModel(**(config | changes)),
        scheduler=euler,
        add_watermarker=False,
    )
    pipeline.save_pretrained(folder, safe_serialization=True)
    return folder


def write_sd3(plain: Path, folder: Path, *, t5: bool = True) -> Path:
    """A random Stable Diffusion 3 of the tokenizer and autoencoder in `plain`."""
    from diffusers import (
        AutoencoderKL,
        FlowMatchEulerDiscreteScheduler,
        SD3Transformer2DModel,
        StableDiffusion3Pipeline,
    )
    from transformers import CLIPTokenizer, T5Config, T5EncoderModel, T5Tokenizer

    torch.manual_seed(2)
    tokenizer = CLIPTokenizer.from_pretrained(plain / "tokenizer")
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    letters = T5Tokenizer(
        vocab=[*pieces, *((letter, -3.0) for letter in "abcdefghijklmnopqrstuvwxyz")], extra_ids=0
    )
    of_t5 = T5Config(
        vocab_size=len(letters), d_model=32, d_ff=32, d_kv=8, num_layers=1, num_heads=2
    )
    vae: Any = AutoencoderKL.from_pretrained(plain / "vae")
    vae.register_to_config(shift_factor=0.3)
    third: Any = T5EncoderModel(of_t5) if t5 else None
    pipeline = StableDiffusion3Pipeline(
        vae=vae,
        text_encoder=clip(tokenizer),
        text_encoder_2=clip(tokenizer),
        text_encoder_3=third,
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        tokenizer_3=letters if t5 else None,
        transformer=SD3Transformer2DModel(
            sample_size=LATENT[1],
            patch_size=2,
            in_channels=LATENT[0],
            out_channels=LATENT[0],
            num_layers=2,
            attention_head_dim=8,
            num_attention_heads=2,
            joint_attention_dim=2 * PROMPT_WIDTH,
            caption_projection_dim=16,
            pooled_projection_dim=2 * PROMPT_WIDTH,
            pos_embed_max_size=LATENT[1],
            dual_attention_layers=(0,),
            qk_norm="rms_norm",
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
    )
    pipeline.save_pretrained(folder, safe_serialization=True)
    return folder


@pytest.fixture(scope="module")
def folders(tiny_folder, tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("pipelines")
    return {
        "xl": write_xl(tiny_folder, root / "xl"),
        "sd3": write_sd3(tiny_folder, root / "sd3"),
    }


@pytest.fixture(params=KINDS)
def kind(request) -> str:
    return request.param


@pytest.fixture
def model(folders, kind) -> TextToImage:
    return load_text_to_image(str(folders[kind]))


def rolled(model: TextToImage, guidance: float) -> tuple[Any, Trajectories]:
    schedule = make_schedule(model.scheduler, STEPS, 1.0)
    return schedule, roll_out(model, schedule, CAPTIONS, SEEDS, guidance=guidance)


def starting_latents(seed: int = 0) -> torch.Tensor:
    return torch.randn((4, *LATENT), generator=torch.Generator().manual_seed(seed))


# -- opening and conditions ----------------------------------------------------------------------


def test_a_folder_is_opened_as_what_it_says(model, kind):
    assert type(model).__name__ == {"xl": "StableDiffusionXL", "sd3": "StableDiffusion3"}[kind]
    assert model.latent_shape == LATENT
    assert model.side == 16
    for part in model.pipeline.components.values():
        if isinstance(part, torch.nn.Module):
            assert not part.training
            assert not any(parameter.requires_grad for parameter in part.parameters())


def test_conditions_are_those_of_the_pipeline_and_read_once(model, kind):
    pipeline, captions = model.pipeline, ["red", "blue", "red"]
    encoders = [pipeline.text_encoder, pipeline.text_encoder_2]
    encoders += [pipeline.text_encoder_3] if kind == "sd3" else []
    calls = []
    for encoder in encoders:
        encoder.register_forward_hook(lambda _module, inputs, _out: calls.append(len(inputs[0])))
    made = model.encode(captions)
    assert calls == [2] * len(encoders)
    further = {"prompt_2": None, "prompt_3": None} if kind == "sd3" else {}
    hidden, _, pooled, _ = pipeline.encode_prompt(captions, **further)
    torch.testing.assert_close(made.hidden, hidden, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(made.pooled, pooled, rtol=1e-5, atol=1e-5)
    assert (made.hidden[0] - made.hidden[1]).abs().max() > 1e-2
    assert (made.pooled[0] - made.pooled[1]).abs().max() > 1e-2
    assert not made.hidden.requires_grad


@pytest.mark.parametrize("guidance", [1.0, 2.0])
@pytest.mark.parametrize("zeros", [True, False])
def test_a_nearly_certain_roll_out_is_the_pipelines_own(model, kind, guidance, zeros):
    """All of the path at once: captions, time ids, empty captions, guidance, scheduler, picture."""
    from diffusers import DDIMScheduler

    pipeline, extra = model.pipeline, {}
    pipeline.set_progress_bar_config(disable=True)
    if kind == "xl":
        pipeline.register_to_config(force_zeros_for_empty_prompt=zeros)
        pipeline.scheduler = DDIMScheduler.from_config(pipeline.scheduler.config)
        extra = {"eta": 0.0}
    schedule = make_schedule(model.scheduler, STEPS, 1e-5)
    drawn = roll_out(model, schedule, CAPTIONS, SEEDS, guidance=guidance)
    pictures = pipeline(
        CAPTIONS,
        latents=drawn.latents[0],
        num_inference_steps=STEPS,
        guidance_scale=guidance,
        output_type="np",
        **extra,
    ).images
    theirs = (pictures * 255).round().astype(int)
    assert theirs.std() > 5
    assert np.abs(drawn.pictures.astype(int) - theirs).max() <= 2


def test_sd3_without_its_third_encoder_opens(tiny_folder, tmp_path):
    model = load_text_to_image(str(write_sd3(tiny_folder, tmp_path / "small", t5=False)))
    made = model.encode(["red"])
    assert (made.hidden[:, 12:] == 0).all()
    model.save(tmp_path / "again")
    again = load_text_to_image(str(tmp_path / "again"))
    torch.testing.assert_close(again.encode(["red"]).pooled, made.pooled)


def test_packing_undoes_rendering_up_to_the_shift(model, kind):
    pictures = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
    vae = model.pipeline.vae
    pixels = torch.from_numpy(pictures).permute(0, 3, 1, 2) / 127.5 - 1
    mean, shift = vae.encode(pixels).latent_dist.mean, {"xl": 0.0, "sd3": 0.3}[kind]
    torch.testing.assert_close(model.pack(pictures), (mean - shift) * vae.config.scaling_factor)
    rendered = vae.decode(mean).sample.permute(0, 2, 3, 1).numpy() * 127.5 + 127.5
    np.testing.assert_allclose(model.decode(model.pack(pictures)), rendered.clip(0, 255), atol=0.51)


def test_pictures_of_a_seed_do_not_depend_on_the_others(model):
    scheduler = model.scheduler
    made = model.sample(CAPTIONS, SEEDS, steps=3, guidance=2.0)
    assert made.shape == (4, 16, 16, 3)
    alone = model.sample(CAPTIONS[1:2], SEEDS[1:2], steps=3, guidance=2.0)
    assert np.abs(alone.astype(int) - made[1:2]).max() <= 1
    assert (made[0] != made[3]).any()  # one caption, another seed
    assert model.scheduler is scheduler
    rolled(model, 1.0)  # and the scheduler is still one that a policy can follow


# -- the policy ----------------------------------------------------------------------------------


@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_the_ratio_is_1_before_any_update(model, guidance):
    model.denoiser.requires_grad_(True)
    schedule, drawn = rolled(model, guidance)
    assert drawn.latents.isfinite().all()
    assert drawn.pictures.shape == (4, 16, 16, 3)
    for step in range(STEPS):
        now, _ = step_log_probability(model, schedule, drawn, ALL, step, guidance=guidance)
        assert now.requires_grad
        ratio = torch.exp(now - drawn.log_probs[step])
        assert (ratio - 1).abs().max() <= rounding(schedule.deviations[step])


def test_recomputed_log_p_is_the_stored_one_and_that_of_a_gaussian(model):
    schedule, drawn = rolled(model, 2.0)
    again = rolled(model, 2.0)[1]
    assert torch.equal(drawn.latents, again.latents)
    for step in (3, 0, 4, 2, 1):
        with torch.no_grad():
            log_probs, mean = step_log_probability(model, schedule, drawn, ALL, step, guidance=2.0)
        far = (log_probs - drawn.log_probs[step]).abs().max()
        assert far <= rounding(schedule.deviations[step])
        normal = torch.distributions.Normal(mean.double(), schedule.deviations[step].double())
        expected = normal.log_prob(drawn.latents[step + 1].double()).mean((1, 2, 3))
        # a deviation of 0.006 stands under a difference of latents that are rounded to 1e-7
        torch.testing.assert_close(log_probs.double(), expected, rtol=1e-4, atol=1e-3)


def test_guidance_of_1_is_the_conditional_branch_and_0_the_empty_one(model, kind):
    latents, time = starting_latents(), torch.tensor(501)
    given = model.encode(CAPTIONS)
    with torch.no_grad():
        one, none, two = (model.predict(latents, time, given, g) for g in (1.0, 0.0, 2.0))
        if kind == "xl":
            assert model.pipeline.config.force_zeros_for_empty_prompt
            empty = type(given)(*(torch.zeros_like(part) for part in given))
            ids = torch.tensor([[16, 16, 0, 0, 16, 16]] * 4)
            added = {"text_embeds": given.pooled, "time_ids": ids}
            plain = model.denoiser(latents, time, given.hidden, added_cond_kwargs=added)
        else:
            empty = model.encode([""] * 4)
            plain = model.denoiser(latents, given.hidden, given.pooled, time.expand(4))
        without = model.predict(latents, time, empty, 1.0)
    torch.testing.assert_close(one, plain.sample)
    assert (one - without).abs().max() > 1e-4
    torch.testing.assert_close(none, without, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(two, without + 2 * (one - without), rtol=1e-4, atol=1e-5)


def test_gradients_reach_both_branches(model, kind):
    """What is guided is linear in the branches, and so is its gradient in the weights."""
    given = model.encode(CAPTIONS)
    empty = model._empty(given)
    latents, time, direction = starting_latents(), torch.tensor(501), starting_latents(1)
    block = {"xl": "conv_in.weight", "sd3": "transformer_blocks.0.attn.to_q.weight"}[kind]
    weight = model.denoiser.get_parameter(block).requires_grad_(True)

    def gradient(conditions: Any, guidance: float) -> torch.Tensor:
        made = model.predict(latents, time, conditions, guidance)
        return torch.autograd.grad((made * direction).sum(), weight)[0]

    with_caption, without = gradient(given, 1.0), gradient(empty, 1.0)
    assert (with_caption - without).abs().max() > 1e-4 * without.abs().max()
    expected = 2 * with_caption - without
    torch.testing.assert_close(
        gradient(given, 2.0), expected, rtol=1e-3, atol=1e-4 * expected.abs().max().item()
    )


# -- flow matching -------------------------------------------------------------------------------


def flow(**changes: Any) -> Any:
    from diffusers import FlowMatchEulerDiscreteScheduler

    return FlowMatchEulerDiscreteScheduler(**changes)


def flow_schedule(scheduler: Any, steps: int, eta: float) -> FlowSchedule:
    schedule = make_schedule(scheduler, steps, eta)
    assert isinstance(schedule, FlowSchedule)
    return schedule


@pytest.mark.parametrize("shift", [1.0, 3.0])
@pytest.mark.parametrize("eta", [1.0, 0.3])
def test_a_step_is_that_of_the_paper(shift, eta):
    """Equation 9 of Flow-GRPO in float64, and at t = 1 the exception of its code."""
    scheduler = flow(shift=shift)
    schedule = make_schedule(scheduler, 10, eta)
    scheduler.set_timesteps(10)
    assert torch.equal(schedule.timesteps, scheduler.timesteps)
    times = scheduler.sigmas.tolist()
    x, v = torch.randn((2, 3, *LATENT), generator=torch.Generator().manual_seed(0)).double()
    for step, (t, after) in enumerate(itertools.pairwise(times)):
        sigma = 0.7 * eta * math.sqrt(t / (1 - (after if t == 1 else t)))
        change = t - after
        mean = x - (v + sigma**2 / (2 * t) * (x + (1 - t) * v)) * change
        assert schedule.deviations[step].item() == pytest.approx(
            sigma * math.sqrt(change), rel=1e-4
        )
        torch.testing.assert_close(
            step_mean(schedule, v, x, step).double(), mean, rtol=1e-4, atol=1e-5
        )
    assert schedule.deviations[0].item() == pytest.approx(0.7 * eta)
    assert schedule.deviations.isfinite().all()
    assert schedule.trainable(0.1 * eta)[0] == 0
    assert 9 not in schedule.trainable(0.1 * eta)  # the last step is nearly certain


def test_almost_without_noise_a_step_is_eulers():
    scheduler = flow(shift=3.0)
    schedule = make_schedule(scheduler, 10, 1e-4)
    scheduler.set_timesteps(10)
    x, v = torch.randn((2, 2, *LATENT), generator=torch.Generator().manual_seed(0))
    for step, time in enumerate(scheduler.timesteps):
        theirs = scheduler.step(v, time, x).prev_sample
        torch.testing.assert_close(step_mean(schedule, v, x, step), theirs, rtol=1e-5, atol=1e-5)


MEAN, DEVIATION = 0.8, 0.5  # of the data, in one dimension


def velocity(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """E[noise - clean | x] of Gaussian data, exactly."""
    variance = (1 - t) ** 2 * DEVIATION**2 + t**2
    far = (x - (1 - t) * MEAN) / variance
    return t * far - (MEAN + (1 - t) * DEVIATION**2 * far)


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_marginals_of_the_sde_are_those_of_the_flow(shift):
    draw, steps = torch.Generator().manual_seed(0), 200
    stochastic, ode = (flow_schedule(flow(shift=shift), steps, eta) for eta in (1.0, 1e-6))
    x = torch.randn((40_000, 1, 1, 1), generator=draw)
    y = x
    for step, (t, after) in enumerate(
        zip(stochastic.times.tolist(), stochastic.next_times.tolist(), strict=True)
    ):
        now = torch.tensor(t)
        y = step_mean(ode, velocity(y, now), y, step)
        x = step_mean(stochastic, velocity(x, now), x, step)
        x = x + stochastic.deviations[step] * torch.randn(x.shape, generator=draw)
        if step in (50, 100, 150, steps - 1):
            deviation = math.hypot((1 - after) * DEVIATION, after)
            assert x.mean().item() == pytest.approx((1 - after) * MEAN, abs=0.015)
            assert x.std().item() == pytest.approx(deviation, rel=0.03)
            assert x.std().item() == pytest.approx(y.std().item(), rel=0.03)
    assert torch.corrcoef(torch.stack([x.flatten(), y.flatten()]))[0, 1] < 0.5  # other paths


def test_a_coarse_sde_is_no_farther_from_the_data_than_the_coarse_ode():
    """A linear step maps a Gaussian to one, so its moments are known without drawing."""

    def spread(eta: float) -> float:
        schedule = flow_schedule(flow(), 10, eta)
        variance = 1.0
        for step in range(10):
            t = schedule.times[step]
            low, high = (
                step_mean(schedule, velocity(x, t), x, step).item()
                for x in (torch.zeros((1, 1, 1, 1)), torch.ones((1, 1, 1, 1)))
            )
            variance = (high - low) ** 2 * variance + schedule.deviations[step].item() ** 2
        return math.sqrt(variance)

    assert abs(spread(1.0) - DEVIATION) < abs(spread(1e-6) - DEVIATION)
    assert spread(1.0) == pytest.approx(DEVIATION, rel=0.06)


def test_the_task_of_a_flow_is_its_velocity():
    schedule = make_schedule(flow(shift=3.0), 10, 1.0)
    clean, noise = torch.randn((2, 200, *LATENT), generator=torch.Generator().manual_seed(0))
    noisy, times, wanted = schedule.noised(clean, noise, torch.Generator().manual_seed(1))
    t = (times / 1000).view(-1, 1, 1, 1)
    torch.testing.assert_close(noisy, (1 - t) * clean + t * noise)
    torch.testing.assert_close(wanted, noise - clean)
    torch.testing.assert_close(noisy - t * wanted, clean, rtol=1e-4, atol=1e-4)
    way = torch.ones_like(clean)
    led = noisy - t * (wanted + schedule.led(way, torch.zeros(200, dtype=torch.long)))
    torch.testing.assert_close(led - clean, t * way, rtol=1e-3, atol=1e-3)
    assert set(times.tolist()) <= set(flow(shift=3.0).timesteps.tolist())
    assert times.median() == pytest.approx(750, abs=60)  # a shift of 3 puts t = 1/2 there


# -- training ------------------------------------------------------------------------------------


@pytest.mark.parametrize("rank", [0, 4])
def test_a_run_moves_the_weights_and_is_saved_as_a_plain_pipeline(
    make_trainer, model, tmp_path, rank
):
    trainer = make_trainer(
        model=model, lora_rank=rank, iterations=1, evaluate_every=1, guidance=2.0, kl_weight=0.01
    )
    before = weights_of(trainer)
    record = next(iter(trainer.run()))
    assert record["preference_ratio_first"] == pytest.approx(1, abs=1e-4)
    assert math.isfinite(record["pretraining_loss"])
    assert record["preference_gradient"] > 0
    assert not same(before, weights_of(trainer))
    trainer.use_best()
    model.save(tmp_path / "tuned")
    again = load_text_to_image(str(tmp_path / "tuned"))
    latents = starting_latents()
    with torch.no_grad():
        made, reloaded = (
            each.predict(latents, torch.tensor(501), each.encode(CAPTIONS), 2.0)
            for each in (model, again)
        )
    torch.testing.assert_close(made, reloaded)


@pytest.mark.parametrize("method", ["forward", "reward-gradient"])
def test_methods_without_densities_train_every_pipeline_in_parts(make_trainer, model, method):
    trainer = make_trainer(model=model, method=method, micro_batch=3, iterations=1)
    before = weights_of(trainer)
    record = next(iter(trainer.run()))
    assert record["preference_gradient"] > 0
    assert not same(before, weights_of(trainer))


@pytest.mark.parametrize("rank", [0, 4], ids=["all weights", "adapter"])
def test_gradient_checkpointing_saves_activations_and_changes_no_gradient(
    make_trainer, folders, kind, rank, tmp_path
):
    found, passes = [], []
    for saving in (False, True):
        trainer = make_trainer(
            model=load_text_to_image(str(folders[kind])),
            folder=tmp_path / str(saving),
            lora_rank=rank,
            gradient_checkpointing=saving,
            guidance=2.0,
        )
        inner = next(m for name, m in trainer.model.denoiser.named_modules() if "attn" in name)
        calls: list[int] = []
        inner.register_forward_hook(lambda *_, calls=calls: calls.append(1))
        found.append(gradient(trainer, torch.ones(8)))
        passes.append(len(calls))
    plain, saved = found
    assert plain.abs().max() > 1e-6
    torch.testing.assert_close(saved, plain, rtol=1e-4, atol=1e-4 * plain.abs().max().item())
    assert passes[1] > passes[0]  # what was not kept is computed again


def test_an_adapter_reaches_pictures_and_captions(make_trainer, model, kind):
    trained = {
        name.rpartition(".")[0].rsplit(".", 1)[-1] for name in make_trainer(model=model).names
    }
    assert {"to_q", "to_k", "to_v"} <= trained
    assert ({"add_q_proj", "add_k_proj", "add_v_proj", "to_add_out"} <= trained) == (kind == "sd3")


def test_pretraining_lowers_its_own_loss(make_trainer, model):
    trainer = make_trainer(model=model, lora_rank=0, pretraining_batch=16, learning_rate=3e-3)
    losses = [trainer._pretrain() for _ in range(12)]  # the same draws: the iteration stands still
    assert losses[-1] < 0.9 * losses[0]


# -- refusals ------------------------------------------------------------------------------------


def changed(source: Path, target: Path, **index: Any) -> str:
    """A copy of a folder with another model_index.json."""
    shutil.copytree(source, target)
    path = target / "model_index.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | index))
    return str(target)


@pytest.mark.parametrize(
    "name", ["FluxPipeline", "LatentConsistencyModelPipeline", "StableDiffusionXLImg2ImgPipeline"]
)
def test_another_class_of_pipeline_is_refused(folders, tmp_path, name):
    folder = changed(folders["xl"], tmp_path / "other", _class_name=name)
    with pytest.raises(ValueError, match=f"{name}: not supported.*StableDiffusionXLPipeline"):
        load_text_to_image(folder)
    with pytest.raises(dg.Failure, match=name):
        Diffusion(base=folder, scorer="nowhere").load()


def with_variants(source: Path, target: Path, names: dict[str, list[str]]) -> str:
    """A copy of a pipeline whose weights are there only as variants: part -> which; "" is plain."""
    shutil.copytree(source, target)
    for path in list(target.glob("*/*.safetensors")):
        for variant in names.get(path.parent.name, ["fp16"]):
            suffix = f".{variant}.safetensors" if variant else ".safetensors"
            shutil.copy(path, path.with_name(path.name.replace(".safetensors", suffix) + "~"))
        path.unlink()
    for path in target.glob("*/*.safetensors~"):
        path.rename(path.with_name(path.name.removesuffix("~")))
    return str(target)


@pytest.mark.parametrize(
    "names", [{}, {"vae": [""]}, {"unet": ["fp16", "ema"], "transformer": ["fp16", "ema"]}]
)
def test_a_folder_that_holds_only_a_variant_opens(folders, kind, tmp_path, names):
    folder = with_variants(folders[kind], tmp_path / "variant", names)
    found, plain = load_text_to_image(folder), load_text_to_image(str(folders[kind]))
    for name, weight in plain.denoiser.state_dict().items():
        assert torch.equal(found.denoiser.state_dict()[name], weight)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"vae": ["bf16"]}, "none is in each part.*vae: bf16"),
        (
            {part: ["fp16", "bf16"] for part in ("unet", "vae", "text_encoder", "text_encoder_2")},
            "several are",
        ),
    ],
)
def test_variants_that_leave_a_choice_are_refused(folders, tmp_path, names, message):
    folder = with_variants(folders["xl"], tmp_path / "variant", names)
    with pytest.raises(ValueError, match=f"only as variants.*{message}"):
        load_text_to_image(folder)
    with pytest.raises(dg.Failure, match="only as variants"):
        Diffusion(base=folder, scorer="nowhere").load()


def test_a_scheduler_of_the_other_family_is_refused(folders, kind, tmp_path):
    from diffusers import DDIMScheduler

    scheduler = DDIMScheduler() if kind == "sd3" else flow()
    name = type(scheduler).__name__
    folder = changed(folders[kind], tmp_path / kind, scheduler=["diffusers", name])
    scheduler.save_pretrained(Path(folder) / "scheduler")
    with pytest.raises(ValueError, match=f"with {name}.*"):
        load_text_to_image(folder)


@pytest.mark.parametrize(
    "name", ["LCMScheduler", "EulerAncestralDiscreteScheduler", "DPMSolverMultistepScheduler"]
)
def test_a_sampler_whose_step_has_no_density_is_refused(folders, tmp_path, name):
    import diffusers

    folder = changed(folders["xl"], tmp_path / name, scheduler=["diffusers", name])
    getattr(diffusers, name)().save_pretrained(Path(folder) / "scheduler")
    model = load_text_to_image(folder)
    with pytest.raises(ValueError, match=f"{name}: .*DDIMScheduler.*FlowMatchEuler"):
        make_schedule(model.scheduler, STEPS, 1.0)


@pytest.mark.parametrize(
    "setting", ["use_dynamic_shifting", "invert_sigmas", "stochastic_sampling"]
)
def test_settings_of_a_flow_that_change_its_steps_are_refused(setting):
    with pytest.raises(ValueError, match=f"FlowMatchEulerDiscreteScheduler: {setting}"):
        make_schedule(flow(**{setting: True}), 10, 1.0)


@pytest.mark.parametrize("eta", [0.0, -0.7])
def test_the_ode_has_no_density(eta):
    with pytest.raises(ValueError, match="deterministic step has no density"):
        make_schedule(flow(), 10, eta)
    with pytest.raises(ValueError, match="no density"):
        log_probability(torch.zeros((1, *LATENT)), torch.zeros((1, *LATENT)), torch.tensor(0.0))


def test_a_unet_with_distilled_guidance_is_refused(tiny_folder, tmp_path):
    folders = (
        write_xl(tiny_folder, tmp_path / "xl", time_cond_proj_dim=8),
        write_tiny_diffusion(tmp_path / "sd", time_cond_proj_dim=8),
    )
    for folder in folders:
        with pytest.raises(ValueError, match="time_cond_proj_dim=8"):
            load_text_to_image(str(folder))


def test_an_sdxl_without_its_extra_conditions_is_refused(tiny_folder, tmp_path):
    folder = write_xl(tiny_folder, tmp_path / "xl", addition_embed_type=None)
    with pytest.raises(ValueError, match="addition_embed_type=None: only 'text_time'"):
        load_text_to_image(str(folder))


def test_an_autoencoder_that_overflows_is_refused_in_float16(folders):
    with pytest.raises(ValueError, match=r"force_upcast.*bfloat16 or float32"):
        load_text_to_image(str(folders["xl"]), precision="float16")


def test_half_a_model_predicts(folders, kind):
    half, whole = (
        load_text_to_image(str(folders[kind]), precision=precision)
        for precision in ("bfloat16", "float32")
    )
    with torch.no_grad():
        made, exact = (
            each.predict(starting_latents(), torch.tensor(501), each.encode(CAPTIONS), 2.0)
            for each in (half, whole)
        )
    assert made.dtype == torch.float32
    torch.testing.assert_close(made, exact, rtol=0.1, atol=0.15)
