"""A controlled benchmark: the same object moved, resized, set on other ground, in company.

image, mask = composite("my_cutout.png", "my_ground.jpg", x=0.3, y=0.6, scale=0.4)
"""

from xaiutils.cutouts.compose import Composite, Cutout, as_cutout, composite, place

__all__ = ["Composite", "Cutout", "as_cutout", "composite", "place"]
