"""Reward models: opened from folders, fitted to easy tasks, calibrated, and kept apart."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from rl_diffusion_assets.rewards.building import (
    EXAMINED,
    JUDGE_SHARE,
    Material,
    bucket_of,
    places,
    split_pairs,
    take_pairs,
)
from rl_diffusion_assets.rewards.composition import Wanted, fully_right
from rl_diffusion_assets.rewards.degrade import Misnamer, degrade
from rl_diffusion_assets.rewards.models import (
    CONFIG,
    FIGURES,
    LENGTH,
    TOWER,
    WORDS,
    Ensemble,
    FeatureScorer,
    JudgeReader,
    JudgeScorer,
    People,
    open_reward,
    word_ids,
)
from rl_diffusion_assets.rewards.networks import (
    FEATURES,
    as_pixels,
    make_classifier,
    make_grid_detector,
    make_head,
    trunk,
)
from rl_diffusion_assets.rewards.training import (
    Fit,
    Pairs,
    cell_targets,
    fit_clip_scorer,
    fit_detector,
    fit_head,
    fit_person_classifier,
    pair_temperature,
    temperature,
    write_clip_scorer,
    write_network,
)

NAMES, COLOURS = ["bright", "dark"], ["blue", "red"]


def quiet(line: str) -> None:
    pass


# -- opening -------------------------------------------------------------------------------------


def test_a_folder_without_a_reward_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match=CONFIG):
        open_reward(tmp_path)
    with pytest.raises(ValueError, match=CONFIG):
        open_reward(tmp_path / "nowhere")


@pytest.mark.parametrize("config", [{"kind": "oracle"}, {}])
def test_an_unknown_kind_is_refused(tmp_path, config):
    (tmp_path / CONFIG).write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"kind .* is not one of clip, features, ensemble, judge"):
        open_reward(tmp_path)


def test_an_unknown_architecture_is_refused():
    with pytest.raises(ValueError, match="architecture"):
        trunk((24,), "transformer")


# -- people --------------------------------------------------------------------------------------


def people(n: int, seed: int):
    """Tone is how bright a picture is; gender, whether its top or its bottom is striped."""
    rng = np.random.default_rng(seed)
    tone, gender = rng.integers(4, size=n), rng.integers(2, size=n)
    pictures = np.empty((n, 16, 16, 3))
    pictures[:] = 230 - 60 * tone[:, None, None, None]
    for row in range(n):
        start = 8 * gender[row]
        pictures[row, start : start + 8, ::4, :2] = 0
    noisy = pictures + rng.normal(0, 8, pictures.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8), tone, gender


def nobody(n: int, seed: int):
    return np.random.default_rng(seed).integers(0, 256, (n, 16, 16, 3), dtype=np.uint8)


@pytest.mark.parametrize("architecture", ["group", "plain"])
def test_a_person_classifier_learns_tone_gender_and_when_there_is_nobody(tmp_path, architecture):
    pictures, tone, gender = people(240, 1)
    module = fit_person_classifier(
        pictures,
        tone,
        gender,
        nobody(120, 2),
        Fit(60, 24, 3e-3, 0),
        architecture=architecture,
        tell=quiet,
    )
    config = {
        "kind": "person",
        "architecture": architecture,
        "side": 16,
        "temperature": {"tone": 1.0, "gender": 1.0},
    }
    write_network(module, config, tmp_path)
    reader = open_reward(tmp_path)
    pictures, tone, gender = people(100, 3)
    seen = reader.read(pictures)
    assert (seen.tone.argmax(1) == tone).mean() >= 0.9
    assert (seen.gender.argmax(1) == gender).mean() >= 0.9
    assert (seen.found >= 0.5).mean() >= 0.9
    assert (reader.read(nobody(100, 4)).found >= 0.5).mean() <= 0.1
    np.testing.assert_allclose(seen.tone.sum(1), 1, rtol=1e-5)
    np.testing.assert_allclose(seen.gender.sum(1), 1, rtol=1e-5)
    one = reader.read(pictures[70:71])  # of the second batch
    np.testing.assert_allclose(one.tone, seen.tone[70:71], atol=1e-5)
    with pytest.raises(ValueError, match="this model reads"):
        reader.read(np.zeros((1, 32, 32, 3), np.uint8))
    config["temperature"] = {"tone": 1e6, "gender": 1.0}
    (tmp_path / CONFIG).write_text(json.dumps(config))
    np.testing.assert_allclose(open_reward(tmp_path).read(pictures).tone, 0.25, atol=1e-3)


def test_fitting_is_a_function_of_its_seed():
    pictures, tone, gender = people(32, 1)

    def fitted(seed: int):
        return fit_person_classifier(
            pictures,
            tone,
            gender,
            nobody(8, 2),
            Fit(3, 8, 1e-3, seed),
            architecture="group",
            tell=quiet,
        ).state_dict()

    first, again, other = fitted(0), fitted(0), fitted(1)
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not all(torch.equal(first[key], other[key]) for key in first)


def test_the_table_of_people_is_nan_where_nobody_is_found():
    seen = People(
        tone=np.array([[0.7, 0.1, 0.1, 0.1], [0.25] * 4]),
        gender=np.array([[0.2, 0.8], [0.5, 0.5]]),
        found=np.array([0.5, 0.49]),
    )
    for kind, width in (("tone", 4), ("gender", 2), ("joint", 8)):
        table = seen.table(kind)
        assert table.shape == (2, width)
        assert np.isfinite(table[0]).all()
        assert table[0].sum() == pytest.approx(1)
        assert np.isnan(table[1]).all()
    joint = seen.table("joint")[0].reshape(4, 2)
    np.testing.assert_allclose(joint.sum(1), seen.tone[0])
    np.testing.assert_allclose(joint.sum(0), seen.gender[0])
    assert np.isfinite(seen.tone).all()  # the table is a copy
    assert np.isfinite(seen.table("tone", least=0.4)).all()
    with pytest.raises(ValueError, match="tone, gender or joint"):
        seen.table("age")


def test_the_monk_scale_falls_into_four_buckets():
    assert [bucket_of(monk) for monk in range(1, 11)] == [0, 0, 0, 1, 1, 2, 2, 3, 3, 3]


# -- objects -------------------------------------------------------------------------------------


def squares(n: int, seed: int):
    """One square on grey, bright or dark, of a blue or red tint, around one of 6 x 6 cells."""
    rng = np.random.default_rng(seed)
    pictures = np.full((n, 48, 48, 3), 128) + rng.normal(0, 6, (n, 48, 48, 3))
    objects = []
    for row in range(n):
        name, colour = (int(value) for value in rng.integers(2, size=2))
        down, right = (int(value) for value in rng.integers(1, 5, size=2))
        base = np.array([200, 200, 200] if name == 0 else [60, 60, 60])
        base[2 if colour == 0 else 0] += 55 if name == 0 else 80
        pictures[row, down * 8 - 6 : down * 8 + 14, right * 8 - 6 : right * 8 + 14] = base
        objects.append([(name, colour, (right + 0.5) / 6, (down + 0.5) / 6)])
    return np.clip(pictures, 0, 255).astype(np.uint8), objects


@pytest.mark.parametrize("architecture", ["group", "plain"])
def test_a_detector_learns_what_is_where_in_which_colour(tmp_path, architecture):
    pictures, objects = squares(200, 1)
    module = fit_detector(
        pictures,
        cell_targets(objects, 6, len(NAMES)),
        Fit(70, 12, 3e-3, 0),
        (len(NAMES), len(COLOURS)),
        architecture=architecture,
        tell=quiet,
    )
    config = {
        "kind": "objects",
        "architecture": architecture,
        "side": 48,
        "names": NAMES,
        "colours": COLOURS,
        "temperature": {"objects": 1.0, "colours": 1.0},
    }
    write_network(module, config, tmp_path)
    pictures, objects = squares(80, 2)
    found = open_reward(tmp_path).detect(pictures)
    assert found.objects.shape == (80, 6, 6, 2)
    assert found.paints.shape == (80, 6, 6, 2)
    coded = [(NAMES[each[0][0]], COLOURS[each[0][1]]) for each in objects]
    assert fully_right(found, [Wanted((one,)) for one in coded]).mean() >= 0.85
    placed, named, coloured = [], [], []
    for row, each in enumerate(objects):
        cell = int(each[0][3] * 6), int(each[0][2] * 6)
        best = divmod(int(found.confidence(row, *coded[row]).argmax()), 6)
        placed.append(np.abs(np.subtract(best, cell)).max() <= 1)
        named.append(NAMES[found.objects[row, *cell].argmax()] == coded[row][0])
        coloured.append(COLOURS[found.paints[row, *cell].argmax()] == coded[row][1])
    assert np.mean(placed) >= 0.85
    assert np.mean(named) >= 0.85
    assert np.mean(coloured) >= 0.85


def test_cell_targets_mark_the_centre_and_forgive_its_surroundings():
    objects = [(1, 0, 0.5 / 8, 0.5 / 8), (0, 2, 6.5 / 8, 4.5 / 8)]
    kind, ring, paint = cell_targets([objects, []], 8, 2)
    assert kind.shape == ring.shape == paint.shape == (2, 8, 8)
    assert (kind[0, 0, 0], paint[0, 0, 0]) == (1, 0)
    assert (kind[0, 4, 6], paint[0, 4, 6]) == (0, 2)  # y is the row
    assert kind[0, 0, 1] == kind[0, 1, 1] == kind[0, 0, 2] == -1
    assert kind[0, 0, 3] == kind[0, 7, 0] == 2
    assert (ring[0, 0, 0], ring[0, 0, 1], ring[0, 0, 2], ring[0, 0, 3]) == (-1, 1, 1, -1)
    assert ((paint[0] >= 0) == (kind[0] != 2)).all()
    assert (kind[1] == 2).all()
    assert (paint[1] == -1).all()


def test_cell_targets_of_close_objects_keep_both():
    kind, _, _ = cell_targets([[(0, 0, 2.5 / 8, 0.5 / 8), (1, 0, 3.5 / 8, 0.5 / 8)]], 8, 2)
    assert kind[0, 0, 2] == 0
    assert kind[0, 0, 3] == 1


# -- preferences ---------------------------------------------------------------------------------


def rated(n: int, seed: int) -> Pairs:
    """Pairs of red or blue pictures, one bright and one dark; the bright one is preferred."""
    rng = np.random.default_rng(seed)
    bright = rng.integers(2, size=n)
    worth = np.stack([bright, 1 - bright], 1).ravel() + rng.normal(0, 0.1, 2 * n)
    hue = np.repeat(rng.integers(2, size=n), 2)
    pictures = 40 + 90 * worth[:, None, None, None] + rng.normal(0, 5, (2 * n, 16, 16, 3))
    pictures[np.arange(2 * n), :, :, 2 * hue] += 80
    first, second = np.arange(n) * 2, np.arange(n) * 2 + 1
    return Pairs(
        pictures=np.clip(pictures, 0, 255).astype(np.uint8),
        captions=[f"{('red', 'blue')[each]} picture {at // 2}" for at, each in enumerate(hue)],
        first=first,
        second=second,
        share=(worth[first] > worth[second]).astype(float),
        votes=rng.integers(1, 5, n),
    )


def gradient_leads_up(scorer, pictures, captions) -> bool:
    """Whether what a gradient is taken of is what is scored, and a step along it scores more."""
    pixels = as_pixels(pictures).requires_grad_(True)
    rated = scorer.rate(pixels, captions)
    scores = scorer.score(pictures, captions)
    np.testing.assert_allclose(rated.detach().numpy(), scores, rtol=2e-3, atol=2e-3)
    rated.sum().backward()
    with torch.no_grad():
        after = scorer.rate(pixels + 0.02 * pixels.grad.sign(), captions)
    return bool((after > rated).all())


def seen_plainly(pictures, captions):
    """Stands for `Reader.read`: mean colours of a picture's quarters, and nothing said."""
    pixels = as_pixels(pictures)
    quarters = torch.nn.functional.adaptive_avg_pool2d(pixels, 2).flatten(1)
    return quarters, torch.zeros(len(captions), 2)


