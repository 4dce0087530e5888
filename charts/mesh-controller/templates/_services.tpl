{{/* The Service for peers: service.p2p, and what the original chart called services over it. */}}
{{- define "mesh.p2p" -}}
{{- $old := default dict .Values.services -}}
{{- $over := pick $old "type" "loadBalancerIP" -}}
{{- $over = merge $over (pick (default dict $old.network) "port" "nodePort") -}}
{{- toYaml (mergeOverwrite (deepCopy .Values.service.p2p) $over) -}}
{{- end -}}

{{- define "mesh.httpPort" -}}
{{- dig "health" "port" .Values.service.http.port (default dict .Values.services) -}}
{{- end -}}
