"""Draws the confusion of source counts, and names the image so that MLflow finds it by epoch."""

import io
import uuid
from collections.abc import Mapping, Sequence
from typing import Final

from PIL import Image, ImageDraw, ImageFont

KEY: Final = "val/k_confusion"
"""Key of the image of an epoch."""
BY_SNR: Final = "val/k_confusion_by_snr"
"""Key of the image of the best epoch, with one table per SNR bin."""
_CELL, _EDGE = 72, 64
"""Pixels of a cell, and of the margin for headings."""
_WHITE, _INK = (255, 255, 255), (32, 32, 32)
_FULL: Final = (0, 114, 178)
"""Colour of a cell that holds all scenes of its row."""
_IMAGES: Final = 10
"""Epochs of a run that have an image, besides the first and the best."""

Table = Sequence[Sequence[int]]


def is_drawn(epoch: int, epochs: int) -> bool:
    """True if an epoch has an image regardless of its scores."""
    return epoch == 1 or epoch % max(1, -(-epochs // _IMAGES)) == 0


def draw_confusion(matrix: Table, none: Sequence[int], about: str) -> Image.Image:
    """Draw true counts as rows and predicted counts as columns; a darker cell is a larger share.

    Args:
        matrix: (K_MAX, K_MAX) scenes; both counts from 1.
        none: (K_MAX,) scenes without a predicted source; a column if there is one.
        about: Heading that names the scenes.
    """
    first = 0 if any(none) else 1
    columns = range(first, len(matrix) + 1)
    rows = [[missed, *row][first:] for missed, row in zip(none, matrix, strict=True)]
    size = (_EDGE + _CELL * len(columns) + 8, _EDGE + _CELL * len(rows) + 8)
    image = Image.new("RGB", size, _WHITE)
    draw = ImageDraw.Draw(image)
    font, small = ImageFont.load_default(18), ImageFont.load_default(13)
    draw.text((8, 6), f"{about}: K answered", _INK, small)
    draw.text((8, _EDGE - 18), "true K", _INK, small)
    for place, column in enumerate(columns):
        middle = (_EDGE + _CELL * place + _CELL // 2, _EDGE - 16)
        draw.text(middle, str(column), _INK, font, anchor="mm")
    for place, row in enumerate(rows):
        top = _EDGE + _CELL * place
        draw.text((_EDGE // 2, top + _CELL // 2), str(place + 1), _INK, font, anchor="mm")
        for column, scenes in enumerate(row):
            _cell(draw, (_EDGE + _CELL * column, top), scenes, sum(row), (font, small))
    return image


def side_by_side(images: Sequence[Image.Image]) -> Image.Image:
    """One image with the others from left to right."""
    height = max(image.height for image in images)
    whole = Image.new("RGB", (sum(image.width for image in images), height), _WHITE)
    left = 0
    for image in images:
        whole.paste(image, (left, 0))
        left += image.width
    return whole


def _cell(
    draw: ImageDraw.ImageDraw,
    corner: tuple[int, int],
    scenes: int,
    total: int,
    fonts: Sequence[ImageFont.FreeTypeFont | ImageFont.ImageFont],
) -> None:
    share = scenes / total if total else 0.0
    colour = tuple(round(255 + share * (full - 255)) for full in _FULL)
    x, y = corner
    draw.rectangle((x, y, x + _CELL - 2, y + _CELL - 2), fill=colour)
    ink = _WHITE if share > 0.55 else _INK
    draw.text((x + _CELL // 2, y + 28), str(scenes), ink, fonts[0], anchor="mm")
    draw.text((x + _CELL // 2, y + 50), f"{share:.0%}", ink, fonts[1], anchor="mm")


def image_files(image: Image.Image, uid: str, epoch: int, key: str = KEY) -> Mapping[str, bytes]:
    """An image and its thumbnail, by the names that MLflow's page looks for.

    MLflow would make a new name with the time at every call; here each epoch has one name.
    """
    name = uuid.uuid5(uuid.NAMESPACE_URL, f"risexp:{uid}:{key}:{epoch}")
    stem = f"images/{key.replace('/', '~')}+step+{epoch}+timestamp+{epoch}+{name}"
    small = image.copy()
    small.thumbnail((256, 256))
    return {f"{stem}.png": _bytes(image, "PNG"), f"{stem}+compressed.webp": _bytes(small, "WEBP")}


def _bytes(image: Image.Image, form: str) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form)
    return stream.getvalue()
