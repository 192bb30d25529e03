"""Two fusions that the paper names as future work: a learned one and a graph-based one.

`stack` is a logistic regression on every pixel's values in the explainers' maps. It is fitted on
*pixel labels* of training images (`fit_stacking`), so whatever is built on it is no longer weakly
supervised; its coefficients are numbers in a JSON file, nothing is unpickled.

`graph` needs no labels: the image is cut into superpixels, and the fused map flows between
neighbours of similar colour (Zhou et al. 2004, "Learning with Local and Global Consistency").
"""

from collections.abc import Mapping

import cv2
import numpy as np
from scipy import ndimage, sparse
from scipy.sparse.linalg import spsolve
from scipy.stats import rankdata
from skimage.color import rgb2lab

from xaiutils.errors import InputError
from xaiutils.explainers.superpixels import slic_labels
from xaiutils.images import resize_map
from xaiutils.maps import as_map, is_flat, normalise

SIDE = 64  # pixels are classified on a grid of 64 x 64: an explainer's map is no finer
SMOOTH = 3.0  # standard deviation, in pixels of that grid, of the local average


def reduce(map: np.ndarray, side: int = SIDE) -> np.ndarray:
    """A map or mask (H, W) averaged down (or interpolated up) to (side, side) float32."""
    return cv2.resize(np.asarray(map, np.float32), (side, side), interpolation=cv2.INTER_AREA)


def pixel_features(maps: Mapping[str, np.ndarray], explainers: list[str]) -> np.ndarray:
    """(SIDE * SIDE, 3 K) float64: of each explainer the value, its rank and its local average.

    maps: saliency maps (H, W) of one image, non-negative, by explainer. Value: in [0, 1]. Rank:
    the share of pixels below, ties averaged. Local average: of the value, Gaussian. A flat map says
    nothing and gives zeros.
    """
    columns = []
    for name in explainers:
        if name not in maps:
            raise InputError(f"maps: {name!r} is missing; the stacking was fitted with it")
        map = as_map(maps[name])
        value = np.zeros((SIDE, SIDE)) if is_flat(map) else normalise(reduce(map))
        if is_flat(value):
            columns += [np.zeros(SIDE * SIDE)] * 3
            continue
        rank = (rankdata(value) - 0.5) / value.size
        columns += [value.ravel(), rank, ndimage.gaussian_filter(value, SMOOTH).ravel()]
    return np.stack(columns, axis=1)


