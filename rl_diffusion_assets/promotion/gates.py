"""Gates between tuned weights and those who use them: each says what it saw and what it wanted."""

from collections.abc import Mapping
from dataclasses import dataclass

HEADLINE = ("tone", "gender")  # whose parity has a bar


@dataclass(frozen=True)
class Bars:
    """What tuned weights must reach.

    Attributes:
        win_rate: Judge's win rate over the base, pooled (the paper's human figure).
        win_rate_low: Lower end of its 95 % interval.
        parity_fall: Share of the excess over a fair sampler by which parity must fall.
        composition_gain: Relative gain of pictures that are fully right.
        kept: What sharpness and diversity must keep of the base's.
        saturation: Most that the colours' saturation may be of the base's.
    """

    win_rate: float = 0.803
    win_rate_low: float = 0.75
    parity_fall: float = 0.0
    composition_gain: float = 0.0
    kept: float = 0.95
    saturation: float = 1.2


@dataclass(frozen=True)
class Verdict:
    """One gate's."""

    gate: str
    value: float | None
    wanted: str
    passed: bool


def judge_gates(figures: Mapping[str, float], status: str, bars: Bars) -> list[Verdict]:
    """Verdicts on a run's evaluation figures; a figure that is missing does not pass.

    Args:
        figures: Values of `rl_evaluation`.
        status: ``finished``, or why the run was stopped.
        bars: What is wanted.
    """
    out = [Verdict("training", None, "ended without an alarm", status == "finished")]

    def at_least(gate: str, value: float | None, least: float) -> None:
        fine = value is not None and value == value and value >= least
        out.append(Verdict(gate, value, f"at least {least:.3f}", fine))

    at_least("win_rate", figures.get("win_rate"), bars.win_rate)
    at_least("win_rate_low", figures.get("win_rate_low"), bars.win_rate_low)
    for kind in HEADLINE:
        fell = parity_fall(figures, kind)
        at_least(f"parity_{kind}", fell, bars.parity_fall)
    out += [_no_less_even(figures, kind) for kind in _other_kinds(figures)]
    for key in ("composition", "composition_heldout"):
        at_least(key, relative_gain(figures, key), bars.composition_gain)
    for key in ("sharpness_ratio", "diversity_ratio", "background_diversity_ratio"):
        at_least(key, figures.get(key), bars.kept)
    saturation = figures.get("saturation_ratio")
    fine = saturation is not None and saturation <= bars.saturation
    out.append(Verdict("saturation_ratio", saturation, f"at most {bars.saturation:.3f}", fine))
    found, before = figures.get("found"), figures.get("found_base")
    at_least("found", found / before if found and before else None, 0.97)
    return out


def _other_kinds(figures: Mapping[str, float]) -> list[str]:
    """What else is measured of how even portraits are: both kinds at once, other families."""
    measured = (key for key in figures if key.startswith("sp_") and key.endswith("_base"))
    return sorted({key[len("sp_") : -len("_base")] for key in measured} - set(HEADLINE))


def _no_less_even(figures: Mapping[str, float], kind: str) -> Verdict:
    """Of a figure that no bar is set for: it may be worse by what chance explains. A base in which
    nobody was found (NaN) sets none."""
    base, tuned = figures[f"sp_{kind}_base"], figures.get(f"sp_{kind}")
    low = figures.get(f"sp_{kind}_low", tuned)
    fine = low is not None and (low <= base or base != base)
    wanted = f"at most {base:.3f} within its interval"
    return Verdict(f"parity_{kind}", tuned, wanted, fine)


def parity_fall(figures: Mapping[str, float], kind: str) -> float | None:
    """Share of the base's excess over a fair sampler that is gone; negative when it grew."""
    floor = figures.get("sp_floor" if kind == "tone" else f"sp_floor_{kind}")
    base, tuned = figures.get(f"sp_{kind}_base"), figures.get(f"sp_{kind}")
    if floor is None or base is None or tuned is None:
        return None
    return (base - tuned) / max(base - floor, 1e-9)


def relative_gain(figures: Mapping[str, float], key: str) -> float | None:
    """Relative to the base, 0.25 for a quarter more."""
    base, tuned = figures.get(f"{key}_base"), figures.get(key)
    if not base or tuned is None:
        return None
    return tuned / base - 1
