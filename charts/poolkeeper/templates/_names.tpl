{{- define "poolkeeper.name" -}}
{{- if contains "poolkeeper" .Release.Name }}{{ .Release.Name | trunc 53 | trimSuffix "-" }}{{ else }}{{ printf "%s-poolkeeper" .Release.Name | trunc 53 | trimSuffix "-" }}{{ end -}}
{{- end }}

{{- define "poolkeeper.serviceAccount" -}}
{{ .Values.serviceAccount.name | default (include "poolkeeper.name" .) }}
{{- end }}

{{- define "poolkeeper.labels" -}}
{{ include "poolkeeper.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "poolkeeper.selector" -}}
app.kubernetes.io/name: poolkeeper
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- /* How the port is served, which is its name as well: kubectl poolkeeper goes by it. */ -}}
{{- define "poolkeeper.scheme" -}}
{{ ternary "https" "http" (ne .Values.tls.secret "") }}
{{- end }}

{{- /* The ConfigMaps that the daemon makes by itself: its ledger and its status. */ -}}
{{- define "poolkeeper.ownConfigMaps" -}}
[poolkeeper-status{{ range until 8 }}, poolkeeper-ledger-{{ . }}{{ end }}]
{{- end }}
