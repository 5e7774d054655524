{{/* Names that other charts use, and the name of each here. The schema lets them pass, so that the refusal can say the right name. */}}
{{- define "eventstreams.otherNames" -}}
image.registry: docker.registry
image.repository: app.image
image.tag: app.version
image.pullPolicy: docker.pull_policy
replicaCount: resources.replicas
replicas: resources.replicas
resources.limits: app.limits
resources.requests: app.requests
nameOverride: chartName
fullnameOverride: chartName
commonLabels: labels
strategy: updateStrategy
env: config.public
extraEnv: config.public
envFrom: app.env_from
extraEnvFrom: app.env_from
existingSecret: config.existingSecret
volumes: app.volumes
extraVolumes: app.volumes
volumeMounts: app.volumeMounts
extraVolumeMounts: app.volumeMounts
livenessProbe: app.liveness_probe
readinessProbe: app.readiness_probe
startupProbe: app.startup_probe
service.type: service.deployment
autoscaling.targetCPUUtilizationPercentage: autoscaling.cpuPercent
serviceMonitor: monitoring.serviceMonitor
prometheusRule: monitoring.prometheusRule
networkPolicy: networkpolicy
httproute: httpRoute
logLevel: config.log_level
conf: config.conf
terminationGracePeriodSeconds: preStopSeconds, config.conf.drain_delay_ms and config.conf.drain_ms, from which it is computed
{{- end -}}

{{/* Fails with the right name of every value that has another name in this chart. */}}
{{- define "eventstreams.refuse" -}}
{{- $found := list -}}
{{- range $other, $name := include "eventstreams.otherNames" . | fromYaml -}}
  {{- $node := $.Values -}}
  {{- range splitList "." $other -}}
    {{- if kindIs "map" $node -}}{{- $node = get $node . -}}{{- else -}}{{- $node = "" -}}{{- end -}}
  {{- end -}}
  {{- if and (not (kindIs "invalid" $node)) (ne (toString $node) "") -}}
    {{- $found = append $found (printf "%s: the name here is %s" $other $name) -}}
  {{- end -}}
{{- end -}}
{{- if and (hasKey .Values "image") (not $found) -}}
  {{- $found = append $found "image: the names here are app.image, app.version, docker.registry and docker.pull_policy" -}}
{{- end -}}
{{- if $found -}}{{- fail (join "\n" $found) -}}{{- end -}}
{{- end -}}
