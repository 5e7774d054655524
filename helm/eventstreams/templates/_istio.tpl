{{/* The way in through Istio, by the values of the Node service's chart. */}}

{{- define "eventstreams.gatewayHosts" -}}
{{- $gateway := .Values.ingress.gatewayHosts -}}
{{- $hosts := list -}}
{{- if not $gateway.disableDefaultHosts -}}
  {{- range $gateway.domains -}}
    {{- $hosts = append $hosts (printf "%s.%s" ($gateway.default | default $.Release.Namespace) .) -}}
  {{- end -}}
{{- end -}}
{{- concat $hosts $gateway.extraFQDNs | toYaml -}}
{{- end -}}

{{- define "eventstreams.istio" -}}
{{- $ingress := .Values.ingress -}}
{{- $gatewayHosts := include "eventstreams.gatewayHosts" . | fromYamlArray -}}
{{- $routeHosts := empty $ingress.existingGatewayName | ternary ($ingress.routeHosts | default $gatewayHosts) $ingress.routeHosts -}}
{{- if not $routeHosts -}}
{{- fail "ingress.enabled needs hosts: name them in ingress.hosts (an Ingress), or for Istio in ingress.gatewayHosts or, with existingGatewayName, in ingress.routeHosts" -}}
{{- end -}}
{{- if not $ingress.existingGatewayName -}}
apiVersion: networking.istio.io/v1beta1
kind: Gateway
metadata:
  name: {{ include "eventstreams.fullname" . }}
  labels:
    {{- include "eventstreams.labels" . | nindent 4 }}
spec:
  selector:
    {{- toYaml $ingress.selectors | nindent 4 }}
  servers:
    - port:
        number: 443
        name: https
        protocol: HTTPS
      tls:
        credentialName: {{ .Release.Namespace }}-tls-certificate
        mode: SIMPLE
      hosts:
        {{- $gatewayHosts | default $routeHosts | toYaml | nindent 8 }}
---
{{ end -}}
apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata:
  name: {{ include "eventstreams.fullname" . }}
  labels:
    {{- include "eventstreams.labels" . | nindent 4 }}
spec:
  hosts:
    {{- toYaml $routeHosts | nindent 4 }}
  gateways:
    - {{ $ingress.existingGatewayName | default (include "eventstreams.fullname" .) }}
  http:
    {{- with $ingress.httproutes }}
    {{- toYaml . | nindent 4 }}
    {{- else }}
    - name: default-destination
      route:
        - destination:
            host: {{ include "eventstreams.fullname" . }}.{{ .Release.Namespace }}.svc.cluster.local
            port:
              number: {{ .Values.service.port.port }}
    {{- end }}
{{- end -}}
