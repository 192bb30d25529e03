"""Cases of three other libraries as tables: inputs, and the values that their tests assert.

- captum (BSD-3-Clause): the tests of its repository; 0.9.0 is installed, its sdist has none of them
- saliency of PAIR (Apache-2.0): the tests inside its sdist, version 0.2.1
- Quantus (LGPL-3.0-or-later): the tests of its repository; the sdist of 0.6.0 has none

Numbers only: no line of theirs is here. Every row begins with the name of the test that it is
from; the commit is that of the version of the file that was read. Left out is what asserts a shape,
a type or a range that any map satisfies, what needs weights that Quantus trains on MNIST (pixel
flipping, randomisation), windows that are not square, and scores summed over a batch (ours never
are).
"""

import numpy as np

# --- networks: features (B, n) -> logits (B, K) ---------------------------------------------
# `multilayer`: s = sum of the features; ReLU(s - 10) + 3 ReLU(s + 1) - 1, the same + 2, their sum.
# `paper1`, `paper2`: ReLU(ReLU(x) - 1 - ReLU(y)) and ReLU(ReLU(x - 1) - ReLU(y)).
# `clipped`: 1 - ReLU(1 - x) of the sum of the features.  `separable`: 5 x + y^2 + sin z.
# The convolutional network of captum is `conftest.ToyN`.

A = (20.0, 50.0, 30.0)
X1, X2, X3 = (23.0, 100.0, 0.0), (20.0, 50.0, 30.0), (0.0, 100.0, 10.0)
Y1, Y2, Y3 = (20.0, 50.0, 30.0), (0.0, 100.0, 0.0), (2.0, 10.0, 3.0)

# captum, tests/attr/test_occlusion.py, commit 2f5ed86. test, network, input, the sum of what else
# the network is given, baseline, window, stride -> value of each feature
OCCLUSION = [
    ("simple_input", "multilayer", A, 0, 0, 1, 1, (80, 200, 120)),
    ("simple_multi_input, 1st of -10", "paper2", (-10, -5), 0, 0, 1, 1, (0, 0)),
    ("simple_multi_input, 2nd of 3", "paper2", (3, 1), 0, 0, 1, 1, (1, -1)),
    ("simple_input_larger_shape", "multilayer", A, 0, 10, 2, 1, (200, 220, 240)),
    ("simple_input_shape_with_stride", "multilayer", A, 0, 0, 2, 2, (280, 280, 120)),
    ("multi_sample_ablation, 1st", "multilayer", (2, 10, 3), 0, 0, 1, 1, (8, 35, 12)),
    ("multi_sample_ablation, 2nd", "multilayer", A, 0, 0, 1, 1, (80, 200, 120)),
    ("multi_input_ablation_with_mask, 1", "multilayer", X1, 210, 0, 3, 1, (492,) * 3),
    ("multi_input_ablation_with_mask, 2", "multilayer", X2, 233, 0, 1, 1, (80, 200, 120)),
    ("multi_input_ablation_with_mask, 3", "multilayer", X3, 223, 0, 2, 1, (400, 420, 440)),
    ("multi_input_ablation_with_mask, 4", "multilayer", Y1, 115, 0, 3, 1, (400,) * 3),
    ("multi_input_ablation_with_mask, 5", "multilayer", Y2, 115, 0, 1, 1, (0, 400, 0)),
    ("multi_input_ablation_with_mask, 6", "multilayer", Y3, 200, 0, 2, 1, (48, 50, 52)),
    ("multi_input_ablation_with_baselines, 1", "multilayer", X1, 210, (1, 4, 7), 3, 2, (444,) * 3),
    ("multi_input_ablation_with_baselines, 2", "multilayer", X2, 233, 3, 1, 1, (68, 188, 108)),
    ("multi_input_ablation_with_baselines, 3", "multilayer", X3, 223, 4, 2, 2, (368, 368, 24)),
    ("multi_input_ablation_with_baselines, 4", "multilayer", Y1, 115, (3, 6, 9), 3, 2, (328,) * 3),
    ("multi_input_ablation_with_baselines, 5", "multilayer", Y2, 115, 3, 1, 1, (-12, 388, -12)),
    ("multi_input_ablation_with_baselines, 6", "multilayer", Y3, 200, 6, 2, 2, (0, 0, -12)),
]

