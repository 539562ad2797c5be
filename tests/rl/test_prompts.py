import json
import random
from collections import Counter
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
import yaml

from resources.feeds.rows import FeedError, Row
from resources.feeds.studio import Studio
from resources.feeds.studio_config import Templates
from resources.lake import Lake
from resources.quality import Limits
from rl_diffusion_assets.checks import OBJECTIVES, prompt_figures
from rl_diffusion_assets.policy.train import prompts_of
from rl_diffusion_assets.prompts.assets import prompt_sets
from rl_diffusion_assets.prompts.formats import read_prompts
from rl_diffusion_assets.prompts.prompts import (
    BadText,
    Object,
    Prompt,
    assemble,
    naming,
    normalised,
    prompt_id,
    read_text,
    side,
)
from rl_diffusion_assets.prompts.templates import (
    default_templates,
    scenes,
    template_prompts,
    with_article,
)

REPOSITORY = Path(__file__).resolve().parent.parent.parent
DATA = REPOSITORY.parent / "shared" / "data" / "t2i_prompts"
SIDES = ("train", "held_out")
WORDS = ["red", "blue", "dress", "shoe", "cat", "on", "a", "an", "the", "two", "Ärger", "猫", "की"]


def templates(**words) -> dict:
    return Templates(relations=["and", "next to"]).model_dump() | words


def materialized(folder: Path, settings: dict) -> tuple[pl.DataFrame, pl.DataFrame, dict]:
    """The tables and the metadata of prompt_sets on a studio.yaml."""
    (folder / "studio.yaml").write_text(yaml.safe_dump({"name": "test"} | settings))
    lake = Lake(root=str(folder / "lake"))
    used = {
        "studio": Studio(config_path=str(folder / "studio.yaml")),
        "lake": lake,
        "limits": Limits(),
    }
    done = dg.materialize([prompt_sets], resources=used)
    metadata = done.asset_materializations_for_node("prompt_sets")[0].metadata
    tables = [lake.read("prompt_sets", name) for name in ("prompts", "rejects")]
    return tables[0], tables[1], {name: value.value for name, value in metadata.items()}


def test_case_punctuation_and_articles_make_no_other_prompt():
    rng = random.Random(0)
    for _ in range(300):
        words = [rng.choice(WORDS) for _ in range(rng.randint(1, 6))]
        disguised = [
            rng.choice(["", "the ", "An "]) + rng.choice([word, word.upper(), word.title()])
            for word in words
        ]
        text = rng.choice([" ", "  ", ", ", " - "]).join(disguised) + rng.choice(["", ".", "!?"])
        bare = [word for word in words if word not in ("a", "an", "the")]
        if bare:
            assert prompt_id(text) == prompt_id(" ".join(bare))
    # and what does differ stays apart: order, words, vowel signs, symbols
    for one, other in [("red on blue", "blue on red"), ("की", "का"), ("🐶", "🐱"), ("c++", "c")]:
        assert prompt_id(one) != prompt_id(other)


def test_a_fifth_of_the_prompts_is_held_out():
    sides = Counter(side(prompt_id(f"prompt number {i}")) for i in range(10_000))
    assert 1_850 < sides["held_out"] < 2_150


def test_no_prompt_is_on_both_sides_whatever_says_so():
    rng = random.Random(1)
    for _ in range(30):
        prompts = [
            Prompt(
                rng.choice(["", "A ", "the "]) + f"{rng.choice(WORDS)} {rng.choice(WORDS)}",
                rng.choice(["preference", "fairness", "composition"]),
                "family",
                f"file:{i}",
                rng.choice([None, True, False]),
            )
            for i in range(200)
        ]
        table = assemble(prompts, ["shoe"])
        assert table.group_by("prompt_id").agg(pl.col("split").n_unique())["split"].max() == 1
        assert table.select("objective", "prompt_id").is_unique().all()
        assert table["count"].sum() == 200
        declared: dict[str, set] = {}
        for prompt in prompts:
            declared.setdefault(prompt_id(prompt.prompt), set()).add(prompt.held_out)
        for row in table.to_dicts():
            said = declared[row["prompt_id"]]
            assert row["held_out_objects"] == ("shoe" in row["prompt"])
            if True in said or row["held_out_objects"]:
                assert row["split"] == "held_out"
            elif False in said:
                assert row["split"] == "train"
            else:
                assert row["split"] == side(row["prompt_id"])
        # the order of the files decides nothing
        again = assemble(rng.sample(prompts, len(prompts)), ["shoe"])
        columns = ["objective", "prompt_id", "split", "count"]
        assert again.select(columns).equals(table.select(columns))


