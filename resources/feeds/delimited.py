"""Reads CSV of any dialect, row by row, in bounded memory.

The records are Python's own csv module's. What it cannot do stands here: which separator, which
line is the header (`sniff`), and how to go on after a record that is broken or too large. DuckDB's
and csv's sniffers were tried: both take a separator that occurs in texts over one that stands in
the header, and the file then lacks its first row without an error.
"""

import codecs
import csv
import io
import itertools
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import IO, Any, Protocol

import polars as pl

from resources.feeds.rows import (
    EXCERPT_CHARACTERS,
    MAX_RECORD_BYTES,
    FeedError,
    Opened,
    Row,
    in_blocks,
    oversize,
    to_json,
)

SEPARATORS = (",", ";", "\t", "|", "^", "~", "\x01")
_CHUNK = 1 << 16
_CHUNK_BYTES = 2 << 20
_SNIFFED = 200  # records
_MAX_HEADER = 40  # lines before the header, at most
_MAX_HELD = 8 << 20  # characters of one record: several long cells are too much
_MAX_CELL_BYTES = 64 << 20  # a quote that is not closed after so many is open
_OPEN = "a quote that is never closed"
_CLOSED = "a quote that is never opened: the rest of a broken record?"
_OPENED = r'(?:^|[\n,;\t|^~\x01])"'  # a quote where a cell begins
_LONG = "a record that is too long"


@dataclass(frozen=True)
class Dialect:
    """How a CSV file is written. `header` is the line of the column names, from 1."""

    separator: str = ","
    quote: str = '"'
    escape: str | None = None  # None: a quote inside a quoted field is doubled
    header: int = 1

    def reader(self, lines: Iterable[str]) -> Any:
        return csv.reader(
            lines,
            delimiter=self.separator,
            quotechar=self.quote or None,
            quoting=csv.QUOTE_MINIMAL if self.quote else csv.QUOTE_NONE,
            escapechar=self.escape,
            doublequote=self.escape is None,
            strict=True,
        )


def sniff(text: str, **given: Any) -> Dialect:
    """The dialect of a file by its first lines; what is `given` is not guessed.

    The separator is the one whose fields are most even from the header on. The header is the first
    line that names as many columns as most records have fields.
    """
    lines = _lines_of(text)
    if "separator" not in given and lines and lines[0].strip()[:4].lower() == "sep=":
        given["separator"] = lines[0].strip().strip('"')[4:5] or ","
        given.setdefault("header", 2)
    if "escape" not in given and text.count('\\"') > text.count('""') and '"' in text:
        given["escape"] = "\\"
    separators = [given["separator"]] if "separator" in given else SEPARATORS
    single = len(re.findall(_OPENED.replace('"', "'"), text)) > len(re.findall(_OPENED, text))
    quotes = [given["quote"]] if "quote" in given else ['"', "'"][: 1 + single]
    best, best_score = Dialect(**given), -1.0
    for quote, separator in itertools.product(quotes, separators):
        dialect = Dialect(**{**given, "separator": separator, "quote": quote})
        header, score = _header_and_score(lines, dialect)
        if score > best_score:
            best, best_score = replace(dialect, header=given.get("header", header)), score
    return best


def _header_and_score(lines: list[str], dialect: Dialect) -> tuple[int, float]:
    """The line of the header, and how well the records under it fit: columns times their share."""
    records: list[tuple[int, list[str]]] = []  # line where a record begins, its fields
    reader, before = dialect.reader(iter(lines)), 0
    while len(records) < _SNIFFED:
        try:
            fields = next(reader)
        except StopIteration:
            break
        except csv.Error:
            fields = []
        if any(field.strip() for field in fields):
            records.append((before + 1, [field.strip() for field in fields]))
        before = reader.line_num
    if not records:
        return 1, 0.0
    place = header_place([fields for _, fields in records])
    line, header = records[place]
    below = [fields for _, fields in records[place + 1 :]]
    even = sum(len(fields) == len(header) for fields in below) / len(below) if below else 1.0
    score = even**2 * (len(header) if len(header) > 1 else 0.5)
    # a text has commas, too: a header that begins late, or holds other separators, is a row
    if place:
        score /= 2
    others = set(";\t|^~") - {dialect.separator}
    return line, score / 4 if any(others & set(name) for name in header) else score