# ... the same file, test_simple_multi_input_conv on ToyN with x = 0..15 and ones: which of the two
# inputs is hidden by a window of 4 x 4 -> its value everywhere
OCCLUSION_CONV = [("first input", 67), ("second input", 13)]

# saliency 0.2.1, core/occlusion_test.py testOcclusionGetMask: three times the sum of a 5 x 5 image
# with ones at (1, 1) and (3, 3), window 3, stride 1: sums over the windows that hide a pixel
OCCLUSION_SUMS = [
    [3, 6, 6, 3, 0],
    [6, 15, 18, 12, 3],
    [6, 18, 24, 18, 6],
    [3, 12, 18, 15, 6],
    [0, 3, 6, 6, 3],
]

# captum, tests/attr/layer/test_grad_cam.py, commit 0d273ec, on ToyN with x = 0..15: test, layer,
# what is added to x -> map
GRADCAM = [
    ("simple_input_conv", "conv1", 0, [[11.25, 13.5], [20.25, 22.5]]),
    ("simple_input_conv_no_grad", "conv1", 0, [[11.25, 13.5], [20.25, 22.5]]),
    ("simple_input_conv_relu", "relu1", 0, [[0, 4], [28, 32.5]]),
    ("simple_multi_input_conv", "conv1", 1, [[14.5, 19], [32.5, 37]]),
]
GRADCAM_OF_THE_INPUT = 0.5625  # simple_input_conv_fc_with_final_relu: times x, x[1, 1] = -4
# ... of layers that are not spatial: test, input, layer -> value
GRADCAM_LINEAR = [
    ("simple_input_non_conv", (0, 100, 0), "linear0", 400),
    ("simple_multi_input_non_conv", (0, 6, 0), "relu", 21),
]

# saliency 0.2.1, core/grad_cam_test.py testGradCamGetMask: rows of a line detector's output, the
# gradient, and the map over its maximum
LINE = np.array(
    [[-1, -2, -3, -2, -1], [1, 2, 3, 2, 1], [0] * 5, [1, 2, 3, 2, 1], [-1, -2, -3, -2, -1]]
)
LINE_GRADIENTS = np.array([[2, 0, 0, 0, 0], [0, 3, 3, 3, 0], [0] * 5, [0] * 5, [0, 3, 3, 3, 2]])
LINE_MAP = np.array(
    [[0] * 5, [0.33, 0.67, 1, 0.67, 0.33], [0] * 5, [0.33, 0.67, 1, 0.67, 0.33], [0] * 5]
)

# captum, tests/attr/test_integrated_gradients_basic.py, commit 454bed5 (500 steps, delta 0.05):
# test, network, input, baseline -> value of each feature
IG = [
    ("multivariable_vanilla, model 2", "paper1", (3, 1), 0, (1.5, -0.5)),
    ("multivariable_vanilla, model 3", "paper2", (3, 1), 0, (1.5, -0.5)),
    # saliency 0.2.1, core/integrated_gradients_test.py testIntegratedGradientsGetMask
    *[
        (f"{name}, PAIR", "separable", (1, 2, 3), (0.5, 1, 1), (2.5, 3, np.sin(3) - np.sin(1)))
        for name in ("GetMask", "GetMaskBatched", "GetMaskSingleBatch")
    ],
]
# ... and the sum over the features, which is what the score gains over the baseline
IG_SUMS = [
    ("univariable_vanilla, 1", "clipped", (1,), 0, 1),
    ("univariable_vanilla, 0", "clipped", (0,), 0, 0),
    ("univariable_vanilla, -1", "clipped", (-1,), 0.00001, -1.00001),
    ("multi_tensor_input_vanilla", "clipped", (2, 3.5), 0, 1),
    ("batched_input_vanilla, 1st", "multilayer", (1.5, 2, 1.3), 0, 14.4),
    ("batched_input_vanilla, 2nd", "multilayer", (0.5, 0.1, 2.3), 0, 8.7),
    ("batched_multi_input_vanilla, 1st", "multilayer", (1.5, 2.1, 1.9, 0.3, 1.9, 2.4), 0, 30.4),
    ("batched_multi_input_vanilla, 2nd", "multilayer", (0.5, 0, 0.7, 0.5, 0.6, 2.1), 0, 13.2),
    ("batched_multi_input_vanilla, 3rd", "multilayer", (1.5, 2.1, 1.1, 1.2, 2.1, 0.2), 0, 24.6),
]

