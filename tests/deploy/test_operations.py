"""docs/operations.md names commands, flags, settings, log lines and headings that exist."""
import functools
import re

import pytest

import chart
import option_table
import test_alerts

TEXT = (chart.SOURCE / "docs" / "operations.md").read_text()
CODE = re.findall(r"`([^`\n]+)`", TEXT)


@functools.cache
def sources(*folders):
    return "\n".join(path.read_text() for folder in folders for path in sorted((chart.SOURCE / folder).rglob("*")) if path.suffix in (".cc", ".h", ".proto", ".py"))


def test_commands_exist():
    cli = sources("client/cli")
    found = {match.groups() for text in CODE for match in re.finditer(r"\battune (?:-\S+ |--output json )?([a-z]+) ([a-z-]+)", text)}
    assert len(found) > 12
    for group, command in found:
        assert f'"{group}"' in cli and f'"{command}"' in cli, f"attune {group} {command}"


def test_flags_exist():
    cli = sources("client/cli") + "".join(f'"--{o.replace("_", "-")}"' for o in option_names())
    flags = {flag for text in CODE if text.startswith("attune") for flag in re.findall(r"(--[a-z][a-z-]*)", text)}
    assert len(flags) > 5
    for flag in flags - {"--describe", "--help"}:
        # Flags that are fields of the spec are made of their names.
        assert f'"{flag}"' in cli or f'"{flag[2:]}"' in cli or f'"{flag[2:].replace("-", "_")}"' in cli, flag


def option_names():
    return set(re.findall(r'\.name = "(\w+)"', option_table.read("server/main/option_keys.cc")))


def test_settings_and_words_exist():
    known = sources("server", "proto", "client/cli") + "".join(test_alerts.RECORDED) + (chart.CHART / "values.yaml").read_text()
    for word in {text for text in CODE if re.fullmatch(r"[a-z]+(_[a-z]+)+", text)}:
        assert re.search(rf"\b{word}\b", known), word


def test_log_lines_exist():
    server = sources("server")
    lines = re.findall(r"[Tt]he log (?:for|says) `([^`]+)`", TEXT) + re.findall(r"`([^`]+)` (?:is )?in the log", TEXT)
    assert len(lines) >= 8
    for line in lines:
        assert f'"{line}"' in server, line


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)\s]+)\)", TEXT):
        path, _, anchor = target.partition("#")
        page = (chart.SOURCE / "docs" / path) if path else chart.SOURCE / "docs" / "operations.md"
        if page.name == "metrics.md" and not page.exists():
            continue
        assert page.resolve().exists(), target
        if anchor:
            headings = {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in re.findall(r"^#+ (.*)$", page.read_text(), re.M)}
            assert anchor in headings, target


@pytest.mark.parametrize("panel", re.findall(r'"([A-Z][a-z][^"]{3,30})" (?:on the|and|is|shows|show|climbs)', TEXT))
def test_panels_that_it_names_exist(panel):
    titles = {p["title"] for p in test_alerts.panels().values()} | {"Attune: one job"}
    assert panel in titles
