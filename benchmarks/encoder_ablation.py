"""What each part of the dual encoder's training is worth, on the catalog of a finished demo.

The vocabulary, labels and products are those of the lake; every setting trains its own encoder and
is measured on the held-out products against the sandbox's truth (protocol A of the scorecard):
Recall@10 with image and text, from the image and from the text alone, Recall@1, composed queries
(Hit@1, mean over the pairs of keys), and what the calibrated thresholds reach on held-out labels.
Prints one row of a Markdown table a setting. Run from the repository, after `make pinlanding`:

    OMP_NUM_THREADS=1 python -m benchmarks.encoder_ablation [--only mix sigmoid] [--seed 0]
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import torch

from pinlanding_assets.attributes.describing import current
from pinlanding_assets.attributes.labels import resolve_labels
from pinlanding_assets.attributes.titles import read_titles
from pinlanding_assets.catalog.live import live
from pinlanding_assets.encoder.fitting import TrainingSettings
from pinlanding_assets.encoder.training import TrainedEncoder, train
from pinlanding_assets.scorecard.metrics import holds_of
from pinlanding_assets.scorecard.naming import naming, with_synonyms
from pinlanding_assets.scorecard.recall import retrieval_figures, written
from resources.encoders import load_backbone
from resources.lake import Lake
from resources.truth import Truth

DATA = Path(__file__).resolve().parent.parent / ".data" / "sandbox"
BASE = f"open_clip:{Path(__file__).resolve().parent.parent / 'sandbox' / 'weights' / 'encoder'}"
MIX = TrainingSettings()
SETTINGS = {
    "mix": MIX,
    "sigmoid": replace(MIX, composition=0.0),
    "sigmoid without the softmax of a key": replace(MIX, composition=0.0, ranking=0.0),
    "contrastive": replace(MIX, sigmoid=0.0, ranking=0.0, composition=1.0),
    "mix, contrast 1": replace(MIX, composition=1.0),
    "mix, hard negatives x 4": replace(MIX, hard_negatives=4.0),
    "mix, image only": replace(MIX, drop_image=0.0, drop_text=1.0),
    "mix, text only": replace(MIX, drop_image=1.0, drop_text=0.0),
    "mix, base (interpolation 0)": replace(MIX, interpolations=(0.0,)),
    "mix, interpolation 0.5": replace(MIX, interpolations=(0.5,)),
    "mix, tuned (interpolation 1)": replace(MIX, interpolations=(1.0,)),
}
SHOWN = {
    "Recall@10": "recall_at_10",
    "image": "recall_at_10.image_only",
    "text": "recall_at_10.text_only",
    "Recall@1": "recall_at_1",
    "macro@10": "recall_at_10_macro",
}


class Catalog:
    """What training reads of a lake, and the truth about it."""

    def __init__(self, data: Path) -> None:
        self.lake = Lake(root=str(data / "lake"))
        self.products = live(self.lake.scan("catalog", "products")).collect()
        self.entries, self.aliases, self.keys = (
            self.lake.read("attribute_vocabulary", table)
            for table in ("entries", "aliases", "keys")
        )
        mentions = current(self.lake.scan("vlm_attributes", "mentions").collect(), self.products)
        read = read_titles(self.products, self.lake.read("attribute_vocabulary", "title_words"))
        self.labels = resolve_labels(pl.concat([mentions, read]), self.aliases, self.keys)
        self.backbone = load_backbone(BASE)
        truth = Truth(root=str(data / "truth"))
        names = naming(self.entries, self.aliases)
        self.holds = holds_of(truth.attributes(), names, self.products)
        self.spelt = with_synonyms(self.aliases, names, truth.synonyms())

    def train(self, settings: TrainingSettings) -> TrainedEncoder:
        """An encoder by these settings."""
        return train(
            self.backbone,
            self.products,
            self.labels,
            self.entries,
            self.keys,
            load_image=self.lake.image,
            settings=settings,
        )

    def measure(self, trained: TrainedEncoder) -> dict[str, float]:
        """Its figures, by the names of the scorecard."""
        found = retrieval_figures(
            trained.held_out,
            trained.calibration,
            self.entries,
            self.spelt,
            self.keys,
            written(self.products),
            self.holds,
            lambda texts: np.zeros((len(texts), 1)),  # the sentence model is not compared here
        )
        return dict(found.drop_nulls("value").select("name", "value").iter_rows())


def row(name: str, figures: dict[str, float], trained: TrainedEncoder, seconds: float) -> str:
    """A line of the table."""
    composed = [
        value
        for figure, value in figures.items()
        if figure.startswith("composed.hit_at_1") and "_only" not in figure
    ]
    cells = [
        *(figures.get(figure, float("nan")) for figure in SHOWN.values()),
        float(np.mean(composed)) if composed else float("nan"),
        *(trained.metrics[figure] for figure in ("precision", "recall", "ece")),
    ]
    return f"| {name} | {' | '.join(f'{cell:.3f}' for cell in cells)} | {seconds:.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--only", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--frozen", action="store_true", help="train the heads alone: seconds each")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    catalog = Catalog(arguments.data)
    heads = [*SHOWN, "composed Hit@1", "precision", "recall", "ECE", "CPU s"]
    print(f"| setting | {' | '.join(heads)} |\n|{'---|' * (len(heads) + 1)}", flush=True)
    for name in arguments.only:
        settings = replace(SETTINGS[name], seed=arguments.seed)
        if arguments.frozen:
            settings = replace(settings, tower_samples=0)
        started = time.process_time()
        trained = catalog.train(settings)
        spent = time.process_time() - started
        print(row(name, catalog.measure(trained), trained, spent), flush=True)


if __name__ == "__main__":
    main()
