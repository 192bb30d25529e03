"""Can a saliency map be trusted as a segmentation cue? See README.md and notebooks/."""

__version__ = "0.1.0"