# The gradient at the input. captum, tests/attr/test_saliency.py, commit f677535,
# test_saliency_test_basic_vanilla; saliency 0.2.1, core/gradients_test.py testGradientsGetMask
GRADIENTS = [
    *[
        ("basic_vanilla", "clipped", (x,), (g,))
        for x, g in zip((1, 2, 3, 0, -1, 7), (0, 0, 0, 1, 1, 0))
    ],
    ("GetMask, PAIR", "separable", (3, 2, 1), (5, 4, np.cos(1))),
]

# captum, tests/attr/test_kernel_shap.py, commit ca097eb (delta 1): test, class, input, regions,
# baseline -> value of each region. Three features or nine; class 2 is the sum of the two logits
ONE, TWO = (0, 1, 2), (0, 0, 1)
NINE = tuple(range(9))
MASK1, MASK2 = (0, 1, 0, 0, 1, 2, 0, 0, 0), (1, 1, 1, 0, 1, 2, 0, 1, 2)
B9 = (2, 2, 2, 3, 3, 3, 4, 4, 4)
ZEROS = (23, 0, 0, 20, 0, 50, 0, 100, 10)
SECOND = (20, 50, 30, 0, 100, 0, 0, 10, 0)
SMALL = (2, 10, 3)
KERNELSHAP = [
    ("linear", 0, A, ONE, (10, 20, 10), (40, 120, 80)),
    ("simple", 0, A, ONE, 0, (76.66666, 196.66666, 116.66666)),
    ("simple_with_mask", 0, A, TWO, 0, (275, 115)),
    ("simple_with_baselines", 0, A, TWO, 4, (248, 104)),
    ("simple_batch, 1st", 0, SMALL, ONE, 0, (7, 32.5, 10.5)),
    ("simple_batch, 2nd", 0, A, ONE, 0, (76.66666, 196.66666, 116.66666)),
    ("simple_batch_with_mask, 1st", 0, SMALL, TWO, 0, (39.5, 10.5)),
    ("simple_batch_with_mask, 2nd", 0, A, (1, 1, 0), 0, (115, 275)),
    ("multi_input_without_mask", 0, ZEROS, NINE, 0, (90, 0, 0, 78, 0, 198, 0, 398, 38)),
    ("multi_input_with_mask", 0, (*Y1, *Y2, *Y3), MASK1, 0, (255, 595, 0)),
    ("multi_input_with_mask, baselines", 0, (*Y1, *Y2, *Y3), MASK1, B9, (184, 580, -12)),
    ("multi_input_batch_without_mask", 0, SECOND, NINE, 0, (78, 198, 118, 0, 398, 0, 0, 38, 0)),
    ("multi_input_batch", 0, (*X1, *X2, *X3), MASK2, 0, (76.6666, 1088.6666, 156.6666)),
    ("multi_input_batch, baselines", 0, (*X1, *X2, *X3), MASK2, B9, (52, 1040, 132)),
    ("single_scalar", 2, SMALL, TWO, 0, (79, 21)),
]

# captum, tests/attr/test_lime.py, commit 2f5ed86 (delta 1): the same columns
LIME = [
    ("simple", 0, A, ONE, 0, (73.3716, 193.3349, 113.3349)),
    ("simple_with_mask", 0, A, TWO, 0, (271, 111)),
    ("simple_with_baselines", 0, A, TWO, 4, (244, 100)),
    ("simple_batch, 1st", 0, A, ONE, 0, (73.445, 193.5979, 113.4363)),
    ("simple_batch, 2nd", 0, (10, 14, 4), ONE, 0, (32.11, 48, 11)),
    ("multi_input_without_mask", 0, ZEROS, NINE, 0, (87, 0, 0, 75, 0, 195, 0, 395, 35)),
    ("multi_input_with_mask", 0, (*Y1, *Y2, *Y3), MASK1, 0, (251, 591, 0)),
    ("multi_input_with_mask, baselines", 0, (*Y1, *Y2, *Y3), MASK1, B9, (180, 576, -8)),
    (
        "multi_input_batch_without_mask",
        *(0, SECOND, NINE, 0),
        (75.8461, 195.6842, 115.339, 0, 395.3823, 0, 0, 35.1349, 0),
    ),
    ("multi_input_batch", 0, (*X1, *X2, *X3), MASK2, 0, (73.2166, 1086.2802, 152.6888)),
    ("multi_input_batch, baselines", 0, (*X1, *X2, *X3), MASK2, B9, (48.2441, 1036.4233, 128.3161)),
    ("single_scalar", 2, SMALL, TWO, 0, (75, 17)),
]

