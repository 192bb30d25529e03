"""Toy classifiers whose explanations can be computed by hand, and the real ones."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from xaiutils.classifiers import FrozenClassifier, Preprocessing, load_classifier

ROOT = Path(__file__).resolve().parent.parent


def frozen(model: torch.nn.Module, size: int, target_layer=None, classes: int = 4):
    """A toy behind the interface of the real classifiers, run eagerly."""
    preprocess = Preprocessing(size, mean=(0.5,) * 3, std=(0.5,) * 3)
    names = [f"class {i}" for i in range(classes)]
    layer = target_layer if target_layer is not None else model
    return FrozenClassifier("toy", model, preprocess, names, layer, precision=None)


class ToyN(torch.nn.Module):
    """The 4x4 network of captum's tests: two 3x3 convolutions of ones, then a linear layer."""

    def __init__(self, inplace: bool = False):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(1, 2, 3)
        self.relu1 = torch.nn.ReLU(inplace=inplace)
        self.fc1 = torch.nn.Linear(8, 4, bias=False)
        with torch.no_grad():
            self.conv1.weight.fill_(1)
            self.conv1.bias.copy_(torch.tensor([-50.0, -75.0]))
            self.fc1.weight.copy_(torch.tensor([[1.0] * 5 + [-1.0] * 3]).repeat(4, 1))

    def forward(self, x):
        return torch.relu(self.fc1(self.relu1(self.conv1(x)).flatten(1)))


class SmallNet(torch.nn.Module):
    """A random convolutional network on 32x32 RGB, for agreement with the libraries."""

    def __init__(self, classes: int = 5):
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.features = torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 3, 2, 1),
            torch.nn.ReLU(),
            torch.nn.Conv2d(8, 24, 3, 2, 1),
            torch.nn.ReLU(),
        )
        self.head = torch.nn.Linear(24, classes)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)

    def forward(self, x):
        return self.head(self.features(x).mean((2, 3)))


def chromium(browsers) -> str:
    """The browser that is here: a system's own, or playwright's; skips where there is none."""
    for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"):
        if found := shutil.which(name):
            return found
    path = browsers.chromium.executable_path
    try:
        browsers.chromium.launch(executable_path=path, args=["--no-sandbox"]).close()
    except Exception as error:  # not downloaded, or without the libraries that it needs
        line = str(error).strip().splitlines()[0]
        pytest.skip(
            f"no Chromium: install it, or `playwright install --with-deps chromium`: {line}"
        )
    return path


@pytest.fixture
def toy():
    model = ToyN()
    return frozen(model, 4, model.conv1)


@pytest.fixture
def toy_input():
    return torch.arange(16.0).reshape(1, 4, 4)


@pytest.fixture(scope="session")
def small():
    model = SmallNet()
    return frozen(model, 32, model.features, classes=5)


@pytest.fixture(scope="session")
def small_images():
    noise = np.random.default_rng(1).normal(0, 1, (3, 3, 32, 32))
    smooth = gaussian_filter(noise, (0, 0, 2, 2))  # SLIC finds no regions in white noise
    return torch.from_numpy((smooth / smooth.std() / 2).astype("f4"))


@pytest.fixture(scope="session")
def lite0():
    return load_classifier("efficientnet_lite0")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data-set subsets, where there is one."""
    folder = Path(os.environ.get("XAIUTILS_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "VOCdevkit").is_dir():
        pytest.skip("no real data sets beside the project: set XAIUTILS_TEST_DATA to their folder")
    return folder
