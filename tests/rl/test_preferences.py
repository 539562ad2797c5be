import io
import json
import random
import zlib
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
import yaml
from PIL import Image

from resources.feeds.rows import FeedError, Row
from resources.feeds.studio import Studio
from resources.lake import Lake
from resources.quality import Limits
from rl_diffusion_assets.preferences.agreement import cohen_kappas, krippendorff_alpha
from rl_diffusion_assets.preferences.assets import preference_pairs
from rl_diffusion_assets.preferences.formats import Vote, read_votes
from rl_diffusion_assets.preferences.pairs import BadImage, build_pairs, normalise_image
from rl_diffusion_assets.prompts.assets import prompt_sets
from rl_diffusion_assets.prompts.prompts import prompt_id, side

REPOSITORY = Path(__file__).resolve().parent.parent.parent
DATA = REPOSITORY.parent / "shared" / "data" / "preference_ratings"


def rated(**changes) -> dict:
    return {"rater": "r1", "prompt": "a cat", "a": "x", "b": "y", "choice": "a"} | changes


def vote(a: str, b: str, choice: str, rater: str | None = None, row: int = 1, **changes) -> Vote:
    return Vote("a cat", a, b, choice, rater, "f", row, True)._replace(**changes)


def counted(*votes: Vote, keep=lambda file, reference: None):
    return build_pairs(votes, [], keep)


def read(value: dict | list[dict], format: str = "pairs"):
    values = value if isinstance(value, list) else [value]
    rows = [Row(i, json.dumps(v), 0, None) for i, v in enumerate(values, start=1)]
    return read_votes(rows, file="f", format=format)


def picture(colour: str, size=(40, 30), format="PNG", mode="RGB") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size, colour).save(buffer, format)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        *(({"choice": "c"}, "choice"), ({"choice": None}, "choice"), ({"choice": ["a"]}, "choice")),
        *(({"prompt": None}, "prompt"), ({"prompt": "x" * 100_000}, "prompt")),
        *(({"a": ""}, "a"), ({"b": 5}, "b"), ({"b": "y\n"}, "b"), ({"a": "x" * 501}, "a")),
        *(({"rater": ["x"]}, "rater"), ({"rater": "\ud800"}, "rater")),
    ],
)
def test_a_broken_rating_is_refused_with_its_field(changes, field):
    votes, rejects = read(rated(**changes))
    assert votes == []
    assert [(r.row, r.field) for r in rejects] == [(1, field)]
    assert len(rejects[0].value) <= 200
    assert rejects[0].value.encode("utf-8", "strict") is not None


def test_a_rater_is_a_bounded_pseudonym():
    votes, _ = read([rated(rater="x" * 100), rated(rater=7), {**rated(), "rater": None}])
    assert [v.rater for v in votes] == ["x" * 64, "7", None]


def test_equal_ranks_are_ties():
    value = {"prompt": "x", "generations": ["p", "q", "r"], "ranking": [2, 1, 2]}
    votes, _ = read(value, "imagereward")
    assert [(v.a, v.b, v.choice) for v in votes] == [
        *(("p", "q", "b"), ("p", "r", "tie"), ("q", "r", "a"))
    ]
    for broken in ({"ranking": [1, 2]}, {"ranking": [1, 2, "x"]}, {"generations": ["p"]}):
        votes, rejects = read(value | broken, "imagereward")
        assert (votes, len(rejects)) == ([], 1)


