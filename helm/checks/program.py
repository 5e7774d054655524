"""The rendered file against the values it comes from, and against the program that reads it."""

import atexit
import base64
import functools
import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import urllib.error
import urllib.request

from objects import config_file, of_kind

# Of Debian's ca-certificates, without which nothing of all this was downloaded.
SOME_AUTHORITY = "/etc/ssl/certs/ca-certificates.crt"


def check(objects, values, binary, start):
    """What is wrong, a sentence each. `values` is the chart's and the case's values, merged; without `binary` the program is not asked,
    without `start` not started."""
    file = config_file(objects)
    conf = file["services"][0]["conf"]
    told = []
    for key, value in (values["config"].get("conf") or {}).items():
        rendered = conf.get(key)
        if key == "kafka":
            rendered = {name: rendered.get(name) for name in value}
        if rendered != value:
            told.append(f"config.conf.{key} is not rendered verbatim: {value!r} became {rendered!r}")
    authority = values["config"].get("kafka_ca_cert") or values.get("puppet_ca_crt")
    given = (values["config"].get("conf") or {}).get("kafka") or {}
    if not authority and "ssl.ca.location" in conf["kafka"] and "ssl.ca.location" not in given:
        told.append("ssl.ca.location is set, and no authority is given")
    for text in [thing["data"]["kafka-ca.crt.pem"] for thing in of_kind(objects, "ConfigMap") if "kafka-ca.crt.pem" in thing["data"]]:
        if text.strip() != (authority or "").strip():
            told.append("the authority in the ConfigMap is not the one that was given")
    if binary:
        told += ask_program(objects, conf, binary, start)
    return told


def ask_program(objects, conf, binary, start):
    """The program with the pod's own environment; a URL's answer is a file here that configures every stream that is named."""
    with tempfile.TemporaryDirectory() as folder:
        [text] = [thing["data"]["config.yaml"] for thing in of_kind(objects, "ConfigMap") if "config.yaml" in thing["data"]]
        path = pathlib.Path(folder, "config.yaml")
        path.write_text(text)
        env = {"PATH": os.environ["PATH"], **pod_env(objects)}
        streams = list(conf.get("allowed_streams") or conf.get("stream_config_defaults") or {})
        if str(conf.get("stream_config_uri", "")).startswith("http"):
            answer = {name: {"stream": name, "topic_prefixes": ["eqiad.", "codfw."]} for name in streams}
            for part in reversed((conf.get("stream_config_object_path") or "").split(".")):
                answer = {part: answer} if part else answer
            pathlib.Path(folder, "streams.json").write_text(json.dumps(answer))
            env["EVENTSTREAMS__STREAM_CONFIG_URI"] = f"{folder}/streams.json"
        # The pod has this file; check-config reads it. Any authority will do.
        authority = (conf.get("kafka") or {}).get("ssl.ca.location")
        if authority and not pathlib.Path(authority).exists():
            env["EVENTSTREAMS__KAFKA__SSL_CA_LOCATION"] = SOME_AUTHORITY
        asked = subprocess.run([binary, "check-config", path], env=env, capture_output=True, text=True, timeout=60)
        if asked.returncode != 0:
            return [f"check-config refuses the file: {asked.stderr.strip()}"]
        told = [f"check-config: {line.strip()}" for line in asked.stdout.splitlines() if "is not served" in line]
        if f"streams: {len(streams)}," not in asked.stdout:
            told.append(f"check-config does not see {len(streams)} streams")
        return told + (check_start(path, env, binary, "eqiad.mediawiki.recentchange" in asked.stdout) if start else [])


@functools.cache
def broker(binary):
    """The address of an embedded Kafka broker with sample events, which ends with this process."""
    process = subprocess.Popen([binary, "dev", "--port", "0", "--admin-port", "0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    atexit.register(process.kill)
    for line in process.stdout:
        if found := re.search(r"embedded Kafka broker.*: ([0-9.]+:[0-9]+)\)", line):
            return found.group(1)
    raise RuntimeError("eventstreams dev does not say where its broker is")


def check_start(path, env, binary, has_samples):
    """Starts the program on a broker, waits until it is ready, asks for a stream, and ends it in order. Where the broker has samples of a stream, it must
    open; else the answer must be that its topics are not there."""
    alone = {"INTERFACE": "localhost", "KAFKA__METADATA_BROKER_LIST": broker(binary), "KAFKA__SECURITY_PROTOCOL": "plaintext",
             "LOG_FORMAT": "json", "LOGGING__LEVEL": "info"}
    env = {**env, **{f"EVENTSTREAMS__{key}": value for key, value in alone.items()}}
    env["EVENTSTREAMS__ADMIN_INTERFACE"] = "localhost"
    arguments = [binary, "serve", "-c", path, "--port", "0", "--admin-port", "0"]
    with subprocess.Popen(arguments, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            told = ask_started(process, has_samples)
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)
        finally:
            process.kill()
        return told + ([f"ends with {process.returncode} at SIGTERM"] if process.returncode != 0 else [])


def ask_started(process, has_samples):
    lines = []
    for line in process.stdout:
        lines.append(line)
        if '"ready to serve streams"' in line:
            break
    else:
        return [f"does not start: {''.join(lines)}"]
    [address] = [json.loads(line)["labels"]["address"] for line in lines if '"listening"' in line]
    # Whatever the file counts clients by.
    clients = {"X-Client-IP": "192.0.2.1", "X-Forwarded-For": "192.0.2.1", "User-Agent": "helm-check (https://example.org)"}
    def ask(where):
        try:
            with urllib.request.urlopen(urllib.request.Request(f"http://{address}{where}", headers=clients), timeout=30) as answer:
                return answer.status, answer.read(4).decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
    told = [] if ask("/_info")[0] == 200 else [f"/_info answers {ask('/_info')}"]
    if has_samples:
        opened = ask("/v2/stream/recentchange")
        return told + ([] if opened == (200, ":ok\n") else [f"a stream with events answers {opened}"])
    # /_info names no stream; the documentation does.
    with urllib.request.urlopen(f"http://{address}/?spec", timeout=30) as answer:
        paths = [path for path in json.load(answer)["paths"] if path.startswith("/v2/stream/") and "{" not in path]
    status, body = ask(paths[0])
    return told + ([] if status == 503 and "stream_unavailable" in body else [f"{paths[0]}, whose topics are not there, answers {status} {body}"])


def pod_env(objects):
    """The variables of the container, those out of the Secret too (in the clear nowhere else)."""
    secrets = {key: base64.b64decode(value).decode() for thing in of_kind(objects, "Secret") for key, value in thing["data"].items()}
    [deployment] = of_kind(objects, "Deployment")
    variables = deployment["spec"]["template"]["spec"]["containers"][0].get("env", [])
    return {variable["name"]: variable.get("value") or secrets[variable["valueFrom"]["secretKeyRef"]["key"]] for variable in variables}
