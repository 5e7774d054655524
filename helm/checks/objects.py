"""What Kubernetes would say of the rendered objects, and whether they fit together."""

import re

import kubernetes_validate

# The oldest that Chart.yaml allows, and the newest that the schemas know.
KUBERNETES = ["1.30", kubernetes_validate.latest_version()]

# Keys of a custom resource's spec, `!` where it must be there; the operators that own them are strict about the rest.
CUSTOM = {
    "monitoring.coreos.com/v1 ServiceMonitor": {"selector!", "endpoints!", "jobLabel", "namespaceSelector"},
    "monitoring.coreos.com/v1 PrometheusRule": {"groups!"},
    "networking.istio.io/v1beta1 Gateway": {"selector!", "servers!"},
    "networking.istio.io/v1beta1 VirtualService": {"hosts!", "gateways!", "http!"},
    "gateway.networking.k8s.io/v1 HTTPRoute": {"parentRefs!", "hostnames", "rules!"},
    "crd.projectcalico.org/v1 NetworkPolicy": {"selector!", "types!", "egress!"},
}
# The same of what is in their lists.
CUSTOM_ITEMS = {
    "endpoints": {"port!", "path", "interval", "scheme"},
    "servers": {"port!", "hosts!", "tls"},
    "groups": {"name!", "rules!", "interval"},
    "rules": {"alert!", "expr!", "for", "labels", "annotations"},
}
ROUTE_ITEMS = {"parentRefs": {"name!", "namespace", "sectionName"}, "rules": {"matches!", "backendRefs!", "timeouts"}, "backendRefs": {"name!", "port!"}}


def check(objects):
    """Everything that is wrong with the objects of one release, a sentence each."""
    told = []
    seen = set()
    for thing in objects:
        name = f"{thing['kind']} {thing['metadata']['name']}"
        if (thing["apiVersion"], name) in seen:
            told.append(f"{name} is there twice")
        seen.add((thing["apiVersion"], name))
        told += [f"{name}: {what}" for what in check_schema(thing) + check_labels(thing["metadata"].get("labels", {}))]
    return told + check_references(objects)


