"""Intervals of shares."""

import math

Z = 1.959964  # of a 95 % interval


def wilson(hits: int, tries: int) -> tuple[float, float]:
    """The 95 % Wilson interval of a share; 0 to 1 where nothing was tried."""
    if not tries:
        return 0.0, 1.0
    share, spread = hits / tries, Z * Z / tries
    middle = (share + spread / 2) / (1 + spread)
    half = math.sqrt(share * (1 - share) * spread + spread * spread / 4) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)
