{{/* Names leave room for suffixes, and for the ordinal of the pod. */}}
{{- define "attune.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "attune.selectorLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: server
{{- end -}}

{{/* Labels of everything that is not the server itself: the component is the caller's. */}}
{{- define "attune.commonLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "attune.labels" -}}
{{ include "attune.commonLabels" . }}
app.kubernetes.io/component: server
{{- end -}}

{{- define "attune.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "attune.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "attune.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "attune.grpcPort" -}}
{{- regexFind "[0-9]+$" .Values.config.listen -}}
{{- end -}}

{{/* Empty where no metrics are served. */}}
{{- define "attune.metricsPort" -}}
{{- regexFind "[0-9]+$" (default "" .Values.config.metrics_listen) -}}
{{- end -}}

{{- define "attune.dataDir" -}}
{{- .Values.config.data_dir | trimSuffix "/" -}}
{{- end -}}

{{/* Whole cores that the pod is promised; empty where nothing says it. */}}
{{- define "attune.cores" -}}
{{- $limits := default dict .Values.resources.limits -}}
{{- $requests := default dict .Values.resources.requests -}}
{{- $cpu := get $limits "cpu" | default (get $requests "cpu") | toString -}}
{{- if hasSuffix "m" $cpu -}}
{{- max 1 (div (trimSuffix "m" $cpu | int) 1000) -}}
{{- else if $cpu -}}
{{- max 1 (float64 $cpu | floor | int) -}}
{{- end -}}
{{- end -}}

{{/* The configuration file. Every value is written as JSON, which is YAML too, so that no text can become another key. */}}
{{- define "attune.config" -}}
{{- range $key, $value := include "attune.settings" . | fromJson }}
{{- if not (kindIs "invalid" $value) }}
{{ $key }}: {{ toJson $value }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The same for the server and for the pod of `helm test`. */}}
{{- define "attune.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: {{ .Values.security.runAsUser }}
runAsGroup: {{ .Values.security.runAsGroup }}
fsGroup: {{ .Values.security.fsGroup }}
# Checking the owner of every file of a large volume at each start would take minutes.
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "attune.containerSecurityContext" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* The groups of every file in files/rules, in the order of the names; "[]" where there are none. */}}
{{- define "attune.ruleGroups" -}}
{{- $groups := list -}}
{{- range $path, $_ := .Files.Glob "files/rules/*.yaml" -}}
{{- $groups = concat $groups ((fromYaml ($.Files.Get $path)).groups | default list) -}}
{{- end -}}
{{- toJson $groups -}}
{{- end -}}
