"""XML from strangers (W3C XML 1.0), as a small tree: no DTD, so no entities, and all bounded.

Names are local: what stands before a colon is dropped, since devices of one brand use several
namespaces for the same thing, and forget to declare them. expat does the reading.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from xml.parsers import expat
from xml.sax.saxutils import escape

from h5sup.base.errors import MediaFormatError

MAX_XML_BYTES = 1_000_000
MAX_ELEMENTS = 20_000  # read in some 30 ms on a slow machine; the event loop waits meanwhile
MAX_DEPTH = 32
DECLARED_ENCODING = re.compile(rb"""^\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]+)""")
CHINESE = frozenset({"gb2312", "gbk", "gb18030"})
BOM = b"\xef\xbb\xbf"
NOT_A_LETTER = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")  # XML 1.0 §2.2


@dataclass(frozen=True, slots=True)
class Element:
    """One element; `text` is what stands directly in it, without blanks around."""

    name: str
    attributes: Mapping[str, str]
    text: str
    children: tuple[Element, ...]

    def find(self, path: str) -> Element | None:
        """Return the first descendant along names such as `timeSpan/startTime`."""
        return next(self._along(path.split("/")), None)

    def find_all(self, path: str) -> tuple[Element, ...]:
        """Return every descendant along names."""
        return tuple(self._along(path.split("/")))

    def text_of(self, path: str, default: str = "") -> str:
        """Return the text of the first descendant along names."""
        found = self.find(path)
        return default if found is None else found.text

    def walk(self) -> Iterator[Element]:
        """Yield this element and all within it, in the order of the document."""
        yield self
        for child in self.children:
            yield from child.walk()

    def _along(self, names: list[str]) -> Iterator[Element]:
        for child in self.children:
            if child.name == names[0]:
                if len(names) == 1:
                    yield child
                else:
                    yield from child._along(names[1:])


def parse_xml(data: bytes) -> Element:
    """Return the outermost element; raises MediaFormatError for what is no safe XML."""
    if len(data) > MAX_XML_BYTES:
        raise MediaFormatError(f"XML of more than {MAX_XML_BYTES} bytes")
    reader = _Reader()
    try:
        reader.parser.Parse(_as_utf8(data), True)
    except expat.ExpatError as error:
        raise MediaFormatError(f"this is not XML: {error}") from None
    return reader.outermost


def escape_xml(text: str) -> str:
    """Return `text` as it stands in an element, without letters that XML has no way to write."""
    return escape(NOT_A_LETTER.sub("", text))


def _as_utf8(data: bytes) -> bytes:
    """Return the document in UTF-8, which devices mostly send whatever they declare."""
    data = data.removeprefix(BOM)
    try:
        data.decode()
    except UnicodeDecodeError:
        declared = DECLARED_ENCODING.match(data)
        if declared is None or declared[1].decode().lower() not in CHINESE:
            raise MediaFormatError("this is not XML: its letters are not UTF-8") from None
        try:
            return data.decode("gb18030").encode()
        except UnicodeDecodeError:
            raise MediaFormatError("this is not XML: its letters can't be read") from None
    return data


def _local(name: str) -> str:
    return name.rpartition(":")[2]


@dataclass(slots=True)
class _Open:
    """An element that has not ended yet."""

    name: str
    attributes: dict[str, str]
    texts: list[str]
    children: list[Element]

    def close(self) -> Element:
        text = "".join(self.texts).strip()
        return Element(self.name, self.attributes, text, tuple(self.children))


class _Reader:
    """Builds the tree from expat's calls."""

    def __init__(self) -> None:
        self.parser = expat.ParserCreate("utf-8")
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._refuse_dtd
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._take_text
        self._document = _Open("", {}, [], [])
        self._open = [self._document]
        self._count = 0

    @property
    def outermost(self) -> Element:
        """Return the tree; expat has seen to it that there is exactly one."""
        return self._document.children[0]

    def _refuse_dtd(self, *_: object) -> None:
        raise MediaFormatError("XML with a document type is not read")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > MAX_ELEMENTS:
            raise MediaFormatError(f"XML of more than {MAX_ELEMENTS} elements")
        if len(self._open) > MAX_DEPTH:
            raise MediaFormatError(f"XML nested more than {MAX_DEPTH} deep")
        kept = {_local(key): value for key, value in attributes.items()}
        self._open.append(_Open(_local(name), kept, [], []))

    def _end(self, _: str) -> None:
        element = self._open.pop().close()
        self._open[-1].children.append(element)

    def _take_text(self, text: str) -> None:
        self._open[-1].texts.append(text)
