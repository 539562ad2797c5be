"""Reads Excel and OpenDocument spreadsheets (xlsx, xlsb, xls, ods)."""

import math
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import IO, Any

from resources.feeds.delimited import folded, header_place
from resources.feeds.rows import FeedError, Opened, Row, in_blocks, row_of

_GUIDES = (  # sheets of templates that say how to fill in another
    *("instructions", "data definitions", "definitions", "example", "examples", "valid values"),
    *("dropdown lists", "browse data", "read me", "readme", "guide", "help", "info", "legend"),
    *("hinweise", "anleitung", "ausfüllhilfe", "beispiel", "mode d'emploi", "instrucciones"),
)


def open_spreadsheet(
    stream: IO[bytes], name: str, sheet: str | None = None, header: int | None = None
) -> Opened:
    """The rows of a sheet: of the one that is named, else of the first that has a table.

    Args:
        stream: The file, which can be sought in.
        name: Its name, for messages.
        sheet: Name of the sheet.
        header: Its row of column names, from 1; by default the first that names most columns.

    Raises:
        FeedError: no such sheet, no table, or no spreadsheet.
    """
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        book = CalamineWorkbook.from_filelike(stream)  # type: ignore[arg-type]
        names = book.sheet_names
        if sheet is not None and sheet not in names:
            raise FeedError(f"{name}: has no sheet {sheet!r}; it has: {', '.join(names)}")
        found = None
        by_guess = sorted(names, key=lambda one: one.strip().casefold() in _GUIDES)
        for one in [sheet] if sheet is not None else by_guess:
            cells = book.get_sheet_by_name(one).to_python(skip_empty_area=False)
            if len(cells) > 1 or (sheet is not None and cells):
                found = found or (one, cells)
                if sheet is not None or _is_wide(cells):  # not a list of instructions
                    found = one, cells
                    break
        if found is None:
            raise FeedError(f"{name}: has no sheet with a table")
        one, cells = found
    except (CalamineError, OSError, ValueError) as error:
        raise FeedError(f"{name}: cannot be read: {error}") from None
    place = header or _header(cells)
    columns = [_text(cell).strip() for cell in cells[place - 1]]
    while columns and not columns[-1]:
        columns.pop()
    if not columns:
        raise FeedError(f"{name}: has no header in row {place} of sheet {one!r}")
    named = [column or f"column {i}" for i, column in enumerate(columns, start=1)]
    rows = in_blocks(_rows(cells[place:], columns, named))
    read_as = f"excel, sheet {one!r}, header in row {place}"
    others = [other for other in names if other != one] if sheet is None else []
    others = [other for other in others if book.get_sheet_by_name(other).height > 1]
    if others:
        read_as += f"; not read: {', '.join(map(repr, others[:10]))}"
    return Opened(rows, [*dict.fromkeys(named)], read_as)


def _is_wide(cells: list[list[Any]]) -> bool:
    """Whether a row of a sheet has two cells or more."""
    return any(sum(1 for cell in row if _text(cell).strip()) > 1 for row in cells[:200])


def _header(cells: list[list[Any]]) -> int:
    """The row of the column names, from 1; cells at the end of a row that are blank count not."""
    filled = [
        (number, [_text(cell) for cell in row])
        for number, row in enumerate(cells[:200], start=1)
        if any(_text(cell).strip() for cell in row)
    ]
    if not filled:
        return 1
    width = max(sum(1 for cell in row if cell.strip()) for _, row in filled)
    return filled[header_place([row[:width] for _, row in filled])][0]


def _rows(cells: list[list[Any]], columns: list[str], named: list[str]) -> Iterator[Row]:
    number = 0
    for row in cells:
        values = [_plain(cell) for cell in row]
        if all(value is None for value in values):
            continue
        number += 1
        fields = values[: len(named)] + [None] * (len(named) - len(values))
        found = row_of(number, folded(columns, named, fields))
        if any(value is not None for value in values[len(named) :]):
            found = found._replace(error=f"cells beyond the {len(named)} columns of the header")
        yield found


def _text(cell: Any) -> str:
    plain = _plain(cell)
    return "" if plain is None else str(plain)


def _plain(cell: Any) -> Any:
    """A cell as JSON has it; a whole number without its point, as the sheet shows it."""
    match cell:
        case "" | None:
            return None
        case bool() | int() | str():
            return cell
        case float():
            if not math.isfinite(cell):
                return None
            return int(cell) if cell.is_integer() and abs(cell) < 1e15 else cell
        case datetime() if cell.time() == time():
            return cell.date().isoformat()
        case datetime() | date() | time():
            return cell.isoformat()
        case timedelta():
            return str(cell)
        case _:
            return str(cell)
