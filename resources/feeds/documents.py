"""Reads JSON: one object a line, or the list of objects in a document."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import IO, Any

from resources.feeds.delimited import bounded_lines
from resources.feeds.rows import FeedError, Opened, Row, in_blocks, parse_json, row_of, row_of_text

WHOLE_BYTES = 32 << 20
_SEARCHED_EVENTS = 2_000_000  # of a document, for the list of its records
_MAX_DEPTH = 60
_IDS = ("id", "sku", "product_id", "productId", "handle", "asin", "parent_asin", "@id")
_TITLES = ("title", "name", "product_name", "productName")


def open_json_lines(stream: IO[bytes], read_as: str, encoding: str = "utf-8") -> Opened:
    """The rows of a file with one JSON object a line; each is kept as received. The stream is UTF-8
    now, `encoding` is what it was."""
    return Opened(in_blocks(_lines(stream, encoding)), None, read_as)


def _lines(stream: IO[bytes], encoding: str) -> Iterator[Row]:
    for number, (line, size, fault) in enumerate(bounded_lines(stream, encoding), start=1):
        text = line.rstrip("\r\n")
        if fault:
            yield Row(number, text, size, fault)
        elif text.strip():
            yield row_of_text(number, text, size)


def open_json_document(stream: IO[bytes], name: str, records: str | None) -> Opened:
    """The rows of the list `records` of a JSON document (`data.products`; "" is the document
    itself); without, of its longest list of objects, or the one object that the document is.

    A document of up to `WHOLE_BYTES` is read as a whole, a larger one as a stream.

    Raises:
        FeedError: it is no JSON, or holds no such list.
    """
    import ijson

    start = stream.read(WHOLE_BYTES + 1)
    try:
        if len(start) > WHOLE_BYTES:
            stream.seek(0)
            if records is None:
                records = _longest_list(_streamed_lists(stream))
                stream.seek(0)
            rows = _streamed(stream, name, records)
        else:
            document = parse_json(start.decode("utf-8-sig"))
            if records is None:
                records = _longest_list(_lists(document))
            rows = _whole(document, name, records)
    except (ijson.JSONError, ValueError, RecursionError) as error:
        raise FeedError(f"{name}: not JSON: {error}") from None
    where = "one object" if records is None else f"records at {records or 'the top'}"
    return Opened(in_blocks(rows), None, f"json, {where}")


def _is_keyed(document: Any) -> bool:
    """Whether a document is an object of products, by their ids (as Firebase exports them)."""
    if not isinstance(document, dict) or len(document) < 2 or _is_record(document):
        return False
    members = list(document.values())
    return all(
        isinstance(member, dict) and any(isinstance(member.get(t), str) for t in _TITLES)
        for member in members
    )


def _members(value: Any) -> list[Any] | None:
    """The records of a list, or of an object that has each under its id, as `key`."""
    if isinstance(value, list):
        return value
    return [{"key": key, **one} for key, one in value.items()] if _is_keyed(value) else None


def _whole(document: Any, name: str, records: str | None) -> Iterator[Row]:
    found = document
    for part in (records or "").split(".") if records else []:
        found = found.get(part) if isinstance(found, dict) else None
    members = [found] if records is None else _members(found)
    if members is None:
        raise FeedError(f"{name}: has no list {records or 'at the top'!r}")
    return (row_of(number, value) for number, value in enumerate(members, start=1))


def _streamed(stream: IO[bytes], name: str, records: str | None) -> Iterator[Row]:
    import ijson

    number = 0
    prefix = None if records is None else f"{records}.item".lstrip(".")
    try:
        events = ijson.parse(_events(stream))
        for value in ijson.items(events, prefix or ""):
            number += 1
            yield row_of(number, value)
    except (ijson.JSONError, ValueError) as error:
        raise FeedError(f"{name}: not JSON after record {number}: {error}") from None
    if not number:
        raise FeedError(f"{name}: has no list {records or 'at the top'!r}, or an empty one")


def _lists(value: Any, place: str = "", depth: int = 0) -> Iterator[tuple[str, int]]:
    """Where lists lie outside of other lists, and how many objects each has; what has an object
    under each id is one, too."""
    if not place and _is_record(value):
        return
    members = _members(value)
    if members is not None:
        yield place, sum(isinstance(member, dict) for member in members)
    elif isinstance(value, dict) and depth < _MAX_DEPTH:
        for key, member in value.items():
            if "." not in key:
                yield from _lists(member, f"{place}.{key}".lstrip("."), depth + 1)


def _is_record(value: Any) -> bool:
    """Whether an object is a product itself, and its lists are of its parts."""
    return isinstance(value, dict) and all(
        any(isinstance(value.get(name), str | int) for name in names) for names in (_IDS, _TITLES)
    )


def _streamed_lists(stream: IO[bytes]) -> Iterator[tuple[str, int]]:
    import ijson

    for index, (place, event, _) in enumerate(ijson.parse(_events(stream))):
        outer, _, last = place.rpartition(".")
        if event == "start_array" and "item" not in place.split("."):
            yield place, 0
        elif event == "start_map" and last == "item" and "item" not in outer.split("."):
            yield outer, 1
        if index > _SEARCHED_EVENTS:
            return


def _longest_list(lists: Iterable[tuple[str, int]]) -> str | None:
    """The place with the most objects, the least deep among equals; None: there is none."""
    counts: Counter[str] = Counter()
    for place, objects in lists:
        counts[place] += objects
    full = {place for place, objects in counts.items() if objects or not place}
    return min(full, key=lambda p: (-counts[p], p.count("."), p), default=None)


def _events(stream: IO[bytes]) -> Iterator[tuple[str, Any]]:
    """The parser's events, of a document that is not too deep: the paths that ijson makes of them
    grow with the square of the depth."""
    import ijson

    depth = 0
    for event, value in ijson.basic_parse(_WithoutMark(stream), use_float=True):
        if event in ("start_map", "start_array"):
            depth += 1
            if depth > _MAX_DEPTH:
                raise ValueError(f"nested more than {_MAX_DEPTH} deep")
        elif event in ("end_map", "end_array"):
            depth -= 1
        yield event, value


class _WithoutMark:
    """A stream without a byte order mark, which the parser takes for a mistake."""

    def __init__(self, stream: IO[bytes]):
        self._stream, self._start = stream, True

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        if self._start and size:
            self._start = False
            data = data.removeprefix(b"\xef\xbb\xbf") or self._stream.read(size)
        return data


def open_lines(stream: IO[bytes], read_as: str, encoding: str = "utf-8") -> Opened:
    """The rows of a plain text: each line that is not blank, under the name `line`. The stream is
    UTF-8 now, `encoding` is what it was."""

    def rows() -> Iterator[Row]:
        for number, (line, size, fault) in enumerate(bounded_lines(stream, encoding), start=1):
            text = line.strip("\r\n")
            if text.strip():
                yield (
                    Row(number, text, size, fault)
                    if fault
                    else row_of(number, {"line": text})._replace(size=size)
                )

    return Opened(in_blocks(rows()), ["line"], read_as)
