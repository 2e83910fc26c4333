"""Any URL at all: what it asks for is found, or refused in one sentence."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from hypothesis import example, given
from hypothesis import strategies as st

from h5sup.api.target import CONTROL, MAX_PARAMETERS, read_parameters, read_target
from h5sup.base.errors import InvalidError

PIECES = st.sampled_from(
    ["/", "//", "api", "v1", "GetSrc", "&", "?", "=", "session", "token", "%", "%20", "%2F", "%00",
     "%ff", "+", " ", "..", "é", "\udcff", ";", "#"]
)  # fmt: skip
WRITTEN = st.lists(PIECES, max_size=30).map("".join)
NAMES = st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1, max_size=10)
VALUES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20)


@given(WRITTEN | st.text(), WRITTEN | st.text())
def test_whatever_is_asked_is_a_target_or_refused(path: str, query: str) -> None:
    try:
        target = read_target(path, query)
    except InvalidError:
        return
    assert target.path.startswith("/")
    assert "//" not in target.path
    assert len(target.parameters) <= MAX_PARAMETERS
    for name, value in target.parameters.items():
        assert name == name.strip().lower()
        assert value
        assert not CONTROL.search(name + value)
        (name + value).encode()  # every answer can repeat it
    assert str(target.url)


@given(st.dictionaries(NAMES.map(str.lower), VALUES.filter(bool), max_size=20))
@example({"url": "rtsp://u:p@h/a?b=c&d=e#f", "name": "前门 + back"})
def test_parameters_come_as_they_were_meant(given_ones: dict[str, str]) -> None:
    kept = {name.lower(): value for name, value in given_ones.items()}
    assert read_parameters(urlencode(kept)) == kept
    assert read_parameters(urlencode(kept, quote_via=quote)) == kept


@given(st.dictionaries(NAMES.map(str.lower), VALUES.filter(bool), max_size=10), VALUES)
def test_misplaced_ampersand_changes_nothing(given_ones: dict[str, str], token: str) -> None:
    kept = {name.lower(): value for name, value in given_ones.items()} | {"token": token or "x"}
    query = urlencode(kept)
    straight = read_target("/api/v1/GetSrc", query)
    for path, rest in ((f"//api/v1//GetSrc&{query}", ""), ("/api/v1/GetSrc", f"&%20{query}")):
        bent = read_target(path, rest)
        assert (bent.call, bent.parameters) == (straight.call, straight.parameters)