# captum, tests/metrics/test_sensitivity.py, commit 035e22c (delta 0.05): test, method, network,
# input, class -> sensitivity under the perturbation that the test names
STEPS = (-0.02, -0.01, 0.0)  # arange(-n // 2, n // 2) / 100 of three features
SENSITIVITY = [
    ("basic_max_single", "gradient", "paper1", (3, 1), 0, None, 0),
    *[
        ("max_multi_dim", "ig", "multilayer", (3 * i + 1, 3 * i + 2, 3 * i + 3), c, STEPS, value)
        for i, (c, value) in enumerate([(0, 0.006), (0, 0.01), (1, 0.001), (0, 0.008)])
    ],
    *[
        # the additional argument, ones, is added to the input
        (
            "max_multi_dim_batching",
            "gradient",
            "multilayer",
            (3 * i + 2, 3 * i + 3, 3 * i + 4),
            0,
            STEPS,
            0,
        )
        for i in range(5)
    ],
]
SENSITIVITY_CONV = 0  # convnet_multi_target: the gradient of ToyN at x = 1..16, class 1

# --- Quantus: maps and masks by the places of their ones ------------------------------------
# tests/metrics/test_localisation_metrics.py, commit fda6dc3; 1d maps are (1, 224). A map's ground
# is 0 ("zeros") or noise in [0, top); its marked part is `value`.
# name -> shape, the mask's slices, the map's slices, top of the noise, value
LINE_SHAPE, SQUARE = (1, 224), (224, 224)
ALL = slice(None)


def _line(mask, map, top=0.0, value=1.0):
    return LINE_SHAPE, (ALL, slice(*mask)), (ALL, slice(*map)), top, value


def _square(mask, map, top=0.0, value=1.0, columns=None):
    marked = slice(*map), slice(*(columns or map))
    return SQUARE, (slice(*mask), slice(*mask)), marked, top, value


MAPS = {
    "all_in_gt_1d": _line((50, 150), (50, 150), 0.1),
    "all_in_gt_2d": _square((50, 150), (50, 150), 0.1),
    "all_in_gt_zeros_1d": _line((50, 150), (50, 150)),
    "all_in_gt_zeros_2d": _square((50, 150), (50, 150)),
    "all_in_gt_non_normalised_1d": _line((50, 150), (50, 150), 20, 25),
    "all_in_gt_non_normalised_2d": _square((50, 150), (50, 150), 20, 25),
    "all_in_gt_seg_bigger_1d": _line((0, 150), (50, 150), 0.1),
    "all_in_gt_seg_bigger_2d": _square((0, 150), (50, 150), 0.1),
    "none_in_gt_1d": _line((0, 100), (100, 200), 0.1),
    "none_in_gt_2d": _square((0, 100), (100, 200), 0.1),
    "none_in_gt_zeros_1d": _line((0, 100), (100, 200)),
    "none_in_gt_zeros_2d": _square((0, 100), (100, 200)),
    "none_in_gt_fourth_1d": _line((0, 112), (112, 224)),
    "none_in_gt_fourth_2d": _square((0, 112), (112, 224)),
    "half_in_gt_1d": _line((50, 100), (0, 100), 0.1),
    "half_in_gt_2d": _square((50, 100), (0, 100), 0.1, columns=(75, 100)),
    "half_in_gt_zeros_1d": _line((50, 100), (0, 100)),
    "half_in_gt_zeros_2d": _square((50, 100), (0, 100), columns=(75, 100)),
}

