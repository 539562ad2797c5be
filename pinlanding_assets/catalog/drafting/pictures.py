"""Which columns hold images."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pinlanding_assets.catalog.drafting import shapes, words
from pinlanding_assets.catalog.drafting.names import plain, rank, tokens
from pinlanding_assets.catalog.drafting.profile import Column
from pinlanding_assets.catalog.drafting.words import listed, said
from pinlanding_assets.catalog.values import attachments

_SEPARATORS = ("|", ";", ",", "\n", "~", "^", " ")
_FURTHER = said(
    "additional, other, extra, more, further, gallery, weitere, zusatz, secondary, alternate,"
    "alt, others, back, side, second, third"
)
_LARGEST = ("hi res", "original", "master", "full", "large", "big", "zoom", "main", "primary")
_SIZES = listed(
    "hi res, print, large, full, original, master, max, xl, big, zoom, web, default, screen,"
    "medium, normal, small, thumb, thumbnail, preview"
)
_OF_OTHERS = said(
    "alt, logo, avatar, favicon, icon, caption, credit, icc, category, brand, seller, vendor, shop,"
    "store, author, user, banner, chart, manufacturer, flag, supplier, kategorie, marke"
)
_NO_IMAGE = re.compile(r"\.(json|xml|html?|pdf)([?#]|$)|/manifest/?$", re.IGNORECASE)
_MEDIUM = frozenset({"medium", "middle"})
_MEMBERS_IN_ORDER = listed(
    "bytes, hi_res, large, full, original, master, max, src, url, href, contentUrl, content_url,"
    "image_url, imageUrl, link, image, path, file, file_name, filename, filePath, @id, id,"
    "medium, small, thumb, thumbnail"
)
_MEMBERS = frozenset(_MEMBERS_IN_ORDER)
_NAMED_BY_THE_FULL_NAME = listed("edm is shown by, isshownby, is shown by, media content")


@dataclass(frozen=True)
class Picture:
    """A column of images, how its texts are split, and the columns that it covers."""

    name: str
    split: str | None
    covers: tuple[str, ...]
    reason: str


def split_of(texts: Iterable[str]) -> str | None:
    """What separates several images in a text; None: there is one in each."""
    shown = [text for text in texts if text][:500]
    for separator in _SEPARATORS:
        several = [text for text in shown if separator in text.strip(separator + " ")]
        if not several:
            continue
        good = sum(_all_images(text.split(separator)) for text in several)
        if good == len(several):
            return separator
    return None


def _all_images(parts: Sequence[str]) -> bool:
    stated = [part.strip() for part in parts if part.strip()]
    addresses = all(shapes.is_url(part) for part in stated)
    # an address may hold a comma: what follows it is then no address of its own
    return len(stated) > 1 and (
        addresses or all(shapes.is_image(part) and "://" not in part for part in stated)
    )


def _is_picture(column: Column) -> tuple[bool, str | None]:
    named = tokens(column.name)
    other = named & words.NOT_IMAGES and not named & words.IMAGE_TOKENS
    sure_enough = 0.95 if other else 0.6
    if named & _OF_OTHERS or not column.parts:
        return False, None
    texts = [v for v in column.parts if isinstance(v, str)]
    split = None if any(map(attachments, texts)) else split_of(texts)
    if split:
        return True, split
    if column.share(shapes.is_image) >= sure_enough:
        return True, None
    stated = bool(named & words.IMAGE_TOKENS) or plain(column.name) in _NAMED_BY_THE_FULL_NAME
    stated = stated and not named & words.NOT_IMAGES
    where = column.share(lambda v: shapes.is_url(v) or (shapes.is_path(v) and " " not in str(v)))
    stated = stated and column.share(lambda v: bool(_NO_IMAGE.search(str(v)))) < 0.5
    return stated and where >= 0.9, None


def pictures(columns: dict[str, Column]) -> list[Picture]:
    """The columns of images, the main one first."""
    found: dict[str, Picture] = {}
    grouped: dict[str, list[Column]] = {}
    others = _other_forms(columns.values())
    for column in columns.values():
        good, split = (False, None) if column.keyed else _is_picture(column)
        good = good and column not in others
        if not good:
            continue
        owner = _owner(column)
        if owner:
            grouped.setdefault(owner, []).append(column)
        else:
            found[column.name] = Picture(
                column.name, split, (column.name,), "its values name images"
            )
    for owner, members in grouped.items():
        covers = tuple(name for name, c in columns.items() if c.parents and _owner_name(c) == owner)
        reason = "objects that name an image"
        if any(shapes.BYTES in v for c in members for v in c.parts if isinstance(v, dict)):
            reason = "the bytes of images"
        # a list within a list: all of them, one after the other
        within = "[]" in owner and any(c.parents[-1].endswith("[]") for c in members)
        found[owner] = Picture(f"{owner}[]" if within else owner, None, covers, reason)
    chosen = [_of_server(p, columns.get(p.name)) for p in _best(list(found.values()), columns)]
    return sorted(chosen, key=lambda p: _order(p.name, list(columns)))


def _other_forms(columns: Iterable[Column]) -> list[Column]:
    """Of objects in a list, each of which is an image: the columns that hold it in another form."""
    objects: dict[str, list[Column]] = {}
    for column in columns:
        lists = [parent for parent in column.parents if parent.endswith("[]")]
        parts = re.split(r"[.\[\]]+", lists[0]) if lists else []
        image = any(part and _is_named_an_image(part) for part in parts)
        if image and not column.keyed and _is_picture(column)[0]:
            objects.setdefault(lists[-1], []).append(column)
    found: list[Column] = []
    for members in objects.values():
        members.sort(key=_form)
        found += members[1:]
    return found


def _form(column: Column) -> tuple:
    """Smaller is better: the image itself, before a copy or what a server of images answers."""
    last = re.split(r"[.\]]", column.name)[-1].strip('"')
    small = bool(tokens(column.name) & (words.SMALL | _MEDIUM)) or "thumb" in last.casefold()
    small = small or column.share(shapes.is_url) == 0  # a name beside its address
    served = "iiif" in last.casefold() or column.share(_is_server) > 0.5
    member = _MEMBERS_IN_ORDER.index(last) if last in _MEMBERS else len(_MEMBERS_IN_ORDER)
    whole = any(size in plain(last) for size in _LARGEST[:5])
    pixels = max(map(int, re.findall(r"\d{2,4}", last)), default=10_000)
    return small, served, not whole, -pixels, member


def _of_server(picture: Picture, column: Column | None) -> Picture:
    """The address of a picture for that of an image server (IIIF) alone."""
    if column is None or picture.split:
        return picture
    named = "iiif" in tokens(column.name) and column.share(shapes.is_image) == 0
    if column.share(_is_server) < 0.9 and not named:
        return picture
    slash = "" if all(text.endswith("/") for text in column.texts) else "/"
    before, mark, last = picture.name.rpartition("[].")
    name = last if column.parents or last.isidentifier() else json.dumps(last)
    path = f"{before}{mark}join('', [{name}, '{slash}full/!1024,1024/0/default.jpg'])"
    if len(path) > 200:
        return picture
    return Picture(path, None, picture.covers, "addresses of an image server (IIIF)")


def _is_server(value: object) -> bool:
    text = str(value)
    return (
        "/iiif/" in text
        and "/full/" not in text
        and not shapes.is_image(text)
        and not (text.endswith(".json"))
    )


def _owner_name(column: Column) -> str:
    owner = column.parents[-1]
    return column.parents[-2] if owner.endswith("[]") and len(column.parents) > 1 else owner


def _owner(column: Column) -> str:
    """The object around a column that stands for an image as a whole; "": there is none."""
    if not column.parents:
        return ""
    last = re.split(r"[.\]]", column.name)[-1].strip('"')
    owner = _owner_name(column)
    if last not in _MEMBERS:
        return ""
    return owner if last == "bytes" or _is_named_an_image(owner) else ""


def _is_named_an_image(owner: str) -> bool:
    inner = re.split(r"[.\]]", owner)[-1] or owner
    return bool(tokens(inner) & words.IMAGE_TOKENS) or rank(inner, words.IMAGES) is not None


def _best(found: list[Picture], columns: dict[str, Column]) -> list[Picture]:
    """Without smaller copies of others, and without bare names of files that are named in full."""
    large = [
        p
        for p in found
        if not tokens(p.name) & (words.SMALL | _MEDIUM) and "thumb" not in p.name.casefold()
    ]
    kept = large or found
    kept = _one_of_sizes(kept, columns)
    sized = [p for p in kept if any(size in plain(p.name) for size in _LARGEST[:6])]
    stems = {_stem(p.name) for p in sized}
    kept = [p for p in kept if p in sized or _stem(p.name) not in stems or not _stem(p.name)]
    full = [p for p in kept if _has_folder(columns.get(p.name))]
    if full:
        names = {_base(v) for p in full for v in columns[p.name].texts}
        kept = [p for p in kept if p in full or not _names_the_same(columns.get(p.name), names)]
    same: set[tuple] = set()
    unique = []
    for picture in kept:
        column = columns.get(picture.name)
        values = tuple(column.texts) if column else (picture.name,)
        if values not in same:
            same.add(values)
            unique.append(picture)
    return unique


def _one_of_sizes(found: list[Picture], columns: dict[str, Column]) -> list[Picture]:
    """Without other sizes of an image that an object has by their names: {web: , print: }."""
    groups: dict[str, list[Picture]] = {}
    for picture in found:
        parts = picture.name.split(".")
        place = next((i for i, p in enumerate(parts) if i and plain(p) in _SIZES), 0)
        key = ".".join([*parts[:place], "*", *parts[place + 1 :]]) if place else picture.name
        groups.setdefault(key, []).append(picture)
    chosen = [min(group, key=lambda p: _size(p, columns)) for group in groups.values()]
    return [picture for picture in found if picture in chosen]


def _size(picture: Picture, columns: dict[str, Column]) -> tuple[bool, int]:
    """Smaller is better: what browsers show, then the largest."""
    members = [c for name in picture.covers if (c := columns.get(name))]
    raw = any(c.share(lambda v: bool(re.search(r"\.tiff?\b", str(v)))) > 0.5 for c in members)
    named = [plain(part) for part in picture.name.split(".")]
    return raw, next((i for i, size in enumerate(_SIZES) if size in named), len(_SIZES))


def _stem(name: str) -> str:
    return " ".join(word for word in plain(name).split() if word not in " ".join(_LARGEST).split())


def _base(text: str) -> str:
    return re.split(r"[\\/]", text.split("?")[0])[-1].casefold()


def _has_folder(column: Column | None) -> bool:
    return column is not None and column.share(lambda v: bool(re.search(r"[\\/]", str(v)))) > 0.9


def _names_the_same(column: Column | None, names: set[str]) -> bool:
    if column is None or _has_folder(column):
        return False
    return column.share(lambda v: _base(str(v)) in names) > 0.9


def _order(name: str, columns: list[str]) -> tuple:
    named = tokens(name)
    number = re.search(r"(\d+)\D*$", name)
    place = columns.index(name) if name in columns else 0
    best = rank(re.sub(r"\d+", "", name), words.IMAGES)
    size = min((i for i, s in enumerate(_LARGEST) if s in plain(name)), default=len(_LARGEST))
    further = bool(named & _FURTHER)
    return further, 999 if best is None else best, size, int(number[1]) if number else 0, place
