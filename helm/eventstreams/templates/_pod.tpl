{{/* The pod: its container, its probes, its volumes. */}}

{{/* Seconds between SIGTERM and the last socket's end: drain_delay_ms, drain_ms, then the 5 s that slow clients have to read the rest. */}}
{{- define "eventstreams.drainSeconds" -}}
{{- $delay := index .Values.config.conf "drain_delay_ms" -}}
{{- if kindIs "invalid" $delay -}}{{- $delay = 5000 -}}{{- end -}}
{{- $drain := index .Values.config.conf "drain_ms" -}}
{{- if kindIs "invalid" $drain -}}{{- $drain = 10000 -}}{{- end -}}
{{- add (divf $delay 1000 | ceil | int) (divf $drain 1000 | ceil | int) 5 -}}
{{- end -}}

{{- define "eventstreams.probes" -}}
{{- $app := include "eventstreams.app" . | fromYaml -}}
{{- $admin := include "eventstreams.adminPort" . -}}
{{- $alive := empty $admin | ternary (dict "tcpSocket" (dict "port" "http")) (dict "httpGet" (dict "path" "/healthz" "port" "app-metrics")) -}}
{{- $ready := empty $admin | ternary (dict "path" "/_info" "port" "http") (dict "path" "/readyz" "port" "app-metrics") -}}
{{- $start := merge (dict "periodSeconds" 2 "failureThreshold" 60) (deepCopy $alive) -}}
{{- $live := merge (dict "periodSeconds" 10 "timeoutSeconds" 5 "failureThreshold" 6) $alive -}}
startupProbe:
  {{- $app.startup_probe | default $start | toYaml | nindent 2 }}
livenessProbe:
  {{- $app.liveness_probe | default $live | toYaml | nindent 2 }}
readinessProbe:
  {{- $app.readiness_probe | default (dict "httpGet" $ready "periodSeconds" 3 "timeoutSeconds" 3) | toYaml | nindent 2 }}
{{- end -}}

{{- define "eventstreams.podAnnotations" -}}
{{- $admin := include "eventstreams.adminPort" . -}}
{{- $annotations := dict "checksum/configuration" (include "eventstreams.checksum" .) -}}
{{- if and .Values.monitoring.enabled $admin (not .Values.monitoring.serviceMonitor.enabled) -}}
  {{- $scrape := .Values.monitoring.named_ports | ternary "prometheus.io/scrape_by_name" "prometheus.io/scrape" -}}
  {{- $_ := merge $annotations (dict $scrape "true" "prometheus.io/port" $admin) -}}
{{- end -}}
{{- merge (deepCopy .Values.podAnnotations) $annotations | toYaml -}}
{{- end -}}

{{- define "eventstreams.env" -}}
{{- range $name, $value := .Values.config.public }}
- name: {{ $name | upper }}
  value: {{ $value | quote }}
{{- end }}
{{- range $name, $_ := .Values.config.private }}
- name: {{ $name | upper }}
  valueFrom:
    secretKeyRef:
      name: {{ include "eventstreams.fullname" $ }}-secret-config
      key: {{ $name }}
{{- end }}
{{- end -}}

{{- define "eventstreams.container" -}}
{{- $app := include "eventstreams.app" . | fromYaml -}}
name: {{ include "eventstreams.name" . }}
image: {{ include "eventstreams.image" . | quote }}
imagePullPolicy: {{ .Values.docker.pull_policy }}
{{- with $app.command }}
command:
  {{- toYaml . | nindent 2 }}
{{- end }}
args:
  {{- $app.args | default (list "serve" "-c" "/etc/eventstreams/config.yaml") | toYaml | nindent 2 }}
ports:
  - name: http
    containerPort: {{ include "eventstreams.port" . }}
  {{- with include "eventstreams.adminPort" . }}
  - name: app-metrics
    containerPort: {{ . }}
  {{- end }}
{{ include "eventstreams.probes" . }}
lifecycle:
  preStop:
    sleep:
      seconds: {{ .Values.preStopSeconds }}
{{- with include "eventstreams.env" . | trim }}
env:
  {{- . | nindent 2 }}
{{- end }}
{{- $env_from := $app.env_from | default list }}
{{- with .Values.config.existingSecret }}
{{- $env_from = append $env_from (dict "secretRef" (dict "name" .)) }}
{{- end }}
{{- with $env_from }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
resources:
  {{- dict "requests" $app.requests "limits" $app.limits | toYaml | nindent 2 }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  capabilities:
    drop: [ALL]
  seccompProfile:
    type: RuntimeDefault
volumeMounts:
  # No subPath: the kubelet replaces the file in a running pod only so.
  - name: config
    mountPath: /etc/eventstreams
    readOnly: true
  {{- if and (include "eventstreams.ca" .) (not (hasPrefix "/etc/eventstreams/" (include "eventstreams.caPath" .))) }}
  - name: config
    mountPath: {{ include "eventstreams.caPath" . }}
    subPath: kafka-ca.crt.pem
    readOnly: true
  {{- end }}
  - name: cache
    mountPath: /var/cache/eventstreams
  {{- with $app.volumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "eventstreams.volumes" -}}
- name: config
  configMap:
    name: {{ include "eventstreams.fullname" . }}-config
    items:
      - key: config.yaml
        path: config.yaml
      {{- if include "eventstreams.ca" . }}
      {{- $path := include "eventstreams.caPath" . }}
      - key: kafka-ca.crt.pem
        path: {{ hasPrefix "/etc/eventstreams/" $path | ternary (trimPrefix "/etc/eventstreams/" $path) "kafka-ca.crt.pem" }}
      {{- end }}
# The last good stream configuration, for starts while its URL is down.
- name: cache
  emptyDir:
    sizeLimit: 64Mi
{{- with (include "eventstreams.app" . | fromYaml).volumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "eventstreams.spread" -}}
{{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
- maxSkew: 1
  topologyKey: {{ . }}
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "eventstreams.selector" $ | nindent 6 }}
  matchLabelKeys: [pod-template-hash]
{{- end }}
{{- end -}}
