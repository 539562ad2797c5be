"""The encoding of a text file: found out from its bytes, and undone."""

import codecs
import io
import re
from typing import IO, cast

SAMPLE_BYTES = 1 << 18
_MARKS = (  # byte order marks; that of UTF-32 begins like that of UTF-16
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CHUNK = 1 << 16
_ALPHABETS = {  # code page -> letters of its languages beside a to z; Windows' Western one first
    "cp1252": (
        *("äöüß", "àâæçéèêëîïôœùûüÿ", "áéíñóúü", "àèéìîòóùú", "àáâãçéêíóôõúü", "åäöé", "æøåéóôöä"),
        *("áðéíóúýþæö", "éëïóöüèá", "àèéíïòóúüç"),
    ),
    "cp1250": ("ąćęłńóśźż", "áčďéěíňóřšťúůýž", "áäčďéíĺľňóôŕšťúýž", "áéíóöőúüű", "čšžćđ", "ăâîşţ"),
    "cp1254": ("çğıöşüâîû",),
    "cp1257": ("ąčęėįšųūž", "āčēģīķļņšūž", "äõöüšž"),
    "iso8859_2": ("ąćęłńóśźż", "áčďéěíňóřšťúůýž", "áäčďéíĺľňóôŕšťúýž", "áéíóöőúüű", "čšžćđ"),
}
_HIGH = re.compile(r"[^\x00-\x7f]")
_IN_A_WORD = re.compile(
    r"(?<=\w)[^\w\s\x00-\x7f](?=[a-z])|(?<!\w)[£¯¿¼¶±](?=[a-z])|[\x80-\x9f\ufffd]"
)
_UNKNOWN = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")  # to cp1252


def sniff_encoding(sample: bytes, *, code_pages: bool = True) -> str:
    """The encoding of a text by its first bytes: by a mark, as UTF-8, or as what reads best.

    A file of UTF-8 in which single lines are broken is UTF-8: these lines are refused one by one.
    Without `code_pages`, every text without a mark is UTF-8 or UTF-16.
    """
    for mark, encoding in _MARKS:
        if sample.startswith(mark):
            return encoding
    if sample[:200].count(0) > len(sample[:200]) // 4:  # every other byte of Latin text
        return "utf-16-le" if sample[1:2] == b"\0" else "utf-16-be"
    broken, whole = 0, 0
    for line in sample.rsplit(b"\n", 1)[0].split(b"\n"):
        if not line.isascii():
            try:
                line.decode()
                whole += 1
            except UnicodeDecodeError:
                broken += 1
    if broken <= whole or not code_pages:
        return "utf-8"
    return _best_guess(sample)


def _best_guess(sample: bytes) -> str:
    """Of an encoding without a mark. Windows' Western one is by far the commonest in the field, and
    charset-normalizer prefers rarer ones on short texts, so it has to be clearly worse."""
    from charset_normalizer import from_bytes

    lines = [line for line in sample.split(b"\n") if not line.isascii()]
    shares = {page: _share_of_a_language(b"\n".join(lines), page) for page in _ALPHABETS}
    likely = max(shares, key=lambda page: shares[page])  # of several, the first
    needed = 0.95 if likely == "cp1252" else shares["cp1252"] + 0.1
    if shares[likely] >= max(0.9, needed):
        return likely
    known = [line for line in lines if not _UNKNOWN.search(line)]
    # single rows may be broken
    whole = b"\n".join(known) if len(known) >= 0.8 * len(lines) else b""
    western = whole.decode("cp1252")
    high = re.findall(r"[^\x00-\x7f]", western)
    letters = sum(c.isalpha() or c in "€£§°²³´’‘“”„–—…«»®©½¼¾·×±µ¿¡ºª¹™•" for c in high)
    # Western texts have single accented letters in words of plain ones, not words of high letters
    runs = re.findall(r"[À-ÿ]{3,}", western)
    if western and letters >= 0.9 * len(high) and len(runs) * 10 < len(high):
        return "cp1252"
    best = from_bytes(sample[: 1 << 15]).best()
    return best.encoding if best else "cp1252"


def _share_of_a_language(text: bytes, page: str) -> float:
    """Of the letters beside a to z, how many are of the one language that has most of them, if a
    text is of a code page; a mark within a word counts as a wrong letter."""
    decoded = text.decode(page, "replace").lower()
    high = [letter for letter in _HIGH.findall(decoded) if letter.isalpha()]
    wrong = len(_IN_A_WORD.findall(decoded))
    most = max(sum(letter in alphabet for letter in high) for alphabet in _ALPHABETS[page])
    return most / (len(high) + wrong) if high else 0.0


class Utf8Stream(io.RawIOBase):
    """A binary stream in another encoding, as UTF-8. What cannot be decoded becomes U+FFFD.

    `old_mac`: its lines end in a carriage return alone, and here in a line feed.
    """

    def __init__(self, stream: IO[bytes], encoding: str, *, old_mac: bool = False):
        self._stream, self._left, self._old_mac = stream, b"", old_mac
        self._decoder = codecs.getincrementaldecoder(encoding)("replace")
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._left and not self._ended:
            chunk = self._stream.read(_CHUNK)
            self._ended = not chunk
            text = self._decoder.decode(chunk, final=self._ended)
            text = text.replace("\r", "\n") if self._old_mac else text
            self._left = text.removeprefix("\ufeff").encode("utf-8", "replace")
        size = min(len(buffer), len(self._left))
        buffer[:size], self._left = self._left[:size], self._left[size:]
        return size


def as_utf8(stream: IO[bytes], encoding: str, *, old_mac: bool = False) -> IO[bytes]:
    """The stream as UTF-8, with line feeds.

    Raises:
        LookupError: there is no such encoding.
    """
    if codecs.lookup(encoding).name in ("utf-8", "ascii") and not old_mac:
        return stream
    decoded = Utf8Stream(stream, encoding, old_mac=old_mac)
    return cast(IO[bytes], io.BufferedReader(decoded, _CHUNK))
