"""Pictures as parts of a page."""

import warnings
from base64 import b64encode
from io import BytesIO
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from disentangle_pl.reports.blocks import Picture

TYPES = {"PNG": "png", "GIF": "gif", "JPEG": "jpeg", "WEBP": "webp"}
SUFFIXES = (".png", ".gif", ".jpg", ".jpeg", ".webp")
LARGE = 400_000  # bytes from which a picture is drawn with fewer colours
LARGEST = 20_000_000
WIDEST = 2200
COLOURS = 96


def embed(path: Path, caption: str, alt: str, *, wide: bool = False) -> Picture:
    """Make a picture a part of the page; one that cannot be read says so in its place.

    Args:
        path: PNG, GIF, JPEG or WebP; large still ones are stored with fewer colours.
        caption: Beneath it.
        alt: What it shows.
        wide: Give it the whole width.
    """
    try:
        content, size, kind = _read(path)
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError, Warning) as error:
        why = next(iter(str(error).splitlines()), type(error).__name__)
        return Picture(caption, why=f"The picture {path.name} cannot be shown: {why}", wide=wide)
    source = f"data:image/{kind};base64,{b64encode(content).decode()}"
    return Picture(caption, source, alt=alt, width=size[0], height=size[1], wide=wide)


def _read(path: Path) -> tuple[bytes, tuple[int, int], str]:
    if path.stat().st_size > LARGEST:
        raise ValueError(f"it has more than {LARGEST // 10**6} MB")
    content = path.read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with Image.open(BytesIO(content)) as checked:
            checked.verify()
        with Image.open(BytesIO(content)) as image:
            if image.format not in TYPES:
                raise ValueError(f"{image.format} is none of {', '.join(TYPES)}")
            image.load()
            if image.format == "PNG" and len(content) > LARGE:
                return _smaller(image, content)
            return content, image.size, TYPES[image.format]


def _smaller(image: Image.Image, content: bytes) -> tuple[bytes, tuple[int, int], str]:
    copy = image.convert("RGB")
    if copy.width > WIDEST:
        copy = copy.resize((WIDEST, max(1, copy.height * WIDEST // copy.width)), Image.Resampling.LANCZOS)
    buffer = BytesIO()
    copy.quantize(COLOURS).save(buffer, format="PNG", optimize=True)
    if buffer.tell() < len(content):
        return buffer.getvalue(), copy.size, "png"
    return content, image.size, "png"
