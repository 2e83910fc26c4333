"""XML from strangers: read into a tree, or refused with a sentence."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from h5sup.base.errors import MediaFormatError
from h5sup.formats.xml import MAX_DEPTH, MAX_ELEMENTS, MAX_XML_BYTES, escape_xml, parse_xml

SAMPLE = b"""<?xml version="1.0" encoding="UTF-8" ?>
<List version="2.0" xmlns="http://www.isapi.org/ver20/XMLSchema" xmlns:tt="urn:tt">
  <tt:Item tt:kind="a"><id> 1 </id><name>T\xc3\xbcr &amp; Tor</name></tt:Item>
  <Item><id>2</id><name/></Item>
</List>"""

BOMB = b"""<?xml version="1.0"?>
<!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;">]>
<lolz>&lol2;</lolz>"""


def test_elements_are_found_by_their_local_names() -> None:
    tree = parse_xml(SAMPLE)
    assert (tree.name, tree.attributes["version"]) == ("List", "2.0")
    assert [item.text_of("id") for item in tree.find_all("Item")] == ["1", "2"]
    first = tree.find("Item")
    assert first is not None
    assert first.attributes == {"kind": "a"}
    assert tree.text_of("Item/name") == "Tür & Tor"
    assert tree.text_of("Item/nothing", "?") == "?"
    assert tree.find("Item/id/deeper") is None
    assert [element.name for element in tree.walk()][:3] == ["List", "Item", "id"]


def test_prefixes_that_nobody_declared_are_no_hindrance() -> None:
    assert parse_xml(b"<s:a><t:b>1</t:b></s:a>").text_of("b") == "1"


@pytest.mark.parametrize("length", range(len(SAMPLE)))
def test_every_truncation_is_refused(length: int) -> None:
    with pytest.raises(MediaFormatError, match="this is not XML"):
        parse_xml(SAMPLE[:length])


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (BOMB, "document type"),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "document type"),
        (b"<a>&undeclared;</a>", "not XML"),
        (b"<a>" * (MAX_DEPTH + 1), "deep"),
        (b"<a>" + b"<b/>" * MAX_ELEMENTS + b"</a>", "elements"),
        (b"<a>" + b" " * MAX_XML_BYTES + b"</a>", "bytes"),
        (b"<a>\xff</a>", "UTF-8"),
        (b'<?xml version="1.0" encoding="utf-16"?><a>\xff</a>', "UTF-8"),
        (b'<?xml version="1.0" encoding="GB2312"?><a>\xff\xff</a>', "letters"),
        (b"<html><br></html>", "not XML"),
        (b"", "not XML"),
    ],
    ids=lambda value: value[:24].decode("latin-1") if isinstance(value, bytes) else value,
)
def test_what_is_no_safe_xml_is_refused(data: bytes, sentence: str) -> None:
    with pytest.raises(MediaFormatError, match=sentence):
        parse_xml(data)


def test_chinese_letters_are_read_as_declared_or_as_utf8() -> None:
    head = '<?xml version="1.0" encoding="GB2312"?><a>大门</a>'
    assert parse_xml(head.encode("gb18030")).text == "大门"
    assert parse_xml(head.encode()).text == "大门"
    assert parse_xml(b"\xef\xbb\xbf<a>1</a>").text == "1"


def test_the_largest_tree_is_read_without_holding_up_the_loop() -> None:
    data = b"<a>" + b"<b>1</b>" * (MAX_ELEMENTS - 1) + b"</a>"
    began = time.process_time()
    assert len(parse_xml(data).children) == MAX_ELEMENTS - 1
    assert time.process_time() - began < 0.3


@given(st.text())
def test_escaped_text_comes_back(text: str) -> None:
    kept = "".join(letter for letter in text if letter.isprintable())
    assert parse_xml(f"<a>{escape_xml(kept)}</a>".encode()).text == kept.strip()
    parse_xml(f"<a>{escape_xml(text)}</a>".encode(errors="ignore"))


@given(st.binary(max_size=200))
def test_random_bytes_raise_nothing_else(data: bytes) -> None:
    for sent in (data, b"<a>" + data + b"</a>"):
        with suppress(MediaFormatError):
            parse_xml(sent)
