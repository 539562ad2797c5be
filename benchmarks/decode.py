"""How many pictures a core decodes for the encoder: JPEG of the lake's size to 224 px floats.

`make plan` sizes the readers by it. Run from the repository: python -m benchmarks.decode
"""

import io
import time
from statistics import median

import numpy as np
from PIL import Image

SIDE, QUALITY = 512, 95  # as `catalog/images.py` stores them


def picture() -> bytes:
    """A smooth random JPEG, about as large as a photo of that size."""
    noise = np.random.default_rng(0).integers(0, 255, (60, 60, 3), dtype=np.uint8)
    out = io.BytesIO()
    smooth = Image.fromarray(noise).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    smooth.save(out, "JPEG", quality=QUALITY, subsampling=0)
    return out.getvalue()


def decoded(data: bytes) -> np.ndarray:
    """What an encoder gets."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    return np.asarray(image.resize((224, 224), Image.Resampling.BICUBIC), np.float32) / 255


def main(runs: int = 5, pictures: int = 30) -> None:
    data, rates = picture(), []
    for _ in range(runs):
        started = time.process_time()
        for _ in range(pictures):
            decoded(data)
        rates.append(pictures / (time.process_time() - started))
    print(f"{len(data) / 1000:.0f} kB, {median(rates):.0f} pictures a CPU second ({runs} runs)")


if __name__ == "__main__":
    main()
