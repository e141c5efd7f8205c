#!/usr/bin/env python3
"""Draws every panel of the dashboards without Grafana: asks a Prometheus (and a server's JSON pages) what each panel asks, writes a PNG for each dashboard, and prints for each panel how
many series came back and their last values.

    deploy/grafana/render_panels.py --prometheus http://localhost:9090 [--jobs http://localhost:9464 [--job ID]] [--last 6h] [--out DIR] [--only UID ...] [--may-be-empty REGEX]

Exit code 1 where a panel got no series, unless --may-be-empty matches "UID: TITLE". --out "" draws nothing. Needs matplotlib: .deps/testenv/bin/python has it.

It shows whether queries find what they should and what comes out, not what Grafana makes of it: no stacking, no overrides, one look for all.
"""
import argparse
import datetime
import json
import math
import pathlib
import re
import sys
import time
import urllib.parse
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
POINTS = 240
# Grafana's variables. All values of each; rates over four scrapes, but not less than a minute.
VARIABLES = {"$__rate_interval": "2m", "$instance": ".*", "$project": ".*", "$architecture": ".*"}
TIMEOUT = 60


def fetch(url):
    with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
        return json.load(answer)


def legend_of(template, labels, number):
    text = re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda m: labels.get(m.group(1), ""), template).strip()
    return text or ", ".join(f"{k}={v}" for k, v in sorted(labels.items()) if not k.startswith("__")) or f"series {number}"


class Prometheus:
    """The HTTP API of a Prometheus, over one range of time."""

    def __init__(self, address, start, end):
        self.address, self.start, self.end = address.rstrip("/"), start, end
        self.step = max(1, int((end - start) / POINTS))

    def series(self, expression, legend=""):
        """(legend, times, values) of each series. Raises urllib.error.HTTPError for an expression that does not parse."""
        for name, value in VARIABLES.items():
            expression = expression.replace(name, value)
        parameters = {"query": expression, "start": self.start, "end": self.end, "step": self.step}
        found = fetch(f"{self.address}/api/v1/query_range?{urllib.parse.urlencode(parameters)}")["data"]["result"]
        return [(legend_of(legend, one["metric"], number), [t for t, _ in one["values"]], [float(v) for _, v in one["values"]])
                for number, one in enumerate(found)]


class JobPages:
    """The server's JSON pages, as the Infinity plugin reads them for the dashboard of one job."""

    def __init__(self, address, job=None):
        self.address = address.rstrip("/")
        jobs = fetch(f"{self.address}/jobs")
        self.job = job or (jobs[0]["job"].split("/")[1] if jobs else "")

    def rows(self, target):
        if "${job}" in target["url"] and not self.job:
            return []
        rows = fetch(self.address + target["url"].replace("${job}", self.job))
        wanted = re.search(r"\$exists\((\w+)\)", target["root_selector"])
        return [row for row in rows if not wanted or row.get(wanted.group(1)) is not None]

    def curves(self, panel):
        """(name, steps, values) of each field of a panel's rows, or of a table one entry for each row."""
        target, = panel["targets"]
        rows = self.rows(target)
        if panel["type"] == "table":
            return [(" ".join(str(row.get(c["selector"], "")) for c in target["columns"]), [], []) for row in rows]
        keep = [t["options"]["include"]["pattern"] for t in panel.get("transformations", []) if t["id"] == "filterFieldsByName"]
        names = [c["selector"] for c in target["columns"]] or sorted({name for row in rows for name in row if re.search(keep[0], name)})
        x = panel["options"]["xField"]
        rows = sorted(rows, key=lambda row: row[x])
        found = []
        for name in (n for n in names if n != x):
            points = [(row[x], row[name]) for row in rows if isinstance(row.get(name), (int, float))]
            if points:
                found.append((name, [a for a, _ in points], [b for _, b in points]))
        return found


def evaluate(panel, prometheus, pages):
    """The panel's series; None where its source is not given."""
    if panel["datasource"]["type"] != "prometheus":
        return pages.curves(panel) if pages else None
    return [one for target in panel["targets"] for one in prometheus.series(target["expr"], target.get("legendFormat", ""))]


def short(value):
    return "NaN" if math.isnan(value) else f"{value:.4g}"


