"""The shipped models load offline, are small, and do what their cards say."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sandbox.vocabulary import KEYS, REQUIRED

WEIGHTS = Path(__file__).parents[2] / "sandbox" / "weights"
FRESH_SEED = 9_000_001  # neither trained on nor looked at while training


@pytest.fixture(scope="module", autouse=True)
def _offline() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        import torch

        torch.set_num_threads(1)
        yield


@pytest.fixture(scope="module")
def fresh() -> tuple[np.ndarray, list[dict[str, str]]]:
    from sandbox.train.data import make_example

    made = [make_example(FRESH_SEED, index, False) for index in range(256)]
    return np.stack([photo for photo, _ in made]), [truth for _, truth in made]


@pytest.fixture(scope="module")
def vlm() -> tuple[Any, Any]:
    from transformers import AutoModelForImageTextToText, AutoProcessor

    folder = WEIGHTS / "vlm"
    model = AutoModelForImageTextToText.from_pretrained(folder)
    return model.eval(), AutoProcessor.from_pretrained(folder)


def test_small_safe_and_described() -> None:
    files = [path for path in WEIGHTS.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 30 * 2**20
    assert not [p for p in files if p.suffix in (".bin", ".pt", ".pth", ".pkl", ".ckpt")]
    for name in ("vlm", "encoder"):
        card = (WEIGHTS / name / "README.md").read_text()
        assert "apache-2.0" in card
        assert "Limits" in card


def test_schema_has_the_models_order() -> None:
    schema = json.loads((WEIGHTS / "vlm" / "attributes.schema.json").read_text())
    assert tuple(schema["properties"]) == KEYS
    assert tuple(schema["required"]) == REQUIRED
    assert schema["additionalProperties"] is False
    assert all(value["maxLength"] < 100 for value in schema["properties"].values())
    assert "{title}" in (WEIGHTS / "vlm" / "prompt.txt").read_text()


def test_vlm_on_fresh_products(
    vlm: tuple[Any, Any], fresh: tuple[np.ndarray, list[dict[str, str]]]
) -> None:
    from sandbox.train.evaluate_vlm import answer, grammar_of, held_out_titles, parsed, score

    model, processor = vlm
    photos, truths = fresh
    prompt = (WEIGHTS / "vlm" / "prompt.txt").read_text()
    schema = (WEIGHTS / "vlm" / "attributes.schema.json").read_text()
    grammar = grammar_of(processor.tokenizer, model.config.text_config.vocab_size, schema)
    raw = answer(model, processor, photos, held_out_titles(truths, 6), prompt, grammar)
    guessed = parsed(raw)
    assert all(guessed), "an answer is no JSON object"
    scores = score(truths, guessed)
    assert scores["micro"].precision >= 0.97, scores
    assert scores["micro"].recall >= 0.97, scores


def test_photo_wins_against_a_wrong_title(
    vlm: tuple[Any, Any], fresh: tuple[np.ndarray, list[dict[str, str]]]
) -> None:
    from sandbox.train.evaluate_vlm import answer, held_out_titles, parsed, score

    photos, truths = fresh[0][:64], fresh[1][:64]
    titles = held_out_titles(truths, 6)
    prompt = (WEIGHTS / "vlm" / "prompt.txt").read_text()
    raw = answer(*vlm, photos, [*titles[1:], titles[0]], prompt)
    assert score(truths, parsed(raw))["micro"].precision >= 0.9


def test_training_tokens_are_what_the_processor_makes(vlm: tuple[Any, Any]) -> None:
    from PIL import Image

    from sandbox.train.vlm_model import PROMPT, pixel_values, prompt_text

    _, processor = vlm
    photo = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    content = [{"type": "image"}, {"type": "text", "text": PROMPT.format(title="Red hat")}]
    text = processor.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True
    )
    inputs = processor(text=[text], images=[[Image.fromarray(photo)]], return_tensors="pt")
    expected = processor.tokenizer([prompt_text("Red hat")], return_tensors="pt")
    assert inputs["input_ids"].tolist() == expected["input_ids"].tolist()
    assert (inputs["pixel_values"] - pixel_values(photo[None])).abs().max() < 1e-5


def test_encoder_knows_the_world(fresh: tuple[np.ndarray, list[dict[str, str]]]) -> None:
    from sandbox.train.evaluate_encoder import evaluate, load

    model, tokenizer = load(WEIGHTS / "encoder")
    photos, truths = fresh
    figures = evaluate(model, tokenizer, photos, truths)
    assert figures["photo"]["recall@10"] >= 0.98
    assert figures["title"]["recall@10"] >= 0.5


def test_a_candidate_changes_the_base_for_a_while_and_keeps_what_a_run_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from diffusers import UNet2DConditionModel

    from sandbox import candidates

    unet: Any = UNet2DConditionModel.from_pretrained(WEIGHTS / "diffusion" / "unet")
    before = {name: weight.clone() for name, weight in unet.state_dict().items()}
    with torch.no_grad(), candidates.candidate(unet, "preference-6"):
        tuned = {name: weight.clone() for name, weight in unet.state_dict().items()}
        assert max(float((tuned[name] - before[name]).abs().max()) for name in before) > 1e-2
        unet.save_pretrained(tmp_path / "unet")
    assert all(torch.equal(weight, before[name]) for name, weight in unet.state_dict().items())
    monkeypatch.setattr(candidates, "CANDIDATES", tmp_path)
    assert candidates.write_candidate(tmp_path, tmp_path / "again.safetensors") > 0
    with candidates.candidate(unet, "again"):
        for name, weight in unet.state_dict().items():
            torch.testing.assert_close(weight, tuned[name], rtol=0, atol=2e-3)


def test_every_maker_of_the_studio_is_there() -> None:
    from sandbox.candidates import CANDIDATES
    from sandbox.studio import MAKERS

    assert sum(maker.share for maker in MAKERS) == pytest.approx(1.0)
    named = {maker.candidate for maker in MAKERS if maker.candidate}
    assert named == {path.stem for path in CANDIDATES.glob("*.safetensors")}