def test_a_head_learns_preferences_and_captions():
    pairs = rated(120, 1)
    colours = [caption.split()[0] for caption in pairs.captions]
    captioned, fit = (pairs.pictures, colours), Fit(150, 24, 3e-3, 0)
    module = fit_head(pairs, captioned, seen_plainly, fit, tell=quiet)
    kept = rated(60, 2)
    seen, said = seen_plainly(kept.pictures, kept.captions)
    with torch.inference_mode():
        scores = module(seen, word_ids(kept.captions), said).numpy()
        images, _ = module.towers(seen, word_ids(kept.captions))
        _, texts = module.towers(seen[:2], word_ids(["red", "blue"]))
    agreed = (scores[kept.first] > scores[kept.second]) == (kept.share > 0.5)
    assert agreed.mean() >= 0.9
    read = (images @ texts.T).argmax(1).numpy()
    assert (read == [caption.startswith("blue") for caption in kept.captions]).mean() >= 0.9


@pytest.fixture
def judge_folder(tmp_path):
    """A judge whose networks are not trained: of `dark` and `bright`, in `blue` or `red`."""
    torch.manual_seed(0)
    heat = dict.fromkeys(("objects", "colours", "tone", "gender"), 1.0)
    plain = {"architecture": "plain", "side": 64, "temperature": heat}
    made = {
        "objects": (make_grid_detector(len(NAMES) + 1 + len(COLOURS), "plain"), plain),
        "person": (make_classifier(7, 64, "plain"), plain),
        "preference": (make_head(WORDS, FEATURES, FIGURES), {"side": 64, "temperature": 1.0}),
    }
    for name, (module, config) in made.items():
        (tmp_path / name).mkdir()
        kind = {"preference": "judge"}.get(name, name)
        names = {"names": NAMES, "colours": COLOURS} if name == "objects" else {}
        write_network(module, {"kind": kind, **config, **names}, tmp_path / name)
    return tmp_path


