"""Classification metrics that need no network."""

from .text_classification import TextClassificationMetrics, compute_metrics


__all__ = ["TextClassificationMetrics", "compute_metrics"]
