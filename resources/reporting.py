"""What a materialization shows in the UI: schema, counts, column lineage, pictures, progress."""

import base64
import contextlib
import html
import io
import math
import textwrap
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
import numpy as np
import polars as pl
from PIL import Image, ImageDraw, ImageFont, ImageOps

from resources.event_log import DATA_VERSION
from resources.lake import Manifest

# What Markdown would make a link, a picture or a new cell of; sellers and shoppers write cells.
MARKDOWN = str.maketrans({c: f"&#{ord(c)};" for c in "|[]`*~\\"} | {"\n": " ", "\r": " "})
INK = "#2f5d8a"
SHEET_BYTES = 90_000  # every byte of a picture lives in the event log


@contextlib.contextmanager
def explained(remedy: str) -> Iterator[None]:
    """A ValueError of pure logic becomes the first line of the run's page, with what to do.

    Raises:
        Failure: in its place.
    """
    try:
        yield
    except ValueError as error:
        raise dg.Failure(f"{error}\nWhat to do: {remedy}", allow_retries=False) from error


@dataclass(frozen=True)
class Column:
    """A column of an asset's main table: its type, what it holds, and what it is made from.

    Attributes:
        type: As Polars writes it, without the width of arrays.
        description: What it holds, with its unit.
        sources: `asset.column` each, of upstream assets.
    """

    type: str
    description: str
    sources: tuple[str, ...] = ()

    @property
    def told(self) -> str:
        """What it holds and is made from: Dagster's own web UI keeps column lineage, and shows it
        nowhere but here."""
        links = [
            f"[{asset}](/assets/{asset}).{column}"
            for asset, _, column in (source.partition(".") for source in self.sources)
        ]
        return f"{self.description} ← {', '.join(links)}" if links else self.description

    @property
    def dependencies(self) -> list[dg.TableColumnDep]:
        """The sources as Dagster wants them."""
        return [
            dg.TableColumnDep(dg.AssetKey(asset), column)
            for asset, _, column in (source.partition(".") for source in self.sources)
        ]


def described(
    columns: Mapping[str, Mapping[str, Column]], spec: dg.AssetSpec
) -> dict[str, dg.TableSchema]:
    """The column schema of an asset, as metadata of its definition."""
    known = columns.get(spec.key.to_user_string())
    return {"dagster/column_schema": schema_of(known)} if known else {}


def schema_of(columns: Mapping[str, Column]) -> dg.TableSchema:
    """What an asset's main table will hold, shown before it is materialized."""
    return dg.TableSchema(
        [dg.TableColumn(name, column.type, column.told) for name, column in columns.items()]
    )


def lineage_of(columns: Mapping[str, Column]) -> dg.TableColumnLineage:
    """Which upstream columns the columns are made from."""
    return dg.TableColumnLineage(
        {name: column.dependencies for name, column in columns.items() if column.sources}
    )


def table_metadata(
    manifest: Manifest, main: str, columns: Mapping[str, Column] | None = None
) -> dict[str, Any]:
    """Row counts and schema of a committed partition, and where its columns come from.

    Args:
        manifest: what `Lake.commit` returned.
        main: the table that stands for the asset in the UI.
        columns: what is known of its columns.
    """
    known = columns or {}
    schema = dg.TableSchema(
        [
            dg.TableColumn(name, kind, known[name].told if name in known else None)
            for name, kind in manifest.tables[main].columns.items()
        ]
    )
    lineage = lineage_of(known)
    counts = {f"rows_{name}": table.rows for name, table in manifest.tables.items() if name != main}
    return {
        "dagster/row_count": manifest.tables[main].rows,
        DATA_VERSION: manifest.data_version,
        "dagster/column_schema": schema,
        **({"dagster/column_lineage": lineage} if lineage.deps_by_column else {}),
        **counts,
    }


