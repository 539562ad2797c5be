"""Reads JSON: one object a line, or the list of objects in a document."""

from collections import Counter
from collections.abc import Iterator
from typing import IO

from resources.feeds.delimited import bounded_lines
from resources.feeds.rows import FeedError, Opened, Row, row_of, row_of_text

_SEARCHED_EVENTS = 2_000_000  # of a document, for the list of its records
_MAX_DEPTH = 40  # of the place of that list


def open_json_lines(stream: IO[bytes], read_as: str, encoding: str = "utf-8") -> Opened:
    """The rows of a file with one JSON object a line; each is kept as received. The stream is UTF-8
    now, `encoding` is what it was."""
    return Opened(_lines(stream, encoding), None, read_as)


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

    Raises:
        FeedError: it is no JSON, or holds no such list.
    """
    import ijson

    try:
        if records is None:
            records = _longest_list(stream)
            stream.seek(0)
    except (ijson.JSONError, ValueError, UnicodeDecodeError) as error:
        raise FeedError(f"{name}: not JSON: {error}") from None
    prefix = None if records is None else f"{records}.item".lstrip(".")
    where = "one object" if prefix is None else f"records at {records or 'the top'}"
    return Opened(_document(stream, name, prefix), None, f"json, {where}")


def _document(stream: IO[bytes], name: str, prefix: str | None) -> Iterator[Row]:
    import ijson

    number = 0
    try:
        for value in ijson.items(_WithoutMark(stream), prefix or "", use_float=True):
            number += 1
            yield row_of(number, value)
    except (ijson.JSONError, ValueError) as error:
        raise FeedError(f"{name}: not JSON after record {number}: {error}") from None
    if not number and prefix:
        # an empty list is a feed without products; a path that leads nowhere is a mistake
        stream.seek(0)
        if not any(
            place + ".item" == prefix or (not place and prefix == "item")
            for place, event, _ in ijson.parse(_WithoutMark(stream))
            if event == "start_array"
        ):
            raise FeedError(f"{name}: has no list {prefix.removesuffix('.item')!r}")


def _longest_list(stream: IO[bytes]) -> str | None:
    """Where the longest list of objects lies, the least deep among equals; None: there is none."""
    import ijson

    counts: Counter[str] = Counter()
    for index, (place, event, _) in enumerate(ijson.parse(_WithoutMark(stream))):
        if event == "start_map" and place.rpartition(".")[2] == "item":
            outer = place.removesuffix("item").rstrip(".")
            if "item" not in outer.split(".") and outer.count(".") < _MAX_DEPTH:
                counts[outer] += 1
        if event == "start_array" and not place:
            counts.setdefault("", 0)
        if index > _SEARCHED_EVENTS:
            break
    if not counts:
        return None
    return min(counts, key=lambda outer: (-counts[outer], outer.count("."), outer))


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

    return Opened(rows(), ["line"], read_as)
