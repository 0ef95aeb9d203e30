"""A table of counts as a small picture, and the names by which MLflow finds pictures by epoch."""

import io
import uuid
from collections.abc import Mapping, Sequence
from typing import Final

from PIL import Image, ImageDraw, ImageFont

KEY: Final = "val/k_confusion"
"""What the picture is called where an epoch is chosen."""
BY_SNR: Final = "val/k_confusion_by_snr"
"""What that of the best epoch is called, which has a table for each bin."""
_CELL, _EDGE = 72, 64
"""Pixels of a cell, and of the margin for headings."""
_WHITE, _INK = (255, 255, 255), (32, 32, 32)
_FULL: Final = (0, 114, 178)
"""Colour of a cell that holds all scenes of its row."""

_PICTURES: Final = 10
"""Epochs of a run that have a picture, besides the first and the best."""

Table = Sequence[Sequence[int]]


def is_drawn(epoch: int, epochs: int) -> bool:
    """Whether an epoch has a picture whatever it is worth."""
    return epoch == 1 or epoch % max(1, -(-epochs // _PICTURES)) == 0


def draw_confusion(matrix: Table, none: Sequence[int], about: str) -> Image.Image:
    """Rows are true counts, columns the answered ones; darker is the larger share of a row.

    Args:
        matrix: (K_MAX, K_MAX) scenes; both counts from 1.
        none: (K_MAX,) scenes in which no source was found; shown where there is one.
        about: Which scenes, for the heading.
    """
    missed = any(none)
    columns = [*([0] if missed else []), *range(1, len(matrix) + 1)]
    rows = [[*([gone] if missed else []), *row] for gone, row in zip(none, matrix, strict=True)]
    size = (_EDGE + _CELL * len(columns) + 8, _EDGE + _CELL * len(rows) + 8)
    picture = Image.new("RGB", size, _WHITE)
    draw = ImageDraw.Draw(picture)
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
    return picture


def draw_bins(pictures: Sequence[Image.Image]) -> Image.Image:
    """One beside the other."""
    height = max(each.height for each in pictures)
    whole = Image.new("RGB", (sum(each.width for each in pictures), height), _WHITE)
    left = 0
    for each in pictures:
        whole.paste(each, (left, 0))
        left += each.width
    return whole


Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def _cell(
    draw: ImageDraw.ImageDraw,
    corner: tuple[int, int],
    scenes: int,
    total: int,
    fonts: tuple[Font, Font],
) -> None:
    share = scenes / total if total else 0.0
    colour = tuple(round(255 + share * (full - 255)) for full in _FULL)
    x, y = corner
    draw.rectangle((x, y, x + _CELL - 2, y + _CELL - 2), fill=colour)
    ink = _WHITE if share > 0.55 else _INK
    draw.text((x + _CELL // 2, y + 28), str(scenes), ink, fonts[0], anchor="mm")
    draw.text((x + _CELL // 2, y + 50), f"{share:.0%}", ink, fonts[1], anchor="mm")


def picture_files(
    picture: Image.Image, uid: str, epoch: int, key: str = KEY
) -> Mapping[str, bytes]:
    """A picture under the names that MLflow's page looks for.

    MLflow would make up a name, with the time, at every call; here an epoch's picture has one.
    """
    name = uuid.uuid5(uuid.NAMESPACE_URL, f"risexp:{uid}:{key}:{epoch}")
    stem = f"images/{key.replace('/', '~')}+step+{epoch}+timestamp+{epoch}+{name}"
    small = picture.copy()
    small.thumbnail((256, 256))
    return {f"{stem}.png": _bytes(picture, "PNG"), f"{stem}+compressed.webp": _bytes(small, "WEBP")}


def _bytes(picture: Image.Image, form: str) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, form)
    return stream.getvalue()
