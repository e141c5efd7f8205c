{{/* What a schema cannot say in words that a person understands, and what several values must have in common. Every fault at once. */}}
{{- define "attune.check" -}}
{{- $faults := list -}}
{{- $quantity := `^[0-9]+(\.[0-9]+)?(m|Ki|Mi|Gi|Ti|Pi|k|M|G|T|P)?$` -}}
{{- range $path, $resources := dict "resources" .Values.resources "test.resources" .Values.test.resources -}}
{{- range $kind, $amounts := $resources -}}
{{- range $name, $amount := $amounts -}}
{{- if not (regexMatch $quantity ($amount | toJson | trimAll "\"")) -}}
{{- $faults = append $faults (printf "%s.%s.%s must be a quantity, such as 500m, 2 or 4Gi; got %s" $path $kind $name (toJson $amount)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $path, $size := dict "persistence.size" .Values.persistence.size "temporary.sizeLimit" .Values.temporary.sizeLimit -}}
{{- if not (regexMatch $quantity $size) -}}
{{- $faults = append $faults (printf "%s must be a quantity of bytes, such as 256Mi or 50Gi; got %q" $path $size) -}}
{{- end -}}
{{- end -}}
{{- range $key := list "nameOverride" "fullnameOverride" -}}
{{- if not (regexMatch `^([a-z]([a-z0-9-]*[a-z0-9])?)?$` (get $.Values $key)) -}}
{{- $faults = append $faults (printf "%s must begin with a letter and have only a-z, 0-9 and - in it; got %q" $key (get $.Values $key)) -}}
{{- end -}}
{{- end -}}
{{- if not (regexMatch `^(sha256:[0-9a-f]{64})?$` (default "" .Values.image.digest)) -}}
{{- $faults = append $faults (printf "image.digest must be sha256: and 64 hexadecimal digits; got %q" .Values.image.digest) -}}
{{- end -}}
{{- if not (regexMatch `^[a-z0-9.-]+/[A-Za-z0-9_.-]+$` .Values.gpu.resourceName) -}}
{{- $faults = append $faults (printf "gpu.resourceName must be a device plugin's name with its domain, such as nvidia.com/gpu; got %q" .Values.gpu.resourceName) -}}
{{- end -}}
{{- if not (regexMatch `^[1-9][0-9]*(ms|s|m)$` .Values.monitoring.serviceMonitor.interval) -}}
{{- $faults = append $faults (printf "monitoring.serviceMonitor.interval must be a time, such as 30s or 1m; got %q" .Values.monitoring.serviceMonitor.interval) -}}
{{- end -}}
{{- $c := .Values.config -}}
{{- $inPod := `^(0\.0\.0\.0|\[::\]):([1-9][0-9]{0,4})$` -}}
{{- if not (regexMatch $inPod $c.listen) -}}
{{- $faults = append $faults (printf "config.listen must be 0.0.0.0:PORT or [::]:PORT, so that probes and clients outside the pod reach it; got %q" $c.listen) -}}
{{- end -}}
{{- $metrics := default "" $c.metrics_listen -}}
{{- if and $metrics (not (regexMatch $inPod $metrics)) -}}
{{- $faults = append $faults (printf "config.metrics_listen must be 0.0.0.0:PORT or [::]:PORT, or empty for no metrics; got %q" $metrics) -}}
{{- end -}}
{{- range $key := list "listen" "metrics_listen" -}}
{{- if gt (regexFind "[0-9]+$" (default "" (get $c $key)) | int) 65535 -}}
{{- $faults = append $faults (printf "config.%s: ports end at 65535; got %q" $key (get $c $key)) -}}
{{- end -}}
{{- end -}}
{{- if and $metrics (eq (include "attune.metricsPort" .) (include "attune.grpcPort" .)) -}}
{{- $faults = append $faults "config.metrics_listen and config.listen have the same port; give each its own" -}}
{{- end -}}
{{- $faults = concat $faults (include "attune.securityFaults" . | fromJsonArray) -}}
{{- if not (regexMatch `^/[^/]+` $c.data_dir) -}}
{{- $faults = append $faults (printf "config.data_dir must be an absolute path below /, where the volume is mounted; got %q" $c.data_dir) -}}
{{- else if regexMatch `^/(tmp|etc|usr|bin|sbin|lib|lib64|opt|proc|sys|dev|run)(/|$)` $c.data_dir -}}
{{- $faults = append $faults (printf "config.data_dir: %s is a place of the system or of the image, which the volume would hide; give it one of its own, such as /var/lib/attune" $c.data_dir) -}}
{{- end -}}
{{- $memory := default 0 $c.worker_memory_bytes | int64 -}}
{{- if and (gt $memory 0) (lt $memory 536870912) -}}
{{- $faults = append $faults (printf "config.worker_memory_bytes: %d bytes hold no worker; give at least 536870912 (512 MiB), or 0 for no limit" $memory) -}}
{{- end -}}
{{- if and .Values.monitoring.serviceMonitor.enabled (not $metrics) -}}
{{- $faults = append $faults "monitoring.serviceMonitor.enabled needs metrics to scrape; set config.metrics_listen, for example to 0.0.0.0:9464" -}}
{{- end -}}
{{- if and .Values.persistence.existingClaim (not .Values.persistence.enabled) -}}
{{- $faults = append $faults "persistence.existingClaim is set and persistence.enabled is false; keep one" -}}
{{- end -}}
{{- if $faults -}}
{{- fail (printf "\n\n  - %s\n" (join "\n  - " $faults)) -}}
{{- end -}}
{{- end -}}
