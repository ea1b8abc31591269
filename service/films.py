"""Frames -> bytes: GIF, APNG, npy and zip frame by frame; strip, WebP and JSON when all are there."""

from __future__ import annotations

import base64
import io
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from itertools import pairwise
from typing import Any, Literal

import msgspec
import numpy as np
from msgspec import Struct
from PIL import Image

from generator.pixels import Pixels, contact_sheet, enlarge, to_pillow
from service.encoding import PNG_END, chunk, png, png_begin, png_data

FilmForm = Literal["png", "gif", "webp", "apng", "json", "npy", "zip"]

FILM_TYPES: dict[FilmForm, str] = {
    "png": "image/png",
    "gif": "image/gif",
    "webp": "image/webp",
    "apng": "image/apng",
    "json": "application/json",
    "npy": "application/x-npy",
    "zip": "application/zip",
}  # in the order of preference, where a client likes several as much
MAX_GIF_FPS = 50  # a GIF counts in hundredths of a second, and browsers slow down what lasts only one
GREYS = bytes(value for value in range(256) for _ in range(3))


class Film(Struct, frozen=True, eq=False):
    """How frames become a reply."""

    form: FilmForm
    frames: int
    size: int  # pixels, height and width of a frame as the generator makes it
    channels: int
    scale: int = 1  # whole factor
    fps: int = 30
    loop: bool = False  # shown again and again; else once
    quality: int | None = None  # 1 to 100, of WebP; None: lossless
    about: bytes = b"{}"  # what made it, JSON in ASCII

    @property
    def side(self) -> int:
        """Pixels of a frame's height and width, enlarged."""
        return self.size * self.scale

    def enlarged(self, images: Pixels) -> Iterator[Pixels]:
        """Frame by frame, so that not all are large at once."""
        return (enlarge(image, self.scale) for image in images)

    def times(self, per_second: int) -> list[int]:
        """How long each frame is shown, in parts of a second; on average exactly 1 / fps."""
        ends = [round(per_second * frame / self.fps) for frame in range(self.frames + 1)]
        return [end - start for start, end in pairwise(ends)]


class Reel(ABC):
    """A form that is written frame by frame, and keeps none of them."""

    def __init__(self, film: Film) -> None:
        self.film = film
        self.place = 0  # of the next frame

    def begin(self) -> bytes:
        return b""

    def add(self, images: Pixels, about: Sequence[bytes] = ()) -> bytes:
        """The next frames, uint8 [N, H, W, C]; `about` says of each what made it, where that is told."""
        parts = []
        for row, image in enumerate(images):
            parts.append(self._frame(image, about[row] if about else b""))
            self.place += 1
        return b"".join(parts)

    def end(self) -> bytes:
        return b""

    def close(self) -> None:  # noqa: B027, most hold nothing
        """Lets go of what was begun, whether it came to its end or not."""

    @abstractmethod
    def _frame(self, image: Pixels, about: bytes) -> bytes:
        """One frame as the generator made it, uint8 [H, W, C]."""


class GifReel(Reel):
    """GIF89a. Grey frames share a palette of 256 greys, so they keep their pixels.

    A frame of colours has a palette of its own, made by an octree, which takes far less time than
    median cut and is nearly as close.
    """

    def __init__(self, film: Film) -> None:
        super().__init__(film)
        self._hundredths = film.times(100)

    def begin(self) -> bytes:
        side = self.film.side.to_bytes(2, "little")
        # 256 entries, as each frame has: a table for all of them, or none.
        table = b"\xf7\0\0" + GREYS if self.film.channels == 1 else b"\x70\0\0"
        again = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\0\0\0" if self.film.loop else b""
        about = self.film.about
        blocks = b"".join(
            bytes([len(block)]) + block
            for block in (about[start : start + 255] for start in range(0, len(about), 255))
        )
        return b"".join((b"GIF89a", side, side, table, again, b"\x21\xfe", blocks, b"\0"))

    def _frame(self, image: Pixels, about: bytes) -> bytes:
        picture = to_pillow(image)
        if self.film.channels == 3:
            picture = picture.quantize(256, Image.Quantize.FASTOCTREE)
        picture = picture.resize((self.film.side, self.film.side), Image.Resampling.NEAREST)
        time = b"\x21\xf9\x04\0" + self._hundredths[self.place].to_bytes(2, "little") + b"\0\0"
        return time + _gif_image(picture, has_palette=self.film.channels == 3)

    def end(self) -> bytes:
        return b";"


def _gif_image(picture: Image.Image, has_palette: bool) -> bytes:
    """A picture as one image of a GIF, with the palette that it has or without.

    Taken out of a whole file, in which the palette is the file's: what Pillow has for single images keeps
    them until Python collects garbage.
    """
    buffer = io.BytesIO()
    picture.save(buffer, "GIF", optimize=False, interlace=False)
    content = buffer.getvalue()
    size = content[10] & 7  # 2 ** (size + 1) colours
    palette, rest = content[13 : 13 + 3 * 2 ** (size + 1)], content[13 + 3 * 2 ** (size + 1) : -1]
    if not has_palette:
        return rest
    return rest[:9] + bytes([rest[9] | 0x80 | size]) + palette + rest[10:]


