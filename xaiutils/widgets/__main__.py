"""How long a reader waits: `python -m xaiutils.widgets [STUDY]` times every callback."""

import sys
import time
from collections.abc import Callable

import numpy as np

from xaiutils.study import open_study
from xaiutils.widgets import click_to_prompt, fusion_blend, threshold_explorer

REPEATS = 15


def timed(name: str, call: Callable[[int], object]) -> str:
    """Median and maximum of the calls with 0, 1, ... in milliseconds.

    The processor's time beside it is what a busy machine does not lengthen: the wait on one
    processor that has nothing else to do.
    """
    taken, worked = [], []
    for k in range(REPEATS):
        start, work = time.perf_counter(), time.process_time()
        call(k)
        taken.append(1000 * (time.perf_counter() - start))
        worked.append(1000 * (time.process_time() - work))
    wait = f"median {np.median(taken):4.0f} ms, at most {max(taken):4.0f} ms"
    return f"{name:32} {wait}; processor {np.median(worked):4.0f} ms"


def main(name: str = "demo") -> None:
    study = open_study(name)
    explorer = threshold_explorer(study, headless=False)
    for cue in study.cues:
        explorer.cue.value = cue
        print(timed(f"threshold, {cue}", lambda k: setattr(explorer.level, "value", k / REPEATS)))
    box = fusion_blend(study, headless=False)
    first = next(iter(box.sliders.values()))
    print(timed("blend, one weight", lambda k: setattr(first, "value", k / REPEATS)))
    start = time.perf_counter()
    canvas = click_to_prompt(study, headless=False).canvas
    print(f"{'SAM, loaded and one image':32} {time.perf_counter() - start:.1f} s")
    click = {"kind": "click", "y": canvas.height // 2, "label": 1}
    print(timed("click", lambda k: canvas._hear(None, {**click, "x": 10 * k}, [])))
    box = {"kind": "box", "x0": 9, "y0": 9, "y1": canvas.height - 9}
    print(timed("box", lambda k: canvas._hear(None, {**box, "x1": canvas.width - 20 - k}, [])))


if __name__ == "__main__":
    main(*sys.argv[1:])
