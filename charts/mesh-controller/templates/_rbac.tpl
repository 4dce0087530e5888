{{/* The plural of an entry's kind: given, or the English of the kind. Discovery is not asked: a chart renders offline. */}}
{{- define "mesh.plural" -}}
{{- $kind := lower .kind -}}
{{- if .plural -}}
{{- .plural -}}
{{- else if regexMatch "(s|x|z|ch|sh)$" $kind -}}
{{- $kind }}es
{{- else if regexMatch "[^aeiou]y$" $kind -}}
{{- trimSuffix "y" $kind }}ies
{{- else -}}
{{- $kind }}s
{{- end -}}
{{- end -}}

{{/* Whether the entry takes objects of other zones: everything but publish does. */}}
{{- define "mesh.receives" -}}
{{- if ne (default "both" .direction) "publish" }}true{{ end -}}
{{- end -}}

{{/*
Whether the entry's rules have to hold in the whole cluster: it names no namespaces, or it may create them, and no
Role can stand in a namespace that is not there yet.
*/}}
{{- define "mesh.clusterWide" -}}
{{- if or (empty .namespaces) (and .create_namespaces (include "mesh.receives" .)) }}true{{ end -}}
{{- end -}}

{{/* The rules of one entry, a list under "rules". */}}
{{- define "mesh.entryRules" -}}
{{- $group := list (default "" .group) -}}
{{- $plural := include "mesh.plural" . -}}
{{- $receives := include "mesh.receives" . -}}
{{- $verbs := list "get" "list" "watch" -}}
{{- if $receives }}{{ $verbs = concat $verbs (list "create" "patch" "delete") }}{{ end -}}
{{- $rules := list (dict "apiGroups" $group "resources" (list $plural) "verbs" $verbs) -}}
{{- if and $receives .status -}}
{{- $rules = append $rules (dict "apiGroups" $group "resources" (list (printf "%s/status" $plural)) "verbs" (list "patch")) -}}
{{- end -}}
{{- if and $receives .create_namespaces -}}
{{- $rules = append $rules (dict "apiGroups" (list "") "resources" (list "namespaces") "verbs" (list "create")) -}}
{{- end -}}
{{- toYaml (dict "rules" $rules) -}}
{{- end -}}

{{/*
Every rule that the config needs, by where it holds: "cluster" is a list, "namespaces" a list for each namespace,
"own" what mesh keeps for itself in its namespace. Nothing stands in two places.
*/}}
{{- define "mesh.rules" -}}
{{- $cluster := list -}}
{{- $namespaces := dict -}}
{{- $events := dict "apiGroups" (list "events.k8s.io") "resources" (list "events") "verbs" (list "create" "patch") -}}
{{- range (include "mesh.entries" . | fromYaml).items -}}
{{- $rules := (include "mesh.entryRules" . | fromYaml).rules -}}
{{- if include "mesh.clusterWide" . -}}
{{- $cluster = concat $cluster $rules -}}
{{- else -}}
{{- range .namespaces -}}
{{- $_ := set $namespaces . (concat (default list (get $namespaces .)) $rules) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $own := list
  (dict "apiGroups" (list "dcp.hiro.io") "resources" (list "meshpeers") "verbs" (list "get" "list" "watch" "create" "patch"))
  (dict "apiGroups" (list "dcp.hiro.io") "resources" (list "meshpeers/status") "verbs" (list "patch"))
  (dict "apiGroups" (list "coordination.k8s.io") "resources" (list "leases") "verbs" (list "create"))
  (dict "apiGroups" (list "coordination.k8s.io") "resources" (list "leases") "verbs" (list "get" "update")
        "resourceNames" (list (printf "mesh-%s" (include "mesh.zone" .)))) -}}
{{- if gt (int .Values.replicaCount) 1 -}}
{{- $own = append $own (dict "apiGroups" (list "") "resources" (list "pods") "verbs" (list "patch")) -}}
{{- end -}}
{{- if $cluster -}}
{{- $cluster = append $cluster $events -}}
{{- else -}}
{{- $own = append $own $events -}}
{{- range $name, $rules := $namespaces -}}
{{- if ne $name (include "mesh.namespace" $) -}}
{{- $_ := set $namespaces $name (append $rules $events) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if not .Values.crds.enabled -}}
{{- $crds := dict "apiGroups" (list "apiextensions.k8s.io") "resources" (list "customresourcedefinitions") -}}
{{- $cluster = append $cluster (merge (dict "verbs" (list "create")) $crds) -}}
{{- $cluster = append $cluster (merge (dict "verbs" (list "get" "patch") "resourceNames" (list "meshpeers.dcp.hiro.io")) $crds) -}}
{{- end -}}
{{- toYaml (dict "own" $own "cluster" $cluster "namespaces" $namespaces) -}}
{{- end -}}

{{/* A role and its binding to the service account. Call: list ROOT NAME NAMESPACE RULES; namespace "-": a ClusterRole. */}}
{{- define "mesh.role" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $namespace := index . 2 -}}
{{- $cluster := ternary "Cluster" "" (eq $namespace "-") -}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $cluster }}Role
metadata:
  {{- include "mesh.metadata" (list $root $name (dict) $namespace) | nindent 2 }}
rules:
  {{- toYaml (index . 3) | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $cluster }}RoleBinding
metadata:
  {{- include "mesh.metadata" (list $root $name (dict) $namespace) | nindent 2 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ $cluster }}Role
  name: {{ $name }}
subjects:
  - kind: ServiceAccount
    name: {{ include "mesh.serviceAccountName" $root | quote }}
    namespace: {{ $root.Release.Namespace | quote }}
{{ end -}}