@pytest.mark.parametrize("colours", [[], ["red", "blue", "orange"]])
def test_scenes_keep_what_is_held_out_out_of_training(colours):
    rng = random.Random(2)
    names = [f"{one}{other}" for one in "bdfgkl" for other in ("at", "en", "ox", "um", "orange")]
    for _ in range(20):
        objects = rng.sample(names, rng.randint(3, 20))
        held_out = [*rng.sample(names, rng.randint(1, 5)), "orange"]
        words = templates(objects=objects, held_out_objects=held_out, colours=colours)
        words |= {"scenes": rng.choice([3, 60]), "held_out_scenes": 40}
        found = list(scenes(words, seed=rng.randint(0, 99)))
        assert len({prompt_id(scene.prompt) for scene in found}) == len(found)
        train = [{o.name for o in scene.objects} for scene in found if not scene.held_out]
        out = [{o.name for o in scene.objects} for scene in found if scene.held_out]
        seen = set().union(*train)
        assert not seen & set(held_out)
        assert all(len(pair) == 2 for pair in train + out)
        unseen = [pair for pair in out if pair <= seen]
        assert not any(pair in train for pair in unseen)
        assert all(pair <= set(held_out) for pair in out if pair not in unseen)
        if len(set(objects) - set(held_out)) > 2:
            assert train
        table = assemble(found, held_out)
        assert (table["split"] == "held_out").sum() == len(out)
        if colours:
            assert all(o.colour in colours for scene in found for o in scene.objects)


def test_an_unseen_pair_stays_unseen_when_a_file_states_it():
    words = templates(objects=["dress", "hat", "boot", "scarf"], scenes=40, held_out_scenes=10)
    found = list(scenes(words))
    pair = next(scene for scene in found if scene.held_out).objects
    other = next(scene for scene in found if not scene.held_out).objects
    texts = [f"{word} photo" for word in ("big", "old", "new", "wet", "dry", "hot", "odd", "raw")]
    stated = [Prompt(text, "composition", "geneval", "f:1", None, pair) for text in texts]
    table = assemble([*found, *stated], [])
    assert set(table.filter(family="geneval")["split"]) == {"held_out"}
    stated = [Prompt(text, "composition", "geneval", "f:1", None, other) for text in texts]
    table = assemble([*found, *stated], [])
    assert set(table.filter(family="geneval")["split"]) == {"train", "held_out"}


def test_one_held_out_object_is_paired_with_a_seen_one():
    words = templates(objects=["dress", "sun hat", "boot"], held_out_objects=["hat"])
    found = list(scenes(words | {"scenes": 10, "held_out_scenes": 10}))
    train = {o.name for scene in found if not scene.held_out for o in scene.objects}
    assert train == {"dress", "boot"}  # a sun hat is a hat
    assert {"hat", "sun hat"} <= {o.name for s in found if s.held_out for o in s.objects}
    alone = list(scenes(templates(objects=["dress", "boot"], held_out_objects=["hat"])))
    assert any({o.name for o in scene.objects} == {"hat", "boot"} for scene in alone)


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        *(("hat", "two red hats", True), ("hat", "a hatter", False), ("hat", "that", False)),
        *(("t-shirt", "A T-Shirt!", True), ("t-shirt", "tshirts", True)),
        *(("boots", "one boot", True), ("dress", "dresses", True), ("cherry", "cherries", True)),
        *(("woman", "three women", True), ("box", "the boxes", True), ("a+b", "aab", False)),
    ],
)
def test_a_held_out_object_is_found_in_any_form(name, text, found):
    assert bool(naming([name]).search(normalised(text))) == found


