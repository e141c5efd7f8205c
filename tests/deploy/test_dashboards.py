"""Grafana's dashboards: what the generator makes, panels that say what they show, queries that parse and ask for what there is."""
import functools
import importlib.util
import json
import re
import subprocess
import sys

import pytest
import yaml

import chart
import metric_list
import prometheus_tools
import test_alerts

GRAFANA = chart.SOURCE / "deploy" / "grafana"
FILES = sorted((GRAFANA / "dashboards").glob("*.json"))
INFINITY = "yesoreyeram-infinity-datasource"
# What Grafana puts in place of its variables, as far as a query must parse.
VARIABLES = {"$__rate_interval": "5m", "$instance": ".*", "$project": ".*", "$architecture": ".*"}
each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


@functools.cache
def read(path):
    return json.loads(path.read_text())


def panels(path):
    return [panel for panel in read(path)["panels"] if panel["type"] != "row"]


def expressions(path):
    return [target["expr"] for panel in panels(path) for target in panel["targets"] if "expr" in target]


def with_values(expression):
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    return expression


def known_units():
    spec = importlib.util.find_spec("grafana_foundation_sdk.models.units")
    return set(re.findall(r"= \"([^\"]+)\"", open(spec.origin).read()))


def test_dashboards_are_what_the_generator_makes():
    done = subprocess.run([sys.executable, "-B", GRAFANA / "generate.py", "--check"], capture_output=True, text=True, timeout=chart.DEADLINE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {path.stem for path in FILES} == {"attune-overview", "attune-jobs", "attune-job", "attune-workers", "attune-api", "attune-storage"}


@each_file
def test_dashboard_is_found_by_name_and_tag(path):
    board = read(path)
    assert board["uid"] == path.stem and board["title"].startswith("Attune: ") and board["description"] and board["tags"] == ["attune"]
    assert "id" not in board and not board["editable"]
    # From each to the others, with time and variables.
    assert [(link["type"], link["tags"], link["keepTime"], link["includeVars"]) for link in board["links"]] == [("dashboards", ["attune"], True, True)]
    numbers = [panel["id"] for panel in board["panels"]]
    assert len(set(numbers)) == len(numbers)


@each_file
def test_panels_say_what_they_show(path):
    for panel in panels(path):
        where = f"{path.stem}: {panel['title']}"
        defaults = panel["fieldConfig"]["defaults"]
        assert panel["title"] and panel["description"].split("\n\nAlert: ")[0].endswith("."), where
        assert defaults["unit"] in known_units(), where
        steps = defaults["thresholds"]["steps"]
        assert steps[0]["value"] is None and [s["value"] for s in steps[1:]] == sorted(s["value"] for s in steps[1:]), where
        if "Alert: " in panel["description"]:
            assert len(steps) > 1 or panel["id"] == 1 and path.stem == "attune-jobs", f"{where}: an alert looks at it, and nothing shows when it fires"
    titles = [panel["title"] for panel in panels(path)]
    assert len(set(titles)) == len(titles)


@each_file
def test_data_sources_are_variables(path):
    board = read(path)
    variables = {variable["name"]: variable for variable in board["templating"]["list"]}
    sources = {"prometheus": "${datasource}", INFINITY: "${jobs}"}
    assert variables["datasource"]["type"] == "datasource" and variables["datasource"]["query"] == "prometheus"
    queries = [target for panel in panels(path) for target in (panel, *panel["targets"])]
    for query in (*queries, *(v for v in variables.values() if v["type"] == "query"), *board["annotations"]["list"]):
        assert query["datasource"]["uid"] == sources[query["datasource"]["type"]]
    # But for JSONata, whose functions look like variables.
    text = json.dumps([{k: v for k, v in query.items() if k not in ("root_selector", "targets")} for query in (*queries, *board["annotations"]["list"])])
    for variable in re.findall(r"\$\{?(\w+)", text):
        assert variable in variables or variable.startswith("__"), variable


def test_projects_and_model_families_can_be_chosen():
    for uid in ("attune-overview", "attune-jobs"):
        path, = (p for p in FILES if p.stem == uid)
        variables = {v["name"]: v for v in read(path)["templating"]["list"]}
        for name in ("project", "architecture"):
            assert variables[name]["multi"] and variables[name]["includeAll"] and f'{name}=~"${name}"' in " ".join(expressions(path))
    for path in FILES:
        for variable in read(path)["templating"]["list"]:
            if variable["type"] == "query" and variable["datasource"]["type"] == "prometheus":
                query, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"]).groups()
                metric, = {name for name, _ in metric_list.uses(query)}
                assert not metric_list.unknown(query) and label in metric_list.METRICS[metric] | metric_list.TARGET


@each_file
def test_queries_ask_for_what_there_is(path):
    for expression in expressions(path):
        assert metric_list.uses(expression), expression
        assert not metric_list.unknown(expression, test_alerts.RECORDED), expression
        known = set().union(*(metric_list.METRICS.get(m, set()) for m, _ in test_alerts.uses_below(expression))) | metric_list.TARGET
        assert metric_list.grouped_by(expression) <= known, expression


def test_queries_parse():
    found = [with_values(expression) for path in FILES for expression in expressions(path)]
    assert len(found) > 60 and not any("$" in expression for expression in found)
    assert prometheus_tools.parse_faults(found) == ""
    assert "could not parse" in prometheus_tools.parse_faults([*found, "sum(attune_ready"]), "a query that does not parse is not noticed"


def test_legends_name_labels_that_are_left():
    for path in FILES:
        for panel in panels(path):
            for target in panel["targets"]:
                if kept := re.match(r"(?:topk\(\d+, )?(?:sum|max|min|histogram_quantile\([\d.]+, sum) by \(([^)]*)\)", target.get("expr", "")):
                    assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= set(re.findall(r"\w+", kept.group(1))) - {"le"}, target


def test_curves_of_a_job_come_from_the_servers_pages():
    path, = (p for p in FILES if p.stem == "attune-job")
    targets = [target for panel in panels(path) for target in panel["targets"]]
    assert {target["url"] for target in targets} == {"/jobs", "/jobs/${job}/metrics"}
    curves = {panel["title"]: panel for panel in panels(path) if panel["type"] == "trend"}
    assert {"Loss", "Evaluation", "Learning rate"} <= curves.keys()
    for panel in curves.values():
        assert panel["options"]["xField"] == "step"
    job, = (v for v in read(path)["templating"]["list"] if v["name"] == "job")
    assert job["query"]["infinityQuery"]["url"] == "/jobs" and [c["text"] for c in job["query"]["infinityQuery"]["columns"]] == ["__text", "__value"]
    assert not any("job_id" in e or "fineTuningJobs" in e for p in FILES for e in expressions(p))


def test_they_fit_into_a_config_map():
    assert sum(path.stat().st_size for path in FILES) < 600_000


def test_provisioning_names_what_dashboards_ask_for():
    sources = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "attune.yaml").read_text())["datasources"]
    assert {source["type"] for source in sources} == {"prometheus", "alertmanager", INFINITY}
    assert len({source["uid"] for source in sources}) == 3 and not any(source["editable"] for source in sources)
    provider, = yaml.safe_load((GRAFANA / "provisioning" / "dashboards" / "attune.yaml").read_text())["providers"]
    assert provider["folder"] == "Attune" and provider["type"] == "file"