@pytest.mark.parametrize(
    ("gap", "choice"), [(0.0, "tie"), (0.7, "tie"), (0.73, "a"), (-0.7, "tie"), (-0.73, "b")]
)
def test_close_opinions_are_ties(gap, choice):
    # both scores have variance 4: a gap of z(0.6) * sqrt(8) = 0.717 makes 60 of 100 prefer one
    std = {"std_quality": "1.6", "std_align": "1.2"}
    first = {"name": "x", "prompt": "A cat.", "mos_quality": str(2 + gap), "mos_align": "1", **std}
    second = first | {"name": "y", "prompt": "a cat", "mos_quality": "1", "mos_align": "2"}
    other = first | {"name": "z", "prompt": "a dog"}
    votes, rejects = read([first, second, other], "agiqa")
    assert rejects == []
    assert [(v.a, v.b, v.choice) for v in votes] == [("x", "y", choice)]
    for broken in ({"std_align": "0"}, {"mos_quality": "nan"}, {"mos_align": None}):
        votes, rejects = read([first | broken, second], "agiqa")
        assert (votes, [r.field for r in rejects]) == ([], list(broken))


def test_order_of_showing_and_of_rows_changes_no_pair():
    rng = random.Random(0)
    for _ in range(50):
        votes = [
            vote(*rng.sample("pqr", 2), rng.choice(["a", "b", "tie"]), f"r{i}", i)
            for i in range(30)
        ]
        flipped = [
            v._replace(a=v.b, b=v.a, choice={"a": "b", "b": "a"}.get(v.choice, "tie"))
            if rng.random() < 0.5
            else v
            for v in votes
        ]
        expected, found = counted(*votes), counted(*flipped)
        assert found.pairs.equals(expected.pairs)
        assert found.votes.equals(expected.votes)
        pairs = expected.pairs
        assert (pairs["name_a"] < pairs["name_b"]).all()
        assert pairs.select(pl.sum_horizontal("votes_a", "votes_b", "ties")).sum().item() == 30
        for row in pairs.to_dicts():
            shares = [
                {"tie": 0.5}.get(
                    v.choice, float((v.a if v.choice == "a" else v.b) == row["name_a"])
                )
                for v in votes
                if {v.a, v.b} == {row["name_a"], row["name_b"]}
            ]
            assert row["share_a"] == pytest.approx(sum(shares) / len(shares))


def test_the_last_vote_of_a_rater_stands():
    found = counted(
        vote("p", "q", "a", "r1", 1),
        vote("q", "p", "a", "r1", 2),  # the other way round: a contradiction
        vote("p", "q", "b", "r1", 3),  # the same again
        vote("p", "q", "a", "r2", 4),
        vote("p", "q", "a", None, 5),
        vote("p", "q", "a", None, 6),  # nobody in particular: both count
        vote("p", "q", "tie", "r1", 7, prompt="a dog"),  # another pair
    )
    assert (found.repeated, found.contradictions) == (2, 1)
    cats = found.pairs.filter(prompt="a cat").to_dicts()[0]
    assert (cats["votes_a"], cats["votes_b"], cats["ties"]) == (3, 1, 0)
    assert found.votes.filter(rater="r1")["row"].sort().to_list() == [3, 7]
    assert found.first_shown_wins == pytest.approx(3 / 4)


def test_pairs_of_a_prompt_are_on_its_side():
    prompts = [f"prompt number {i}" for i in range(2_000)]
    votes = [vote("p", "q", "a", "r1", i, prompt=p) for i, p in enumerate(prompts)]
    known = {prompt_id(p): ("train", "held_out")[i % 2] for i, p in enumerate(prompts[:40])}
    pairs = build_pairs(votes, [], lambda file, reference: None, known).pairs
    assert 0.17 < (pairs["split"] == "held_out").mean() < 0.23
    for identity, split in pairs.select("prompt_id", "split").rows():
        assert split == known.get(identity, side(identity))


def test_images_are_known_by_their_pixels():
    images = {"p": "1", "copy of p": "1", "q": "2"}

    def keep(file: str, reference: str) -> str:
        if reference not in images:
            raise BadImage("no such file")
        return images[reference]

    found = counted(
        vote("q", "p", "b", "r1", 1),
        vote("copy of p", "q", "a", "r2", 2),
        vote("p", "copy of p", "a", "r1", 3),
        vote("p", "gone", "a", "r1", 4),
        keep=keep,
    )
    pair = found.pairs.to_dicts()
    assert len(pair) == 1
    assert (pair[0]["image_a"], pair[0]["image_b"], pair[0]["votes_a"]) == ("1", "2", 2)
    assert found.rejects.select("row", "field", "reason").rows() == [
        (3, "b", "the same image twice"),
        (4, "b", "no such file"),
    ]


