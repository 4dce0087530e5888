{{- define "mesh.name" -}}
{{- /* room for what stands behind names and labels, of 63 characters */ -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "mesh.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains (include "mesh.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "mesh.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Objects without a namespace carry the release's in their name: two releases may share a cluster. */}}
{{- define "mesh.clusterName" -}}
{{- printf "%s-%s" .Release.Namespace (include "mesh.fullname" .) -}}
{{- end -}}

{{- define "mesh.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "mesh.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "mesh.image" -}}
{{- with .Values.image.registry }}{{ . }}/{{ end -}}
{{- default "mesh" .Values.image.repository -}}
{{- if .Values.image.digest -}}
@{{ .Values.image.digest }}
{{- else -}}
:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}

{{- define "mesh.selectorLabels" -}}
app.kubernetes.io/name: {{ include "mesh.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "mesh.labels" -}}
{{- $own := dict "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_")
  "app.kubernetes.io/version" .Chart.AppVersion
  "app.kubernetes.io/managed-by" .Release.Service
  "app.kubernetes.io/part-of" "mesh" -}}
{{- toYaml (merge (include "mesh.selectorLabels" . | fromYaml) $own .Values.commonLabels) -}}
{{- end -}}

{{/* The metadata that all objects share. Call: list ROOT NAME [ANNOTATIONS [NAMESPACE [LABELS]]]; namespace "-": none. */}}
{{- define "mesh.metadata" -}}
{{- $root := index . 0 -}}
{{- $annotations := dict -}}
{{- $namespace := $root.Release.Namespace -}}
{{- $labels := dict -}}
{{- if gt (len .) 2 }}{{ $annotations = index . 2 }}{{ end -}}
{{- if gt (len .) 3 }}{{ $namespace = index . 3 }}{{ end -}}
{{- if gt (len .) 4 }}{{ $labels = index . 4 }}{{ end -}}
name: {{ index . 1 | quote }}
{{- if ne $namespace "-" }}
namespace: {{ $namespace | quote }}
{{- end }}
labels:
  {{- toYaml (merge (dict) $labels (include "mesh.labels" $root | fromYaml)) | nindent 2 }}
{{- with merge (dict) $annotations $root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