class ApngReel(Reel):
    """Animated PNG (the acTL, fcTL and fdAT chunks of PNG's third edition); keeps its pixels."""

    def begin(self) -> bytes:
        film = self.film
        plays = 0 if film.loop else 1
        control = chunk(b"acTL", film.frames.to_bytes(4) + plays.to_bytes(4))
        text = chunk(b"tEXt", b"mintage\0" + film.about)
        return b"".join((png_begin(film.side, film.side, film.channels), *control, *text))

    def _frame(self, image: Pixels, about: bytes) -> bytes:
        film, place = self.film, self.place
        number = max(0, 2 * place - 1)  # chunks are counted, but for the first frame's data
        side, nowhere = film.side.to_bytes(4), bytes(8)
        time = (1).to_bytes(2) + film.fps.to_bytes(2)
        control = chunk(b"fcTL", number.to_bytes(4) + side + side + nowhere + time + bytes(2))
        data = png_data(enlarge(image, film.scale))
        content = chunk(b"IDAT", data) if place == 0 else chunk(b"fdAT", (number + 1).to_bytes(4) + data)
        return b"".join((*control, *content))

    def end(self) -> bytes:
        return PNG_END


class NpyReel(Reel):
    """uint8 [frames, H, W, C] in NumPy's format; its length is known before."""

    def begin(self) -> bytes:
        buffer = io.BytesIO()
        film = self.film
        shape = (film.frames, film.side, film.side, film.channels)
        np.lib.format.write_array_header_1_0(buffer, {"descr": "|u1", "fortran_order": False, "shape": shape})
        return buffer.getvalue()

    def _frame(self, image: Pixels, about: bytes) -> bytes:
        return enlarge(image, self.film.scale).tobytes()

    def length(self) -> int:
        """Bytes of the whole."""
        return len(self.begin()) + self.film.frames * self.film.side**2 * self.film.channels


class ZipReel(Reel):
    """A PNG for each frame, named by its number."""

    def __init__(self, film: Film) -> None:
        super().__init__(film)
        self._sink = _Sink()
        self._archive = zipfile.ZipFile(self._sink, "w", zipfile.ZIP_STORED)
        self._digits = max(4, len(str(film.frames - 1)))

    def _frame(self, image: Pixels, about: bytes) -> bytes:
        content = png(enlarge(image, self.film.scale), about)
        name = f"{self.place:0{self._digits}d}.png"
        self._archive.writestr(zipfile.ZipInfo(name), content)
        return self._sink.drain()

    def end(self) -> bytes:
        self._archive.close()
        return self._sink.drain()

    def close(self) -> None:
        """Before the sink, which Python may close first; a frame may be on its way still, on a thread."""
        with suppress(ValueError):
            self._archive.close()


class _Sink(io.BytesIO):
    """A file of which what was written is taken away; positions count from its beginning."""

    def __init__(self) -> None:
        super().__init__()
        self._taken = 0

    def drain(self) -> bytes:
        content = self.getvalue()
        self._taken += len(content)
        super().seek(0)
        self.truncate(0)
        return content

    def tell(self) -> int:
        return self._taken + super().tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """zipfile goes back to the head of the file that it has just written."""
        return self._taken + super().seek(offset - self._taken if whence == io.SEEK_SET else offset, whence)


REELS: dict[FilmForm, Callable[[Film], Reel]] = {
    "gif": GifReel,
    "apng": ApngReel,
    "npy": NpyReel,
    "zip": ZipReel,
}


def whole(images: Pixels, film: Film, about: Sequence[bytes], members: dict[str, Any]) -> bytes:
    """All frames at once, uint8 [frames, H, W, C].

    Where frames are PNGs of their own, in JSON and zip, `about` is told in them; `members` are what the JSON
    has besides.
    """
    if film.form in REELS:
        with closing(REELS[film.form](film)) as reel:
            return b"".join((reel.begin(), reel.add(images, about), reel.end()))
    if film.form == "png":
        return png(enlarge(contact_sheet(images, columns=len(images)), film.scale), film.about)
    if film.form == "webp":
        return _webp(images, film)
    frames = [
        {"b64_png": base64.b64encode(png(image, text)).decode()}
        for image, text in zip(film.enlarged(images), about, strict=True)
    ]
    return msgspec.json.encode({**members, "frames": frames})


def _webp(images: Pixels, film: Film) -> bytes:
    """An animated WebP; a frame like the one before it only makes that one last longer."""
    buffer = io.BytesIO()
    first, *others = [to_pillow(image) for image in film.enlarged(images)]
    how: dict[str, Any] = {"lossless": True} if film.quality is None else {"quality": film.quality}
    first.save(
        buffer,
        "WEBP",
        save_all=True,
        append_images=others,
        duration=film.times(1000),
        loop=0 if film.loop else 1,
        method=0,
        **how,
    )
    return buffer.getvalue()
