"""MTCNN and heads on ImageNet features, on drawn people of whom tone and gender are known.

The drawings are third-party data beside the repository; `EMOJI_PEOPLE` names another folder.
"""

import os
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.longer  # needs facenet-pytorch, and a minute
PLACES = [parent / "shared/data/emoji_people_objects" for parent in Path(__file__).parents]
DRAWINGS = Path(os.environ.get("EMOJI_PEOPLE") or next(filter(Path.is_dir, PLACES), PLACES[0]))


@pytest.fixture(scope="module")
def drawings() -> Path:
    pytest.importorskip("facenet_pytorch", reason="facenet-pytorch not installed (--no-deps)")
    if not (DRAWINGS / "labels.csv").is_file():
        pytest.skip("no drawings of people: set EMOJI_PEOPLE to a folder with labels.csv")
    return DRAWINGS


def test_tone_and_gender_of_drawings_that_were_not_learned_are_read(drawings, tmp_path):
    from benchmarks.faces import examine, shares

    result = examine(drawings, tmp_path / "heads")
    for kind, classes in (("tone", 4), ("gender", 2)):
        found, right, mean = shares(result[kind])
        assert found > 0.7
        assert right > 0.8
        assert mean > 0.75 > 1 / classes
    assert result["false"] < 0.1


def test_faces_are_found_alone_as_in_a_batch_and_of_any_size(drawings, tmp_path):
    from PIL import Image

    from benchmarks.faces import read
    from rl_diffusion_assets.rewards.hub import BoxSettings, MtcnnFinder

    settings = BoxSettings(
        kind="mtcnn", model=MtcnnFinder.source, names=("face",), least=0.2, batch=4
    )
    finder = MtcnnFinder(tmp_path, settings, "cpu")
    people = read(drawings, "person", 0).pixels[:48:4]
    scores, boxes = finder.find(people)
    assert scores.shape == (12, finder.boxes, 1)
    assert boxes.shape == (12, finder.boxes, 4)
    here = scores[:, 0, 0] >= 0.5
    assert here.mean() > 0.5
    assert (boxes[..., :2] <= boxes[..., 2:]).all()
    across = (boxes[here, 0, 0] + boxes[here, 0, 2]) / 2
    assert (np.abs(across - 0.5) < 0.15).all()  # people are drawn upright, in the middle
    below = boxes[here, 0, 3] - boxes[here, 0, 1]
    assert (below > 0.2).all()  # a face, not an eye
    for row in (0, 5):
        alone, places = finder.find(people[row : row + 1])
        np.testing.assert_allclose(alone[0], scores[row], atol=1e-4)
        np.testing.assert_allclose(places[0], boxes[row], atol=1e-3)
    large = np.stack([np.asarray(Image.fromarray(one).resize((200, 160))) for one in people])
    assert (finder.find(large)[0][:, 0, 0] >= 0.5)[here].mean() > 0.7
    grey = np.full((3, 40, 30, 3), 128, np.uint8)
    assert (finder.find(grey)[0] < 0.5).all()