def pixel_labels(mask: np.ndarray, void: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of the grid's pixels: object (SIDE * SIDE,) bool, and which count (mostly not void)."""
    valid = reduce(~void)
    share = reduce(mask & ~void) / np.maximum(valid, 1e-6)
    return (share >= 0.5).ravel(), (valid >= 0.5).ravel()


def fit_stacking(
    maps: list[Mapping[str, np.ndarray]],
    masks: list[np.ndarray],
    voids: list[np.ndarray],
    strengths: tuple[float, ...] = (1e-6, 1e-5, 1e-4, 1e-3),
) -> dict:
    """The stacking as a JSON-able dict, from training images with their pixel labels.

    The regularisation (scikit-learn's C) with the lowest log-loss in a 5-fold cross-validation in
    which no image is on both sides is kept; every image weighs the same. Deterministic.
    """
    explainers = list(maps[0])
    x = [pixel_features(each, explainers) for each in maps]
    y = [pixel_labels(mask, void) for mask, void in zip(masks, voids, strict=True)]
    losses = [_held_out_loss(x, y, c) for c in strengths]
    best = strengths[int(np.argmin(losses))]
    return {
        "explainers": explainers,
        **_fit(x, y, best),
        "strength": best,
        "log_loss": dict(zip(map(str, strengths), losses)),
        "images": len(x),
    }


def _fit(x: list[np.ndarray], y: list[tuple], strength: float) -> dict:
    from sklearn.linear_model import LogisticRegression

    rows = np.concatenate([a[valid] for a, (_, valid) in zip(x, y)])
    labels = np.concatenate([object[valid] for object, valid in y])
    mean, scale = rows.mean(axis=0), np.maximum(rows.std(axis=0), 1e-6)
    model = LogisticRegression(C=strength, max_iter=1000).fit((rows - mean) / scale, labels)
    coefficients = model.coef_[0] / scale
    intercept = float(model.intercept_[0] - coefficients @ mean)
    return {"coefficients": coefficients.tolist(), "intercept": intercept}


def _held_out_loss(x: list[np.ndarray], y: list[tuple], strength: float, folds: int = 5) -> float:
    """Mean over images of the log-loss of the fold's model that has not seen the image."""
    folds = min(folds, len(x))
    losses = []
    for k in range(folds):
        seen = [i for i in range(len(x)) if i % folds != k]
        model = _fit([x[i] for i in seen], [y[i] for i in seen], strength)
        for i in range(k, len(x), folds):
            object, valid = y[i]
            p = np.clip(_probability(x[i], model), 1e-6, 1 - 1e-6)[valid]
            losses.append(-np.log(np.where(object[valid], p, 1 - p)).mean())
    return float(np.mean(losses))


def _probability(features: np.ndarray, model: dict) -> np.ndarray:
    z = features @ np.array(model["coefficients"]) + model["intercept"]
    return 1 / (1 + np.exp(-z))


def stack(maps: Mapping[str, np.ndarray], model: dict) -> np.ndarray:
    """Every pixel's probability of being object, (H, W) float32, by `fit_stacking`'s model.

    Not stretched to [0, 1]: 0.5 means as likely as not. All NaN when every map is flat.
    """
    shape = as_map(next(iter(maps.values()))).shape
    if all(is_flat(maps[name]) for name in model["explainers"] if name in maps):
        return np.full(shape, np.nan, np.float32)
    probability = _probability(pixel_features(maps, model["explainers"]), model)
    return np.clip(resize_map(probability.reshape(SIDE, SIDE).astype(np.float32), shape), 0, 1)


def graph(
    map: np.ndarray,
    image: np.ndarray,
    regions: int = 300,
    colour: float = 10.0,
    alpha: float = 0.9,
) -> np.ndarray:
    """A map (H, W) smoothed over the image's superpixels, (H, W) float32 in [0, 1].

    f = (1 - alpha) (I - alpha S)^-1 y with y the map's mean in each superpixel and
    S = D^-1/2 W D^-1/2; W links superpixels that touch, exp(-d^2 / (2 colour^2)) with d the
    distance of their mean colours in CIELAB. alpha 0 is the map averaged in each superpixel; near
    1 it flows far. A flat map stays undefined (all NaN).
    """
    if not 0 <= alpha < 1:
        raise InputError(f"alpha is {alpha}: at least 0 and below 1")
    map = as_map(map)
    if is_flat(map):
        return np.full(map.shape, np.nan, np.float32)
    labels = slic_labels(image / 255.0, regions)
    sizes = np.bincount(labels.ravel())
    y = np.bincount(labels.ravel(), map.ravel()) / sizes
    s = _affinity(labels, rgb2lab(image), sizes, colour)
    f = (1 - alpha) * spsolve(sparse.identity(len(y), format="csc") - alpha * s, y)
    return normalise(f[labels]).astype(np.float32)


def _affinity(labels: np.ndarray, lab: np.ndarray, sizes: np.ndarray, colour: float):
    """The normalised affinity S (K, K), sparse; a superpixel without neighbours has a zero row."""
    flat = labels.ravel()
    means = np.stack([np.bincount(flat, lab[..., c].ravel()) / sizes for c in range(3)], axis=1)
    pairs = np.concatenate(
        [
            np.stack([labels[:, :-1].ravel(), labels[:, 1:].ravel()], axis=1),
            np.stack([labels[:-1].ravel(), labels[1:].ravel()], axis=1),
        ]
    )
    a, b = np.unique(np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1), axis=0).T
    w = np.exp(-((means[a] - means[b]) ** 2).sum(axis=1) / (2 * colour**2))
    k = len(sizes)
    weights = sparse.coo_matrix((w, (a, b)), shape=(k, k)).tocsc()
    weights = weights + weights.T
    degree = np.asarray(weights.sum(axis=1)).ravel()
    root = sparse.diags(np.where(degree > 0, 1 / np.sqrt(np.maximum(degree, 1e-300)), 0))
    return root @ weights @ root
