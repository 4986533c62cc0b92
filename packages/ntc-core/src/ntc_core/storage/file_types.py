"""The types of file that can be told by their first bytes. Plain Python.

What a client says about a file is a claim, and so is the name. A type is here if browsers show
it without running anything in it, or save it; SVG and HTML are not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

__all__ = ["FILE_TYPES", "HEAD_BYTES", "FileType", "clean_filename", "extension_of", "sniff"]

#: So much of a file tells its type.
HEAD_BYTES = 64
LONGEST_FILENAME = 150

_EXTENSION = re.compile(r"[a-z0-9]{1,8}")


@dataclass(frozen=True, kw_only=True)
class FileType:
    """A type, the extensions it goes by (the first is ours), and how it begins."""

    content_type: str
    extensions: tuple[str, ...]
    begins: re.Pattern[bytes]
    #: Whether a browser may show it in place; else it is saved.
    is_inline: bool


def _type(content_type: str, *extensions: str, begins: bytes, is_inline: bool) -> FileType:
    return FileType(
        content_type=content_type,
        extensions=extensions,
        begins=re.compile(begins, re.DOTALL),
        is_inline=is_inline,
    )


FILE_TYPES = {
    each.content_type: each
    for each in (
        _type("image/jpeg", "jpg", "jpeg", begins=rb"\xff\xd8\xff", is_inline=True),
        _type("image/png", "png", begins=rb"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", is_inline=True),
        _type("image/gif", "gif", begins=rb"GIF8[79]a", is_inline=True),
        _type("image/webp", "webp", begins=rb"RIFF.{4}WEBPVP8", is_inline=True),
        # A PDF can run scripts in some readers: it is saved, not shown.
        _type("application/pdf", "pdf", begins=rb"%PDF-[12]\.\d", is_inline=False),
    )
}


def sniff(head: bytes) -> str:
    """Return the content type that these first bytes are of; "": none that we know."""
    found = (each.content_type for each in FILE_TYPES.values() if each.begins.match(head))
    return next(found, "")


def extension_of(content_type: str, filename: str = "") -> str:
    """Return the extension without its dot, from the type, else from the name if it is plain."""
    known = FILE_TYPES.get(content_type)
    if known is not None:
        return known.extensions[0]
    suffix = PurePosixPath(filename).suffix.removeprefix(".").lower()
    return suffix if _EXTENSION.fullmatch(suffix) else "bin"


def clean_filename(filename: str, *, content_type: str) -> str:
    """Return a name to save the file under: no folder, no controls, and the type's extension."""
    last = re.split(r"[/\\]", filename)[-1]
    # What is not printable includes line breaks, and what turns the direction of writing.
    plain = "".join(each for each in last if each.isprintable()).strip(" .")
    stem, dot, suffix = plain.rpartition(".")
    extension = extension_of(content_type, plain)
    known = FILE_TYPES.get(content_type)
    extensions = known.extensions if known else (extension,)
    if not dot or suffix.lower() not in extensions:
        stem, suffix = plain, extension
    return f"{stem[:LONGEST_FILENAME] or 'file'}.{suffix}"