def check_schema(thing):
    kind = f"{thing['apiVersion']} {thing['kind']}"
    if kind in CUSTOM:
        return check_custom(thing["spec"], CUSTOM[kind], "spec", ROUTE_ITEMS if thing["kind"] == "HTTPRoute" else CUSTOM_ITEMS)
    told = []
    for version in KUBERNETES:
        try:
            kubernetes_validate.validate(thing, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            told.append(f"Kubernetes {version} refuses {'.'.join(map(str, error.path))}: {error.message}")
        except (kubernetes_validate.SchemaNotFoundError, kubernetes_validate.InvalidSchemaError) as error:
            told.append(f"Kubernetes {version} has no {kind}: {error}")
    return told


def check_custom(part, keys, path, items_of):
    known = {key.rstrip("!") for key in keys}
    told = [f"{path}.{key} is unknown" for key in part if key not in known]
    told += [f"{path}.{key[:-1]} is missing or empty" for key in keys if key.endswith("!") and not part.get(key[:-1])]
    for key, items in part.items():
        if key in items_of:
            for index, item in enumerate(items):
                told += check_custom(item, items_of[key], f"{path}.{key}[{index}]", items_of)
    return told


def check_labels(labels):
    return [f"label {key}: {value!r} cannot be a label" for key, value in labels.items()
            if not re.fullmatch(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?", str(value))]


def of_kind(objects, kind):
    return [thing for thing in objects if thing["kind"] == kind and "istio" not in thing["apiVersion"]]


def selects(selector, labels):
    return all(labels.get(key) == value for key, value in selector.items())


def check_references(objects):
    [deployment] = of_kind(objects, "Deployment")
    target, spec = deployment["metadata"]["name"], deployment["spec"]
    pod = spec["template"]["spec"]
    labels = spec["template"]["metadata"]["labels"]
    ports = {port["name"]: port["containerPort"] for container in pod["containers"] for port in container.get("ports", [])}
    told = []

    selectors = [("Deployment", spec["selector"]["matchLabels"])]
    selectors += [(thing["kind"], thing["spec"]["selector"]) for thing in of_kind(objects, "Service")]
    selectors += [(thing["kind"], thing["spec"]["selector"]["matchLabels"]) for thing in of_kind(objects, "PodDisruptionBudget")]
    policies = [thing for thing in of_kind(objects, "NetworkPolicy") if thing["apiVersion"] == "networking.k8s.io/v1"]
    selectors += [(thing["kind"], thing["spec"]["podSelector"]["matchLabels"]) for thing in policies]
    selectors += [("spread", spread["labelSelector"]["matchLabels"]) for spread in pod["topologySpreadConstraints"]]
    told += [f"{kind} selects {selector}, the pods have {labels}" for kind, selector in selectors if not selects(selector, labels)]

    for service in of_kind(objects, "Service"):
        for port in service["spec"]["ports"]:
            if port["targetPort"] not in ports and port["targetPort"] not in ports.values():
                told.append(f"Service {service['metadata']['name']}: no container has the port {port['targetPort']}")
    for route in of_kind(objects, "HTTPRoute"):
        ends = {(thing["metadata"]["name"], port["port"]) for thing in of_kind(objects, "Service") for port in thing["spec"]["ports"]}
        told += [f"the HTTPRoute goes to {end}, which is no Service" for rule in route["spec"]["rules"]
                 for end in rule["backendRefs"] if (end["name"], end["port"]) not in ends]
    accounts = [thing["metadata"]["name"] for thing in of_kind(objects, "ServiceAccount")]
    told += [f"ServiceAccount {name} is not the pods'" for name in accounts if name != pod.get("serviceAccountName")]
    for monitor in of_kind(objects, "ServiceMonitor"):
        found = [thing for thing in of_kind(objects, "Service")
                 if selects(monitor["spec"]["selector"]["matchLabels"], thing["metadata"]["labels"])]
        if [port["name"] for thing in found for port in thing["spec"]["ports"]] != [monitor["spec"]["endpoints"][0]["port"]]:
            told.append("the ServiceMonitor does not find exactly one Service with its port")
    for scaler in of_kind(objects, "HorizontalPodAutoscaler"):
        if scaler["spec"]["scaleTargetRef"]["name"] != target or "replicas" in spec:
            told.append("the HorizontalPodAutoscaler and the Deployment do not fit")
        told += [f"the HorizontalPodAutoscaler scales by container {metric['containerResource']['container']}, which is not there"
                 for metric in scaler["spec"]["metrics"] if metric["type"] == "ContainerResource"
                 and metric["containerResource"]["container"] != pod["containers"][0]["name"]]
    for policy in policies:
        allowed = [port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]]
        told += [f"the NetworkPolicy lets nobody reach port {name}" for name in ports if name not in allowed and ports[name] not in allowed]
    told += [f"a port of the file is {file_port}, the container has {ports}" for file_port in file_ports(objects)
             if file_port not in ports.values()]
    return told + check_pod(pod, ports) + check_sources(objects, pod)


def file_ports(objects):
    """The ports that the program will listen on by its file."""
    file = config_file(objects)
    conf = file["services"][0]["conf"]
    return [conf["port"]] + [reporter["port"] for reporter in file.get("metrics", []) if not conf.get("admin_port")]


def config_file(objects):
    """The operator's file out of the ConfigMap."""
    from yaml_once import load
    [text] = [thing["data"]["config.yaml"] for thing in of_kind(objects, "ConfigMap") if "config.yaml" in thing["data"]]
    return load(text)[0]


def check_pod(pod, ports):
    told = []
    container = pod["containers"][0]
    security = container["securityContext"]
    if not (security.get("readOnlyRootFilesystem") and security.get("runAsNonRoot") and security["capabilities"]["drop"] == ["ALL"]
            and security["seccompProfile"]["type"] == "RuntimeDefault" and security["allowPrivilegeEscalation"] is False):
        told.append("the container may do more than it needs")
    if not pod["securityContext"].get("runAsUser"):
        told.append("the pod runs as root")
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"]:
        handler = [container[probe][how] for how in ("httpGet", "tcpSocket", "exec") if how in container.get(probe, {})]
        if len(handler) != 1:
            told.append(f"{probe} has {len(handler)} handlers")
        elif (port := handler[0].get("port")) not in ports and port not in ports.values():
            told.append(f"{probe} asks port {port}, which the container does not have")
    return told


def check_sources(objects, pod):
    """ConfigMaps and Secrets that the pod names are there, with the keys that it names; and it has the time to leave in order."""
    told = []
    held = {(thing["kind"], thing["metadata"]["name"]): thing.get("data") or {} for thing in objects if "data" in thing}
    container = pod["containers"][0]
    volumes = {volume["name"] for volume in pod["volumes"]}
    told += [f"{mount['mountPath']} is no volume" for mount in container["volumeMounts"] if mount["name"] not in volumes]
    named = [("ConfigMap", volume["configMap"]["name"], item["key"])
             for volume in pod["volumes"] for item in volume.get("configMap", {}).get("items", [])]
    for variable in container.get("env", []):
        if secret := variable.get("valueFrom", {}).get("secretKeyRef"):
            named.append(("Secret", secret["name"], secret["key"]))
    told += [f"{kind} {name} has no {key}" for kind, name, key in named if key not in held.get((kind, name), {})]

    conf = config_file(objects)["services"][0]["conf"]
    drain = (conf.get("drain_delay_ms", 5_000) + conf.get("drain_ms", 10_000)) / 1000
    needed = container["lifecycle"]["preStop"]["sleep"]["seconds"] + drain + 5
    if pod["terminationGracePeriodSeconds"] <= needed:
        told.append(f"the pod is killed after {pod['terminationGracePeriodSeconds']} s, and needs {needed} s to leave")
    return told
