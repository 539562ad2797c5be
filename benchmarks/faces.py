"""Faces, tone and perceived gender on pictures of which the truth is known: a confusion table.

The pictures are drawn people (Noto emoji, Apache-2.0; 140 designs in five tones of skin) in a
folder with a `labels.csv`. The real path looks at them: MTCNN finds a face, two heads on ImageNet
features read it. The heads learn from half of the *roles* and are asked about the other half: all
tones and both genders of a role are on one side, so no drawing that is asked about was learned.
The yellow ones have no tone and are left out. Things that are no people say how often a face is
seen where there is none. Puts the table into docs/rl.md. Run from the repository:

    OMP_NUM_THREADS=1 python -m benchmarks.faces FOLDER [--keep FOLDER] [--seed 0]
"""

import argparse
import csv
import json
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from resources.encoders import decode_image
from rl_diffusion_assets.rewards.heads import CropFeatures, fit_head
from rl_diffusion_assets.rewards.hub import BoxSettings, MtcnnFinder, cut_out
from rl_diffusion_assets.rewards.models import CONFIG, People, open_reward

Array = np.ndarray
DOCS = Path(__file__).parents[1] / "docs" / "rl.md"
MARK = "<!-- made by benchmarks.faces -->"
TONES = ("light", "medium-light", "medium", "medium-dark", "dark")  # Fitzpatrick's, of Unicode
CLASSES = (("light", "medium-light"), ("medium",), ("medium-dark",), ("dark",))  # four buckets
GENDERS = ("man", "woman")
MARGIN, LEAST = 0.3, 0.2


@dataclass
class Pictures:
    """What is known of some pictures.

    Attributes:
        pixels: uint8 ``[n, h, w, 3]``.
        tone: One of `TONES`, or empty, of each.
        gender: One of `GENDERS`, or empty, of each.
        learned: Whether its role is on the side that heads learn from, bool ``[n]``.
    """

    pixels: Array
    tone: Array
    gender: Array
    learned: Array

    def rows(self, which: Array) -> "Pictures":
        """Some of them."""
        return Pictures(
            self.pixels[which], self.tone[which], self.gender[which], self.learned[which]
        )


def role(name: str) -> str:
    """What a drawing is of, without the person: `woman astronaut` and `man astronaut` are one."""
    bare = re.sub(r"\b(man|woman|person|male|female|mrs|mr|mother|father)\b", "", name.lower())
    return " ".join(re.findall(r"[a-z]+", bare))


def read(folder: Path, kind: str, seed: int) -> Pictures:
    """People in a tone, or objects.

    Raises:
        FileNotFoundError: the folder has no labels.csv.
    """
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["kind"] == kind]
    if kind == "person":
        rows = [row for row in rows if row["tone_name"] in TONES]
    pixels = [np.asarray(decode_image((folder / row["image"]).read_bytes())) for row in rows]
    sides = [crc32(f"{seed} {role(row['name'])}".encode()) % 2 == 0 for row in rows]
    return Pictures(
        np.stack(pixels),
        np.array([row["tone_name"] for row in rows]),
        np.array([row["gender"] if row["gender"] in GENDERS else "" for row in rows]),
        np.array(sides),
    )


def settings(heads: Path) -> dict[str, Any]:
    """The `reward.json` of a face reader with these heads."""
    head = {"kind": "features"}
    return {
        "kind": "face",
        "detector": {
            "kind": "mtcnn",
            "model": MtcnnFinder.source,
            "names": ["face"],
            "least": LEAST,
        },
        "tone": head | {"model": str(heads / "tone"), "classes": CLASSES},
        "gender": head | {"model": str(heads / "gender"), "classes": [[g] for g in GENDERS]},
        "margin": MARGIN,
    }


def fit(known: Pictures, finder: MtcnnFinder, heads: Path) -> None:
    """Both heads, from the faces that are found in pictures."""
    scores, boxes = finder.find(known.pixels)
    best = scores[..., 0].argmax(1)
    here = np.flatnonzero(scores[..., 0].max(1) >= 0.5)
    crops = [cut_out(known.pixels[row], boxes[row, best[row]], MARGIN) for row in here]
    features = CropFeatures()(crops)
    for name, labels in (("tone", known.tone[here]), ("gender", known.gender[here])):
        told = labels != ""
        fit_head(features[told], labels[told].tolist(), heads / name)


