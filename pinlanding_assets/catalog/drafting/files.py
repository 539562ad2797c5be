"""Names of files as patterns: the day becomes `{day}`, the number of a part `*`."""

import posixpath
import re
from datetime import date

_ISO = re.compile(r"(?<!\d)(20\d\d)-(\d\d)-(\d\d)(?!\d)")
_UNDERLINED = re.compile(r"(?<!\d)(20\d\d)_(\d\d)_(\d\d)(?!\d)")
_COMPACT = re.compile(r"(?<!\d)(20\d\d)(\d\d)(\d\d)(?!\d)")
_OTHER = (  # form of `{day:...}`, what it looks like; day and month in an order that is certain
    ("%Y.%m.%d", re.compile(r"(?<!\d)(20\d\d)\.(\d\d)\.(\d\d)(?!\d)")),
    ("%Y/%m/%d", re.compile(r"(?<!\d)(20\d\d)/(\d\d)/(\d\d)(?=/)")),
    (
        "%Y/month=%m/day=%d",
        re.compile(r"(?<=year=)(20\d\d)/month=(\d\d)/day=(\d\d)(?=/)"),
    ),
    ("%d.%m.%Y", re.compile(r"(?<!\d)(\d\d)\.(\d\d)\.(20\d\d)(?!\d)")),
)
_PART = re.compile(
    r"(?P<head>(?:^|[-_.])(?:part|chunk|shard|batch|split|file|page|train|test|validation|val|data)"
    r"[-_.]?)\d+(?:-of-\d+)?(?:-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?:-c\d+)?)?",
    re.IGNORECASE,
)
_TIME = re.compile(r"(?<=\{day\})([-_T])\d{4,6}(?=\D|$)")
_NUMBER = re.compile(r"\d+")


def day_of(name: str) -> tuple[str, str | None]:
    """The name with `{day}` in place of the day, and the day (YYYY-MM-DD); None: it has none."""
    day, pattern, first = None, name, None
    for form, expression in (("", _ISO), ("", _COMPACT), ("", _UNDERLINED), *_OTHER):
        for match in reversed(list(expression.finditer(pattern))):
            parts = match.groups()[::-1] if form == "%d.%m.%Y" else match.groups()
            found = _day(*parts)
            if found and day in (None, found):  # a folder and a file may both name it
                day, first = found, first or expression
                mark = f"{{day:{form}}}" if form else "{day}"
                mark = mark if expression is first else "*"  # one form in one path
                pattern = pattern[: match.start()] + mark + pattern[match.end() :]
    return _TIME.sub(r"\1*", pattern), day  # the time of an export is another one each day


def _day(year: str, month: str, day: str) -> str | None:
    try:
        return date(int(year), int(month), int(day)).isoformat()
    except ValueError:
        return None


def patterns(names: list[str]) -> dict[str, tuple[str, str | None]]:
    """Each name's pattern and day. Parts of one table get a `*`, where there are several."""
    found: dict[str, tuple[str, str | None]] = {}
    parts: dict[str, set[str]] = {}
    for name in names:
        pattern, day = day_of(name)
        folder, base = posixpath.split(pattern)
        starred = posixpath.join(folder, _PART.sub(r"\g<head>*", base))
        found[name] = (pattern, day)
        if starred != pattern:
            parts.setdefault(starred, set()).add(pattern)
    for starred, members in parts.items():
        if len(members) > 1:
            found |= {n: (starred, day) for n, (p, day) in found.items() if p in members}
    return _numbered(found)


def _numbered(found: dict[str, tuple[str, str | None]]) -> dict[str, tuple[str, str | None]]:
    """Files that differ by one number in their name are parts, too: `products_1.csv`."""
    groups: dict[str, set[str]] = {}
    for pattern, _ in found.values():
        folder, base = posixpath.split(pattern)
        outside = re.sub(r"\{day[^}]*\}", lambda m: "\0" * len(m[0]), base)
        numbers = list(_NUMBER.finditer(outside))
        if numbers:
            start, end = numbers[-1].span()
            starred = posixpath.join(folder, base[:start] + "*" + base[end:])
            groups.setdefault(starred, set()).add(pattern)
    for starred, members in groups.items():
        if len(members) > 1:
            found = {
                name: (starred if pattern in members else pattern, day)
                for name, (pattern, day) in found.items()
            }
    return found


def stem_of(pattern: str) -> str:
    """A word for a file, from its name: `objects_images` of `data/{day}/objects_images.csv.gz`."""
    base = re.sub(r"\{day[^}]*\}|\*", "", posixpath.basename(pattern)).split(".")[0]
    stem = re.sub(r"\W+|_+", "_", base.casefold()).strip("_")
    if not stem:
        folder = posixpath.basename(posixpath.dirname(pattern))
        stem = re.sub(r"\W+|_+|day", "_", folder.casefold()).strip("_")
    return stem if re.match(r"[a-z]", stem) else f"t_{stem}".rstrip("_")
