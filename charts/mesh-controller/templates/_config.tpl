{{/*
The config of the node as YAML: what the values under mesh say, then configuration over it, then what the pod
decides. `kubernetes: incluster` is the older way to write what the pod decides anyway.
*/}}
{{- define "mesh.config" -}}
{{- $given := deepCopy .Values.configuration -}}
{{- if kindIs "string" $given.kubernetes -}}
{{- $_ := unset $given "kubernetes" -}}
{{- end -}}
{{- $base := dict
  "bind_port" 9102
  "http_bind_port" 3000
  "network_id" .Values.mesh.networkId
  "data_dir" "/var/lib/mesh"
  "nodes" .Values.mesh.nodes
  "api" (dict "listen" "127.0.0.1:3001" "proxy" .Values.api.proxy)
  "mesh" (dict "zone" (default "zone1" .Values.mesh.zone) "bootstrap" .Values.mesh.bootstrap "resources" .Values.mesh.resources) -}}
{{- $pod := dict "private_key_path" (include "mesh.keyFile" .) "kubernetes" (dict "incluster" true) -}}
{{- toYaml (mergeOverwrite (deepCopy $base) $given $pod) -}}
{{- end -}}

{{- define "mesh.zone" -}}
{{- (include "mesh.config" . | fromYaml).mesh.zone -}}
{{- end -}}

{{/* Where mesh keeps its own objects. */}}
{{- define "mesh.namespace" -}}
{{- default .Release.Namespace (include "mesh.config" . | fromYaml).kubernetes.namespace -}}
{{- end -}}

{{- define "mesh.keyFile" -}}
/run/mesh/key/private.key
{{- end -}}

{{/* The entries of mesh.resources and the single mesh.resource in one form, as a list under "items". */}}
{{- define "mesh.entries" -}}
{{- $mesh := (include "mesh.config" . | fromYaml).mesh -}}
{{- $items := list -}}
{{- range $mesh.resources -}}{{- $items = append $items . -}}{{- end -}}
{{- with $mesh.resource -}}
{{- $single := omit . "namespace" -}}
{{- if .namespace -}}{{- $_ := set $single "namespaces" (list .namespace) -}}{{- end -}}
{{- $items = append $items $single -}}
{{- end -}}
{{- toYaml (dict "items" $items) -}}
{{- end -}}