def test_a_judge_scores_by_picture_and_caption_in_units_of_its_temperature(judge_folder):
    pictures = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    captions = ["a red dark", "a blue bright", "a portrait"]
    scorer = open_reward(judge_folder / "preference")
    assert isinstance(scorer, JudgeScorer)
    scores = scorer.score(pictures, captions)
    assert scores.shape == (3,)
    alone = [scorer.score(pictures[at : at + 1], captions[at : at + 1])[0] for at in range(3)]
    np.testing.assert_allclose(scores, alone, rtol=1e-4)
    told = scorer.score(pictures, ["a blue dark", "a red bright", "a picture"])
    assert (scores != told).all()
    assert (scores != scorer.score(pictures[::-1], captions))[[0, 2]].all()
    path = judge_folder / "preference" / CONFIG
    path.write_text(json.dumps(json.loads(path.read_text()) | {"temperature": 2.0}))
    halved = open_reward(judge_folder / "preference").score(pictures, captions)
    np.testing.assert_allclose(halved, scores / 2, rtol=1e-5)


@pytest.fixture
def pair_of_scorers(tmp_path):
    """Two scorers on features, not trained, of other weights and temperatures, and their mean."""
    for seed, (name, heat) in enumerate((("one", 0.5), ("two", 2.0))):
        torch.manual_seed(seed)
        (tmp_path / name).mkdir()
        config = {"kind": "features", "side": 64, "temperature": heat}
        write_network(make_head(WORDS, FEATURES, 0), config, tmp_path / name)
    config = {"kind": "ensemble", "members": ["one", "two"], "temperature": 1.0}
    (tmp_path / CONFIG).write_text(json.dumps(config))
    return tmp_path


