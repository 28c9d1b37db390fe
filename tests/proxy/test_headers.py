"""Headers go on in their order; what belongs to one connection or to us does not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from unabridged.proxy.headers import CREDENTIALS, HOP_BY_HOP, to_client, to_upstream, unencoded

NAME = st.from_regex(rb"[A-Za-z][A-Za-z0-9-]{0,12}", fullmatch=True)
LIST = st.lists(st.tuples(NAME, st.from_regex(rb"[ -~]{0,20}", fullmatch=True)))


def plain(name: bytes) -> bool:
    lower = name.lower()
    special = HOP_BY_HOP | CREDENTIALS | {b"host", b"expect", b"content-length"}
    return lower not in special and not lower.startswith(b"x-unabridged")


@given(LIST)
def test_every_other_header_goes_on_as_it_is_and_in_its_order(
    headers: list[tuple[bytes, bytes]],
) -> None:
    ordinary = [(k, v) for k, v in headers if plain(k)]
    sent = to_upstream(ordinary, host=b"h", key=None, own_keys=False, length=None)
    assert sent == [(b"host", b"h"), *ordinary]
    assert to_client(ordinary, receipt=[], changed=False, length=None) == ordinary


def test_the_callers_credential_goes_on_only_if_it_is_the_upstreams() -> None:
    given = [(b"Authorization", b"Bearer mine"), (b"X-Api-Key", b"k"), (b"Cookie", b"c")]
    open_proxy = to_upstream(given, host=b"h", key=None, own_keys=False, length=None)
    assert open_proxy[1:] == given
    keyed = to_upstream(given, host=b"h", key=None, own_keys=True, length=None)
    assert keyed == [(b"host", b"h")]
    operated = to_upstream(given, host=b"h", key="op", own_keys=True, length=None)
    assert operated == [(b"host", b"h"), (b"authorization", b"Bearer op")]


def test_the_operators_credential_stands_alone_where_the_upstream_looks_for_it() -> None:
    given = [(b"X-Vendor-Key", b"mine"), (b"X-Other", b"1")]
    sent = to_upstream(
        given, host=b"h", key="op", key_header=b"x-vendor-key", own_keys=False, length=None
    )
    assert sent == [(b"host", b"h"), (b"X-Other", b"1"), (b"x-vendor-key", b"op")]


def test_what_connection_names_is_dropped_in_any_case() -> None:
    given = [(b"CONNECTION", b"Close,  x-A "), (b"X-a", b"1"), (b"x-ab", b"2")]
    assert to_client(given, receipt=[], changed=False, length=None) == [(b"x-ab", b"2")]


def test_a_new_body_has_its_own_length_and_no_old_digest() -> None:
    given = [(b"Content-Length", b"9"), (b"ETag", b"x"), (b"Content-MD5", b"y"), (b"a", b"b")]
    got = to_client(given, receipt=[(b"r", b"1")], changed=True, length=4)
    assert got == [(b"a", b"b"), (b"content-length", b"4"), (b"r", b"1")]
    assert to_upstream(given, host=b"h", key=None, own_keys=False, length=5)[-1] == (
        b"content-length",
        b"5",
    )


def test_a_length_beside_chunks_is_not_the_bodys_and_goes() -> None:
    given = [(b"Content-Length", b"9"), (b"Transfer-Encoding", b"chunked"), (b"a", b"b")]
    assert to_client(given, receipt=[], changed=False, length=None) == [(b"a", b"b")]
    sent = to_upstream(given, host=b"h", key=None, own_keys=False, length=None)
    assert sent == [(b"host", b"h"), (b"a", b"b")]


def test_an_answer_to_be_restored_is_asked_for_unencoded() -> None:
    got = unencoded([(b"Accept-Encoding", b"gzip"), (b"a", b"b")])
    assert got == [(b"a", b"b"), (b"accept-encoding", b"identity")]