def test_received_images_become_small_clean_png():
    name, data = normalise_image(picture("red", (1200, 600), "JPEG"))
    image = Image.open(io.BytesIO(data))
    assert (image.format, image.size, image.mode) == ("PNG", (512, 256), "RGB")
    assert normalise_image(data) == (name, data)
    clear = Image.open(io.BytesIO(normalise_image(picture("#00000000", mode="RGBA"))[1]))
    assert clear.getpixel((0, 0)) == (255, 255, 255)


def test_images_that_cannot_be_used_are_refused_before_they_are_decoded():
    bomb = bytearray(picture("red", (20, 20)))
    bomb[16:24] = (20_000).to_bytes(4) + (3_000).to_bytes(4)  # the header says 60 million pixels
    bomb[29:33] = zlib.crc32(bomb[12:29]).to_bytes(4)
    with pytest.raises(BadImage, match="too large"):
        normalise_image(bytes(bomb))
    whole = picture("red", (400, 300))
    for bad in (b"", b"<svg/>", whole[: len(whole) // 2], picture("red", (15, 99))):
        with pytest.raises(BadImage):
            normalise_image(bad)
    with pytest.raises(BadImage, match="too small"):
        normalise_image(picture("red", (4_000, 20)))


def test_alpha_is_that_of_krippendorffs_example():
    table = {  # his four observers of twelve units (nominal alpha 0.743)
        "A": "123321412...",
        "B": "1233224125.3",
        "C": ".3332342251.",
        "D": "1233244125 1".replace(" ", ""),
    }
    table["D"] += "."
    rows = [
        {"pair_id": str(unit), "rater": rater, "choice": choice}
        for rater, choices in table.items()
        for unit, choice in enumerate(choices)
        if choice != "."
    ]
    assert krippendorff_alpha(pl.DataFrame(rows)) == pytest.approx(0.743, abs=5e-4)
    same = pl.DataFrame({"pair_id": ["1", "1"], "choice": ["a", "a"]})
    assert krippendorff_alpha(same) is None
    assert krippendorff_alpha(same.clear()) is None


def test_kappa_is_that_of_scikit_learn():
    from sklearn.metrics import cohen_kappa_score

    rng = random.Random(0)
    choices = {r: [rng.choice(["a", "a", "b", "tie"]) for _ in range(40)] for r in "xyz"}
    choices["z"] = [c if rng.random() < 0.8 else "b" for c in choices["x"]]
    rows = [
        {"pair_id": str(i), "rater": rater, "choice": choice}
        for rater, made in choices.items()
        for i, choice in enumerate(made)
        if rater != "y" or i < 9  # too few to say anything
    ]
    rows += [{"pair_id": str(i), "rater": None, "choice": "a"} for i in range(40)]
    (found,) = cohen_kappas(pl.DataFrame(rows))
    assert (found.rater_a, found.rater_b, found.pairs) == ("x", "z", 40)
    assert found.kappa == pytest.approx(cohen_kappa_score(choices["x"], choices["z"]))
    lazy = [{"pair_id": str(i), "rater": r, "choice": "a"} for i in range(10) for r in "xy"]
    assert cohen_kappas(pl.DataFrame(lazy))[0].kappa is None


def materialized(folder: Path, settings: dict, first: str, last: str, files: dict | None = None):
    """The lake, and the metadata of each day, of a range of days of preference_pairs."""
    for name, content in (files or {}).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    (folder / "studio.yaml").write_text(yaml.safe_dump({"name": "test"} | settings))
    lake = Lake(root=str(folder / "lake"))
    used = {
        "studio": Studio(config_path=str(folder / "studio.yaml")),
        "lake": lake,
        "limits": Limits(),
    }
    with dg.DagsterInstance.ephemeral() as instance:
        dg.materialize([prompt_sets], resources=used, instance=instance)
        done = dg.materialize(
            [prompt_sets, preference_pairs],
            selection=[preference_pairs],
            resources=used,
            instance=instance,
            tags={
                "dagster/asset_partition_range_start": first,
                "dagster/asset_partition_range_end": last,
            },
        )
    events = done.asset_materializations_for_node("preference_pairs")
    return lake, {event.partition: event.metadata for event in events}


def test_preference_pairs_over_days_with_pixels(tmp_path):
    rows = [
        rated(a="1.png", b="2.png", choice="a", prompt="a portrait of a judge"),
        rated(a="2.png", b="1.png", choice="b", prompt="A portrait of the judge", rater="r2"),
        rated(a="1.png", b="../secret"),
        rated(a="1.png", b="broken.png"),
    ]
    files = {
        "ratings/2026-11-01.jsonl": "".join(json.dumps(row) + "\n" for row in rows) + "{\n",
        "ratings/2026-11-03.jsonl": json.dumps(rated(a="2.png", b="3.png", choice="tie")),
        "images/broken.png": b"no image",
        **{f"images/{i}.png": picture(c) for i, c in enumerate(["red", "green", "blue"], start=1)},
    }
    settings = {
        "templates": {"held_out_occupations": ["judge"]},
        "ratings": [{"path": "ratings/{day}.jsonl", "format": "pairs"}],
        "images": "images",
    }
    lake, metadata = materialized(tmp_path, settings, "2026-11-01", "2026-11-03", files)
    pairs = lake.scan("preference_pairs", "pairs").collect()
    assert pairs["date"].to_list() == ["2026-11-01", "2026-11-03"]
    first = pairs.row(0, named=True)
    assert first["split"] == "held_out"  # as declared, whatever its hash says
    winner = first["image_a"] if first["votes_a"] else first["image_b"]
    assert {first["votes_a"], first["votes_b"]} == {2, 0}
    assert Image.open(io.BytesIO(lake.image(winner))).getpixel((0, 0)) == (255, 0, 0)
    rejects = lake.read("preference_pairs", "rejects", "2026-11-01")
    assert rejects["field"].sort().to_list() == ["b", "b", "record"]
    assert metadata["2026-11-02"]["dagster/row_count"].value == 0
    assert lake.read("preference_pairs", "votes", "2026-11-02").height == 0
    assert "data:image/jpeg" in str(metadata["2026-11-01"]["winner_and_loser"].value)
    assert metadata["2026-11-01"]["share_of_first_shown"].value == 0.5
    assert metadata["2026-11-03"]["share_of_ties"].value == 1.0


CUP = {"prompt": "a red cup"}
PICK = {"caption": "a red cup", "image_0_uid": "u0", "image_1_uid": "u1", "user_id": 7.0}
PAGE = {"prompt": "a red cup", "Image A": "1.png", "Image B": "2.png"}


def choices(*values, **more) -> list[str | None]:
    """What the choices of a page of `PAGE` are read as; None for a reject."""
    rows = [Row(i, json.dumps(PAGE | {"vote": v}), 0, None) for i, v in enumerate(values)]
    votes, rejects = read_votes(rows, file="f", **more)
    assert len(votes) + len(rejects) == len(rows)
    found = {vote.row: vote.choice for vote in votes}
    return [found.get(i) for i in range(len(values))]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        # Pick-a-Pic
        (PICK | {"label_0": 1.0, "label_1": 0.0, "has_label": True}, [("u0", "u1", "a", "7")]),
        (PICK | {"label_0": "0.5", "label_1": "0.5"}, [("u0", "u1", "tie", "7")]),
        (PICK | {"best_image_uid": "u1"}, [("u0", "u1", "b", "7")]),
        (PICK | {"label_0": 0, "label_1": 0}, None),
        (PICK | {"label_0": 1, "label_1": 0, "has_label": False}, None),
        # HPD: what each image got, which one was chosen, ranks, ranks of each annotator
        (CUP | {"file_path": ["p", "q"], "human_preference": [1, 0]}, [("p", "q", "a", None)]),
        (
            CUP | {"file_path": ["p", "q"], "human_preference": [0.5, 0.5]},
            [("p", "q", "tie", None)],
        ),
        (
            CUP | {"file_path": ["p", "q", "r"], "human_preference": 1, "user_hash": "u"},
            [("p", "q", "b", "u"), ("q", "r", "a", "u")],
        ),
        (CUP | {"file_path": ["p", "q"], "human_preference": 2}, None),
        (CUP | {"file_path": ["p", "q"], "human_preference": [1]}, None),
        (CUP | {"image_path": ["p", "q"], "rank": [2, 1]}, [("p", "q", "b", None)]),
        (
            CUP
            | {"image_path": ["p", "q"], "rank": [2, 1]}
            | {"raw_annotations": [[2, 1], [1, 2], [2, 1]]},
            [("p", "q", "b", None), ("p", "q", "a", None), ("p", "q", "b", None)],
        ),
        (CUP | {"file_path": "['p', 'q']", "human_preference": "[0, 1]"}, [("p", "q", "b", None)]),
        # others
        (CUP | {"chosen": "p", "rejected": "q"}, [("p", "q", "a", None)]),
        (CUP | {"left_image": "p", "right_image": "q", "winner": "Right"}, [("p", "q", "b", None)]),
        (CUP | {"path1": "p", "path2": "q", "choice_dist": [3, 9]}, [("p", "q", "b", None)]),
        (
            {"WorkerId": "W", "Input.prompt": "x", "Input.image_a": "p", "Input.image_b": "q"}
            | {"Answer.choice": "B"},
            [("p", "q", "b", "W")],
        ),
        (
            {"data": {"text": "x", "img1": "p", "img2": "q"}, "winner": "tie"},
            [("p", "q", "tie", None)],
        ),
        (CUP | {"image_1": "p", "image_2": "q", "image_3": "r", "choice": 1}, None),
        (CUP | {"a": "p", "b": "q"}, None),
    ],
)
@pytest.mark.parametrize("format", ["pairs", "imagereward", "agiqa"])
def test_columns_say_what_a_file_is(value, expected, format):
    votes, rejects = read(value, format)
    if expected is None:
        assert (votes, len(rejects)) == ([], 1)
    else:
        assert [(v.a, v.b, v.choice, v.rater) for v in votes] == expected
        assert rejects == []


