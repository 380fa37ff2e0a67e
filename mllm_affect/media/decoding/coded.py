"""What a coded picture says about itself in the headers of its units, before any decoding.

Does: tell from one packet of H.264 or HEVC whether it is one plain picture, whether decoding can
start anew there, and whether other pictures refer to it.  Does not: decode, or know time.

Sources: ITU-T H.264 7.4.1 (nal_ref_idc, nal_unit_type), 7.3.3 (first_mb_in_slice);
ITU-T H.265 7.4.2.2 (nal_unit_type, TemporalId), 7.3.6.1 (first_slice_segment_in_pic_flag,
no_output_of_prior_pics_flag).
"""

from collections.abc import Callable, Iterator

RESTARTS = 1
"""No picture after it, but its leading ones, refers to a picture before it."""
REFERENCE = 2
"""Other pictures may refer to it."""
LEADING = 4
"""Shown before the restart that it follows; trailing pictures do not refer to it."""
REACHES_BACK = 8
"""A leading picture that also refers to pictures before that restart."""
PARAMETERS = 16
"""Carries parameter sets, which later pictures may need."""
LAYER_SHIFT = 5
"""HEVC's TemporalId stands in the three bits from here on."""

ReadPicture = Callable[[memoryview], int | None]
"""Returns the flags above, or None for a packet that is not one plain picture."""


def picture_reader(codec: str, extradata: bytes | None) -> ReadPicture | None:
    """Return how to read this codec's packets, None where they cannot be read.

    Only length-prefixed units are read (MP4, MOV, Matroska), as the codec's header declares them.
    """
    if extradata is None or len(extradata) < 23 or extradata[0] != 1:
        return None
    if codec == "h264":
        return lambda packet: _h264(packet, (extradata[4] & 3) + 1)
    if codec == "hevc":
        return lambda packet: _hevc(packet, (extradata[21] & 3) + 1)
    return None


def sequence_parameters(codec: str, extradata: bytes, packet: memoryview) -> list[bytes]:
    """Return the sequence parameter sets that a packet carries: among others, the picture's size.

    The packet must be one that `picture_reader` reads.
    """
    hevc = codec == "hevc"
    prefix = (extradata[21 if hevc else 4] & 3) + 1
    begins = list(_units(packet, prefix))
    ends = [*(begin - prefix for begin in begins[1:]), len(packet)]
    return [
        bytes(packet[begin:end])
        for begin, end in zip(begins, ends, strict=True)
        if (packet[begin] >> 1 & 63 == 33 if hevc else packet[begin] & 31 == 7)
    ]


def _units(packet: memoryview, prefix: int) -> Iterator[int]:
    """Yield where each unit begins.  Raises ValueError when the lengths do not fill the packet."""
    place, end = 0, len(packet)
    while place < end:
        begin = place + prefix
        place = begin + int.from_bytes(packet[place:begin], "big")
        if not begin + 2 < place <= end:
            raise ValueError
        yield begin


def _h264(packet: memoryview, prefix: int) -> int | None:
    flags = pictures = 0
    try:
        for unit in _units(packet, prefix):
            head = packet[unit]
            kind = head & 31
            if kind in (1, 5):
                pictures += packet[unit + 1] >> 7
                flags |= REFERENCE if head & 0x60 else 0
                flags |= RESTARTS if kind == 5 else 0
            elif kind in (7, 8, 13, 15):
                flags |= PARAMETERS
            elif kind in (2, 3, 4, 10, 11):  # partitions; ends of sequence or stream
                return None
    except ValueError:
        return None
    return flags if pictures == 1 else None


def _hevc(packet: memoryview, prefix: int) -> int | None:
    flags = pictures = 0
    try:
        for unit in _units(packet, prefix):
            kind, low = packet[unit] >> 1 & 63, packet[unit + 1]
            if packet[unit] & 1 or low >> 3:
                continue  # another layer; decoders of the base layer pass over it
            if kind < 32:
                picture = _hevc_picture(kind)
                if picture is None or (picture & RESTARTS and packet[unit + 2] & 0x40):
                    return None  # or the pictures before it are not to be shown
                pictures += packet[unit + 2] >> 7
                flags |= picture | max(0, (low & 7) - 1) << LAYER_SHIFT
            elif kind in (32, 33, 34):
                flags |= PARAMETERS
            elif kind in (36, 37):  # ends of sequence or stream
                return None
    except ValueError:
        return None
    return flags if pictures == 1 else None


def _hevc_picture(kind: int) -> int | None:
    if 16 <= kind <= 21:
        return RESTARTS | REFERENCE
    if kind >= 16:
        return None
    flags = REFERENCE if kind % 2 else 0
    if 6 <= kind <= 9:
        flags |= LEADING | (REACHES_BACK if kind >= 8 else 0)
    return flags
