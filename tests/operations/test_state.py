"""What a command keeps is there whole, or as it was."""

import pytest

from operations.state import read_state, write_state
from tests.resources.test_full_disk import full_disk


def test_a_full_disk_leaves_what_was_written_before(tmp_path):
    path = tmp_path / "state.json"
    assert read_state(path) == {}
    write_state(path, {"a": 1})
    with full_disk(), pytest.raises(OSError, match="too large"):
        write_state(path, {"a": "x" * (1 << 20)})
    assert read_state(path) == {"a": 1}
    write_state(path, {"a": 2})
    assert [one.name for one in tmp_path.iterdir()] == ["state.json"]
    assert read_state(path) == {"a": 2}


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_a_damaged_file_is_named(tmp_path, text):
    (tmp_path / "state.json").write_text(text)
    with pytest.raises(SystemExit, match=r"state\.json is damaged: remove it"):
        read_state(tmp_path / "state.json")