def test_the_documented_ratings_are_read():
    text = (REPOSITORY / "docs" / "rl.md").read_text(encoding="utf-8")
    shown = text.split("## Your prompts and ratings")[1].split("```\n")
    (block,) = [part for part in shown if part.startswith("1  {")]
    for line in block.splitlines():
        number, _, row = line.partition("  ")
        value = json.loads(row)
        values = [value, value | ({"image": "2.png"} if number == "7" else {"name": "2.jpg"})]
        votes, rejects = read(values if number in "78" else value)
        assert votes
        assert rejects == []


def test_annotators_that_name_images_in_order_are_not_taken_for_ranks():
    order = {"raw_annotations": [[2, 3, 1], [2, 3, 1]]}  # the second is the best one
    value = CUP | {"image_path": ["p", "q", "r"], "rank": [3, 1, 2]}
    assert [v.choice for v in read(value | order)[0]] == [v.choice for v in read(value)[0]]


def test_rows_of_one_image_each_are_compared_within_their_prompt():
    rows = [
        {"prompt_id": i, "prompt": "x", "image": f"{i}{n}", "rank": r}
        for i in "12"
        for n, r in zip("pqr", (1, 2, 2), strict=True)
    ]
    votes, rejects = read(rows)
    assert rejects == []
    assert [(v.a, v.b, v.choice) for v in votes if v.a[0] == "1"] == [
        *(("1p", "1q", "a"), ("1p", "1r", "a"), ("1q", "1r", "tie"))
    ]
    assert {(v.a[0], v.b[0]) for v in votes} == {("1", "1"), ("2", "2")}


