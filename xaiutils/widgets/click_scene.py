"""What the click canvas shows, as SVG: mask, points and box over the image, and the curve beside.

Plain strings, so that they can be tested without a browser. Coordinates of the scene are pixels of
the image, (x, y), pixel centres at whole numbers, as those of prompts are.
"""

from collections.abc import Sequence

import numpy as np

from xaiutils.clicks import Click
from xaiutils.figures.clicks import BACKGROUND, FOREGROUND
from xaiutils.figures.style import MASK, TRUTH
from xaiutils.widgets import raster
from xaiutils.widgets.frontend import font, said
from xaiutils.widgets.prompter import Prompter

SVG = 'xmlns="http://www.w3.org/2000/svg"'
GREY, DARK = "#dddddd", "#333333"
WIDTH, HEIGHT = 300, 220  # of the curve, in its own units
LEFT, RIGHT, TOP, BOTTOM = 42, 12, 12, 40  # its margins
LEAST = 5  # clicks that the curve has room for at the least


def overlay(prompter: Prompter, truth: bool = True) -> str:
    """Mask (yellow), true outline (cyan, where asked for), box, and the points with their number.

    As large as the image; what is behind it shines through.
    """
    height, width = prompter.sample.mask.shape
    photo = raster.small_photo(prompter.sample.image)
    veils = [raster.veil(raster.small_mask(prompter.mask, photo), MASK)]
    if truth:
        veils.append(raster.veil(raster.small_mask(prompter.sample.mask, photo), TRUTH, 0))
    place = f'x="-0.5" y="-0.5" width="{width}" height="{height}" preserveAspectRatio="none"'
    images = [f'<image {place} href="{raster.data_url(veil)}"/>' for veil in veils]
    unit = max(height, width) / raster.SIDE  # one pixel of the display
    marks = [*box_mark(prompter.last.prompts.box, unit), *point_marks(prompter.points, unit)]
    view = f'viewBox="-0.5 -0.5 {width} {height}" preserveAspectRatio="none"'
    return f'<svg {SVG} {view} aria-hidden="true">{"".join(images + marks)}</svg>'


def point_marks(points: Sequence[Click], unit: float) -> list[str]:
    """A numbered disc for each point, in the colour of its side."""
    marks = []
    for k, (x, y, label) in enumerate(points, 1):
        colour = FOREGROUND if label else BACKGROUND
        marks.append(
            f'<circle cx="{x}" cy="{y}" r="{8 * unit:.2f}" fill="{colour}" stroke="white" '
            f'stroke-width="{1.5 * unit:.2f}"/>'
            f'<text x="{x}" y="{y}" font-size="{10 * unit:.2f}" '
            f'fill="white" text-anchor="middle" dominant-baseline="central">{k}</text>'
        )
    return marks


def box_mark(box: np.ndarray | None, unit: float) -> list[str]:
    """The box's frame, if there is one."""
    if box is None:
        return []
    x0, y0, x1, y1 = (float(value) for value in box)
    return [
        f'<rect x="{x0:g}" y="{y0:g}" width="{x1 - x0:g}" height="{y1 - y0:g}" fill="none" '
        f'stroke="{FOREGROUND}" stroke-width="{2 * unit:.2f}"/>'
    ]


def status(prompter: Prompter) -> str:
    """ "3 clicks, IoU 0.84"; without a true mask the clicks alone."""
    clicks = prompter.last.clicks
    text = f"{clicks} click{'' if clicks == 1 else 's'}"
    return text if np.isnan(prompter.last.iou) else f"{text}, {said('IoU', prompter.last.iou)}"


def curve(points: Sequence[tuple[int, float]]) -> str:
    """IoU against clicks, (clicks, IoU) after each step; "" where the IoU is not defined."""
    if np.isnan([value for _, value in points]).any():
        return ""
    most = max(LEAST, points[-1][0])
    across = (WIDTH - LEFT - RIGHT) / most
    upwards = HEIGHT - TOP - BOTTOM
    at = [(LEFT + across * k, HEIGHT - BOTTOM - upwards * value) for k, value in points]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{DARK}"/>' for x, y in at)
    said_so = ", ".join(f"{k} clicks {value:.2f}" for k, value in points)
    return (
        f'<svg {SVG} viewBox="0 0 {WIDTH} {HEIGHT}" role="img" font-family="{font()}" '
        f'font-size="12" fill="{DARK}" aria-label="IoU against clicks: {said_so}">'
        f"{_axes(most, across, upwards)}"
        f'<polyline points="{line}" fill="none" stroke="{DARK}" stroke-width="2"/>{dots}</svg>'
    )


def _axes(most: int, across: float, upwards: float) -> str:
    """A light grid with its numbers, and what they are."""
    parts = []
    for tenth in (0, 2, 4, 6, 8, 10):
        y = HEIGHT - BOTTOM - upwards * tenth / 10
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="{GREY}"/>'
            f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tenth / 10:.1f}</text>'
        )
    step = -(-most // 10)
    for k in range(0, most + 1, step):
        x, y = LEFT + across * k, HEIGHT - BOTTOM + 16
        parts.append(f'<text x="{x:.1f}" y="{y}" text-anchor="middle">{k}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">clicks</text>')
    centre = (TOP + HEIGHT - BOTTOM) / 2
    turned = f'transform="rotate(-90 12 {centre})"'
    parts.append(f'<text x="12" y="{centre}" text-anchor="middle" {turned}>IoU</text>')
    return "".join(parts)
