"""`make plan PRODUCTS=1e9 DAILY=1e7 GPU=h100 [GPUS=8 DESCRIBED=1e5]`: what it takes and costs."""

import os
import sys
from collections.abc import Iterator

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


def plan() -> None:
    """Print the plan for the environment's PRODUCTS, DAILY, GPU, GPUS, DESCRIBED."""
    print("\n".join(lines(asked())))


def asked() -> Request:
    """What the environment asks for.

    Raises:
        SystemExit: a number or a card that there is not; names it.
    """
    products = _number("PRODUCTS", 1e6)
    card = (os.environ.get("GPU") or "a100").lower()
    if card not in CARDS:
        sys.exit(f"GPU={card}: there are {', '.join(CARDS)}")
    daily = _number("DAILY", products / 100)
    return Request(
        products,
        daily,
        card,
        int(_number("GPUS", 8)),
        _number("DESCRIBED", min(1e5, max(150.0, daily / 100))),
    )


def _number(name: str, default: float) -> float:
    text = os.environ.get(name) or ""
    try:
        value = float(text) if text else default
    except ValueError:
        value = -1.0
    if not 1 <= value <= MOST:
        sys.exit(f"{name}={text}: a number from 1 to {MOST:.0e} is needed, such as 1e6")
    return value


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
