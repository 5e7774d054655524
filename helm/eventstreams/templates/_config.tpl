{{/* The operator's file, in the form of the Node service's chart. */}}

{{/* Where the brokers' authority is mounted. */}}
{{- define "eventstreams.caPath" -}}
{{- get (.Values.config.conf.kafka | default dict) "ssl.ca.location" | default "/etc/eventstreams/kafka-ca.crt.pem" -}}
{{- end -}}

{{/* The brokers' authority. puppet_ca_crt was mounted in the configuration's folder for kafka to name, and nowhere else. */}}
{{- define "eventstreams.ca" -}}
{{- $puppet := hasPrefix "/etc/eventstreams/" (include "eventstreams.caPath" .) | ternary (.Values.puppet_ca_crt | default "") "" -}}
{{- .Values.config.kafka_ca_cert | default $puppet -}}
{{- end -}}

{{/* services[0].conf as YAML: what the chart adds, and config.conf over it. */}}
{{- define "eventstreams.conf" -}}
{{- $given := .Values.config.conf -}}
{{- $conf := dict "port" (include "eventstreams.port" . | int) "user_agent" (include "eventstreams.fullname" .) -}}
{{- if hasPrefix "http" ($given.stream_config_uri | default "") -}}
  {{- $_ := set $conf "stream_config_cache_file" "/var/cache/eventstreams/stream-config.json" -}}
{{- end -}}
{{- if not (or $given.stream_config_uri $given.stream_config_defaults $given.stream_config_overrides) -}}
  {{- $_ := set $conf "stream_config_defaults" (dict "test.event" dict) -}}
{{- end -}}
{{- with include "eventstreams.adminPort" . -}}
  {{- if not $.Values.monitoring.enabled -}}{{- $_ := set $conf "admin_port" (int .) -}}{{- end -}}
{{- end -}}
{{- range $key, $value := $given -}}{{- $_ := set $conf $key $value -}}{{- end -}}
{{- $kafka := dict -}}
{{- range $property, $value := $given.kafka -}}{{- $_ := set $kafka $property $value -}}{{- end -}}
{{- if not (or (hasKey $kafka "metadata.broker.list") (hasKey $kafka "bootstrap.servers")) -}}
  {{- $_ := set $kafka "metadata.broker.list" "kafka:9092" -}}
{{- end -}}
{{- if include "eventstreams.ca" . -}}{{- $_ := set $kafka "ssl.ca.location" (include "eventstreams.caPath" .) -}}{{- end -}}
{{- $_ := set $conf "kafka" $kafka -}}
{{- toYaml $conf -}}
{{- end -}}

{{- define "eventstreams.file" -}}
service_name: {{ .Values.config.name }}
logging:
  level: {{ .Values.config.log_level }}
{{- if and .Values.monitoring.enabled (include "eventstreams.adminPort" .) }}
metrics:
  - type: prometheus
    port: {{ include "eventstreams.adminPort" . }}
{{- end }}
{{- with .Values.config.extra_service_runner_conf }}
{{ toYaml . }}
{{- end }}
services:
  - name: {{ .Values.config.name }}
    conf:
{{ include "eventstreams.conf" . | indent 6 }}
{{- end -}}

{{/* Changes when pods have to be replaced: what running pods take over from the file themselves is left out. */}}
{{- define "eventstreams.checksum" -}}
{{- $file := include "eventstreams.file" . | fromYaml -}}
{{- $conf := dict -}}
{{- range $key, $value := (index $file.services 0).conf -}}
  {{- if not (or (hasPrefix "stream_config_" $key) (has $key (list "allowed_streams" "mediawiki_redacted_pages"))) -}}
    {{- $_ := set $conf $key $value -}}
  {{- end -}}
{{- end -}}
{{- list (omit $file "services") $conf (include "eventstreams.ca" .) .Values.config.private | toJson | sha256sum -}}
{{- end -}}

{{/* A stream to try, by its name. */}}
{{- define "eventstreams.exampleStream" -}}
{{- $conf := include "eventstreams.conf" . | fromYaml -}}
{{- $configured := keys ($conf.stream_config_defaults | default dict) ($conf.stream_config_overrides | default dict) | sortAlpha -}}
{{- $public := $conf.allowed_streams | default $configured -}}
{{- $names := list -}}
{{- range $public -}}{{- if not (hasPrefix "/" .) -}}{{- $names = append $names . -}}{{- end -}}{{- end -}}
{{- .Values.tests.stream | default (first $names) -}}
{{- end -}}

{{/* The header that a request needs which comes by no edge: where clients are counted, their address must be named. Empty: none. */}}
{{- define "eventstreams.clientHeader" -}}
{{- $conf := .Values.config.conf -}}
{{- if or $conf.client_ip_connection_limit $conf.request_rate_limit -}}
{{- $conf.client_ip_header | default "x-client-ip" }}: 192.0.2.1
{{- end -}}
{{- end -}}

{{/* Values of the Node service's chart that were given and mean nothing here, a line each. */}}
{{- define "eventstreams.withoutMeaning" -}}
{{- with .Values.mesh }}{{ if .enabled }}
- mesh.enabled: this chart has no sidecar of a service mesh. The Service speaks plain HTTP, and addresses of the sidecar on localhost
  (stream_config_uri, schema_base_uris) are not there; give the sidecar in `sidecars`, or name the addresses themselves.
{{- end }}{{ end }}
{{- with .Values.debug }}{{ if .enabled }}
- debug.enabled: there is no debugger to attach; config.log_level: debug tells more.
{{- end }}{{ end }}
{{- with .Values.discovery }}{{ if .listeners }}
- discovery.listeners: see mesh.enabled.
{{- end }}{{ end }}
{{- with .Values.tcp_proxy }}{{ if .listeners }}
- tcp_proxy.listeners: see mesh.enabled.
{{- end }}{{ end }}
{{- if .Values.cronjobs }}
- cronjobs: this chart has none.
{{- end }}
{{- range list "num_workers" "worker_heap_limit_mb" }}{{ if hasKey $.Values.config . }}
- config.{{ . }}: there is one process, and it uses every core.
{{- end }}{{ end }}
{{- range list "base_cors_policy" "custom_cors_policy" "destinationrulehosts" }}{{ if get $.Values.ingress . }}
- ingress.{{ . }}: CORS is the program's (config.conf.cors), and the Service needs no DestinationRule.
{{- end }}{{ end }}
{{- end -}}