def header_place(records: Sequence[Sequence[str]]) -> int:
    """Which of the first records (none blank) has the names of the columns, from 0.

    The first that names as many columns as most records have fields. Amazon's templates begin with
    a line of their own, and the names for machines stand under those for people.
    """
    if records[0][0].startswith("TemplateType=") and len(records) > 2:
        return 2
    usual = Counter(map(len, records)).most_common(1)[0][0]
    for place, fields in enumerate(records[:_MAX_HEADER]):
        if _is_header(fields, usual):
            return place
    return 0


def _is_header(fields: Sequence[str], usual: int) -> bool:
    named = [field for field in fields if field]
    comment = fields[0].startswith("#") and len(named) > 1 and all(f.startswith("#") for f in named)
    return (
        not comment
        and len(fields) == usual
        and len(named) > usual / 2
        and not any(_is_number(field) for field in named)
    )


def _is_number(field: str) -> bool:
    return field.replace(".", "", 1).replace(",", "").lstrip("-").isdigit()


def open_delimited(
    stream: IO[bytes], name: str, dialect: Dialect, read_as: str, encoding: str = "utf-8"
) -> Opened:
    """The rows of a CSV file; the stream is UTF-8 now, `encoding` is what it was.

    A column that is named several times holds the list of its values that are not blank. A column
    without a name is called after its place, and left out where it is blank in every row.

    Raises:
        FeedError: it has no header that can be read.
    """
    # One field may be as long as one record: counted in characters, of which there are never more
    # than bytes, so what fits is read; the bytes are looked at afterwards. The setting is the csv
    # module's, process-wide.
    csv.field_size_limit(MAX_RECORD_BYTES)
    source = _Source(stream, encoding, dialect.quote)
    records = _Records(source, dialect)
    for _ in range(dialect.header - 1):
        records.skip_line()
    first = next(iter(records), None)
    if first is None or first.fault or not any(name.strip() for name in first.fields):
        fault = f": {first.fault}" if first and first.fault else ""
        raise FeedError(f"{name}: has no readable header in line {dialect.header}{fault}")
    columns = [field.strip() for field in first.fields]
    records.width = len(columns)
    named = [column or f"column {i}" for i, column in enumerate(columns, start=1)]
    blocks = _blocks(source, records, columns, named, dialect)
    return Opened(blocks, [*dict.fromkeys(named)], read_as)


def _blocks(
    source: "_Source", records: "_Records", columns: list[str], named: list[str], dialect: Dialect
) -> Iterator[pl.DataFrame]:
    """The records, a chunk of the file at a time: as a whole where nothing in it is quoted."""
    plain = len(set(named)) == len(named) > 1 and all(columns)
    number = 0
    while chunk := source.chunk(_CHUNK_BYTES):
        block = _plain_block(chunk, named, dialect, number) if plain else None
        if block is None:
            source.take_back(chunk)
            rows = _rows(records, columns, named, number, source.read + len(chunk))
            for block in in_blocks(rows):
                number += block.height
                yield block
        else:
            source.read += len(chunk)
            number += block.height
            yield block