@pytest.mark.parametrize(
    ("meaning", "words"),
    [
        ("a", ["a", "A ", "left", "First", "image_a", "Option A", "A is better", "A>>B", "1.png"]),
        ("b", ["b", "RIGHT", "second", "Image B", "model_b", "slightly prefer right", "2.png"]),
        ("tie", ["tie", "Equal", "both", "No preference", "tie (bothbad)", "Both good", "A=B"]),
        (None, ["", None, "unsure", "not a", "left is worse", "a or b", "c", True, ["a"], {}]),
    ],
)
def test_words_of_choice(meaning, words):
    assert choices(*words) == [meaning] * len(words)


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([1, 2, "2"], ["a", "b", "b"]),
        ([0, 1.0, "image 1"], ["a", "b", "b"]),
        (["Image 1", "image_2", "tie"], ["a", "b", "tie"]),
        *(([1], [None]), ([2], [None]), ([0, 1, 2], [None] * 3), ([1, 2, 3], [None] * 3)),
        *(([1, -1], [None] * 2), ([0, 0.5, 1], [None] * 3), ([1, "left"], [None, "a"])),
    ],
)
def test_numbers_mean_something_only_together(numbers, expected):
    assert choices(*numbers) == expected


def test_an_unknown_word_is_named_and_can_be_explained():
    rows = [Row(1, json.dumps(PAGE | {"vote": "Links"}), 0, None)]
    _, rejects = read_votes(rows, file="f")
    assert "'Links'" in rejects[0].reason
    words = {"links": "a", "-1": "b", "3": "tie", "A": "b"}
    found = choices("Links", 1, 2, 3, -1, "a", words=words)
    assert found == ["a", "a", "b", "tie", "b", "b"]


