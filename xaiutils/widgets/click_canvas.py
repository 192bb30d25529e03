"""The part of click-to-prompt that lives in the browser too: an anywidget."""

from pathlib import Path

import anywidget
import traitlets

from xaiutils.errors import InputError
from xaiutils.widgets import raster
from xaiutils.widgets.click_scene import curve, overlay, status
from xaiutils.widgets.frontend import font
from xaiutils.widgets.prompter import Prompter, act

HERE = Path(__file__).parent


class ClickCanvas(anywidget.AnyWidget):
    """An image that is clicked on. The browser sends the messages of `prompter.act`; Python answers
    by what it shows: `photo` (a data URL), `overlay` and `curve` (SVG) and `status` (a sentence).

    width, height: of the image in pixels. side: 1 while clicks are on the object, 0 off it (with
    shift the other). truth: whether the true outline is shown. alt: what the image is.
    """

    _esm = HERE / "click_canvas.js"
    _css = HERE / "click_canvas.css"

    photo = traitlets.Unicode().tag(sync=True)
    overlay = traitlets.Unicode().tag(sync=True)
    curve = traitlets.Unicode().tag(sync=True)
    status = traitlets.Unicode().tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)
    font = traitlets.Unicode().tag(sync=True)
    width = traitlets.Int(1).tag(sync=True)
    height = traitlets.Int(1).tag(sync=True)
    side = traitlets.Int(1, min=0, max=1).tag(sync=True)
    truth = traitlets.Bool(True).tag(sync=True)

    def __init__(self, prompter: Prompter):
        super().__init__(font=font())
        self.show(prompter)
        self.on_msg(self._hear)
        self.observe(self.draw, "truth")

    def show(self, prompter: Prompter) -> None:
        """Another image, or the same anew."""
        self.prompter, image = prompter, prompter.sample.image
        self.height, self.width = image.shape[:2]
        self.alt = f"{prompter.sample.id}: click on the object"
        self.photo = raster.data_url(raster.small_photo(image))
        self.draw()

    def draw(self, _=None) -> None:
        """What the prompter holds now, sent in one message."""
        with self.hold_sync():
            self.overlay = overlay(self.prompter, self.truth)
            self.curve = curve(self.prompter.curve)
            self.status = status(self.prompter)

    def _hear(self, _, message: dict, buffers: list) -> None:
        try:
            act(self.prompter, message)
        except InputError as error:  # told where the reader looks, not in a log
            self.status = str(error)
            return
        self.draw()
