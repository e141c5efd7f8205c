#!/usr/bin/env python3
"""Writes dashboards/*.json from boards/*.py, and into each panel's description the alerts that look at it (../prometheus/*.yaml).

    deploy/grafana/generate.py [--check]      --check writes nothing; exit code 1 and a line for each file that is not what it would be

Needs grafana-foundation-sdk and PyYAML: .deps/testenv/bin/python has them. Then run deploy/render.py, which brings the files into the chart.
"""
import argparse
import json
import pathlib
import re
import sys

import yaml

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from boards import api, job, jobs, overview, storage, workers  # noqa: E402

BOARDS = (overview, jobs, job, workers, api, storage)
PANEL = re.compile(r"/d/([\w-]+)\?viewPanel=(\d+)")


def alerts_by_panel(folder):
    """(uid, panel) -> [(alert, its heading in docs/operations.md)]"""
    found = {}
    for path in sorted(folder.glob("*.yaml")):
        for rule in (r for group in yaml.safe_load(path.read_text()).get("groups", []) for r in group["rules"] if "alert" in r):
            uid, number = PANEL.search(rule["annotations"]["dashboard_url"]).groups()
            anchor = rule["annotations"]["runbook_url"].rsplit("#", 1)[1]
            found.setdefault((uid, int(number)), []).append((rule["alert"], anchor))
    return found


def dashboards(rules):
    """File name -> content."""
    alerts = alerts_by_panel(rules)
    files = {}
    for module in BOARDS:
        board = module.build()
        for panel in board["panels"]:
            for alert, anchor in alerts.get((board["uid"], panel["id"]), []):
                panel["description"] += f"\n\nAlert: {alert}; what to do: docs/operations.md#{anchor}"
        files[f"{board['uid']}.json"] = json.dumps(board, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    return files


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    folder = HERE / "dashboards"
    expected = dashboards(HERE.parent / "prometheus")
    faults = []
    for path in sorted({*folder.glob("*.json"), *(folder / name for name in expected)}):
        text = expected.get(path.name)
        if path.exists() and path.read_text() == text:
            continue
        faults.append(f"{path}: not what deploy/grafana/generate.py makes")
        if args.check:
            print(faults[-1])
        elif text is None:
            path.unlink()
        else:
            path.write_text(text)
            print(f"wrote {path}")
    return 1 if args.check and faults else 0


if __name__ == "__main__":
    sys.exit(main())
