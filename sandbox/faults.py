"""Plants faults into a written world, as sellers and earlier decisions make them, with the answers.

    python -m sandbox.faults FOLDER --truth FOLDER [--seed 0]

The feeds are changed in place; `faults.jsonl` goes to the truth's folder: a line a fault with its
kind, the operations that mend it, any of which is right, and the products that it is about. A world
that has its faults is left as it is.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml

Row = dict[str, Any]
JUNK = "new season"
SYNONYM = ("red", "zinnober")  # a word that no list of this repository holds
WRONG_KEY = ("denim", "category", "material")
TWIN = "shade"  # of the key colour
WRONG_MERGE = ("navy", "black")  # decided by an agent before: see `wrong_merge`
COUNTS = {"synonym": 30, "junk": 40, "wrong_key": 25, "twin_keys": 120, "wrong_products": 20}


def plant(root: Path, truth: Path, seed: int = 0) -> None:
    """Plants a fault of each kind.

    Args:
        root: Folder of a world (`sandbox.world`).
        truth: Folder of its truth.
        seed: Which products are chosen.
    """
    catalog = yaml.safe_load((root / "catalog.yaml").read_text())
    catalog["attributes"][TWIN] = TWIN
    (root / "catalog.yaml").write_text(yaml.safe_dump(catalog, sort_keys=False))
    told = truth / "faults.jsonl"
    if told.exists():
        return
    products = pl.read_parquet(truth / "products.parquet")
    right: dict[str, dict[str, str]] = {}
    for product, key, value in products.select("product_id", "key", "value").iter_rows():
        right.setdefault(product, {})[key] = value
    files = {
        path: path.read_text().splitlines() for path in sorted(root.glob("feeds/*/feed.jsonl"))
    }
    rows = [row for lines in files.values() for row in _rows(lines) if row.get("sku") in right]
    newest = {row["sku"]: row for row in rows if row.get("op") == "upsert"}
    planter = _Planter(newest, right, np.random.default_rng([seed, 606]))
    faults = [*planter.faults()]
    for path, lines in files.items():
        path.write_text("".join(f"{planter.line(line)}\n" for line in lines))
    told.write_text("".join(json.dumps(fault) + "\n" for fault in faults))


def wrong_merge() -> Row:
    """The operation that an agent has decided wrongly, before the first run."""
    word, into = WRONG_MERGE
    return {"operation": "word.merge", "key": "colour", "word": word, "into": into}


def _rows(lines: list[str]) -> Iterator[Row]:
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            continue  # a broken row of the world's own
        if isinstance(row, dict):
            yield row


class _Planter:
    """Chooses products, each for one fault, and changes all their rows alike."""

    def __init__(
        self, rows: dict[str, Row], right: dict[str, dict[str, str]], random: np.random.Generator
    ):
        self._rows, self._right, self._random = rows, right, random
        self._changes: dict[str, Callable[[Row], None]] = {}

    def faults(self) -> Iterator[Row]:
        red, word = SYNONYM
        chosen = self._choose("synonym", lambda _, of: of.get("colour") == red)
        yield self._set("synonym", chosen, "color", lambda _: word, [
            {"operation": "word.merge", "key": "colour", "word": word, "into": red}
        ])  # fmt: skip
        chosen = self._choose("junk", lambda row, _: "color" in row)
        yield self._set("junk", chosen, "color", lambda _: JUNK, [
            {"operation": "word.drop", "key": "colour", "word": JUNK}
        ])  # fmt: skip
        value, key, home = WRONG_KEY
        chosen = self._choose("wrong_key", lambda _, of: of.get(home) == value)
        yield self._set("wrong_key", chosen, "product_type", lambda _: value, [
            {"operation": "word.move", "key": key, "word": value, "to_key": home}
        ])  # fmt: skip
        chosen = self._choose("twin_keys", lambda row, _: "color" in row)
        for sku in chosen:
            self._changes[sku] = _move_color
        yield _fault("twin_keys", chosen, [
            {"operation": "key.merge", "key": TWIN, "into": "colour"},
            {"operation": "key.merge", "key": "colour", "into": TWIN},
        ])  # fmt: skip
        seller = self._seller()
        chosen = self._free(lambda row, _: "color" in row and row.get("seller") == seller)
        yield self._set("swapped_source", chosen, "color", self._another, [
            {"operation": "source.distrust", "seller": seller, "key": "colour"}
        ])  # fmt: skip
        chosen = self._choose("wrong_products", lambda row, _: "color" in row)
        wrong = {sku: self._another(sku) for sku in chosen}
        for sku in chosen:
            yield self._set("wrong_product", [sku], "color", wrong.__getitem__, [
                {"operation": "label.set", "product": sku, "entry": f"colour={wrong[sku]}",
                 "holds": False},
                {"operation": "label.set", "product": sku,
                 "entry": f"colour={self._right[sku]['colour']}", "holds": True},
            ])  # fmt: skip
        merge = wrong_merge()
        navy = [sku for sku, of in self._right.items() if of.get("colour") == merge["word"]]
        yield _fault("wrong_merge", navy, [
            {"operation": "word.keep", "key": "colour", "word": merge["word"]}
        ])  # fmt: skip

    def line(self, line: str) -> str:
        """A line of a feed, changed where its product was chosen."""
        row = next(_rows([line]), None)
        change = (
            self._changes.get(row.get("sku", "")) if row and row.get("op") == "upsert" else None
        )
        if row is None or change is None:
            return line
        change(row)
        return json.dumps(row)

    def _free(self, fits: Callable[[Row, dict[str, str]], bool]) -> list[str]:
        return [
            sku
            for sku, row in sorted(self._rows.items())
            if sku not in self._changes and "colour" in self._right[sku]
            if fits(row, self._right[sku])
        ]

    def _choose(self, kind: str, fits: Callable[[Row, dict[str, str]], bool]) -> list[str]:
        free = self._free(fits)
        order = self._random.permutation(len(free))[: COUNTS[kind]]
        return sorted(free[at] for at in order)

    def _seller(self) -> str:
        """The seller with the most products of a stated color."""
        count: dict[str, int] = {}
        for sku in self._free(lambda row, _: "color" in row and bool(row.get("seller"))):
            seller = self._rows[sku]["seller"]
            count[seller] = count.get(seller, 0) + 1
        return max(count, key=lambda seller: (count[seller], seller))

    def _another(self, sku: str) -> str:
        """A color that the product has not."""
        colors = sorted({of["colour"] for of in self._right.values() if "colour" in of})
        colors.remove(self._right[sku]["colour"])
        return colors[int(self._random.integers(len(colors)))]

    def _set(
        self, kind: str, chosen: list[str], field: str, value: Callable[[str], str], answers: list
    ) -> Row:
        for sku in chosen:
            self._changes[sku] = _setter(field, value(sku))
        return _fault(kind, chosen, answers)


def _setter(field: str, value: str) -> Callable[[Row], None]:
    return lambda row: row.__setitem__(field, value)


def _move_color(row: Row) -> None:
    if "color" in row:
        row[TWIN] = row.pop("color")


def _fault(kind: str, products: list[str], answers: list[Row]) -> Row:
    return {"kind": kind, "products": products, "answers": answers}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--truth", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    plant(arguments.folder, arguments.truth, arguments.seed)


if __name__ == "__main__":
    main()
