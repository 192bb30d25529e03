"""Render the object masks of the sample photographs from their hand-drawn polygons.

python data/sample/render_masks.py            writes masks/<id>.png
python data/sample/render_masks.py --check    compares them with the stored ones instead

A polygon is a list of (x, y) pixel centres of the photograph, x to the right, y down. A mask is the
union of the polygons without their holes: 8 bit, 0 background, 255 object.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

HERE = Path(__file__).resolve().parent


def fill(polygon: list[list[int]], size: tuple[int, int]) -> np.ndarray:
    """Pixels on or inside the polygon as (H, W) bool; size is (width, height)."""
    canvas = Image.new("1", size)
    ImageDraw.Draw(canvas).polygon([tuple(point) for point in polygon], fill=1, outline=1)
    return np.array(canvas)


def render(outline: dict) -> np.ndarray:
    """The mask of one photograph, (H, W) uint8."""
    size = outline["width"], outline["height"]
    mask = np.zeros(size[::-1], bool)
    for item in outline["objects"]:
        part = fill(item["polygon"], size)
        for hole in item["holes"]:
            part &= ~fill(hole, size)
        mask |= part
    return mask.astype(np.uint8) * 255


def same(mask: np.ndarray, path: Path) -> bool:
    """Whether the stored mask is there and equal, pixel by pixel."""
    return path.exists() and np.array_equal(mask, np.array(Image.open(path)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare only, write nothing")
    check = parser.parse_args().check
    differing = 0
    for source in sorted((HERE / "polygons").glob("*.json")):
        mask = render(json.loads(source.read_text(encoding="utf-8")))
        target = HERE / "masks" / f"{source.stem}.png"
        if not check:
            Image.fromarray(mask).save(target, optimize=True)
        elif not same(mask, target):
            print(f"{target.name} differs from its polygons: run render_masks.py without --check")
            differing += 1
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