# a number, or the open interval that the test asserts
POINTING = [
    ("all_in_gt_1d", True),
    ("all_in_gt_2d", True),
    ("none_in_gt_1d", False),
    ("none_in_gt_2d", False),
    ("half_in_gt_1d", True),
    ("half_in_gt_2d", True),
]
TOP_K = [  # map, k -> share of the k highest pixels that lie in the mask
    ("all_in_gt_1d", 100, 1.0),
    ("all_in_gt_2d", 10000, 1.0),
    ("all_in_gt_1d", 200, 0.5),
    ("all_in_gt_2d", 40000, 0.25),
    ("none_in_gt_1d", 100, 0.0),
    ("none_in_gt_2d", 10000, 0.0),
    ("half_in_gt_zeros_2d", 2500, 0.5),
]
TOP_K_INFLUENCE = [("all_in_gt_1d", 100, 2.24), ("all_in_gt_2d", 10000, 5.0176)]
# here k is the mask's size, but twice as many pixels are tied: their 0.98 is an accident of the
# order that a sort leaves; ours is the expectation over all orders
TOP_K_TIED = ("half_in_gt_zeros_1d", 50, 0.98, 0.5)
MASS = [
    ("all_in_gt_zeros_1d", 1.0),
    ("all_in_gt_zeros_2d", 1.0),
    ("all_in_gt_seg_bigger_1d", (0.5, 1.0)),
    ("all_in_gt_seg_bigger_2d", (0.5, 1.0)),
    ("none_in_gt_zeros_1d", 0.0),
    ("none_in_gt_zeros_2d", 0.0),
    ("half_in_gt_zeros_1d", 0.5),
    ("half_in_gt_zeros_2d", 0.5),
    # attribution localisation, which is the same ratio
    ("all_in_gt_1d", (0.8, 0.95)),
    ("all_in_gt_2d", (0.8, 0.85)),
]
RANK = [
    ("all_in_gt_1d", 1.0),
    ("all_in_gt_2d", 1.0),
    ("all_in_gt_seg_bigger_1d", (0.5, 1.0)),
    ("all_in_gt_seg_bigger_2d", (0.5, 1.0)),
    ("none_in_gt_1d", 0.0),
    ("none_in_gt_2d", 0.0),
    ("half_in_gt_2d", 0.5),
]
RANK_TIED = ("half_in_gt_1d", (0.5, 1.0), 0.5)  # 100 tied pixels for 50 places, as above
AUC = [
    ("all_in_gt_1d", 1.0),
    ("all_in_gt_2d", 1.0),
    ("all_in_gt_non_normalised_1d", 1.0),
    ("all_in_gt_non_normalised_2d", 1.0),
    ("none_in_gt_fourth_1d", 0.0),
    ("none_in_gt_fourth_2d", 1 / 3),
]
# test_focus: quadrants (upper left, lower left, upper right, lower right) of a mosaic that show the
# class, those that the map marks -> share of the map in the former
FOCUS = [
    (shown, marked, value)
    for marked in [(0, 0, 1, 1), (1, 1, 0, 0), (0, 1, 0, 1), (1, 0, 1, 0)]
    for shown, value in [(marked, 1), (tuple(1 - m for m in marked), 0)]
]

# tests/helpers/test_similarity_func.py, commit 001a166, test_correlation_spearman
UNEVEN = np.random.default_rng(0).uniform(0, 0.1, 10)
SPEARMAN = [
    ("atts_same", UNEVEN, UNEVEN, 1),
    ("atts_same_linear", UNEVEN, 3 * UNEVEN, 1),
    ("atts_diff", [0, 1, 0, 1], [1, 2, 1, 0], 0),
    ("atts_half", [-1, 1, 1], [0, 0, 2], 0.5),
    ("atts_inverse", UNEVEN, -3 * UNEVEN, -1),
]

# tests/helpers/test_normalise_func.py, commit 0de6af9, test_normalise_by_max: divided by the
# largest magnitude, where ours goes from the minimum to the maximum
NORMALISED = [
    ("seq_1", [0, 1, 2, 3, 4, 4, 5, -1], [0, 0.2, 0.4, 0.6, 0.8, 0.8, 1, -0.2]),
    ("seq_2", [0, 1, 2, 3, 4, 5], [0, 0.2, 0.4, 0.6, 0.8, 1]),
    ("seq_3", [0, -1, -2, -3, -4, -5], [0, -0.2, -0.4, -0.6, -0.8, -1]),
]

# tests/metrics/test_complexity_metrics.py, commit 00ef2e4, test_sparseness: almost uniform maps
# have a Gini index inside (0, 1)
SPARSE = [("almost_uniform_1d", (1, 100)), ("almost_uniform_2d", (224, 224))]

# saliency 0.2.1, metrics/pic_test.py test_aggregate_individual_image_results: two curves at the
# fractions 0, 1/4, ..., 1 -> the mean curve and its area
PIC = (
    ([0.0, 0.2, 0.4, 0.6, 1.0], [0.0, 0.4, 0.4, 0.4, 1.0]),
    [0.0, 0.3, 0.4, 0.5, 1.0],
    (0.3 + 0.7 + 0.9 + 1.5) / 8,
)
