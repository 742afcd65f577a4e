{{/* Name of the operator's objects: at most 63 characters, whatever the release is called. */}}
{{- define "logpipeline.name" -}}
{{- if contains "logpipeline" .Release.Name -}}
{{ .Release.Name | trunc 40 | trimSuffix "-" }}-operator
{{- else -}}
{{ .Release.Name | trunc 28 | trimSuffix "-" }}-logpipeline-operator
{{- end -}}
{{- end }}

{{- define "logpipeline.selectorLabels" -}}
app.kubernetes.io/name: logpipeline-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "logpipeline.labels" -}}
{{ include "logpipeline.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* Reference of an image: (dict "image" .Values.x.image "chart" .Chart) */}}
{{- define "logpipeline.image" -}}
{{ .image.repository }}:{{ .image.tag | default .chart.AppVersion }}
{{- end }}
