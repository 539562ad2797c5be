"""What a feed file is, and how to read it: by its content where nothing is said."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import IO, Any, cast

from resources.feeds.delimited import first_lines, open_delimited, sniff
from resources.feeds.documents import open_json_document, open_json_lines, open_lines
from resources.feeds.encodings import SAMPLE_BYTES, as_utf8, sniff_encoding
from resources.feeds.markup import open_markup
from resources.feeds.parquet import open_parquet
from resources.feeds.rows import FeedError, Opened, parse_json
from resources.feeds.spreadsheet import open_spreadsheet

KINDS = ("csv", "jsonl", "json", "parquet", "excel", "xml", "lines")
ENDINGS = {
    **{"csv": "csv", "tsv": "csv", "tab": "csv", "txt": "", "json": "json", "jsonl": "jsonl"},
    **{"ndjson": "jsonl", "geojson": "json", "parquet": "parquet", "pq": "parquet"},
    **{"xlsx": "excel", "xlsm": "excel", "xlsb": "excel", "xls": "excel", "ods": "excel"},
    **{"xml": "xml", "rss": "xml", "atom": "xml"},
}
COMPRESSIONS = ("gz", "bz2", "xz", "zst")


@dataclass(frozen=True)
class Format:
    """How a file is read; what is None is found out from its content.

    Attributes:
        kind: One of KINDS.
        encoding: Of text: `utf-8`, `cp1252`, `utf-16`, ...
        separator, quote, escape: Of CSV.
        header: The line (Excel: row) of the column names, from 1.
        sheet: Of Excel.
        records: Where the list of records lies in a JSON document (`data.products`), or the name
            of the element in XML.
    """

    kind: str | None = None
    encoding: str | None = None
    separator: str | None = None
    quote: str | None = None
    escape: str | None = None
    header: int | None = None
    sheet: str | None = None
    records: str | None = None


def ending_kind(path: str) -> str:
    """The kind that the ending of a path says; "" where it says none."""
    name = path.lower()
    for compression in COMPRESSIONS:
        name = name.removesuffix("." + compression)
    return ENDINGS.get(name.rpartition(".")[2], "") if "." in name.rpartition("/")[2] else ""


def is_feed(path: str) -> bool:
    """Whether a path ends as feed files do."""
    name = path.lower()
    for compression in COMPRESSIONS:
        name = name.removesuffix("." + compression)
    return "." in name and name.rpartition(".")[2] in ENDINGS


@contextmanager
def open_feed(filesystem: Any, path: str, name: str, format: Format) -> Iterator[Opened]:
    """The rows of a feed file.

    Raises:
        FeedError: it cannot be read; the message names it.
    """
    try:
        with filesystem.open(path, "rb", compression="infer") as opened:
            stream = cast(IO[bytes], opened)
            start = stream.read(SAMPLE_BYTES)
            kind = format.kind or kind_of(start, name)
            if kind == "parquet":
                yield open_parquet(filesystem, path, name)
                return
            if kind == "excel":
                whole = io.BytesIO(start + stream.read())
                yield open_spreadsheet(whole, name, format.sheet, format.header)
                return
            stream = _restarted(stream, start)
            if kind == "xml":
                yield open_markup(stream, name, format.records)
                return
            yield _open_text(stream, start, name, replace(format, kind=kind))
    except FeedError:
        raise
    except Exception as error:  # OSError, zlib.error, a remote store's own
        raise FeedError(f"{name}: cannot be read: {error}") from error


def kind_of(start: bytes, path: str) -> str:
    """What a file is: by its first bytes, and where these may be several things by its ending.

    Raises:
        FeedError: it is not what its ending says, or a web page.
    """
    if start.startswith(b"PAR1"):
        return "parquet"
    if start.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        return "excel"
    said = ending_kind(path)
    if said == "parquet":
        raise FeedError(f"{path}: cannot be read: it is no Parquet file")
    encoding = sniff_encoding(start, code_pages=False)
    text = start.decode(encoding, "replace").lstrip("\ufeff \t\r\n")
    if text.startswith("<"):
        if text[:200].lower().startswith(("<!doctype html", "<html", "<table", "<meta")):
            raise FeedError(f"{path}: is a web page, not a feed (an error page, or a login?)")
        return "xml"
    if said in ("csv", "jsonl"):
        return said
    if text.startswith("{"):
        first, _, rest = text.partition("\n")
        lines = rest.lstrip()[:1] == "{" or (not rest.strip() and said != "json")
        return "jsonl" if lines and _is_object(first) else "json"
    if text.startswith("[") and (said == "json" or _looks_like_list(text)):
        return "json"
    if said in ("json", "xml"):
        raise FeedError(f"{path}: cannot be read: it is no {said.upper()}")
    return "csv"


def _looks_like_list(text: str) -> bool:
    return text[1:].lstrip()[:1] in ("{", "[", "]", '"')


def _is_object(text: str) -> bool:
    try:
        return isinstance(parse_json(text), dict)
    except (ValueError, RecursionError):
        return False


def _open_text(stream: IO[bytes], start: bytes, name: str, format: Format) -> Opened:
    # JSON is UTF-8 by its standard (or has a mark), so no code page is guessed
    guess = format.kind not in ("json", "jsonl")
    encoding = format.encoding or sniff_encoding(start, code_pages=guess)
    try:
        stream = as_utf8(stream, encoding, old_mac=b"\r" in start and b"\n" not in start)
    except LookupError:
        raise FeedError(f"{name}: there is no encoding {encoding!r} (format.encoding)") from None
    named = "" if encoding.startswith("utf-8") else f", {encoding}"
    match format.kind:
        case "jsonl":
            return open_json_lines(stream, f"json lines{named}", encoding)
        case "json":
            return open_json_document(stream, name, format.records)
        case "lines":
            return open_lines(stream, f"lines{named}", encoding)
    given = {
        key: value
        for key, value in asdict(format).items()
        if key in ("separator", "quote", "escape", "header") and value is not None
    }
    text = start.decode(encoding, "replace").removeprefix("\ufeff")
    dialect = sniff(first_lines(text), **given)
    shown = {"\t": "tab", "\x01": "control-A"}.get(dialect.separator, repr(dialect.separator))
    header = f", header in line {dialect.header}" if dialect.header > 1 else ""
    return open_delimited(stream, name, dialect, f"csv, separator {shown}{named}{header}", encoding)


def _restarted(stream: IO[bytes], start: bytes) -> IO[bytes]:
    """The stream from its start again."""
    if stream.seekable():
        stream.seek(0)
        return stream
    return cast(IO[bytes], io.BytesIO(start + stream.read()))
