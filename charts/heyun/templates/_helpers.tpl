{{- /* Labels of everything that is rendered here; files/ carries its own. */ -}}
{{- define "heyun.labels" -}}
app.kubernetes.io/name: heyun-hub
app.kubernetes.io/part-of: heyun
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "heyun.selector" -}}
app.kubernetes.io/name: heyun-hub
app.kubernetes.io/part-of: heyun
{{- end }}

{{- define "heyun.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}
{{- end }}

{{- define "heyun.priorityClassName" -}}
{{- if .Values.priorityClass.name -}}
{{ .Values.priorityClass.name }}
{{- else if .Values.priorityClass.create -}}
heyun-hub
{{- end }}
{{- end }}
