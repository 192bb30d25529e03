"""Section 5, no feedback: what is seen while a segmenter is trained, and what is not.

Pure functions of the table of the analysis "curves". A *rule* says when training stops:

- last: at the end;
- pseudo-labels: at the lowest loss on held-out pseudo-labels, all that one sees without masks;
- truth: at the best mean IoU with the true masks of the other half of the validation images (each
  half chooses for the other, so that no image is judged by its own choice). Nobody without masks
  can follow it; it says what feedback would be worth.
"""

import numpy as np
import pandas as pd

from xaiutils.names import AGREEMENT, CONFIDENCE, PLAIN
from xaiutils.sections.trained import NOT_MEASURED, by_explainer, source_title, sources_of
from xaiutils.sections.words import estimate, signed
from xaiutils.statistics import mean_interval, summary

RULES = LAST, PSEUDO, TRUTH_RULE = ("last", "pseudo-labels", "truth")


def averages(table: pd.DataFrame) -> pd.DataFrame:
    """A row a source, variant and epoch: pseudo_loss, held_out_loss, n, undefined, mean, low, high
    (IoU with the truth over validation images)."""
    keys = ["source", "variant", "epoch"]
    losses = table.groupby(keys, sort=False)[["pseudo_loss", "held_out_loss"]].first()
    return losses.reset_index().merge(summary(table, keys, "iou"), on=keys)


def stopped(table: pd.DataFrame) -> pd.DataFrame:
    """What each rule would have given: source, variant, rule, sample, epoch, iou."""
    found = []
    for (source, variant), part in table.groupby(["source", "variant"], sort=False):
        wide = part.pivot(index="sample", columns="epoch", values="iou")
        held_out = part.groupby("epoch")["held_out_loss"].first()
        for rule, epochs in _epochs(wide, held_out).items():
            scores = wide.to_numpy()[np.arange(len(wide)), wide.columns.get_indexer(epochs)]
            known = {"source": source, "variant": variant, "rule": rule}
            rows = {"sample": wide.index, "epoch": epochs, "iou": scores}
            found.append(pd.DataFrame({**known, **rows}))
    columns = ["source", "variant", "rule", "sample", "epoch", "iou"]
    return pd.concat(found, ignore_index=True)[columns] if found else pd.DataFrame(columns=columns)


def _epochs(wide: pd.DataFrame, held_out: pd.Series) -> dict[str, np.ndarray]:
    """By rule the epoch at which each sample (row of `wide`) is judged."""
    n, half = len(wide), np.arange(len(wide)) % 2
    truth = np.full(n, wide.columns[-1])
    for each in (0, 1):
        others = wide[half != each].mean()
        if others.notna().any():
            truth[half == each] = others.idxmax()
    constant = {LAST: wide.columns[-1], PSEUDO: held_out.idxmin()}
    return {rule: np.full(n, epoch) for rule, epoch in constant.items()} | {TRUTH_RULE: truth}


def stop_table(stops: pd.DataFrame) -> pd.DataFrame:
    """A row a source, variant and rule: epoch (mean), n, undefined, mean, low, high."""
    keys = ["source", "variant", "rule"]
    if stops.empty:
        return pd.DataFrame(columns=[*keys, "epoch", "n", "undefined", "mean", "low", "high"])
    epochs = stops.groupby(keys, sort=False)["epoch"].mean().reset_index()
    return epochs.merge(summary(stops, keys, "iou"), on=keys)


def _by_sample(stops: pd.DataFrame, variant: str, rule: str) -> pd.Series:
    """IoU by sample, averaged over the explainers."""
    part = by_explainer(stops)
    part = part[(part["variant"] == variant) & (part["rule"] == rule)]
    return part.groupby("sample", sort=False)["iou"].mean()


def rule_difference(stops: pd.DataFrame, a: str, b: str) -> tuple[float, float, float, int]:
    """IoU under rule a minus rule b, plain loss, mean of the explainers: (mean, low, high, n)."""
    gap = (_by_sample(stops, PLAIN, a) - _by_sample(stops, PLAIN, b)).dropna()
    return *mean_interval(gap), len(gap)


def remedies(stops: pd.DataFrame) -> pd.DataFrame:
    """A weighted loss minus the plain one, paired by image: a row a source, weighting and rule.

    Columns source, variant, rule, n, mean, low, high; source "all" is the mean of the explainers.
    """
    rows = []
    for variant in (CONFIDENCE, AGREEMENT):
        for rule in (PSEUDO, LAST):
            of_all = _by_sample(stops, variant, rule) - _by_sample(stops, PLAIN, rule)
            rows.append(["all", variant, rule, of_all.count(), *mean_interval(of_all)])
            part = stops[stops["rule"] == rule]
            for source in sources_of(part):
                wide = part[part["source"] == source].pivot(
                    index="sample", columns="variant", values="iou"
                )
                if variant in wide:
                    gap = wide[variant] - wide[PLAIN]
                    rows.append([source, variant, rule, gap.count(), *mean_interval(gap)])
    return pd.DataFrame(rows, columns=["source", "variant", "rule", "n", "mean", "low", "high"])


def curves_sentence(table: pd.DataFrame) -> str:
    """Loss falls; what becomes of the truth; what each rule and each weighting gives."""
    if table.empty:
        return NOT_MEASURED
    stops = stopped(table)
    plain = by_explainer(averages(table))
    plain = plain[plain["variant"] == PLAIN].groupby("epoch")[["pseudo_loss", "held_out_loss"]]
    losses = plain.mean()
    first, last = losses.iloc[0], losses.iloc[-1]
    gaps = {rule: rule_difference(stops, rule, TRUTH_RULE)[:3] for rule in (PSEUDO, LAST)}
    found = remedies(stops).set_index(["source", "variant", "rule"])
    said = {v: found.loc[("all", v, PSEUDO)] for v in (CONFIDENCE, AGREEMENT)}
    explainers = sources_of(by_explainer(table))
    names = ", ".join(map(source_title, explainers))
    return (
        f"- From epoch {losses.index[0]} to epoch {losses.index[-1]}, mean of {names}, the "
        f"loss on the training pseudo-labels goes from {first['pseudo_loss']:.2f} to "
        f"{last['pseudo_loss']:.2f}, that on held-out pseudo-labels from "
        f"{first['held_out_loss']:.2f} to {last['held_out_loss']:.2f}.\n"
        f"- Stopping by held-out pseudo-labels instead of by the truth changes the true IoU by "
        f"**{estimate(*gaps[PSEUDO], sign=True)}**, not stopping at all by "
        f"**{estimate(*gaps[LAST], sign=True)}** ({_each(stops, explainers)}).\n"
        f"- Weighting the loss by the map's confidence changes it by **{_row(said[CONFIDENCE])}**, "
        f"by the explainers' agreement **{_row(said[AGREEMENT])}** (both stopped by held-out "
        "pseudo-labels)."
    )


def _each(stops: pd.DataFrame, sources: list[str]) -> str:
    """What not stopping changes, explainer by explainer."""
    parts = [stops[stops["source"] == source] for source in sources]
    means = [rule_difference(part, LAST, TRUTH_RULE)[0] for part in parts]
    return ", ".join(f"{source_title(s)} {signed(x)}" for s, x in zip(sources, means))


def _row(row: pd.Series) -> str:
    return estimate(row["mean"], row["low"], row["high"], sign=True)