def draw(board, results, path):
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import dates, figure

    shown = [(panel, series) for panel, series in results if series is not None]
    columns = 3
    lines = max(1, math.ceil(len(shown) / columns))
    page = figure.Figure(figsize=(6.4 * columns, 3.4 * lines), layout="constrained")
    page.suptitle(board["title"])
    grid = page.subplots(lines, columns, squeeze=False)
    for axes, (panel, series) in zip(grid.flat, shown):
        axes.set_title(f"{panel['title']} [{panel['fieldConfig']['defaults']['unit']}]", fontsize=9)
        if panel["type"] in ("stat", "table") or not series:
            axes.axis("off")
            text = "\n".join(f"{name}  {short(values[-1]) if values else ''}" for name, _, values in series[:12]) or "no series"
            axes.text(0.02, 0.95, text, va="top", fontsize=9, color="black" if series else "red", family="monospace", transform=axes.transAxes)
            continue
        over_time = panel["type"] == "timeseries"
        for name, xs, values in series:
            # Points, too: a series of one value draws no line.
            axes.plot([datetime.datetime.fromtimestamp(x, datetime.timezone.utc) for x in xs] if over_time else xs, values, lw=1, marker=".", ms=2, label=name)
        if over_time:
            axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(axes.xaxis.get_major_locator()))
        for limit in panel["fieldConfig"]["defaults"]["thresholds"]["steps"][1:]:
            low, high = axes.get_ylim()
            if low <= limit["value"] <= high:
                axes.axhline(limit["value"], ls="--", lw=0.8, color=limit["color"])
        if panel["fieldConfig"]["defaults"].get("custom", {}).get("scaleDistribution", {}).get("type") == "log":
            axes.set_yscale("log")
        axes.tick_params(labelsize=7)
        axes.legend(fontsize=6, loc="best")
    for axes in grid.flat[len(shown):]:
        axes.axis("off")
    page.savefig(path, dpi=80)


def boards(only=()):
    found = [json.loads(path.read_text()) for path in sorted((HERE / "dashboards").glob("*.json"))]
    return [board for board in found if not only or board["uid"] in only]


def run(prometheus, pages, *, out=None, only=(), may_be_empty=None, say=print):
    """Names of panels that got no series and should have."""
    empty = []
    for board in boards(only):
        results = [(panel, evaluate(panel, prometheus, pages)) for panel in board["panels"] if panel["type"] != "row"]
        for panel, series in results:
            name = f"{board['uid']}: {panel['title']}"
            if series is None:
                say(f"{name:<60} not asked")
                continue
            last = ", ".join(f"{legend} {short(values[-1])}" if values else legend for legend, _, values in series[:4]) + (", ..." if len(series) > 4 else "")
            say(f"{name:<60} {len(series):>3} series  {last}")
            if not series and not (may_be_empty and re.search(may_be_empty, name)):
                empty.append(name)
        if out:
            draw(board, results, pathlib.Path(out) / f"{board['uid']}.png")
    return empty


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--prometheus", required=True, metavar="URL")
    parser.add_argument("--jobs", metavar="URL", help="the server's address of --metrics-listen")
    parser.add_argument("--job", metavar="ID", help="default: the first that the server lists")
    parser.add_argument("--last", default="6h", metavar="N{s,m,h,d}")
    parser.add_argument("--out", default=".", metavar="DIR")
    parser.add_argument("--only", nargs="*", default=(), metavar="UID")
    parser.add_argument("--may-be-empty", metavar="REGEX")
    args = parser.parse_args()
    if not re.fullmatch(r"\d+[smhd]", args.last):
        parser.error("--last must be a number with s, m, h or d")
    if args.out:
        pathlib.Path(args.out).mkdir(parents=True, exist_ok=True)
    end = time.time()
    prometheus = Prometheus(args.prometheus, end - int(args.last[:-1]) * SECONDS[args.last[-1]], end)
    pages = JobPages(args.jobs, args.job) if args.jobs else None
    empty = run(prometheus, pages, out=args.out, only=args.only, may_be_empty=args.may_be_empty)
    for name in empty:
        print(f"no series: {name}", file=sys.stderr)
    return 1 if empty else 0


if __name__ == "__main__":
    sys.exit(main())
