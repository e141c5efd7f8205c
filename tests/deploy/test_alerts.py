"""Recording and alerting rules: they parse, mean metrics that exist, fire and stay silent as they should, and lead to a runbook and a panel."""
import functools
import json
import re

import pytest
import yaml

import chart
import metric_list
import prometheus_tools

FOLDER = chart.SOURCE / "deploy" / "prometheus"
RULE_FILES = sorted(FOLDER.glob("*.yaml"))
TEST_FILES = sorted((FOLDER / "tests").glob("*.yaml"))
RULES = [rule for path in RULE_FILES for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
RECORDED = {rule["record"]: rule["expr"] for rule in RULES if "record" in rule}
DASHBOARD_URL = re.compile(r"\{\{ \$externalLabels\.attune_grafana \}\}/d/([\w-]+)\?viewPanel=(\d+)(?:&var-(\w+)=\{\{ urlquery \$labels\.\w+ \}\})*")
RUNBOOK_URL = re.compile(r'\{\{ or \$externalLabels\.attune_docs "docs" \}\}/operations\.md#(\w+)')
each_alert = pytest.mark.parametrize("name", ALERTS)


@functools.cache
def panels():
    """(uid, number) -> the panel."""
    boards = [json.loads(path.read_text()) for path in (chart.SOURCE / "deploy" / "grafana" / "dashboards").glob("*.json")]
    return {(board["uid"], panel["id"]): panel for board in boards for panel in board["panels"] if panel["type"] != "row"}


@functools.cache
def headings():
    text = (chart.SOURCE / "docs" / "operations.md").read_text()
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-"): heading for heading in re.findall(r"^#+ (.*)$", text, re.M)}


def text_below(heading):
    text = (chart.SOURCE / "docs" / "operations.md").read_text()
    return re.search(rf"^### {heading}\n(.*?)(?=^#|\Z)", text, re.M | re.S).group(1)


def test_rules_are_valid():
    done = prometheus_tools.run("promtool", "check", "rules", *RULE_FILES)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(ALERTS) + len(RECORDED) == len(RULES), "two rules have the same name"


def test_configurations_are_valid():
    done = prometheus_tools.run("promtool", "check", "config", FOLDER / "prometheus.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    done = prometheus_tools.run("amtool", "check-config", FOLDER / "alertmanager.yml")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", TEST_FILES, ids=lambda path: path.stem)
def test_alerts_fire_and_stay_silent(path):
    done = prometheus_tools.run("promtool", "test", "rules", path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_is_tested_both_ways():
    fires, silent = set(), set()
    for path in TEST_FILES:
        document = yaml.safe_load(path.read_text())
        assert sorted(document["rule_files"]) == sorted(f"../{p.name}" for p in RULE_FILES)
        for group in document["tests"]:
            name, says = re.match(r"(\w+) (fires|is silent): ", group["name"]).groups()
            cases = group["alert_rule_test"]
            assert {case["alertname"] for case in cases} == {name}, group["name"]
            if says == "fires":
                assert cases[-1]["exp_alerts"], group["name"]
                fires.add(name)
            else:
                assert not any(case["exp_alerts"] for case in cases), group["name"]
                # Silence of no data would prove nothing.
                used = {metric for metric, _ in uses_below(ALERTS[name]["expr"])}
                assert used & {series["series"].split("{")[0] for series in group["input_series"]}, group["name"]
                silent.add(name)
    assert fires == silent == ALERTS.keys()


def uses_below(expression):
    """What an expression asks for, with that of the recording rules that it asks for."""
    found = []
    for metric, labels in metric_list.uses(expression):
        found.append((metric, labels))
        if metric in RECORDED:
            found += uses_below(RECORDED[metric])
    return found


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_rules_ask_for_what_the_server_exports(rule):
    assert metric_list.uses(rule["expr"])
    assert not metric_list.unknown(rule["expr"], RECORDED)
    known = set().union(*(metric_list.METRICS.get(metric, set()) for metric, _ in uses_below(rule["expr"]))) | metric_list.TARGET
    assert metric_list.grouped_by(rule["expr"]) <= known


def test_recorded_figures_are_used_and_ask_before_they_are_asked():
    asked = {metric for rule in RULES for metric, _ in metric_list.uses(rule["expr"])}
    shown = {metric for panel in panels().values() for target in panel["targets"] if "expr" in target for metric, _ in metric_list.uses(target["expr"])}
    assert RECORDED.keys() <= asked | shown
    seen = set()
    for name, expression in RECORDED.items():  # a rule sees this round's value only of rules above it
        assert {metric for metric, _ in metric_list.uses(expression) if metric in RECORDED} <= seen, name
        seen.add(name)


@each_alert
def test_alert_says_how_urgent_what_and_where(name):
    alert = ALERTS[name]
    assert re.fullmatch(r"Attune[A-Z]\w+", name)
    assert alert["labels"] == {"severity": alert["labels"]["severity"]} and alert["labels"]["severity"] in ("page", "ticket")
    notes = alert["annotations"]
    assert set(notes) == {"summary", "description", "dashboard_url", "runbook_url"}
    assert 20 < len(notes["summary"]) < 150 and not notes["summary"].endswith(".") and notes["description"].endswith(".")


@each_alert
def test_alert_leads_to_its_panel(name):
    alert = ALERTS[name]
    uid, number, *_ = DASHBOARD_URL.fullmatch(alert["annotations"]["dashboard_url"]).groups()
    panel = panels()[uid, int(number)]
    shown = {metric for target in panel["targets"] for metric, _ in metric_list.uses(target["expr"])}
    asked = {metric for metric, _ in uses_below(alert["expr"])}
    assert shown & asked, f"{uid} {number} ({panel['title']}) shows {shown}, and {name} is about {asked}"
    assert name in panel["description"]


@each_alert
def test_alert_has_a_runbook(name):
    anchor = RUNBOOK_URL.fullmatch(ALERTS[name]["annotations"]["runbook_url"]).group(1)
    assert anchor == name.lower() and headings().get(anchor) == name
    assert len(text_below(name).split()) > 30
    assert f"**{ALERTS[name]['labels']['severity']}**" in text_below(name)


def test_every_runbook_has_its_alert():
    assert {heading for heading in headings().values() if re.fullmatch(r"Attune[A-Z]\w+", heading)} == ALERTS.keys()


@pytest.mark.parametrize("severity", ["page", "ticket"])
def test_alerts_reach_the_receiver_of_their_severity(severity):
    done = prometheus_tools.run("amtool", "config", "routes", "test", f"--config.file={FOLDER / 'alertmanager.yml'}", f"severity={severity}", "alertname=AttuneGpuHot")
    assert done.stdout.strip() == severity, done.stdout + done.stderr


def test_inhibited_alerts_exist():
    config = yaml.safe_load((FOLDER / "alertmanager.yml").read_text())
    matchers = [m for rule in config["inhibit_rules"] for m in rule["source_matchers"] + rule["target_matchers"]]
    named = {name for matcher in matchers for name in re.findall(r"Attune\w+", matcher)}
    assert named and named <= ALERTS.keys()


def test_the_list_of_metrics_is_that_of_the_documentation():
    page = chart.SOURCE / "docs" / "metrics.md"
    if not page.exists():
        pytest.skip("docs/metrics.md is not there yet")
    documented = set(re.findall(r"\battune_\w+", page.read_text()))
    own = {name for name in metric_list.METRICS if name.startswith("attune_")} - {f"{h}_{part}" for h in metric_list.HISTOGRAMS for part in ("bucket", "sum", "count")}
    assert (own | metric_list.HISTOGRAMS.keys()) <= documented
