"""`content-first plan --products 1e9 --daily 1e7 --gpu h100`: what it takes and costs."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated

import typer

from operations.capacity import (
    BREAKS,
    CARDS,
    GUESS,
    Request,
    assumptions,
    measurements,
    partitions,
    public_figure,
    stages,
    storage,
)
from resources.profiles import REPOSITORY

RESULTS = REPOSITORY / "benchmarks" / "results.json"
MOST = 1e12
WIDTHS = (16, 14, 9, 12, 10, 14)


Card = StrEnum("Card", list(CARDS))
A100 = Card("a100")


def number(text: str) -> float:
    """A number from 1 to `MOST`, written as 1000000 or 1e6.

    Raises:
        typer.BadParameter: it is none, or too small or too large.
    """
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 1 <= found <= MOST:
        raise typer.BadParameter(f"{text}: a number from 1 to {MOST:.0e} is needed, such as 1e6")
    return found


def plan(
    products: Annotated[float, typer.Option(parser=number, help="In the catalog.")] = 1e6,
    daily: Annotated[
        float | None,
        typer.Option(parser=number, help="New or changed a day; by default 1 in 100."),
    ] = None,
    gpu: Annotated[Card, typer.Option(case_sensitive=False, help="Card.")] = A100,
    gpus: Annotated[float, typer.Option(parser=number, help="How many cards.")] = 8,
    described: Annotated[
        float | None,
        typer.Option(
            parser=number,
            help="Products that the vision-language model looks at a day; by default 1 in 100 of "
            "those that are new, at least 150 and at most 1e5.",
        ),
    ] = None,
) -> None:
    """Print what a catalog of this size takes and costs."""
    print("\n".join(lines(request(products, daily, gpu.value, int(gpus), described))))


def request(
    products: float, daily: float | None, gpu: str, gpus: int, described: float | None
) -> Request:
    """What is asked for, with what is left open."""
    changed = daily or products / 100
    seen = described or min(1e5, max(150.0, changed / 100))
    return Request(products, changed, gpu, gpus, seen)


def lines(request: Request) -> Iterator[str]:
    """The plan, line by line."""
    given = assumptions(request, measurements(RESULTS))
    yield (
        f"{request.products:,.0f} products, {request.daily:,.0f} new or changed a day, "
        f"{request.gpus} x {request.gpu.upper()}, {request.described:,.0f} described a day"
    )
    for name, work in stages(request, given).items():
        yield f"\n{name}:"
        titles = zip(
            ("items", "items/s each", "workers", "hours", "wall h", "US$"), WIDTHS, strict=True
        )
        yield "  " + " " * 26 + "".join(f"{title:>{width}}" for title, width in titles)
        for stage in work:
            row = (
                f"{stage.items:,.0f}",
                f"{stage.rate:,.1f}",
                f"{stage.workers:,}",
                f"{stage.hours:,.2f}",
                f"{stage.wall:,.2f}",
                f"{stage.dollars:,.2f}",
            )
            yield f"  {stage.name:26}" + "".join(
                f"{v:>{w}}" for v, w in zip(row, WIDTHS, strict=True)
            )
        gpu = sum(stage.hours for stage in work if "GPU" in stage.name)
        # readers feed the GPUs while they work; the other stages wait for each other
        wall = max(work[0].wall, work[1].wall) + work[2].wall + work[3].wall
        dollars = sum(stage.dollars for stage in work)
        yield f"  in all: {gpu:,.1f} GPU hours, {wall:,.1f} h from start to end, US$ {dollars:,.0f}"
    yield "\nstorage:"
    for name, value in storage(request, given).items():
        yield f"  {name.replace('_', ' '):24}{value:>16,.1f}"
    yield "\npartitions and actors:"
    for name, value in partitions(request, given).items():
        yield f"  {name.replace('_', ' '):24}{value:>16,.1f}"
    yield "\nwhat breaks first, and what the design does about it:"
    for size, breaks, answer in BREAKS:
        here = "->" if size <= request.products < 10 * size else "  "
        yield f"{here} {size:.0e}  {breaks}" + (f"\n          {answer}" if answer else "")
    yield "\nthe one public figure: an assignment run of about 12 h on 8 A100, about US$ 500"
    for products, hours, dollars in public_figure(given):
        told = f"{hours:.1f} h, US$ {dollars:,.0f}"
        yield f"  embedding {products:.0e} products on 8 A100 by this plan: {told}"
    yield "  (Pinterest Engineering; digests differ on how many products; their price an hour)"
    yield "\nassumptions (guesses are marked; change them in operations/capacity.py):"
    for one in given.values():
        mark = "?" if one.source == GUESS else " "
        yield f"{mark} {one.name:20}{one.value:>14,.6g}  {one.unit}; {one.source}"