def test_articles_and_plurals():
    for words in ["an apple", "a uniform", "an hour", "a PR person", "an SUV", "a one-way sign"]:
        assert with_article(words.partition(" ")[2]) == words
    words = templates(objects=["boots", "dress", "shorts"], plural_objects=["shorts"], scenes=30)
    texts = " ".join(scene.prompt for scene in scenes(words))
    assert "a dress" in texts
    assert "a boots" not in texts
    assert "a shorts" not in texts


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        *((None, "missing"), ("", "missing"), (5, "not a text"), (["x"], "not a text")),
        *(("x" * 401, "longer than 400"), ("x\0y", "control"), ("\u202ex", "control")),
        *(("\ud800", "control"), ("...", "no words"), (" \t ", "no words")),
    ],
)
def test_hostile_text_is_refused_with_a_reason(value, reason):
    with pytest.raises(BadText, match=reason):
        read_text(value)
    row = Row(3, json.dumps({"prompt": value}), 0, None)
    prompts, rejects = read_prompts([row], file="f", format="lines")
    assert prompts == []
    assert (rejects[0].row, rejects[0].field) == (3, "prompt")
    assert len(rejects[0].value) <= 200
    assert rejects[0].value.encode() is not None  # no lone surrogate reaches the lake


def test_geneval_states_objects_and_others_do_not():
    include = [
        {"class": "teddy bear", "count": 1},
        {"class": "dog", "count": 2, "color": "red", "position": ["right of", 0]},
    ]
    values = [{"prompt": "a dog", "tag": "position", "include": include}]
    values += [{"prompt": "a dog", "include": bad} for bad in (None, [], ["x"], [{"class": 1}])]
    rows = [Row(i, json.dumps(value), 0, None) for i, value in enumerate(values, start=1)]
    prompts, rejects = read_prompts(rows, file="g.jsonl", format="geneval")
    assert prompts == [
        Prompt(
            *("a dog", "composition", "geneval:position", "g.jsonl:1", None),
            objects=(Object("teddy bear", None, 1), Object("dog", "red", 2)),
            relation="right of",
        )
    ]
    assert [(r.row, r.field) for r in rejects] == [(i, "include") for i in (2, 3, 4, 5)]


def test_the_default_words_are_the_papers():
    words = default_templates()
    assert (len(words["occupations"]), len(words["objects"])) == (100, 532)
    assert len(set(words["held_out_objects"])) == 82
    prompts, rejects = template_prompts(words)
    assert rejects == []
    table = assemble(prompts, words["held_out_objects"])
    kinds = Counter(table.select("family", "split", "held_out_objects").rows())
    assert kinds == {
        ("occupations", "train", False): 80,
        ("occupations", "held_out", False): 20,
        ("people_with", "held_out", False): 12,
        ("scenes", "train", False): 400,
        ("scenes", "held_out", False): 100,
        ("scenes", "held_out", True): 100,
    }
    pattern = naming(words["held_out_objects"])
    trained = table.filter(split="train")["prompt"]
    assert not [text for text in trained if pattern.search(normalised(text))]


@pytest.mark.parametrize("objectives", [("fairness", "composition"), ("fairness",), ()])
def test_the_check_asks_for_what_training_takes(objectives):
    """The preference objective has the prompts of the others: none of its own are needed."""
    words = default_templates()
    table = assemble(template_prompts(words)[0], words["held_out_objects"])
    table = table.filter(pl.col("objective").is_in(list(objectives)))
    nothing = [
        f"{objective} has no {split} prompts"
        for objective in OBJECTIVES
        for split in ("train", "held_out")
        if not prompts_of(table, objective, split, 0)
    ]
    found = prompt_figures(table, 0, Limits())["not_empty"]
    assert found.failure == ", ".join(nothing)
    assert ("preference" in found.failure) == (not objectives)


