{{/* What every pod of the chart has. */}}
{{- define "mesh.podBasics" -}}
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.podSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{/* What every container of the chart has. */}}
{{- define "mesh.containerBasics" -}}
image: {{ include "mesh.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- with .Values.securityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The labels of a pod that is no node: no Service may find it. Call: list ROOT COMPONENT. */}}
{{- define "mesh.jobLabels" -}}
app.kubernetes.io/name: {{ include "mesh.name" (index . 0) }}-{{ index . 1 }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name | quote }}
app.kubernetes.io/component: {{ index . 1 }}
app.kubernetes.io/part-of: mesh
{{- end -}}

{{/* The config and the key as files. Call with the root; the volumes and their mounts belong together. */}}
{{- define "mesh.fileVolumes" -}}
- name: config
  configMap:
    name: {{ include "mesh.fullname" . }}-config
- name: key
  secret:
    secretName: {{ include "mesh.keySecret" . | quote }}
    defaultMode: 0440
    items:
      - key: {{ include "mesh.keyName" . | quote }}
        path: {{ base (include "mesh.keyFile" .) }}
{{- end -}}

{{- define "mesh.fileMounts" -}}
- name: config
  mountPath: /etc/mesh
  readOnly: true
- name: key
  mountPath: {{ dir (include "mesh.keyFile" .) }}
  readOnly: true
{{- end -}}

{{/* The token of an invitation as a file. It is read until the node has joined, so the Secret may go then. */}}
{{- define "mesh.joinFile" -}}
/run/mesh/join/token
{{- end -}}

{{- define "mesh.joinVolume" -}}
- name: join
  secret:
    secretName: {{ .Values.join.existingSecret | quote }}
    optional: true
    defaultMode: 0440
    items:
      - key: {{ .Values.join.key | quote }}
        path: {{ base (include "mesh.joinFile" .) }}
{{- end -}}

{{- define "mesh.joinMount" -}}
- name: join
  mountPath: {{ dir (include "mesh.joinFile" .) }}
  readOnly: true
{{- end -}}

{{/* A probe: what the original chart was given as it is, else the value of this chart. Call: list OLD NEW. */}}
{{- define "mesh.probe" -}}
{{- with index . 0 -}}
{{- toYaml . -}}
{{- else -}}
{{- $probe := index . 1 -}}
{{- toYaml (merge (dict "httpGet" (dict "path" $probe.path "port" "http")) (omit $probe "path")) -}}
{{- end -}}
{{- end -}}
