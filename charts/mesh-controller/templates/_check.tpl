{{/* Refuses what cannot work, with a sentence. */}}
{{- define "mesh.check" -}}
{{- if and (gt (int .Values.replicaCount) 1) .Values.persistence.enabled -}}
{{- fail (printf "replicaCount %d needs persistence.enabled: false: one volume cannot serve several pods, and a standby has nothing to keep" (int .Values.replicaCount)) -}}
{{- end -}}
{{- if and (gt (int .Values.replicaCount) 1) (ne (include "mesh.namespace" .) .Release.Namespace) -}}
{{- fail (printf "replicaCount %d needs configuration.kubernetes.namespace to be that of the release, %s: the pod that holds the Lease is marked there" (int .Values.replicaCount) .Release.Namespace) -}}
{{- end -}}
{{- $config := include "mesh.config" . | fromYaml -}}
{{- if not (hasPrefix "/" $config.data_dir) -}}
{{- fail (printf "configuration.data_dir is %q: the volume needs an absolute path" $config.data_dir) -}}
{{- end -}}
{{- if eq (int $config.bind_port) 0 -}}
{{- fail "configuration.bind_port is 0, any free port: a Service needs a fixed one" -}}
{{- end -}}
{{- if eq (int $config.http_bind_port) 0 -}}
{{- fail "configuration.http_bind_port is 0, any free port: probes and Service need a fixed one" -}}
{{- end -}}
{{- if and .Values.join.existingSecret (not (or .Values.mesh.zone (dig "mesh" "zone" "" .Values.configuration))) -}}
{{- fail "join.existingSecret needs mesh.zone, the name that this cluster joins by: it is part of the rights of the node" -}}
{{- end -}}
{{- if and .Values.join.existingSecret (dig "join" "token_file" "" .Values.configuration) -}}
{{- fail "join.existingSecret and configuration.join.token_file both name a token: keep one of them" -}}
{{- end -}}
{{- with .Values.mesh.zone -}}
{{- $other := dig "mesh" "zone" . $.Values.configuration -}}
{{- if ne . $other -}}
{{- fail (printf "mesh.zone is %q and configuration.mesh.zone is %q: keep one of them" . $other) -}}
{{- end -}}
{{- end -}}
{{- end -}}