def test_a_scorer_on_features_leads_its_gradient_through_them(pair_of_scorers):
    pictures = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    captions = ["a red dark", "a blue bright", "a portrait"]
    scorer = open_reward(pair_of_scorers / "one")
    assert isinstance(scorer, FeatureScorer)
    assert gradient_leads_up(scorer, pictures, captions)
    assert (scorer.score(pictures, captions) != scorer.score(pictures, captions[::-1]))[
        [0, 2]
    ].all()


def test_an_ensemble_is_the_mean_of_calibrated_scorers(pair_of_scorers):
    pictures = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    captions = ["a red dark", "a blue bright", "a portrait"]
    both = open_reward(pair_of_scorers)
    assert isinstance(both, Ensemble)
    each = [
        open_reward(pair_of_scorers / name).score(pictures, captions) for name in ("one", "two")
    ]
    np.testing.assert_allclose(both.score(pictures, captions), np.mean(each, 0), rtol=1e-5)
    rated = both.rate(as_pixels(pictures), captions).numpy()
    np.testing.assert_allclose(rated, np.mean(each, 0), rtol=2e-3, atol=2e-3)
    assert np.abs(each[0] - each[1]).max() > 0.1


def test_a_judge_is_told_what_its_detector_finds_of_the_caption(judge_folder):
    pictures = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    reader = JudgeReader(judge_folder, 64, "cpu")
    seen, said = reader.read(pictures, ["a red dark next to a blue bright", "a portrait"])
    assert seen.shape == (2, FEATURES)
    assert said.shape == (2, FIGURES)
    found = reader.detector.detect(pictures)
    first, second = found.confidence(0, "dark", "red"), found.confidence(0, "bright", "blue")
    assert said[0, 0].item() == pytest.approx((first.max() + second.max()) / 2, rel=1e-5)
    assert 0 < said[0, 1].item() <= first.max() * second.max() + 1e-6
    assert said[1, :2].tolist() == [0.0, 0.0]  # a caption without objects asks for none


