"""MI-Dropout in all its forms beside every other method, seed by seed."""

from __future__ import annotations

from dataclasses import asdict, replace

import pandas as pd

from .comparing import holm, paired_difference
from .methods import METHODS, PAPER, VARIANT


SIGNIFICANT = 0.05
OURS = (PAPER, VARIANT)


def pairs(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """
    A row for each dataset, size, MI method and other method: the paired difference, the one minus the other. p-values
    are corrected for all comparisons of a dataset and size (Holm).
    """
    wide = table[table.metric == metric].pivot_table(
        index=["dataset", "size", "seed"], columns="method", values="value", sort=False
    )
    rows = []
    for (dataset, size), group in wide.groupby(["dataset", "size"], sort=False):
        here = []
        for ours in (name for name in group if METHODS[name].kind in OURS):
            for other in (name for name in group if METHODS[name].kind not in OURS):
                both = group[[ours, other]].dropna()
                if len(both) > 1:
                    here.append((ours, other, paired_difference(both[ours].tolist(), both[other].tolist())))
        corrected = holm([difference.p_value for _, _, difference in here])
        rows += [
            {"dataset": dataset, "size": size, "metric": metric, "method": ours, "other": other}
            | asdict(replace(difference, p_value=p_value))
            for (ours, other, difference), p_value in zip(here, corrected, strict=True)
        ]
    return pd.DataFrame(rows)


def tally(found: pd.DataFrame, higher_is_better: bool = True) -> pd.DataFrame:
    """
    Other methods by MI methods: in how many of the datasets and sizes the MI method is better and worse, with p below
    `SIGNIFICANT`, as "2 : 1".
    """
    signs = found["mean"].where(found.p_value < SIGNIFICANT, 0) * (1 if higher_is_better else -1)
    counted = pd.DataFrame(
        {
            "method": found.method,
            "other": found.other,
            "better": (signs > 0).astype(int),
            "worse": (signs < 0).astype(int),
        }
    )
    sums = counted.groupby(["other", "method"])[["better", "worse"]].sum()
    cells = (sums.better.astype(str) + " : " + sums.worse.astype(str)).replace("0 : 0", "").unstack("method")
    cells = cells.reindex(index=_in_order(cells.index), columns=_in_order(cells.columns)).fillna("")
    cells.index = pd.Index([METHODS[name].label for name in cells.index], name="method")
    cells.columns = [METHODS[name].label for name in cells.columns]
    return cells


def _in_order(names) -> list[str]:
    return [name for name in METHODS if name in set(names)]
