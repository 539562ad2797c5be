"""Reads XML, where the element that is repeated is the record: RSS, Atom, price comparison."""

from collections import Counter
from collections.abc import Iterator
from typing import IO, Any

from resources.feeds.rows import FeedError, Opened, Row, in_blocks, row_of

_SEARCHED = 20_000  # elements that say which one is repeated
_MAX_DEPTH = 30
_RECORDS = ("item", "entry", "product", "offer", "record", "row", "article", "shopitem")
_PREFIXES = {"http://base.google.com/ns/1.0": "g:", "http://base.google.com/cns/1.0": "c:"}


def open_markup(stream: IO[bytes], name: str, records: str | None) -> Opened:
    """The rows of an XML file: one a `records` element (`item`, `product`); without, of the element
    with children that is repeated, the least deep one.

    A record's children are its columns, attributes have `@` before their name. Google's `g:` stays;
    other prefixes are left out.

    Raises:
        FeedError: it is not XML, declares entities, or has no such element.
    """
    if records is None:
        records = _repeated(stream, name)
        stream.seek(0)
    return Opened(in_blocks(_rows(stream, name, records)), None, f"xml, records <{records}>")


def _events(stream: IO[bytes], name: str, events: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    from lxml import etree  # type: ignore[attr-defined]

    try:
        for event, element in etree.iterparse(
            stream,
            events=events,
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=False,
            remove_comments=True,
            remove_pis=True,
        ):
            info = element.getroottree().docinfo
            if info.internalDTD is not None and any(info.internalDTD.iterentities()):
                raise FeedError(f"{name}: declares entities; a feed has none")
            yield event, element
    except etree.XMLSyntaxError as error:
        raise FeedError(f"{name}: not XML: {error}") from None


def _repeated(stream: IO[bytes], name: str) -> str:
    counts: Counter[tuple[int, str]] = Counter()
    depth = 0
    for index, (event, element) in enumerate(_events(stream, name, ("start", "end"))):
        if event == "start":
            depth += 1
            if depth > _MAX_DEPTH:
                raise FeedError(f"{name}: elements lie more than {_MAX_DEPTH} deep")
        else:
            if len(element):
                counts[depth, _tag(element)] += 1
            depth -= 1
        if index > 2 * _SEARCHED:
            break
    below_root = {place: count for place, count in counts.items() if place[0] > 1}
    if not below_root:
        raise FeedError(f"{name}: has no element with children below the first")
    repeated = [place for place, count in below_root.items() if count > 1]
    if repeated:  # what wraps records stands once, and their parts lie deeper
        return min(repeated, key=lambda place: (place[0], -below_root[place], place[1]))[1]
    named = [place for place in below_root if place[1].lower() in _RECORDS]
    return (named or [max(below_root)])[0][1]


def _rows(stream: IO[bytes], name: str, records: str) -> Iterator[Row]:
    number = 0
    for _, element in _events(stream, name, ("end",)):
        if _tag(element) != records:
            continue
        number += 1
        value = _value(element, 0)
        yield row_of(number, value if isinstance(value, dict) else {"text": value})
        element.clear()
        while element.getprevious() is not None:
            del element.getparent()[0]
    if not number:
        raise FeedError(f"{name}: has no element <{records}>")


def _tag(element: Any) -> str:
    from lxml import etree  # type: ignore[attr-defined]

    if not isinstance(element.tag, str):
        return ""
    found = etree.QName(element)
    return _PREFIXES.get(found.namespace or "", "") + found.localname


def _value(element: Any, depth: int) -> Any:
    """An element as text, or as an object of its attributes and children."""
    text = "".join(element.itertext()) if not len(element) else (element.text or "")
    value: dict[str, Any] = {f"@{key.rpartition('}')[2]}": v for key, v in element.attrib.items()}
    if depth > _MAX_DEPTH:
        return text.strip()
    for child in element:
        tag, part = _tag(child), _value(child, depth + 1)
        if not tag:
            continue
        if tag in value:
            before = value[tag]
            value[tag] = [*before, part] if isinstance(before, list) else [before, part]
        else:
            value[tag] = part
    if not value:
        return text.strip()
    if text.strip():
        value["text"] = text.strip()
    return value