def _plain_block(
    chunk: bytes, named: list[str], dialect: Dialect, before: int
) -> pl.DataFrame | None:
    """The rows of a chunk without quotes and without faults; None of any other.

    Polars splits it at its separators, as the csv module would.
    """
    ends = chunk.count(b"\n") + (not chunk.endswith(b"\n"))
    quirks = [dialect.quote or "\0", dialect.escape or "\0", "\0", "\ufffd"]
    if (
        any(quirk.encode() in chunk for quirk in quirks)
        or chunk.startswith(codecs.BOM_UTF8)  # which Polars leaves out of the first cell
        or chunk.count(b"\r") != chunk.count(b"\r\n")
        or chunk.count(dialect.separator.encode()) != ends * (len(named) - 1)
    ):
        return None
    try:
        frame = pl.read_csv(
            *(chunk,),
            **{"has_header": False, "new_columns": named, "infer_schema": False},
            **{"separator": dialect.separator, "quote_char": None, "empty_string_is_null": False},
        )
    except pl.exceptions.PolarsError:  # too many fields, or no UTF-8
        return None
    if frame.height != ends or frame.width != len(named):
        return None
    size = pl.sum_horizontal(pl.all().str.len_bytes()) + len(named)
    lines = frame.select(
        pl.int_range(before + 1, before + ends + 1, dtype=pl.Int64).alias("row"),
        pl.struct(pl.all()).struct.json_encode().alias("record"),
        (size + (b"\r" in chunk)).cast(pl.Int64).alias("size"),
        pl.lit(None, pl.String).alias("error"),
        pl.any_horizontal(pl.all().is_null()).alias("short"),
    )
    if lines["short"].any() or lines["size"].max() > MAX_RECORD_BYTES:  # type: ignore[operator]
        return None
    return lines.drop("short")


def _rows(
    records: "_Records", columns: list[str], named: list[str], before: int, end: int
) -> Iterator[Row]:
    """The rows that begin before the byte `end` of the file."""
    width, plain = len(columns), len(set(named)) == len(named) and all(columns)
    for number, record in enumerate(records.until(end), start=before + 1):
        fields, fault = record.fields, record.fault
        if not fault and len(fields) != width:
            if len(fields) > width and not any(field.strip() for field in fields[width:]):
                fields = fields[:width]
            else:
                fault = f"not CSV: {len(fields)} fields under {width} columns"
        if not fault and record.size > MAX_RECORD_BYTES:
            fault = oversize(record.size)
        if fault:
            yield Row(number, record.start.rstrip("\r\n"), record.size, fault)
        elif plain:
            value = dict(zip(named, fields, strict=True))
            yield Row(number, to_json(value), record.size, None)
        else:
            yield Row(number, to_json(folded(columns, named, fields)), record.size, None)


def folded(columns: list[str], named: list[str], fields: Sequence[Any]) -> dict[str, Any]:
    """One value a name: a list where several columns have it; none of a blank one without name.

    Args:
        columns: The names of the columns in order, "" for one without.
        named: The same with a name for each.
        fields: The values.
    """
    times, value = Counter(named), dict[str, Any]()
    for column, name, field in zip(columns, named, fields, strict=True):
        blank = field is None or (isinstance(field, str) and not field.strip())
        if times[name] > 1:
            value.setdefault(name, [])
            if not blank and field not in value[name]:
                value[name].append(field)
        elif column or not blank:
            value[name] = field
    return value


@dataclass
class _Record:
    """Fields of a record, the start of its text, its bytes, and what is wrong with it."""

    fields: list[str]
    start: str
    size: int
    fault: str | None


