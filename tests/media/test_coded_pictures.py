"""What a coded picture says about itself, from units written by hand (ITU-T H.264 and H.265)."""

import pytest

from mllm_affect.media.decoding.coded import (
    LAYER_SHIFT,
    LEADING,
    PARAMETERS,
    REACHES_BACK,
    REFERENCE,
    RESTARTS,
    ReadPicture,
    picture_reader,
)

AVCC = bytes([1, 100, 0, 30, 0xFF, *bytes(20)])
HVCC = bytes([1, *bytes(20), 0x0F, *bytes(4)])
FIRST_SLICE, DROP_PRIOR = 0x80, 0x40


def read(codec: str, header: bytes, *units: bytes) -> int | None:
    """The flags of a packet of these units, each behind four bytes of length."""
    reader: ReadPicture | None = picture_reader(codec, header)
    assert reader is not None
    packet = b"".join(len(unit).to_bytes(4, "big") + unit for unit in units)
    return reader(memoryview(packet))


def h264(*units: bytes) -> int | None:
    return read("h264", AVCC, *units)


def hevc(kind: int, slice_head: int = FIRST_SLICE, layer: int = 1) -> int | None:
    return read("hevc", HVCC, bytes([kind << 1, layer, slice_head, 0]))


def test_h264() -> None:
    assert h264(bytes([0x65, 0x80, 0])) == RESTARTS | REFERENCE
    assert h264(bytes([0x41, 0x80, 0])) == REFERENCE
    assert h264(bytes([0x01, 0x80, 0])) == 0
    assert h264(bytes([0x67, 0, 0]), bytes([0x65, 0x80, 0])) == PARAMETERS | RESTARTS | REFERENCE


@pytest.mark.parametrize(
    "units",
    [
        (),
        (bytes([0x65, 0x80, 0]), bytes([0x65, 0x80, 0])),  # two pictures
        (bytes([0x42, 0x80, 0]),),  # a data partition
        (bytes([0x65, 0x80, 0]), bytes([0x0A, 0, 0])),  # the sequence ends
    ],
)
def test_h264_that_is_not_one_plain_picture(units: tuple[bytes, ...]) -> None:
    assert h264(*units) is None


def test_hevc() -> None:
    assert hevc(19) == RESTARTS | REFERENCE  # IDR_W_RADL
    assert hevc(21) == RESTARTS | REFERENCE  # CRA
    assert hevc(1) == REFERENCE  # TRAIL_R
    assert hevc(0, layer=3) == 2 << LAYER_SHIFT  # TRAIL_N of the third layer
    assert hevc(9) == REFERENCE | LEADING | REACHES_BACK  # RASL_R
    assert hevc(6) == LEADING  # RADL_N


def test_hevc_restarts_that_drop_pictures_before_them_are_not_plain() -> None:
    """After a restart that drops what was not shown yet, decoding in groups would show it."""
    assert hevc(21, FIRST_SLICE | DROP_PRIOR) is None
    assert hevc(1, FIRST_SLICE | DROP_PRIOR) == REFERENCE  # in other slices the bit means more


def test_lengths_that_do_not_fill_the_packet() -> None:
    reader = picture_reader("h264", AVCC)
    assert reader is not None
    assert reader(memoryview(b"\x00\x00\x00\x09\x65\x80\x00")) is None
