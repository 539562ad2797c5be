import json

from resources.ratings import Ratings

GOOD = {"topic_id": "t", "title": "Red hats", "product_id": "p", "rater": "Ana", "choice": "yes"}


def test_answers_and_what_is_none(tmp_path):
    lines = [
        json.dumps(GOOD),
        json.dumps(GOOD | {"choice": "no"}),  # a second thought does not count
        json.dumps(GOOD | {"rater": "Bo", "choice": "unsure"}),
        "{",
        "[1]",
        json.dumps(GOOD | {"choice": "maybe"}),
        json.dumps(GOOD | {"rater": "x" * 65}),
        json.dumps(GOOD | {"title": "a\u0000b"}),
    ]
    (tmp_path / "2026-11-01.jsonl").write_text("\n".join(lines))
    (tmp_path / "notes.txt").write_text("no answers")
    ratings, rejects = Ratings(root=str(tmp_path)).read()
    assert ratings.select("rater", "choice", "row").rows() == [
        ("Ana", "yes", 1),
        ("Bo", "unsure", 3),
    ]
    assert rejects["row"].to_list() == [4, 5, 6, 7, 8]
    reasons = rejects["reason"].to_list()
    assert reasons[:3] == ["not JSON", "not an object", "choice: not one of yes, no, unsure"]
    assert reasons[3].startswith("rater: ")
    assert reasons[4].startswith("title: ")


def test_no_folder_is_no_ratings(tmp_path):
    ratings, rejects = Ratings(root=str(tmp_path / "none")).read()
    assert ratings.is_empty()
    assert rejects.is_empty()
