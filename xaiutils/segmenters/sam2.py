"""SAM 2 and SAM 2.1 (Ravi et al. 2024), by the `sam2` package's own image predictor."""

from pathlib import Path

import numpy as np
import torch

from xaiutils.errors import InputError
from xaiutils.names import sam2_title
from xaiutils.prompting import Prompts
from xaiutils.segmenters import Prediction, Segmenter, check_logits

# name of the model (and of its checkpoint, name.pt) -> configuration inside the sam2 package
CONFIGS = {
    f"{version}_hiera_{size}": f"configs/{version}/{version}_hiera_{letter}.yaml"
    for version in ("sam2", "sam2.1")
    for size, letter in (("tiny", "t"), ("small", "s"), ("base_plus", "b+"), ("large", "l"))
}


class Sam2Segmenter(Segmenter):
    """SAM 2 on one image: an embedding once, then any number of prompts.

    model: one of CONFIGS. checkpoint: a local .pt file; None fetches Meta's from the Hugging Face
    hub. device: "cpu", "cuda", "mps".
    multimask: True computes three masks and takes the one with the highest predicted IoU; False
    the single mask that upstream advises for unambiguous prompts (several points).
    apply_postprocessing: upstream's switch that lets a single mask, where it is unstable, give
    way to the best of three; it has no effect with multimask. `title` says how it was set.
    """

    needs = (("points",), ("box",))

    def __init__(
        self,
        model: str = "sam2.1_hiera_tiny",
        checkpoint: str | Path | None = None,
        device: str = "cpu",
        multimask: bool = True,
        apply_postprocessing: bool = True,
    ):
        if model not in CONFIGS:
            raise InputError(f"unknown SAM 2 model '{model}': choose one of {', '.join(CONFIGS)}")
        self._predictor = _build(model, checkpoint, _device(device), apply_postprocessing)
        self._multimask = multimask
        self.title = sam2_title(model, apply_postprocessing)

    def _prepare(self, image: np.ndarray) -> None:
        self._predictor.set_image(image)

    def predict(self, prompts: Prompts, logits: np.ndarray | None = None) -> Prediction:
        """The mask for points and box; `logits` (256, 256) of an earlier prediction are refined.

        Raises InputError as `Segmenter.predict` does.
        """
        self._check(prompts)
        check_logits(logits)
        some = len(prompts.points) > 0
        masks, scores, low = self._predictor.predict(
            point_coords=prompts.points if some else None,
            point_labels=prompts.labels if some else None,
            box=prompts.box,
            mask_input=None if logits is None else logits[None],
            multimask_output=self._multimask,
        )
        best = int(np.argmax(scores))
        return Prediction(masks[best] > 0, float(scores[best]), low[best])


def _build(model: str, checkpoint: str | Path | None, device: str, apply_postprocessing: bool):
    try:
        from sam2.build_sam import build_sam2
        from sam2.sam2_image_predictor import SAM2ImagePredictor
    except ImportError as error:
        raise InputError(
            'segmenter "sam2" needs the sam2 package: run '
            '`SAM2_BUILD_CUDA=0 pip install --no-build-isolation -e ".[sam2]"`'
        ) from error
    path = _download(model) if checkpoint is None else Path(checkpoint)
    if not path.is_file():
        raise InputError(f"checkpoint {path}: no such file")
    options = {"device": device, "apply_postprocessing": apply_postprocessing}
    try:
        network = build_sam2(CONFIGS[model], str(path), **options)
    except Exception as error:  # a bad file surfaces as any of torch's, pickle's or zip's errors
        reason = " ".join(str(error).split())[:300]  # torch lists every tensor that does not fit
        raise InputError(f"checkpoint {path}: not one of {model} ({reason})") from error
    return SAM2ImagePredictor(network)


def _download(model: str) -> Path:
    from huggingface_hub import hf_hub_download

    hub = "facebook/" + model.replace("_", "-")
    try:
        return Path(hf_hub_download(hub, f"{model}.pt"))
    except Exception as error:  # every way in which a network can fail
        raise InputError(
            f"{hub}: cannot be fetched from the hub ({type(error).__name__}); "
            f"download {model}.pt by other means and pass its path as `checkpoint`"
        ) from error


def _device(name: str) -> str:
    available = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if not available.get(name.split(":")[0], False):
        usable = ", ".join(key for key, present in available.items() if present)
        raise InputError(f"device '{name}' is not available here: choose one of {usable}")
    return name
