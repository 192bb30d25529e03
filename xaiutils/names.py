"""How cues are called, ordered and coloured, the same in every table and figure."""

# The explainers by family: gradient-weighted and score-weighted CAMs, gradients, perturbations.
# Colour-blind safe (Okabe-Ito and Paul Tol's muted set), one hue a family, darker to lighter.
_CUES = {
    "gradcam": ("Grad-CAM", "#0072b2"),
    "gradcam++": ("Grad-CAM++", "#56b4e9"),
    "scorecam": ("Score-CAM", "#117733"),
    "fasterscorecam": ("Faster-Score-CAM", "#44aa99"),
    "ig": ("Integrated Gradients", "#d55e00"),
    "vargrad": ("VarGrad", "#e69f00"),
    "occlusion": ("Occlusion", "#882255"),
    "kernelshap": ("KernelSHAP", "#aa4499"),
    "lime": ("LIME", "#cc79a7"),
    "fused-weighted": ("Fused, weighted", "#000000"),
    "fused-mean": ("Fused, mean", "#555555"),
    "fused-max": ("Fused, maximum", "#888888"),
    "fused-random": ("Fused, random weights", "#bbbbbb"),
    "fused-stacked": ("Fused, stacked", "#4d4d9f"),
    "fused-graph": ("Fused, graph", "#7f7f3f"),
    "floor:centre point": ("Floor: centre point", "#999933"),
    "floor:centre box": ("Floor: centre box", "#999933"),
    "floor:random points": ("Floor: random points", "#999933"),
    "floor:centre map": ("Floor: centre map", "#999933"),
    "ceiling:click": ("Ceiling: one click", "#332288"),
    "ceiling:five clicks": ("Ceiling: five clicks", "#332288"),
    "ceiling:true box": ("Ceiling: true box", "#332288"),
    "ceiling:best of gallery": ("Ceiling: best of gallery", "#332288"),
}

ORDER: tuple[str, ...] = tuple(_CUES)
TITLES: dict[str, str] = {cue: title for cue, (title, _) in _CUES.items()}
COLOURS: dict[str, str] = {cue: colour for cue, (_, colour) in _CUES.items()}

# what `config.explained` says, as captions have it
EXPLAINED = {
    "given": "given class",
    "listed": "class of labels.csv or else top-1",
    "predicted": "top-1 class",
    "mapped": "mapped class",
    "probe": "probe's class",
}
SEGMENTER_TITLES = {
    "embedded_sam": "embedded SAM",
    "sam2": "SAM2",
    "grabcut": "GrabCut",
    "random_walker": "random walker",
    "threshold": "Otsu threshold",
}
CLASSIFIER_TITLES = {
    "efficientnet_lite0": "EfficientNet-Lite0",
    "resnet50": "ResNet-50",
    "resnet50_tv_v1": "ResNet-50 (torchvision V1)",
    "resnet50_tv_v2": "ResNet-50 (torchvision V2)",
    "deit_s": "DeiT-S",
    "vit_b16": "ViT-B/16",
    "swin_t": "Swin-T",
}


# sources of pseudo-labels that are no cue, and how the loss of labels is weighted (`teachers`)
SAM, TRUTH, BOX = "fused-weighted-sam", "truth", "centre-box"
PLAIN, CONFIDENCE, AGREEMENT = VARIANTS = ("plain", "confidence-weighted", "agreement-weighted")


def title(cue: str) -> str:
    """The printed name of a cue; an unknown one prints as it is."""
    return TITLES.get(cue, cue)


def in_order(cues) -> list[str]:
    """Cues in the order of the paper's Table 2, then fusions, floors and ceilings, then others."""
    present = list(dict.fromkeys(cues))
    return [c for c in ORDER if c in present] + [c for c in present if c not in TITLES]


def sam2_title(model: str, apply_postprocessing: bool) -> str:
    """What a caption must say of the segmenter: "SAM2 (sam2.1_hiera_tiny, post-processing on)"."""
    return f"SAM2 ({model}, post-processing {'on' if apply_postprocessing else 'off'})"