def test_columns_can_be_named_by_their_paths():
    value = {
        "task": {"text": "x", "shown": ["p", "q"]},
        "annotations": [{"by": 3, "result": [{"selected": "left"}]}],
    }
    columns = {"prompt": "task.text", "a": "task.shown[0]", "b": "task.shown[1]"}
    columns |= {"choice": "annotations[0].result[0].selected", "rater": "annotations[0].by"}
    row = Row(1, json.dumps(value), 0, None)
    votes, _ = read_votes([row], file="f", columns=columns)
    assert votes == [Vote("x", "p", "q", "a", "3", "f", 1, True)]
    _, rejects = read_votes([row], file="f", columns=columns | {"choice": "task.choice"})
    assert "task.choice" in rejects[0].reason


def pick_a_pic(colours: list[tuple[str, str, float]]) -> bytes:
    """A Parquet file of Pick-a-Pic's columns."""
    rows = [
        {"caption": f"a cup {i}", "jpg_0": picture(one), "jpg_1": picture(other), "label_0": label}
        | {"label_1": 1 - label, "user_id": i, "has_label": True}
        for i, (one, other, label) in enumerate(colours)
    ]
    buffer = io.BytesIO()
    pl.DataFrame(rows).write_parquet(buffer)
    return buffer.getvalue()


