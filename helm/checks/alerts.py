"""Alerts and dashboard: expressions that Prometheus takes, over metrics that the program has."""

import json
import pathlib
import re
import subprocess
import tempfile

import promql_parser
import yaml

from objects import of_kind

# Metrics that alerts and dashboard use and src/telemetry/metrics/mod.rs does not have yet. A name that is there must go from this list.
TO_COME = set()


def program_metrics(source):
    """The names of the series that src/telemetry/metrics/mod.rs makes, histograms by their bare name."""
    named = re.findall(r"^ *\w+: ([^=;]+) =\s+\"(\w+)\";", source, re.MULTILINE)
    return {name + ("_total" if "Counter" in kind else "_info" if "Info" in kind else "") for kind, name in named}


def expressions(objects):
    """Every expression of alerts and dashboards, with where it stands."""
    for rule in of_kind(objects, "PrometheusRule"):
        for group in rule["spec"]["groups"]:
            for alert in group["rules"]:
                yield f"alert {alert['alert']}", alert["expr"]
    for config in of_kind(objects, "ConfigMap"):
        for name, text in config["data"].items():
            if name.endswith(".json"):
                for panel in json.loads(text)["panels"]:
                    for target in panel.get("targets", []):
                        yield f"panel {panel['title']}", target["expr"].replace("$__rate_interval", "5m")


def check(objects, metrics):
    """What is wrong, a sentence each; `metrics` are the program's."""
    told = [f"{name} is in src/telemetry/metrics/mod.rs now: take it from TO_COME" for name in sorted(TO_COME & metrics)]
    for where, expression in expressions(objects):
        try:
            promql_parser.parse(expression)
        except ValueError as error:
            told.append(f"{where}: {error} in {expression}")
        for name in re.findall(r"\beventstreams_\w+", re.sub(r'"[^"]*"', "", expression)):
            if name not in metrics | TO_COME and re.sub(r"_(bucket|sum|count)$", "", name) not in metrics | TO_COME:
                told.append(f"{where}: the program has no metric {name}")
    for config in of_kind(objects, "ConfigMap"):
        for name, text in config["data"].items():
            if name.endswith(".json"):
                ids = [panel["id"] for panel in json.loads(text)["panels"]]
                told += [f"{name}: panel id {id} twice" for id in set(ids) if ids.count(id) > 1]
    return told


def check_rules(objects, tests=None):
    """promtool's own check of the rules, and where there are `tests` (promtool's form), the alerts' behaviour on made-up series."""
    told = []
    for rule in of_kind(objects, "PrometheusRule"):
        with tempfile.TemporaryDirectory() as folder:
            rules, test = pathlib.Path(folder, "rules.yaml"), pathlib.Path(folder, "test.yaml")
            rules.write_text(yaml.safe_dump({"groups": rule["spec"]["groups"]}))
            asked = [["check", "rules", "--lint=all", "--lint-fatal", rules]]
            if tests:
                test.write_text(tests.read_text().replace("RULES", str(rules)))
                asked.append(["test", "rules", test])
            for arguments in asked:
                answer = subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=120)
                if answer.returncode != 0:
                    told.append(f"promtool {arguments[0]}: {answer.stdout.strip()} {answer.stderr.strip()}")
    return told