def test_a_clip_is_tuned_with_a_tower_and_saved_with_it(tmp_path):
    pairs, clip = rated(60, 1), Path("sandbox/weights/clip")
    pairs.pictures = pairs.pictures.repeat(4, 1).repeat(4, 2)  # its towers read 64 x 64
    colours = [caption.split()[0] for caption in pairs.captions]
    fit = Fit(12, 16, 2e-3, 0)
    captioned = (pairs.pictures, colours)
    made = fit_clip_scorer(clip, pairs, captioned, fit, tell=quiet)
    write_clip_scorer(*made, {"kind": "clip", "side": 64, "temperature": 1.0}, tmp_path)
    scores = open_reward(tmp_path).score(pairs.pictures, pairs.captions)
    agreed = (scores[pairs.first] > scores[pairs.second]) == (pairs.share > 0.5)
    assert agreed.mean() >= 0.9
    assert gradient_leads_up(open_reward(tmp_path), pairs.pictures[:8], pairs.captions[:8])
    (tmp_path / TOWER).unlink()  # as hub models come
    alone = open_reward(tmp_path).score(pairs.pictures, pairs.captions)
    assert np.abs(alone - scores).max() > 0.1


def test_pictures_are_damaged_visibly_and_by_the_seed():
    pictures = np.random.default_rng(0).integers(0, 256, (48, 32, 32, 3), dtype=np.uint8)
    before = pictures.copy()
    damaged = degrade(pictures, np.random.default_rng(3))
    np.testing.assert_array_equal(pictures, before)
    assert damaged.shape == pictures.shape
    assert damaged.dtype == np.uint8
    assert (np.abs(damaged.astype(int) - pictures).mean((1, 2, 3)) > 0.5).all()
    np.testing.assert_array_equal(damaged, degrade(pictures, np.random.default_rng(3)))
    assert (damaged != degrade(pictures, np.random.default_rng(4))).any()


def test_captions_are_made_wrong_with_words_that_stand_there_elsewhere():
    colours, things = ("red", "blue", "green"), ("hat", "bag")
    corpus = [f"a {c} {t} above a {d} {u}" for c in colours for d in colours for t, u in [things]]
    wrong, rng = Misnamer([*corpus, "a portrait of a nurse"]), np.random.default_rng(0)
    made = {wrong.misname("a red hat above a blue bag", rng) for _ in range(60)}
    assert "a blue hat above a red bag" in made
    assert "a green hat above a blue bag" in made
    assert "a red hat above a blue bag" not in made
    assert all(caption in corpus for caption in made)
    assert (
        wrong.misname("nothing of this length was seen", rng) == "nothing of this length was seen"
    )


def test_words_are_hashed_in_their_order_and_cut():
    ids = word_ids(["Red hat", "hat red", "", " ".join(["red"] * 40)])
    assert ids.shape == (4, LENGTH)
    assert ids[0, 0] == ids[1, 1] == ids[3, -1]
    assert ids[0, 1] == ids[1, 0]
    assert (ids[0, 2:] == 0).all()
    assert (ids[2] == 0).all()
    assert 0 < ids[0, 0] < WORDS