def test_images_in_the_cells_of_files(tmp_path):
    files = {
        "one.parquet": pick_a_pic([("red", "green", 1.0), ("blue", "green", 0.5)]),
        "two.parquet": pick_a_pic([("white", "black", 0.0)]),
    }
    settings = {"ratings": [{"path": "*.parquet"}], "templates": {}}
    lake, _ = materialized(tmp_path, settings, "2026-11-01", "2026-11-01", files)
    rows = lake.read("preference_pairs", "pairs", "2026-11-01").to_dicts()
    assert len(rows) == 3
    shown = {}
    for row in rows:
        for which in "ab":
            image = Image.open(io.BytesIO(lake.image(row[f"image_{which}"])))
            shown[row[f"name_{which}"]] = image.getpixel((0, 0))
    assert shown["one.parquet:bytes:jpg_0:0"] == (255, 0, 0)
    assert shown["two.parquet:bytes:jpg_0:0"] == (255, 255, 255)
    assert len(shown) == 6
    winners = {
        shown[row["name_a" if row["votes_a"] else "name_b"]] for row in rows if not row["ties"]
    }
    assert winners == {(255, 0, 0), (0, 0, 0)}
    # without pixels, cells of the same place in other files are other images
    settings["ratings"][0]["pixels"] = False
    lake, _ = materialized(tmp_path, settings, "2026-11-01", "2026-11-01")
    pairs = lake.read("preference_pairs", "pairs", "2026-11-01")
    assert pairs["image_a"].null_count() == 3
    assert pairs.select(pl.concat([pl.col("name_a"), pl.col("name_b")]).n_unique()).item() == 6


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("prompt,a,b,choice\nx,p,q,hm\nx,p,q,hm\nx,p,q,\n", r"2 of 3\): choice: unknown word 'hm'"),
        ("prompt,score\nx,3\n", "a: no column says it.*prompt, score"),
        ("prompt,a,b,choice\nx,p.png,q.png,a\n", "a: no such file.*pixels: false"),
        ("name,prompt,mos_quality,std_quality,mos_align,std_align\np,x,1,1,1,1\n", "compared"),
    ],
)
def test_a_file_of_which_nothing_can_be_used_is_an_error(tmp_path, content, reason):
    settings = {"ratings": [{"path": "r.csv"}], "images": "images", "templates": {}}
    with pytest.raises(FeedError, match=rf"r\.csv: nothing.*{reason}"):
        materialized(tmp_path, settings, "2026-11-01", "2026-11-01", {"r.csv": content})
    empty = content.partition("\n")[0] + "\n"
    lake, _ = materialized(tmp_path, settings, "2026-11-01", "2026-11-01", {"r.csv": empty})
    assert lake.read("preference_pairs", "pairs", "2026-11-01").height == 0


@pytest.mark.skipif(not DATA.exists(), reason="the public ratings are not beside this checkout")
def test_public_ratings(tmp_path):
    settings = {
        "ratings": [
            {"path": str(DATA / "agiqa3k.csv"), "format": "agiqa", "pixels": False},
            {"path": str(DATA / "imagereward_test_rankings.json"), "format": "imagereward"},
        ],
        "templates": {},
    }
    lake, metadata = materialized(tmp_path, settings, "2026-11-01", "2026-11-01")
    pairs = lake.read("preference_pairs", "pairs", "2026-11-01")
    assert lake.read("preference_pairs", "rejects", "2026-11-01").height == 0
    agiqa = pairs.filter(pl.col("source").str.contains("agiqa"))
    assert agiqa.height == 13_344
    assert 0.1 < agiqa["ties"].mean() < 0.5
    others = pairs.filter(~pl.col("source").str.contains("agiqa"))
    assert (others["ties"] == 0).sum() == 6_399
    assert pairs["image_a"].null_count() == pairs.height
    assert 0.15 < metadata["2026-11-01"]["held_out_share"].value < 0.25
    # the newest generators of AGIQA win against the oldest
    names = agiqa.filter(pl.col("ties") == 0).with_columns(
        pl.when(pl.col("votes_a") > 0).then("name_a").otherwise("name_b").alias("winner")
    )
    duel = names.filter(
        pl.col("name_a").str.starts_with("AttnGAN"), pl.col("name_b").str.starts_with("midjourney")
    )
    assert duel["winner"].str.starts_with("midjourney").mean() > 0.9
