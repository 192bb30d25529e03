"""One number that bears on a claim, and the range in which the claim would hold."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from statsmodels.stats.proportion import proportion_confint

from xaiutils.comparison import ALPHA
from xaiutils.sections.words import estimate
from xaiutils.statistics import FEWEST, LEVEL, mean_interval

UNTESTED = "not tested here"


@dataclass(frozen=True)
class Finding:
    """quantity: what was measured, in words; estimate, low, high: the 95 % interval over n images.

    The claim holds where the value is within [at_least, at_most]; without either the number stands
    beside the others and decides nothing. `p`: of a test, corrected, where the claim speaks of
    significance; without p < 0.05 the finding is open, whatever the interval.
    """

    quantity: str
    estimate: float
    low: float
    high: float
    n: int
    at_least: float = -np.inf
    at_most: float = np.inf
    p: float | None = None

    @property
    def decides(self) -> bool:
        """Whether the claim says where the value lies."""
        return bool(np.isfinite(self.at_least) or np.isfinite(self.at_most))

    @property
    def points(self) -> str:
        """for, against, or open (the interval crosses a border, or there is none, or the test that
        the claim needs does not reject)."""
        if not np.isfinite(self.low + self.high):
            return "open"
        if self.p is not None and not self.p < ALPHA:
            return "open"
        if self.at_least <= self.low and self.high <= self.at_most:
            return "for"
        if self.high < self.at_least or self.low > self.at_most:
            return "against"
        return "open"

    def __str__(self) -> str:
        numbers = estimate(self.estimate, self.low, self.high, digits=self._digits())
        tested = "" if self.p is None else f", corrected p = {self.p:.2g}"
        claimed = f", claimed {self._range()} ({self.points})" if self.decides else ""
        return f"{self.quantity} {numbers}, n = {self.n}{tested}{claimed}"

    def _digits(self) -> int:
        """Two, or three where rounding would put an end of the interval on a border."""
        ends = [round(x, 2) for x in (self.low, self.high) if np.isfinite(x)]
        return 3 if {*ends} & {self.at_least, self.at_most} else 2

    def _range(self) -> str:
        low, high = f"{self.at_least:g}".replace("-", "−"), f"{self.at_most:g}".replace("-", "−")
        if np.isfinite(self.at_least) and np.isfinite(self.at_most):
            return f"{low} to {high}"
        return f"at least {low}" if np.isfinite(self.at_least) else f"at most {high}"


def mean_finding(quantity: str, values: pd.Series, **claimed: float) -> Finding:
    """The mean over images of values, one an image."""
    values = pd.Series(values, dtype=float).dropna()
    return Finding(quantity, *mean_interval(values), len(values), **claimed)


def rho_finding(quantity: str, row, n: int, **claimed: float) -> Finding:
    """A rank correlation, from a row with rho, low and high over n images."""
    return Finding(quantity, row.rho, row.low, row.high, int(n), **claimed)


def share_finding(quantity: str, hits: pd.Series, **claimed: float) -> Finding:
    """`mean_finding` of a share, 0 to 1 an image, with the exact interval of Clopper and Pearson:
    near 0 and 1 a bootstrap is too narrow, and without width where all images are alike. For values
    between 0 and 1, which vary less, it is too wide rather than too narrow."""
    found = mean_finding(quantity, hits, **claimed)
    if found.n == 0:
        return found
    low, high = proportion_confint(found.estimate * found.n, found.n, 1 - LEVEL, method="beta")
    return replace(found, low=float(low), high=float(high))


def judge(findings: list[Finding]) -> tuple[str, str]:
    """The verdict and its reason, from the findings alone."""
    points = [finding.points for finding in findings if finding.decides]
    if not points:
        verdict = UNTESTED
    elif all(point == "for" for point in points):
        verdict = "supported"
    elif all(point == "against" for point in points):
        verdict = "not supported"
    else:
        verdict = "mixed"
    return verdict, "; ".join(str(finding) for finding in findings)


def decide(found: list[Finding], of: str = "") -> tuple[str, str]:
    """`judge` by the findings on `FEWEST` images (or what is counted, `of`) or more; the reason
    names all. Where none decides: `UNTESTED`; where all have fewer, too, and which way they
    point."""
    verdict, reason = judge(found)
    n = max((finding.n for finding in found if finding.decides), default=0)
    if not n:
        return UNTESTED, reason
    if n >= FEWEST:
        return judge([finding for finding in found if finding.n >= FEWEST])[0], reason
    counted = f"n = {n} {of}".strip()
    return UNTESTED, f"{counted}, a direction at most: {verdict}; {reason}"
