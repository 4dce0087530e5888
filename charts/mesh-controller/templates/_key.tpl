{{/*
Which of its sources the key comes from: existing, value or generate. The name of the Secret that the chart makes
is that of the original chart, so that an upgrade keeps the node's identity.
*/}}
{{- define "mesh.keySource" -}}
{{- $key := .Values.privateKey -}}
{{- $value := default .Values.secretKey $key.value -}}
{{- if and $key.value .Values.secretKey -}}
{{- fail "privateKey.value and secretKey both give a private key: keep one of them" -}}
{{- else if and $key.existingSecret $value -}}
{{- fail (printf "there are two sources for the private key, privateKey.existingSecret and %s: keep one of them" (ternary "privateKey.value" "secretKey" (ne $key.value ""))) -}}
{{- else if $key.existingSecret -}}
existing
{{- else if $value -}}
{{- /* a schema's pattern would print the key that breaks it */ -}}
{{- if not (regexMatch "^\\s*([0-9a-fA-F]{64}|-----BEGIN PRIVATE KEY-----[^-]+-----END PRIVATE KEY-----)\\s*$" $value) -}}
{{- fail (printf "%s is no private key: want 64 hex digits or PKCS#8 in PEM" (ternary "privateKey.value" "secretKey" (ne $key.value ""))) -}}
{{- end -}}
value
{{- else if not $key.generate -}}
{{- fail "there is no private key: name a Secret in privateKey.existingSecret, or leave privateKey.generate on" -}}
{{- else if not .Values.rbac.create -}}
{{- fail "privateKey.generate needs rbac.create, for the Job that makes the key: switch that on, or name a Secret in privateKey.existingSecret" -}}
{{- else -}}
generate
{{- end -}}
{{- end -}}

{{- define "mesh.keySecret" -}}
{{- default (printf "%s-key" .Release.Name) .Values.privateKey.existingSecret -}}
{{- end -}}

{{/* Under which name the Secret holds the key: only in a foreign Secret it is another. */}}
{{- define "mesh.keyName" -}}
{{- ternary .Values.privateKey.key "secretKey" (ne .Values.privateKey.existingSecret "") -}}
{{- end -}}
