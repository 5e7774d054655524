"""Renders the chart with its default values, every example and every case, and checks what comes out. See helm/check.

Arguments: the chart's folder, then the program's path or nothing.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import alerts
import objects
import program
from yaml_once import YAMLError, load

HERE = pathlib.Path(__file__).resolve().parent.parent
CHART = pathlib.Path(sys.argv[1])
BINARY = sys.argv[2] if len(sys.argv) > 2 else None
CASES = HERE / "cases"


def cases():
    """Names and values files: a.b.yaml goes over a.yaml, and a.yaml is then not rendered alone."""
    yield "default", []
    for folder in (CHART / "examples", CASES):
        files = sorted(folder.glob("*.yaml"))
        assert files, f"{folder} is empty"
        for file in files:
            first = file.with_name(file.name.split(".")[0] + ".yaml")
            if file != first:
                yield file.stem, [first, file]
            elif not list(folder.glob(f"{file.stem}.*.yaml")):
                yield file.stem, [file]


def helm(*arguments):
    return subprocess.run(["helm", *map(str, arguments)], capture_output=True, text=True, timeout=120)


def template(files, *more, chart=CHART):
    values = [argument for file in files for argument in ("-f", file)]
    return helm("template", "production", chart, "--namespace", "streams", "--kube-version", objects.KUBERNETES[0], *values, *more)


def merged(files):
    """The values as Helm merges them: maps deep, null takes away."""
    def over(under, above):
        if not (isinstance(under, dict) and isinstance(above, dict)):
            return above
        return {key: over(under.get(key), above[key]) if key in above else under[key] for key in {**under, **above}
                if above.get(key, 0) is not None or key not in above}
    values = load((CHART / "values.yaml").read_text())[0]
    for file in files:
        values = over(values, load(file.read_text())[0])
    return values


def check_case(files, start):
    values = [argument for file in files for argument in ("--values", file)]
    linted = helm("lint", "--strict", "--kube-version", objects.KUBERNETES[0], *values, CHART)
    if linted.returncode != 0:
        return [f"helm lint: {linted.stdout} {linted.stderr}"]
    rendered = template(files)
    if rendered.returncode != 0:
        return [f"helm template: {rendered.stderr}"]
    if lost := re.search(r".*(<no value>|<nil>|%!).*", rendered.stdout):
        return [f"a template lost a value: {lost.group(0)}"]
    try:
        found = load(rendered.stdout)
    except YAMLError as error:
        return [f"is no YAML: {error}"]
    told = check_notes(files) + check_given(found, merged(files)) + objects.check(found) + program.check(found, merged(files), BINARY, start) + alerts.check(found, METRICS)
    return told + alerts.check_rules(found)


def check_given(found, values):
    """Labels, the Secret and the strategy that were given are where they belong."""
    [deployment] = objects.of_kind(found, "Deployment")
    pod = deployment["spec"]["template"]
    labels = [(pod["metadata"]["labels"], {**values["labels"], **values["podLabels"]})]
    labels += [(thing["metadata"]["labels"], values["labels"]) for thing in found if thing["kind"] != "Pod"]
    own = ("app", "release", "routed_via", "chart", "heritage")
    told = [f"label {key} is not {value}, but {there.get(key)}" for there, given in labels for key, value in given.items()
            if key not in own and there.get(key) != value]
    sources = [source.get("secretRef", {}).get("name") for source in pod["spec"]["containers"][0].get("envFrom", [])]
    if (secret := values["config"]["existingSecret"]) and secret not in sources:
        told.append(f"the container does not read Secret {secret}")
    strategy = {key: value for key, value in values["updateStrategy"].items() if key == "type" or values["updateStrategy"]["type"] != "Recreate"}
    if deployment["spec"]["strategy"] != strategy:
        told.append(f"the strategy is {deployment['spec']['strategy']}, not {strategy}")
    return told


def check_alerts():
    """The alerts of the default values on made-up series."""
    rendered = template([], "--set", "monitoring.prometheusRule.enabled=true")
    return alerts.check_rules(load(rendered.stdout), CASES / "alerts.test")


def check_refused(file):
    """Values that must not be taken, with what the refusal must say in their first line."""
    says = file.read_text().splitlines()[0].removeprefix("# says: ")
    refused = template([file])
    if refused.returncode == 0:
        return ["is not refused"]
    return [] if re.search(says, refused.stderr) else [f"the refusal does not say {says!r}: {refused.stderr}"]


def check_notes(files):
    """What the operator is told at the end. helm template leaves it out, and helm install wants a cluster: a copy has it as an object."""
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(shutil.copytree(CHART, f"{folder}/chart"))
        (copy / "templates/NOTES.txt").rename(copy / "notes.txt")
        (copy / "templates/notes.yaml").write_text('notes: {{ tpl (.Files.Get "notes.txt") . | toJson }}')
        rendered = template(files, "--show-only", "templates/notes.yaml", chart=copy)
    if rendered.returncode != 0:
        return [f"NOTES.txt: {rendered.stderr}"]
    notes = load(rendered.stdout)[0]["notes"]
    given = merged(files)
    told = [] if "/v2/stream/" in notes or given["service"]["deployment"] == "none" else [f"the notes have no curl line: {notes}"]
    if (given.get("mesh") or {}).get("enabled") and "- mesh.enabled:" not in notes:
        told.append(f"the notes do not say that mesh.enabled means nothing: {notes}")
    return told


def check_rollout():
    """Pods are replaced for what they cannot take over while they run, and for nothing else."""
    def checksum(*setting):
        [deployment] = load(template([], "--show-only", "templates/deployment.yaml", *setting).stdout)
        return deployment["spec"]["template"]["metadata"]["annotations"]["checksum/configuration"]

    taken_over = ["conf.allowed_streams={a}", "conf.mediawiki_redacted_pages.d={t}", "conf.stream_config_overrides.s.owner=me"]
    replaced = ["conf.drain_ms=1", "conf.kafka.client\\.id=me", "private.A=b", "log_level=debug", "kafka_ca_cert=-----BEGIN CERTIFICATE-----"]
    told = [f"{setting} replaces pods" for setting in taken_over if checksum("--set", f"config.{setting}") != checksum()]
    return told + [f"{setting} replaces no pod" for setting in replaced if checksum("--set", f"config.{setting}") == checksum()]


def report(name, told):
    print(f"{'not ok' if told else 'ok'}  {name}", *told, sep="\n    ")
    return len(told)


# Programs are started for the default and the examples.
START = not os.environ.get("EVENTSTREAMS_CHECK_WITHOUT_START")
METRICS = alerts.program_metrics((HERE.parent / "src/telemetry/metrics/mod.rs").read_text())
failures = 0
for name, files in cases():
    failures += report(name, check_case(files, START and not {file.parent for file in files} & {CASES}))
failures += report("what replaces pods", check_rollout())
failures += report("alerts on made-up series", check_alerts())
for file in sorted((CASES / "refused").glob("*.yaml")):
    failures += report(f"refused: {file.stem}", check_refused(file))

version = re.search(r'^version = "(.*)"', (HERE.parent / "Cargo.toml").read_text(), re.MULTILINE).group(1)
app_version = load((CHART / "Chart.yaml").read_text())[0]["appVersion"]
failures += report("appVersion", [] if app_version == version else [f"is {app_version}, Cargo.toml says {version}"])
sys.exit(1 if failures else 0)
