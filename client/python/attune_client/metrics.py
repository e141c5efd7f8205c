"""Metric points of a job as a table."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Sequence

from attune_client import v1

if TYPE_CHECKING:
    import pandas


def rows_of(points: Sequence[v1.MetricPoint]) -> List[Dict[str, Any]]:
    """One dict a point: step, epoch, phase and each value by its name."""
    return [{"step": point.step, "epoch": point.epoch, "phase": point.phase, **{name: point.values[name] for name in sorted(point.values)}} for point in points]


def to_pandas(points: Sequence[v1.MetricPoint]) -> "pandas.DataFrame":
    """One row a point, in order; the columns are step (optimizer steps, from 1), epoch, phase, then the values by name, NaN where a point does not have one. Raises ImportError
    without pandas."""
    try:
        import pandas
    except ImportError as error:
        raise ImportError("metrics() makes a pandas.DataFrame, and pandas is not installed: pip install 'attune-client[pandas]', or use metric_points()") from error
    rows = rows_of(points)
    values = sorted({name for row in rows for name in row} - {"step", "epoch", "phase"})
    return pandas.DataFrame(rows, columns=["step", "epoch", "phase", *values])