def contact_sheet(
    images: Sequence[bytes | Image.Image], captions: Sequence[str], *, columns: int = 6
) -> dg.MarkdownMetadataValue:
    """Pictures with captions in a grid, as one JPEG inside a Markdown value of at most ~120 kB.

    A caption has up to three lines of some 22 characters, its own and those that its words need.
    """
    tile, gap, text = 128, 8, 43
    images, captions = images[: columns * 4], captions[: columns * 4]
    if not images:
        return dg.MetadataValue.md("no pictures")
    rows = -(-len(images) // columns)
    width = min(columns, len(images)) * (tile + gap) + gap
    sheet = Image.new("RGB", (width, rows * (tile + text + gap) + gap), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for index, (source, caption) in enumerate(zip(images, captions, strict=True)):
        picture = Image.open(io.BytesIO(source)) if isinstance(source, bytes) else source
        picture = ImageOps.contain(picture.convert("RGB"), (tile, tile))
        x = gap + index % columns * (tile + gap)
        y = gap + index // columns * (tile + text + gap)
        sheet.paste(picture, (x + (tile - picture.width) // 2, y + (tile - picture.height) // 2))
        lines = [part for line in caption.split("\n") for part in textwrap.wrap(line, 22)]
        draw.multiline_text((x, y + tile + 2), "\n".join(lines[:3]), "black", font)
    return picture_value(sheet)


def picture_value(picture: Image.Image) -> dg.MarkdownMetadataValue:
    """A picture as a `data:` URI in Markdown: of lower quality, then of half the size, until it is
    small enough."""
    small = False
    while not small:
        for quality in (85, 70, 50, 30):
            buffer = io.BytesIO()
            picture.save(buffer, "JPEG", quality=quality, optimize=True)
            if small := buffer.tell() <= SHEET_BYTES:
                break
        picture = picture.reduce(2)
    encoded = base64.b64encode(buffer.getvalue()).decode()
    return dg.MetadataValue.md(f"![sheet](data:image/jpeg;base64,{encoded})")


def line_chart(table: pl.DataFrame, x: str, *, columns: Sequence[str] = ()) -> Any:
    """Curves of numeric columns over `x`, each in a small panel of its own, three in a row."""
    names = [c for c in columns or table.columns if c != x and table[c].dtype.is_numeric()]

    def draw(axes: Any, name: str) -> None:
        axes.plot(table[x], table[name], marker=".", linewidth=1.2, color=INK)

    return _panels(names, draw, x)


def reliability_chart(curve: pl.DataFrame) -> Any:
    """Stated against observed probability (`key, stated, observed, n`), a panel a key: points on
    the diagonal hold what they say, points below it are too sure; larger ones rest on more."""

    def draw(axes: Any, key: str) -> None:
        points = curve.filter(pl.col("key") == key)
        axes.plot((0, 1), (0, 1), linewidth=0.8, color="#999999")
        axes.plot(points["stated"], points["observed"], linewidth=1, color=INK)
        sizes = 6 + 6 * points["n"].log1p()
        axes.scatter(points["stated"], points["observed"], s=sizes, color=INK)
        axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))

    keys = curve["key"].unique(maintain_order=True).to_list()
    return _panels(keys[:12], draw, "stated probability (observed share on the other axis)")


def _panels(names: Sequence[str], draw: Callable[[Any, str], None], label: str) -> Any:
    """A small panel for each name, three in a row."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if not names:
        return dg.MetadataValue.md("no numbers")
    across = min(3, len(names))
    rows = -(-len(names) // across)
    figure = Figure(figsize=(9, (2.1 if across == 3 else 3) * rows), dpi=90, layout="constrained")
    figure.supxlabel(label, fontsize=8)
    for at, name in enumerate(names, 1):
        axes = figure.add_subplot(rows, across, at)
        draw(axes, name)
        axes.set_title(name, fontsize=8)
        axes.tick_params(labelsize=7)
        axes.grid(alpha=0.25)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return picture_value(Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB"))


def rounded(figures: Mapping[str, float]) -> dict[str, float]:
    """Figures with four digits, or whole: more say nothing, and make a page unreadable."""
    return {name: _digits(value) for name, value in figures.items()}


def _digits(value: float) -> float:
    if isinstance(value, int) or 1_000 <= abs(value) < math.inf:
        return round(value)
    return float(f"{value:.4g}")


def reasons(refused: pl.Series, what: str) -> dg.MarkdownMetadataValue:
    """How often each reason was given, whatever they quote; the most frequent first."""
    plain = refused.str.replace_all(r"[“\"][^”\"]*[”\"]?", "another")
    return markdown_table(
        plain.value_counts(name=what)
        .sort(what, plain.name, descending=[True, False])
        .head(20)
        .to_dicts()
    )


def feeds_table(provenance: Iterable[Mapping[str, Any]]) -> dg.MarkdownMetadataValue:
    """The files that something was read from; of each hash as much as tells two files apart."""
    return markdown_table({**file, "sha256": file["sha256"][:12]} for file in provenance)


def _cell(value: Any) -> str:
    if value is None or value != value:
        return "–"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.4g}"
    return html.escape(str(value)).translate(MARKDOWN)


def markdown_table(rows: Iterable[Mapping[str, Any]]) -> dg.MarkdownMetadataValue:
    """Rows as a Markdown table; cells are text, whatever is in them."""
    rows = list(rows)
    if not rows:
        return dg.MetadataValue.md("no rows")
    lines = [" | ".join(rows[0]), " | ".join("---" for _ in rows[0])]
    lines += [" | ".join(map(_cell, row.values())) for row in rows]
    return dg.MetadataValue.md("\n".join(f"| {line} |" for line in lines))


class Progress:
    """Progress of long work in the step's log: items, rate, time left; a line every few seconds."""

    def __init__(
        self,
        log: Callable[[str], Any],
        stage: str,
        total: int,
        unit: str = "items",
        every_seconds: float = 3.0,
    ) -> None:
        self.log, self.stage, self.total, self.unit = log, stage, total, unit
        self.every, self.done = every_seconds, 0
        self.started = self.last = time.monotonic()

    def advance(self, items: int = 1) -> None:
        """Count finished items."""
        self.update(self.done + items, self.total)

    def update(self, done: int, total: int) -> None:
        """Say how many of how many are finished."""
        finished = self.done < total <= done
        self.done, self.total = done, total
        now = time.monotonic()
        if now - self.last >= self.every or (finished and now - self.started >= self.every):
            self.last = now
            rate = done / max(now - self.started, 1e-9)
            left = (total - done) / rate if rate else float("inf")
            self.log(
                f"{self.stage}: {done:,}/{total:,} {self.unit}, {rate:,.1f}/s, {left:,.0f} s left"
            )
