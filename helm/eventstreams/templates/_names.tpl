{{/* Names, labels, image and ports. Names and selectors are those of the Node service's chart: an upgrade from it replaces objects in place. */}}

{{- define "eventstreams.name" -}}
{{- default .Chart.Name .Values.chartName | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* The chart's name and the release's; the release's alone where it holds the chart's. */}}
{{- define "eventstreams.fullname" -}}
{{- $name := include "eventstreams.name" . -}}
{{- $full := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" $name .Release.Name) -}}
{{- $full | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{- define "eventstreams.selector" -}}
app: {{ include "eventstreams.name" . }}
release: {{ .Release.Name }}
{{- end -}}

{{/* The Service selects by route, so that it also reaches the pods of a canary's release (routed_via, or service.routing_tag). */}}
{{- define "eventstreams.route" -}}
{{- .Values.routed_via | default .Values.service.routing_tag | default .Release.Name -}}
{{- end -}}

{{- define "eventstreams.ownLabels" -}}
{{ include "eventstreams.selector" . }}
chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
heritage: {{ .Release.Service }}
app.kubernetes.io/name: {{ include "eventstreams.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ (include "eventstreams.app" . | fromYaml).version | default .Chart.AppVersion | trunc 63 | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{/* The chart's own labels cannot be replaced: selectors and upgrades look at them. */}}
{{- define "eventstreams.labels" -}}
{{- merge (include "eventstreams.ownLabels" . | fromYaml) (deepCopy .Values.labels) | toYaml -}}
{{- end -}}

{{/* Labels of the pods. What selectors look at cannot be replaced. */}}
{{- define "eventstreams.podLabels" -}}
{{- $own := include "eventstreams.selector" . | fromYaml -}}
{{- $own = merge $own (dict "routed_via" (include "eventstreams.route" .)) -}}
{{- merge $own (deepCopy .Values.podLabels) (deepCopy .Values.labels) | toYaml -}}
{{- end -}}

{{- define "eventstreams.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (ternary (include "eventstreams.fullname" .) "" .Values.serviceAccount.create) -}}
{{- end -}}

{{/* The same with the operator's own over them: (list $ labels). */}}
{{- define "eventstreams.labelsWith" -}}
{{- merge (deepCopy (index . 1)) (include "eventstreams.labels" (index . 0) | fromYaml) | toYaml -}}
{{- end -}}

{{/* `app`, with the older `main_app` over it, as YAML. */}}
{{- define "eventstreams.app" -}}
{{- mergeOverwrite (deepCopy .Values.app) (.Values.main_app | default dict) | toYaml -}}
{{- end -}}

{{- define "eventstreams.image" -}}
{{- $app := include "eventstreams.app" . | fromYaml -}}
{{- $registry := empty .Values.docker.registry | ternary "" (printf "%s/" .Values.docker.registry) -}}
{{- printf "%s%s:%s" $registry $app.image ($app.version | default .Chart.AppVersion) -}}
{{- end -}}

{{- define "eventstreams.port" -}}
{{- $app := include "eventstreams.app" . | fromYaml -}}
{{- .Values.config.conf.port | default .Values.config.port | default $app.port | int -}}
{{- end -}}

{{/* Empty when config.conf.admin_port switches the admin port off (YAML reads `off` as false). */}}
{{- define "eventstreams.adminPort" -}}
{{- $app := include "eventstreams.app" . | fromYaml -}}
{{- $given := index .Values.config.conf "admin_port" -}}
{{- if kindIs "invalid" $given -}}{{- $given = .Values.monitoring.port.targetPort | default $app.metricsPort -}}{{- end -}}
{{- if and $given (ne (toString $given) "off") -}}{{- int $given -}}{{- end -}}
{{- end -}}

{{/* Prometheus' matchers of this release's series. */}}
{{- define "eventstreams.seriesSelector" -}}
{{- .Values.monitoring.prometheusRule.selector | default (printf "job=\"%s-metrics\"" (include "eventstreams.fullname" .)) -}}
{{- end -}}