class _Records:
    """The records of a CSV file, blank ones left out.

    A broken record costs nothing but itself: where a quote is opened and never closed properly, the
    lines that it swallowed are read again, each as a beginning. The csv module stops such a
    field at its size limit, so they are few enough to be held.
    """

    def __init__(self, source: "_Source", dialect: Dialect):
        self._lines, self._dialect, self._source = source.lines(), dialect, source
        self._again: deque[tuple[str, int, str | None]] = deque()
        self._held: list[tuple[str, int, str | None]] = []
        self._reads_again = False
        self.width: int | None = None  # columns, when the header has been read
        self._held_characters = 0

    def skip_line(self) -> None:
        next(self._lines, None)

    def _line(self) -> Iterator[str]:
        while True:
            self._reads_again = bool(self._again)
            line = self._again.popleft() if self._again else next(self._lines, None)
            if line is None:
                return
            self._held.append(line)
            self._held_characters += len(line[0])
            if self._held_characters > _MAX_HELD:
                raise csv.Error(_LONG)
            yield line[0]

    def __iter__(self) -> Iterator[_Record]:
        return self.until(None)

    def until(self, end: int | None) -> Iterator[_Record]:
        """The records that begin before a byte of the file."""
        reader, held = self._dialect.reader(self._line()), self._held
        while end is None or self._again or self._source.read < end:
            held.clear()
            self._held_characters = 0
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                reader = self._dialect.reader(self._line())
                yield self._broken(str(error))
                continue
            if self._swallowed(fields):
                reader = self._dialect.reader(self._line())
                yield self._broken(_OPEN)
                continue
            if len(held) == 1:
                text, size, fault = held[0]
                odd = self._reads_again and text.count(self._dialect.quote or "\0") % 2
                if odd and not fault and self._dialect.escape is None:
                    fault = f"not CSV: {_CLOSED}"
            else:
                text, size = held[0][0] if held else "", sum(line[1] for line in held)
                fault = next((line[2] for line in held if line[2]), None)
            # the last record ends where the file does, closed or not: strict mode tells
            if fields or fault:
                yield _Record(fields, text[:EXCERPT_CHARACTERS], size, fault)

    def _swallowed(self, fields: list[str]) -> bool:
        """Whether a record of several lines is one with an open quote, which the first quote of a
        later record seemed to close: not as many fields as columns, or an odd number of quotes,
        and lines in it that are a record."""
        if len(self._held) < 2 or self.width is None:
            return False
        mark, quote = self._dialect.separator, self._dialect.quote or "\0"
        marks, quotes, whole = 0, 0, False
        for text, _, _ in reversed(self._held[1:]):  # is what begins here a record, or this line?
            marks, quotes = marks + text.count(mark), quotes + text.count(quote)
            ends = marks >= self.width - 1 and quotes % 2 == 0
            alone = text.count(mark) >= self.width - 1 and text.count(quote) % 2 == 0
            whole = whole or ends or alone
        odd = (quotes + self._held[0][0].count(quote)) % 2 and self._dialect.escape is None
        return whole and bool(odd or len(fields) != self.width)

    def _broken(self, error: str) -> _Record:
        """The record that csv could not read; what it swallowed is read again where it looks like
        records, and skipped where it is a text of many lines."""
        first, *swallowed = self._held
        size = first[1]
        if fault := first[2]:
            return _Record([], first[0][:EXCERPT_CHARACTERS], size, fault)
        if not swallowed:
            return _Record([], first[0][:EXCERPT_CHARACTERS], size, f"not CSV: {error}")
        if error == _LONG and (rest := self._rest_of_record()) is not None:
            size += sum(line[1] for line in [*swallowed, *rest])
            return _Record([], first[0][:EXCERPT_CHARACTERS], size, oversize(size))
        if "limit" in error and (rest := self._rest_of_cell()) is not None:
            size += sum(line[1] for line in [*swallowed, *rest])
            return _Record([], first[0][:EXCERPT_CHARACTERS], size, oversize(size))
        self._again.extendleft(reversed(swallowed))
        return _Record([], first[0][:EXCERPT_CHARACTERS], size, f"not CSV: {_OPEN}")

    def _rest_of_record(self) -> list[tuple[str, int, str | None]] | None:
        """The lines up to that at whose end no quote is open; None where there is none: then they
        are read again."""
        quote, passed = self._dialect.quote, 0
        quotes = sum(line[0].count(quote) for line in self._held)
        rest: list[tuple[str, int, str | None]] = []
        while passed < _MAX_CELL_BYTES and (line := next(self._lines, None)):
            rest.append(line)
            passed += len(line[0])
            quotes += line[0].count(quote)
            if quotes % 2 == 0:
                return rest
        self._again.extend(rest)
        return None

    def _rest_of_cell(self) -> list[tuple[str, int, str | None]] | None:
        """The lines up to that in which a quoted cell beyond the limit is closed; None where the
        next quote opens another cell, or there is none: then they are read again."""
        quote, separator, passed = self._dialect.quote, self._dialect.separator, 0
        rest: list[tuple[str, int, str | None]] = []
        while passed < _MAX_CELL_BYTES and (line := next(self._lines, None)):
            rest.append(line)
            passed += line[1]
            text = line[0].replace(quote * 2, "")
            before, found, after = text.partition(quote)
            if found:
                opens = before.rstrip(" ").endswith(separator)
                if not opens and (not after.strip() or after.lstrip(" ").startswith(separator)):
                    return rest
                break
        self._again.extend(rest)
        return None