def test_prompt_sets_merges_files_and_templates(tmp_path):
    (tmp_path / "mine.txt").write_text("A portrait of the judge.\na big cat\nA BIG CAT!\nx\0y\n")
    settings = {
        "templates": {
            **{"occupations": ["nurse"], "held_out_occupations": ["judge"]},
            **{"people_with": ["a scarf"], "preference": ["a  quiet\tlake", "..."]},
        },
        "prompts": [{"path": "mine.txt", "format": "lines", "objective": "fairness"}],
    }
    prompts, rejects, metadata = materialized(tmp_path, settings)
    rows = {row["prompt"]: row for row in prompts.to_dicts()}
    assert rows["a portrait of a judge"]["split"] == "held_out"
    assert rows["a portrait of a judge"]["count"] == 2
    assert rows["a portrait of a nurse"]["split"] == "train"
    assert rows["a portrait of a person with a scarf"]["split"] == "held_out"
    assert rows["a big cat"]["source"] == "mine.txt:2"
    assert metadata["merged_duplicates"] == 2
    assert rejects.rows() == [
        ("template", 5, "prompt", "no words", "..."),
        ("mine.txt", 4, "prompt", "control characters", "x y"),
    ]
    assert "a quiet lake" in metadata["sample_prompts"]


@pytest.mark.parametrize(
    ("name", "content", "more"),
    [
        ("p.json", '[\n "a red cup",\n "a blue hat"\n]', {"format": "lines"}),
        ("p.json", '["a red cup", "a blue hat"]', {}),
        ("p.txt", '["a red cup", "a blue hat"]', {"format": "lines"}),
        ("p.txt", '[\n "a red cup",\n "a blue hat"\n]', {}),
        ("p.jsonl", '"a red cup"\n"a blue hat"\n', {"format": "lines"}),
        ("p.jsonl", '{"prompt": "a red cup"}\n{"prompt": "a blue hat"}\n', {"format": "lines"}),
        ("p.json", '[{"id": 1, "caption": "a red cup"}, {"id": 2, "caption": "a blue hat"}]', {}),
        ("p.json", '{"prompts": ["a red cup", "a blue hat"]}', {}),
        ("p.json", '{"by": {"kind": ["a red cup", "a blue hat"]}}', {"column": "by.kind"}),
        (
            *("p.jsonl", '{"data": {"t": "a red cup"}}\n{"data": {"t": "a blue hat"}}\n'),
            {"column": "data.t", "format": "csv"},
        ),
        ("p.txt", "a red cup\na blue hat\n", {}),
        ("p.txt", "id\tprompt\n1\ta red cup\n2\ta blue hat\n", {}),
        ("p.csv", "id,Caption\n1,a red cup\n2,a blue hat\n", {}),
        ("p.csv", "words\na red cup\na blue hat\n", {}),
        ("p.csv", "one;other\na red cup;1\na blue hat;2\n", {"column": "one"}),
        ("p.parquet", [{"text": "a red cup"}, {"text": "a blue hat"}], {}),
        ("p.parquet", [{"m": {"t": "a red cup"}}, {"m": {"t": "a blue hat"}}], {"column": "m.t"}),
    ],
)
def test_prompts_of_any_file(tmp_path, name, content, more):
    if isinstance(content, str):
        (tmp_path / name).write_text(content)
    else:
        pl.DataFrame(content).write_parquet(tmp_path / name)
    settings = {"templates": {}, "prompts": [{"path": name, **more}]}
    prompts, rejects, _ = materialized(tmp_path, settings)
    found = prompts.filter(family="p")["prompt"]
    assert sorted(found) == ["a blue hat", "a red cup"]
    assert rejects.height == 0


