"""Bodies of many parts, whatever pieces they come in."""

import pytest

from panlesion.aid.store.check import RefusedError
from panlesion.aid.store.multipart import Parts, boundary_of

BODY = (
    b'--B\r\nContent-Disposition: form-data; name="files"; filename="a/b \xc3\xa4.dcm"\r\n\r\nfirst\r\n--not\r\n'
    b"--B\r\nContent-Type: application/dicom\r\n\r\n\r\n--B\r\n\r\nthird\r\n--B--\r\n"
)


def parts_of(pieces):
    found = []
    parts = Parts(
        b"B",
        begin=lambda part: found.append([part, b"", False]),
        data=lambda data: found[-1].__setitem__(1, found[-1][1] + data),
        end=lambda: found[-1].__setitem__(2, True),
    )
    for piece in pieces:
        parts.feed(piece)
    parts.finish()
    return found


@pytest.mark.parametrize("size", [1, 2, 7, 64, 10_000])
def test_parts_do_not_depend_on_how_the_body_is_cut(size):
    found = parts_of(BODY[at : at + size] for at in range(0, len(BODY), size))
    assert [(data, whole) for _, data, whole in found] == [(b"first\r\n--not", True), (b"", True), (b"third", True)]
    assert (found[0][0].field, found[0][0].filename, found[1][0].filename) == ("files", "a/b ä.dcm", "")


@pytest.mark.parametrize("keep", [0, 10, 60, len(BODY) - 6])
def test_a_body_that_breaks_off_is_refused(keep):
    with pytest.raises(RefusedError, match="broke off"):
        parts_of([BODY[:keep]])


def test_a_body_that_is_none_and_a_header_without_end_are_refused():
    with pytest.raises(RefusedError, match="boundary"):
        parts_of([b"no such body"])
    with pytest.raises(RefusedError, match="header"):
        parts_of([b"--B\r\nX: " + b"a" * 1_000_000])


def test_the_boundary_is_read_and_other_bodies_are_refused():
    assert boundary_of('multipart/related; type="application/dicom"; boundary="a b"', "multipart/related") == b"a b"
    for other in (
        "",
        "application/json",
        "multipart/related",
        "multipart/form-data; boundary=x",
        "multipart/related; boundary=" + "x" * 999,
    ):
        with pytest.raises(RefusedError, match="boundary"):
            boundary_of(other, "multipart/related")