class _Source:
    """A stream that is read in chunks of whole lines, or line by line; `read` counts the bytes."""

    def __init__(self, stream: IO[bytes], encoding: str, quote: str):
        self._stream, self._encoding, self._quote = stream, encoding, quote
        self._held = b""
        self._at = 0
        self.read = 0

    def chunk(self, size: int) -> bytes:
        """The next lines, some `size` bytes, and all of the last line unless it is oversize."""
        held, self._held, self._at = self._held[self._at :], b"", 0
        data = held + self._stream.read(max(0, size - len(held)))
        if data and not data.endswith(b"\n"):
            data += self._stream.readline(MAX_RECORD_BYTES + 1)
        return data

    def take_back(self, data: bytes) -> None:
        """Bytes that are to be read again, line by line."""
        self._held, self._at = data, 0

    def readline(self, limit: int) -> bytes:
        """As a stream's own."""
        end = self._held.find(b"\n", self._at, self._at + limit) + 1
        if end:
            line = self._held[self._at : end]
        else:
            line = self._held[self._at : self._at + limit]
            if len(line) < limit:
                line += self._stream.readline(limit - len(line))
        self._at += len(line)
        if self._at >= len(self._held):
            self._held, self._at = b"", 0
        return line

    def lines(self) -> Iterator[tuple[str, int, str | None]]:
        """`bounded_lines`, counted."""
        for line in bounded_lines(self, self._encoding, self._quote):
            self.read += line[1]
            yield line


class Lines(Protocol):
    """What lines are read from: a binary stream."""

    def readline(self, limit: int, /) -> bytes: ...


def bounded_lines(
    stream: Lines, encoding: str = "utf-8", quote: str = '"'
) -> Iterator[tuple[str, int, str | None]]:
    """Yields (text, bytes, what is wrong with it) of each line; of an oversize one its start.

    Args:
        stream: UTF-8; from another encoding, with U+FFFD where it could not be decoded.
        encoding: What it was.
        quote: Of CSV.
    """
    first, mark = True, quote.encode() or b'"'
    recoded = not encoding.startswith("utf-8")
    while line := stream.readline(MAX_RECORD_BYTES + 1):
        size = len(line)
        if size <= MAX_RECORD_BYTES or line.endswith(b"\n"):
            try:
                text = line.decode("utf-8-sig" if first else "utf-8")
                yield text, size, f"not {encoding}" if recoded and "\ufffd" in text else None
            except UnicodeDecodeError as error:
                yield line.decode("utf-8", "replace"), size, f"not UTF-8 at byte {error.start}"
        else:
            quotes = line.count(mark)
            start = line[:EXCERPT_CHARACTERS].decode("utf-8", "replace")
            while not line.endswith(b"\n") and (line := stream.readline(_CHUNK)):
                size += len(line)
                quotes += line.count(mark)
            # Keeps a quoted CSV field as open or closed as it was, so that the next record is read
            # where it begins.
            closing = quote if (quotes - start.count(quote)) % 2 else ""
            yield start + closing + "\n", size, oversize(size)
        first = False


def _lines_of(text: str) -> list[str]:
    """Lines as files have them; str.splitlines also ends one at U+2028 and at form feeds."""
    return io.StringIO(text, newline="").readlines()


def first_lines(text: str, count: int = _SNIFFED) -> str:
    """The whole lines at the start of a sample that may end within one."""
    lines = _lines_of(text)
    if len(lines) > 1 and not lines[-1].endswith(("\n", "\r")):
        lines = lines[:-1]
    return "".join(itertools.islice(lines, count * 5))
