"""Patterns and materials as seamless fields: what cloth looks like before it has a shape.

Fields are made once per picture size, larger than a picture, and cropped at a random place, so
that a picture costs two crops instead of the mathematics. Lengths are fractions of the picture.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image

TILE = 2  # a field is this many pictures wide and high
VARIANTS = 4
Array = np.ndarray


@dataclass(frozen=True)
class Pattern:
    """Coverage in [0, 1] of a first and a second accent colour, both (TILE * size,) * 2."""

    first: Array
    second: Array | None = None


def smooth_noise(rng: np.random.Generator, size: int, cells: tuple[int, int]) -> Array:
    """Value noise in about [-1, 1], (size, size), with `cells` bumps down and across."""
    coarse = rng.standard_normal(cells).astype(np.float32)
    image = Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(image, np.float32) / 1.6


def _grid(size: int, angle: float) -> tuple[Array, Array]:
    axis = np.arange(TILE * size, dtype=np.float32) / size
    x, y = np.meshgrid(axis, axis)
    cos, sin = np.cos(angle), np.sin(angle)
    return x * cos + y * sin, y * cos - x * sin


def _step(value: Array, softness: float) -> Array:
    """0 below zero, 1 above, with a ramp of `softness` (about one pixel) against jagged edges."""
    return np.clip(value / softness + 0.5, 0.0, 1.0).astype(np.float32)


def _discs(
    size: int, centres: Array, radii: Array, squash: float = 1.0, angles: Array | None = None
) -> Array:
    """Union of filled ellipses on a tile; centres and radii are fractions of the picture."""
    side = TILE * size
    out = np.zeros((side, side), np.float32)
    for index, ((cx, cy), radius) in enumerate(zip(centres, radii, strict=True)):
        reach = int(np.ceil(radius * size)) + 2
        x0, x1 = max(int(cx * size) - reach, 0), min(int(cx * size) + reach + 1, side)
        y0, y1 = max(int(cy * size) - reach, 0), min(int(cy * size) + reach + 1, side)
        if x0 >= x1 or y0 >= y1:
            continue
        x = (np.arange(x0, x1) + 0.5)[None, :] / size - cx
        y = (np.arange(y0, y1) + 0.5)[:, None] / size - cy
        if angles is not None:
            cos, sin = np.cos(angles[index]), np.sin(angles[index])
            x, y = x * cos + y * sin, y * cos - x * sin
        disc = _step(radius - np.hypot(x, y / squash), 1.4 / size)
        out[y0:y1, x0:x1] = np.maximum(out[y0:y1, x0:x1], disc)
    return out


def _scattered(rng: np.random.Generator, spacing: float, jitter: float) -> Array:
    """Points on a jittered brick grid over a tile, (n, 2) as (x, y)."""
    points = []
    for row, y in enumerate(np.arange(0.0, TILE + spacing, spacing * 0.87)):
        shift = spacing / 2 if row % 2 else 0.0
        points += [(x + shift, y) for x in np.arange(0.0, TILE + spacing, spacing)]
    return np.array(points) + rng.uniform(-jitter, jitter, (len(points), 2))


def _pattern(name: str, variant: int, size: int) -> Pattern:
    rng = np.random.default_rng([71, variant, len(name)])
    soft = 1.3 / size
    if name == "striped":
        _, y = _grid(size, rng.uniform(-0.05, 0.05))
        period = (0.095, 0.115, 0.135, 0.155)[variant]
        return Pattern(_step(period * 0.19 - np.abs((y % period) - period / 2), soft))
    if name == "checked":
        x, y = _grid(size, rng.uniform(-0.06, 0.06))
        period = (0.115, 0.135, 0.155, 0.175)[variant]
        bars = [
            _step(period * 0.25 - np.abs((axis % period) - period / 2), soft) for axis in (x, y)
        ]
        return Pattern(0.44 * (bars[0] + bars[1]) + 0.12 * bars[0] * bars[1])
    if name == "dotted":
        spacing = (0.10, 0.115, 0.13, 0.145)[variant]
        points = _scattered(rng, spacing, 0.0)
        return Pattern(_discs(size, points, np.full(len(points), spacing * 0.27)))
    if name == "zigzag":
        x, y = _grid(size, 0.0)
        period = (0.105, 0.12, 0.135, 0.15)[variant]
        wave = np.abs((x / period) % 1.0 - 0.5) * period * 1.15
        return Pattern(_step(period * 0.2 - np.abs(((y + wave) % period) - period / 2), soft))
    if name == "floral":
        spacing = (0.17, 0.19, 0.21, 0.23)[variant]
        points = _scattered(rng, spacing, spacing * 0.12)
        turn = rng.uniform(0, 2 * np.pi, len(points))
        radius = spacing * 0.15
        petals = np.concatenate(
            [
                points + 1.15 * radius * np.stack([np.cos(turn + a), np.sin(turn + a)], 1)
                for a in np.arange(5) * 2 * np.pi / 5
            ]
        )
        flowers = _discs(size, petals, np.full(len(petals), radius))
        hearts = _discs(size, points, np.full(len(points), radius * 0.85))
        away = points + spacing * 0.5 * np.stack([np.cos(turn), np.sin(turn)], 1)
        leaves = _discs(size, away, np.full(len(away), radius * 1.1), 0.5, turn)
        return Pattern(flowers * (1 - hearts), np.maximum(hearts, leaves * (1 - flowers)))
    if name == "leopard":
        spacing = (0.085, 0.095, 0.105, 0.115)[variant]
        points = _scattered(rng, spacing, spacing * 0.2)
        radii = spacing * rng.uniform(0.3, 0.44, len(points))
        angles = rng.uniform(0, np.pi, len(points))
        rings = _discs(size, points, radii, 0.8, angles)
        offset = 0.35 * radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)
        hearts = _discs(size, points + offset, radii * 0.58, 0.8, angles)
        return Pattern(rings * (1 - hearts), hearts)
    cells = (22, 25, 28, 31)[variant]
    dark = smooth_noise(rng, TILE * size, (cells, cells - 3))
    light = smooth_noise(rng, TILE * size, (cells - 2, cells))
    return Pattern(_step(dark - 0.2, 0.1), _step(light - 0.25, 0.1))


def _weave(rng: np.random.Generator, size: int, period: float) -> Array:
    """Uneven threads across and down: each thread has its own thickness and runs out of it."""
    threads = int(TILE / period)
    across = smooth_noise(rng, TILE * size, (threads, 14))
    down = smooth_noise(rng, TILE * size, (14, threads))
    return np.clip(0.95 * (across + down), -1.4, 1.4)


def _material(name: str, variant: int, size: int) -> Array:
    """Relief of a cloth in about [-1, 1], (TILE * size,) * 2; positive catches light."""
    rng = np.random.default_rng([72, variant, len(name)])
    side = TILE * size
    if name == "denim":
        x, y = _grid(size, 0.0)
        period = (0.042, 0.045, 0.048, 0.051)[variant]
        twill = np.sin(2 * np.pi * (0.8 * x + y) / period)
        return (
            0.72 * twill * (1 + 0.5 * smooth_noise(rng, side, (50, 50)))
            + 0.5 * smooth_noise(rng, side, (90, 60))
        ).astype(np.float32)
    if name == "wool":
        x, y = _grid(size, 0.0)
        period = (0.052, 0.057, 0.062, 0.068)[variant]
        across = np.abs((x / period) % 1.0 - 0.5) * 2  # 0 at the spine of a column of stitches
        stitch = np.sin(2 * np.pi * (y / (period * 0.8) - 0.6 * across))
        return (0.95 * np.cos(np.pi * across) * 0.7 + 0.55 * stitch - 0.1).astype(np.float32)
    if name == "linen":
        return _weave(rng, size, (0.03, 0.033, 0.036, 0.039)[variant])
    if name == "leather":
        return smooth_noise(rng, side, (80, 80)) * 0.55
    if name == "silk":
        x, y = _grid(size, (0.45, 0.6, -0.45, -0.6)[variant])
        warp = 0.11 * smooth_noise(rng, side, (7, 6)) + 0.03 * smooth_noise(rng, side, (14, 12))
        return np.sin(2 * np.pi * (x + warp) / 0.26).astype(np.float32)
    return smooth_noise(rng, side, (70, 70)) * np.float32(0.2)


@lru_cache(maxsize=4)
def patterns(size: int) -> dict[str, list[Pattern]]:
    """Every printed pattern in `VARIANTS` scales for pictures of `size` pixels."""
    names = ("striped", "checked", "dotted", "floral", "zigzag", "leopard", "camouflage")
    return {name: [_pattern(name, v, size) for v in range(VARIANTS)] for name in names}


@lru_cache(maxsize=4)
def materials(size: int) -> dict[str, list[Array]]:
    """Relief of every material in `VARIANTS` scales for pictures of `size` pixels."""
    names = ("cotton", "denim", "wool", "leather", "linen", "silk")
    return {name: [_material(name, v, size) for v in range(VARIANTS)] for name in names}


@lru_cache(maxsize=4)
def folds(size: int) -> list[Array]:
    """Soft drapes, in about [-1, 1]: tall bumps, as cloth hangs; (TILE * size,) * 2 each."""
    rng = np.random.default_rng(73)
    side = TILE * size
    return [
        0.7 * smooth_noise(rng, side, (6, 17)) + 0.5 * smooth_noise(rng, side, (9, 11))
        for _ in range(8)
    ]


@lru_cache(maxsize=4)
def creases(size: int) -> list[Array]:
    """Sharp wrinkles in [0, 1], the bright ridges of a stiff glossy skin."""
    rng = np.random.default_rng(74)
    side = TILE * size
    out = []
    for _ in range(8):
        field = 0.8 * smooth_noise(rng, side, (13, 16)) + 0.4 * smooth_noise(rng, side, (24, 20))
        out.append(np.exp(-((field / 0.13) ** 2)).astype(np.float32))
    return out
