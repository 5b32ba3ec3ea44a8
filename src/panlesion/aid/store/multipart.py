"""Bodies of many parts, read as they come: each part is a file in `incoming/`, never in memory."""

from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import Message

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from panlesion.aid.store.check import RefusedError


@dataclass(kw_only=True)
class Part:
    """A part's own header; `field` and `filename` are those of a form, empty elsewhere."""

    headers: dict[str, str] = field(default_factory=dict)

    def _said(self, name: str) -> str:
        message = Message()
        message["Content-Disposition"] = self.headers.get("content-disposition", "")
        value = message.get_param(name, "", header="Content-Disposition")
        # a name in other than ASCII comes as (charset, language, bytes of it)
        return str(value[2] if isinstance(value, tuple) else value)

    @property
    def field(self) -> str:
        return self._said("name")

    @property
    def filename(self) -> str:
        return self._said("filename")


def boundary_of(content_type: str, kind: str) -> bytes:
    """The boundary of a body of many parts.

    Raises:
        RefusedError: The body is of another kind, or names no boundary.
    """
    message = Message()
    message["Content-Type"] = content_type
    boundary = message.get_boundary("")
    if message.get_content_type() != kind or not boundary or len(boundary) > 256:
        raise RefusedError(f"Content-Type {content_type[:200]!r}; {kind} with a boundary is what is taken here")
    return boundary.encode()


class Parts:
    """Feeds a body to whoever takes its parts: `begin`, then `data` any number of times, then `end`, for each."""

    def __init__(
        self, boundary: bytes, *, begin: Callable[[Part], None], data: Callable[[bytes], None], end: Callable[[], None]
    ) -> None:
        self._begin, self._data, self._end = begin, data, end
        self._part, self._name, self._value = Part(), b"", b""
        self._told: list[tuple[str, bytes]] = []
        self._ended = False
        told = self._told.append
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": lambda: told(("part", b"")),
                "on_header_field": lambda b, s, e: told(("name", b[s:e])),
                "on_header_value": lambda b, s, e: told(("value", b[s:e])),
                "on_header_end": lambda: told(("header", b"")),
                "on_headers_finished": lambda: told(("begin", b"")),
                "on_part_data": lambda b, s, e: told(("data", b[s:e])),
                "on_part_end": lambda: told(("end", b"")),
                "on_end": lambda: told(("over", b"")),
            },
        )

    def feed(self, piece: bytes) -> None:
        """Take the next bytes of the body.

        Raises:
            RefusedError: No such body.
        """
        try:
            self._parser.write(piece)
        except FormParserError as error:
            raise RefusedError(f"the body has no parts as its boundary says ({error}). Send it again") from error
        told, self._told[:] = list(self._told), []
        for kind, data in told:
            self._step(kind, data)

    def finish(self) -> None:
        """The body is over.

        Raises:
            RefusedError: It broke off.
        """
        if not self._ended:
            raise RefusedError("the body broke off before its last part was whole. Send it again; what was taken stays")

    def _step(self, kind: str, data: bytes) -> None:
        if kind == "part":
            self._part = Part()
        elif kind in ("name", "value"):
            if kind == "name":
                self._name += data
            else:
                self._value += data
        elif kind == "header":
            self._part.headers[self._name.decode("latin-1").lower()] = self._value.decode("utf-8", "replace")
            self._name = self._value = b""
        elif kind == "begin":
            self._begin(self._part)
        elif kind == "data":
            self._data(data)
        elif kind == "end":
            self._end()
        else:
            self._ended = True