def confusion(truth: Sequence[str], chances: Array, found: Array, names: Sequence[str]) -> Array:
    """Counts ``[names, names + 1]``: rows are true, columns said, the last one for nobody."""
    table = np.zeros((len(names), len(names) + 1), int)
    for row, name in enumerate(truth):
        said = int(np.argmax(chances[row])) if found[row] else len(names)
        table[list(names).index(name), said] += 1
    return table


def shares(table: Array) -> tuple[float, float, float]:
    """Share of faces that are found, and of those found the share that is right and its mean over
    true classes."""
    seen = table[:, :-1]
    right = np.diag(seen) / np.maximum(seen.sum(1), 1)
    return (
        float(seen.sum() / table.sum()),
        float(np.trace(seen) / seen.sum()),
        float(right.mean()),
    )


def examine(folder: Path, heads: Path, seed: int = 0) -> dict[str, Any]:
    """Fit on one half, ask about the other.

    Returns:
        `tone` and `gender` confusion tables with their `names`, and the share of objects with a
        `false` face.
    """
    people, things = read(folder, "person", seed), read(folder, "object", seed)
    heads.mkdir(parents=True, exist_ok=True)
    (heads / CONFIG).write_text(json.dumps(settings(heads), indent=1) + "\n")
    detector = json.loads((heads / CONFIG).read_text())["detector"]
    finder = MtcnnFinder(heads, BoxSettings(**detector), "cpu")
    fit(people.rows(people.learned), finder, heads)
    reader, asked = open_reward(heads), people.rows(~people.learned)
    seen: People = reader.read(asked.pixels)
    found = seen.found >= 0.5
    buckets = {name: " + ".join(names) for names in CLASSES for name in names}
    tones, gendered = [" + ".join(names) for names in CLASSES], asked.gender != ""
    return {
        "tone": confusion([buckets[tone] for tone in asked.tone], seen.tone, found, tones),
        "gender": confusion(
            asked.gender[gendered].tolist(), seen.gender[gendered], found[gendered], GENDERS
        ),
        "names": {"tone": tones, "gender": list(GENDERS)},
        "false": float((finder.find(things.pixels)[0].max((1, 2)) >= 0.5).mean()),
        "learned": int(people.learned.sum()),
        "asked": int((~people.learned).sum()),
        "things": len(things.pixels),
    }


def written(result: dict[str, Any]) -> str:
    """The tables as Markdown."""
    parts = [
        f"{result['learned']} drawn people learned, {result['asked']} of other roles asked about; "
        f"a face is seen in {result['false']:.1%} of {result['things']} drawings without people."
    ]
    for kind in ("tone", "gender"):
        table, names = result[kind], result["names"][kind]
        found, right, mean = shares(table)
        head = [f"true {kind}", *(f"said {name}" for name in names), "nobody found"]
        lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
        for name, row in zip(names, table, strict=True):
            lines.append("| " + " | ".join([name, *map(str, row)]) + " |")
        parts.append("\n".join(lines))
        parts.append(
            f"{kind.capitalize()}: somebody found in {found:.3f}; of those right {right:.3f} "
            f"(mean over classes {mean:.3f})."
        )
    return "\n\n".join(parts)


def main() -> None:
    """Parse arguments, examine, write the table into the docs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="with labels.csv and the images that it names")
    parser.add_argument("--keep", type=Path, help="where the heads and their reward.json stay")
    parser.add_argument("--seed", type=int, default=0, help="which roles are learned from")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = examine(arguments.folder, arguments.keep or Path(folder), arguments.seed)
    text = written(result)
    print(text)
    before, _, rest = DOCS.read_text(encoding="utf-8").partition(MARK)
    after = rest.partition(MARK)[2]
    DOCS.write_text(f"{before}{MARK}\n{text}\n{MARK}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
