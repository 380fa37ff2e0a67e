"""A multipart form read as it arrives: the video goes straight on, the rest is kept.

Does: hand the video's bytes over chunk by chunk, bound everything else.  Does not: write files,
keep the name that a client gave its video, or hold a video in memory.
"""

from collections.abc import Callable
from typing import Self

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from serve.problems import FieldError
from serve.told import MAX_TRANSCRIPT_BYTES, TranscriptFile

FILE, TRANSCRIPT = "video", "transcript"
MOST_FIELDS = 96
"""More than the answers that a question may have, and everything else beside them."""

MOST_FIELD_BYTES = MAX_TRANSCRIPT_BYTES + 64
MOST_HEADER_BYTES = 8 << 10

Write = Callable[[bytes], None]


class FormReader:
    """Reads one form; `write` gets the bytes of its file.  Make one by `of`."""

    def __init__(self, boundary: bytes, write: Write) -> None:
        self._write = write
        self._fields: dict[str, list[str]] = {}
        self._filename = ""
        self.transcript: TranscriptFile | None = None
        self._name, self._header = "", b""
        self._headers: dict[bytes, bytes] = {}
        self._is_file = self._file_seen = self._ended = False
        self._value = bytearray()
        self._count = 0
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._header_name,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_headers_finished": self._headers_end,
                "on_part_data": self._data,
                "on_part_end": self._end,
                "on_end": self._all_ended,
            },
        )
        self._header_text = bytearray()

    @classmethod
    def of(cls, content_type: str, write: Write) -> Self | None:
        """Return a reader for a body of this type, None when it is no multipart form.

        Raises FieldError `bad_request` for a form without a boundary.
        """
        kind, options = parse_options_header(content_type)
        if kind != b"multipart/form-data":
            return None
        boundary = options.get(b"boundary", b"")
        if not 0 < len(boundary) <= 70:
            raise _bad("The form states no usable boundary.")
        return cls(boundary, write)

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the body.  Raises FieldError `bad_request`."""
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise _bad("The form cannot be read.") from error

    def finish(self) -> dict[str, list[str]]:
        """Return the fields.  Raises FieldError `bad_request` for a form that broke off."""
        if not self._ended:
            raise _bad("The form broke off.")
        if not self._file_seen:
            raise _bad(f"The form holds no file {FILE}.")
        return self._fields

    def _begin(self) -> None:
        self._count += 1
        if self._count > MOST_FIELDS:
            raise _bad(f"A form may have at most {MOST_FIELDS} fields.")
        self._headers, self._header, self._header_text = {}, b"", bytearray()
        self._value, self._is_file, self._name = bytearray(), False, ""

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end].lower()
        self._bound(self._header)

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_text += data[start:end]
        self._bound(self._header_text)

    def _header_end(self) -> None:
        self._headers[self._header] = bytes(self._header_text)
        self._header, self._header_text = b"", bytearray()

    def _headers_end(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        self._is_file = b"filename" in options and self._name == FILE
        self._filename = options.get(b"filename", b"").decode("utf-8", "replace")
        if b"filename" in options and self._name not in (FILE, TRANSCRIPT):
            raise _bad(f"A form may bring the files {FILE} and {TRANSCRIPT} alone.", self._name)
        if self._is_file and self._file_seen:
            raise _bad(f"A form brings one {FILE}.")
        self._file_seen = self._file_seen or self._is_file

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self._write(data[start:end])
            return
        # What is longer is refused for its length later; its end is not needed for that.
        self._value += data[start : min(end, start + MOST_FIELD_BYTES - len(self._value))]

    def _end(self) -> None:
        if self._is_file:
            return
        if self._name == TRANSCRIPT and self._filename:
            self.transcript = TranscriptFile(self._filename, bytes(self._value))
            return
        try:
            text = self._value.decode("utf-8")
        except UnicodeDecodeError as error:
            if len(self._value) < MOST_FIELD_BYTES:
                raise _bad("A field is no UTF-8 text.", self._name) from error
            text = self._value.decode("utf-8", "replace")
        self._fields.setdefault(self._name, []).append(text)

    def _all_ended(self) -> None:
        self._ended = True

    def _bound(self, text: bytes | bytearray) -> None:
        if len(text) > MOST_HEADER_BYTES:
            raise _bad("A header of the form is too long.")


def _bad(sentence: str, field: str = FILE) -> FieldError:
    return FieldError("bad_request", sentence, (field,))
