{{- define "onnxserve.name" -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "onnxserve.selector" -}}
app.kubernetes.io/name: onnxserve
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "onnxserve.labels" -}}
{{ include "onnxserve.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- define "onnxserve.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "onnxserve.store" -}}
{{- if eq .Values.models.source "image" -}}/home/serve/model_store{{- else -}}/models{{- end -}}
{{- end -}}

{{- define "onnxserve.confined" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "onnxserve.traffic" -}}
{{- if and .Values.default (regexMatch "(?m)^\\s*\\[default\\]" .Values.traffic) -}}
{{- fail "name default versions in `default` or in `traffic`, not in both" -}}
{{- end -}}
{{ .Values.traffic }}
{{- with .Values.default }}
[default]
{{- range $model, $version := . }}
{{ $model | quote }} = {{ $version | quote }}
{{- end }}
{{- end -}}
{{- end -}}