def test_the_two_architectures_are_different_networks():
    group, plain = make_classifier(7, 16, "group"), make_classifier(7, 16, "plain")
    shapes = [{tuple(p.shape) for p in module.parameters()} for module in (group, plain)]
    assert shapes[0] != shapes[1]


# -- two sides -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def comparisons():
    """600 pairs of 900 pictures: chains and cycles of several pictures, and many small islands."""
    rng = np.random.default_rng(0)
    island = rng.integers(300, size=600)
    ends = rng.integers(3, size=(600, 2))
    ends[ends[:, 0] == ends[:, 1], 1] = (ends[ends[:, 0] == ends[:, 1], 0] + 1) % 3
    return [[f"{i}-{e}" for i, e in zip(island, ends[:, at], strict=True)] for at in (0, 1)]


def test_no_picture_is_on_both_sides(comparisons):
    first, second = comparisons
    judged = places(first, second) < JUDGE_SHARE
    seen = {
        side: {
            name
            for a, b, j in zip(first, second, judged, strict=True)
            if j == side
            for name in (a, b)
        }
        for side in (True, False)
    }
    assert seen[True]
    assert seen[False]
    assert not seen[True] & seen[False]
    assert judged.mean() == pytest.approx(JUDGE_SHARE, abs=0.1)


def test_a_chain_of_pairs_has_one_place():
    for start in range(20):
        names = [f"{start}.{i}" for i in range(30)]
        assert len(set(places(names[:-1], names[1:]).tolist())) == 1


def test_places_do_not_depend_on_the_order_of_pairs_nor_on_the_order_within(comparisons):
    first, second = (np.array(each) for each in comparisons)
    found = places(first.tolist(), second.tolist())
    order = np.random.default_rng(1).permutation(len(first))
    assert (places(first[order].tolist(), second[order].tolist()) == found[order]).all()
    assert (places(second.tolist(), first.tolist()) == found).all()


def test_the_judge_learns_held_out_captions_and_keeps_pictures_to_be_examined_with():
    pairs = rated(600, 3)
    held_out = np.arange(600) % 4 == 0
    material = Material(pairs, held_out, *[None] * 6)
    scorer, judge = (split_pairs(material, judge=side) for side in (False, True))
    assert (sum(part.astype(int) for part in (*scorer, *judge)) == 1).all()  # a pair is in one part
    assert not (scorer[0] & held_out).any()
    assert (scorer[1] & held_out).sum() == scorer[1].sum() > 0
    assert (judge[0] & held_out).any()
    assert judge[1].sum() == pytest.approx(judge[0].sum() / (EXAMINED - 1), rel=0.4)
    seen = [
        {int(at) for rows in (pairs.first[part], pairs.second[part]) for at in rows}
        for part in (*judge, scorer[0] | scorer[1])
    ]
    assert not seen[0] & seen[1]
    assert not (seen[0] | seen[1]) & seen[2]


def test_taking_pairs_takes_only_their_pictures():
    pairs = rated(10, 3)
    rows = np.array([7, 2])
    taken = take_pairs(pairs, rows)
    assert len(taken.pictures) == len(taken.captions) == 4
    for at, row in enumerate(rows):
        for name in ("first", "second"):
            new, old = getattr(taken, name)[at], getattr(pairs, name)[row]
            assert (taken.pictures[new] == pairs.pictures[old]).all()
            assert taken.captions[new] == pairs.captions[old]
    np.testing.assert_array_equal(taken.share, pairs.share[rows])
    np.testing.assert_array_equal(taken.votes, pairs.votes[rows])


# -- calibration ---------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_temperature_recovers_a_known_scale(scale):
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (6_000, 4))
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = (rng.random((6_000, 1)) > chances.cumsum(1)).sum(1).clip(max=3)
    assert temperature(scale * logits, labels) == pytest.approx(scale, rel=0.12)


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_pair_temperature_recovers_a_known_scale(scale):
    rng = np.random.default_rng(0)
    difference = rng.normal(0, 2, 6_000)
    share = (rng.random(6_000) < 1 / (1 + np.exp(-difference))).astype(float)
    assert pair_temperature(scale * difference, share) == pytest.approx(scale, rel=0.12)
