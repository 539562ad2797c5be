"""A file that somebody has edited badly is refused by name and key, whatever was done to it."""

import pytest

from tests.resources.config_fuzz import KINDS, TEXTS, examples, try_file, try_many


def test_the_files_that_are_changed_are_valid(tmp_path):
    assert [try_file(kind, text.encode(), tmp_path) for kind, text in examples()] == [
        ("", False) for _ in examples()
    ]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.file)
def test_hostile_texts_alone(kind, tmp_path):
    faults = [try_file(kind, text.encode("utf-8", "surrogatepass"), tmp_path)[0] for text in TEXTS]
    assert [fault for fault in faults if fault] == []


def test_some_hundred_edits_are_taken_or_refused_by_name(tmp_path):
    faults, refused = try_many(0, 400, tmp_path)
    assert faults == []
    assert 100 < refused < 400


@pytest.mark.longer
def test_ten_thousand_edits_are_taken_or_refused_by_name(tmp_path):
    faults, refused = try_many(1_000_000, 10_000, tmp_path)
    print(refused, "of 10,000 refused")
    assert faults == []
