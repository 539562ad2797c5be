"""What a materialization carries stays small: every byte of it lives in the event log."""

import numpy as np
from PIL import Image

from resources.reporting import contact_sheet, picture_value

LARGEST = 130_000  # characters of a Markdown value


def test_a_sheet_of_the_worst_pictures_stays_small():
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    sheet = contact_sheet([Image.fromarray(noise)] * 30, ["words " * 40] * 30)
    assert sheet.value.startswith("![sheet](data:image/jpeg;base64,")
    assert len(sheet.value) < LARGEST


def test_a_large_picture_stays_small_too():
    noise = np.random.default_rng(0).integers(0, 256, (1200, 1600, 3), dtype=np.uint8)
    assert len(picture_value(Image.fromarray(noise)).value) < LARGEST