@pytest.mark.parametrize("format", [None, "lines"])
def test_brackets_of_a_prompt_are_no_json(tmp_path, format):
    texts = ["{red|blue} hat", "[[a cup]] on it", "(a cat:1.3)"]
    (tmp_path / "p.txt").write_text("\n".join(texts))
    settings = {"templates": {}, "prompts": [{"path": "p.txt", "format": format}]}
    prompts, _, _ = materialized(tmp_path, settings)
    assert sorted(prompts.filter(family="p")["prompt"]) == sorted(texts)


def test_columns_say_which_prompts_a_file_has(tmp_path):
    files = {
        "a.tsv": 'Prompt\tCategory\tChallenge\na sign "go\tSigns\tBasic\n',
        "b.jsonl": '{"prompt": "two dogs", "tag": "counting", "include": [{"class": "dog"}]}',
        "c.csv": "category,prompt\ncolor,a green bench\n",
        "d.csv": "category,prompt\nanimals,a grey bench\n",
    }
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    prompts, _, _ = materialized(
        tmp_path, {"templates": {}, "prompts": [{"path": name} for name in files]}
    )
    rows = prompts.filter(~pl.col("family").is_in(["scenes", "occupations"]))
    assert sorted(rows.select("prompt", "objective", "family").rows()) == [
        ("a green bench", "composition", "compbench:color"),
        ("a grey bench", "preference", "d"),
        ('a sign "go', "preference", "parti:Signs"),
        ("two dogs", "composition", "geneval:counting"),
    ]


def test_a_file_without_a_prompt_is_an_error_with_the_reason(tmp_path):
    (tmp_path / "p.csv").write_text("id,words\n1,a cat\n2,a dog\n")
    settings = {"templates": {}, "prompts": [{"path": "p.csv"}]}
    with pytest.raises(FeedError, match=r"p\.csv: nothing.*2 of 2.*`column:`, of id, words"):
        materialized(tmp_path, settings)


@pytest.mark.skipif(not DATA.exists(), reason="the public prompts are not beside this checkout")
def test_public_prompt_files(tmp_path):
    files = [
        {"path": "PartiPrompts.tsv", "format": "parti", "held_out": True},
        {"path": "geneval_metadata.jsonl", "format": "geneval"},
        {"path": "t2i_compbench_train.csv", "format": "compbench"},
    ]
    files = [file | {"path": str(DATA / file["path"])} for file in files]
    held_out = ["handbag", "bench"]
    settings = {"templates": {"held_out_objects": held_out}, "prompts": files}
    prompts, rejects, _ = materialized(tmp_path, settings)
    assert rejects.height == 0
    by_format = Counter()
    for family, count in prompts.select("family", "count").rows():
        by_format[family.split(":")[0]] += count
    del by_format["scenes"]
    assert by_format == {"parti": 1_632, "geneval": 553, "compbench": 5_600}
    parti = prompts.filter(pl.col("family").str.starts_with("parti"))
    assert set(parti["split"]) == {"held_out"}
    geneval = prompts.filter(pl.col("family").str.starts_with("geneval"))
    stated = [json.loads(line) for line in (DATA / "geneval_metadata.jsonl").open()]
    assert len(stated) == 553
    kept = dict(geneval.select("prompt", "objects").rows())
    for row in stated:
        if row["prompt"] in kept:
            names = [entry["class"] for entry in row["include"]]
            assert [o["name"] for o in kept[row["prompt"]]] == names
    trained = prompts.filter(split="train")
    assert 0.75 < trained.height / (prompts.height - parti.height) < 0.82
    assert not trained["prompt"].str.contains(r"(?i)\b(handbag|bench)(s|es)?\b").any()
    texts = {side: set(map(normalised, prompts.filter(split=side)["prompt"])) for side in SIDES}
    assert not texts["train"] & texts["held_out"]
