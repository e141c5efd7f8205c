{{/* The configuration as the server gets it, as JSON: config with what tls and resources say. */}}
{{- define "attune.settings" -}}
{{- $config := deepCopy .Values.config -}}
{{- $cores := include "attune.cores" . -}}
{{- if and $cores (not (hasKey $config "worker_threads")) -}}
{{- $_ := set $config "worker_threads" (max 1 (div (int $cores) (int (default 1 $config.job_slots)))) -}}
{{- end -}}
{{- if .Values.tls.secretName -}}
{{- $_ := set $config "tls_certificate_file" "/etc/attune/tls/tls.crt" -}}
{{- $_ := set $config "tls_key_file" "/etc/attune/tls/tls.key" -}}
{{- $_ := set $config "tls_client_certificates" .Values.tls.clientCertificates -}}
{{- if ne .Values.tls.clientCertificates "none" -}}
{{- $_ := set $config "tls_client_ca_file" "/etc/attune/tls/ca.crt" -}}
{{- end -}}
{{- end -}}
{{- toJson $config -}}
{{- end -}}

{{/* "true" where the API speaks TLS, also with files that config names by itself; empty otherwise. */}}
{{- define "attune.encrypts" -}}
{{- if (include "attune.settings" . | fromJson).tls_certificate_file -}}true{{- end -}}
{{- end -}}

{{- define "attune.asks" -}}
{{- if eq (default "none" .Values.config.auth) "required" -}}true{{- end -}}
{{- end -}}

{{/* What proxies and meshes are told of the gRPC port: HTTP/2 in plain text, or TLS that is not theirs to open. */}}
{{- define "attune.appProtocol" -}}
{{- if include "attune.encrypts" . -}}https{{- else -}}kubernetes.io/h2c{{- end -}}
{{- end -}}

{{/* The port that an issuer's keys are fetched from; empty where they are a file, or where there are none. */}}
{{- define "attune.issuerPort" -}}
{{- $jwks := default "" .Values.config.jwt_jwks -}}
{{- if hasPrefix "https://" $jwks -}}
{{- regexFind ":[0-9]+$" (urlParse $jwks).host | trimPrefix ":" | default "443" -}}
{{- end -}}
{{- end -}}

{{/* (root, path, service) A probe of the gRPC health service. The kubelet does not speak TLS with it: then the pages beside the metrics are asked, which say the same. */}}
{{- define "attune.probe" -}}
{{- if include "attune.encrypts" .root -}}
httpGet:
  path: {{ .path }}
  port: metrics
{{- else -}}
grpc:
  port: {{ include "attune.grpcPort" .root }}
  {{- with .service }}
  service: {{ . }}
  {{- end }}
{{- end -}}
{{- end -}}

{{/* As JSON, what the server would refuse of TLS and credentials (server/main/security), and what only the pod knows. */}}
{{- define "attune.securityFaults" -}}
{{- $faults := list -}}
{{- $tls := .Values.tls -}}
{{- if not (regexMatch `^([a-z0-9]([a-z0-9.-]*[a-z0-9])?)?$` $tls.secretName) -}}
{{- $faults = append $faults (printf "tls.secretName must be the name of a Secret, of a-z, 0-9, - and .; got %q" $tls.secretName) -}}
{{- end -}}
{{- if and (ne $tls.clientCertificates "none") (not $tls.secretName) -}}
{{- $faults = append $faults (printf "tls.clientCertificates is %s, and the server has no certificate of its own; name its Secret in tls.secretName" $tls.clientCertificates) -}}
{{- end -}}
{{- if $tls.secretName -}}
{{- range $key := list "tls_certificate_file" "tls_key_file" "tls_client_certificates" "tls_client_ca_file" -}}
{{- if hasKey $.Values.config $key -}}
{{- $faults = append $faults (printf "config.%s is set by tls when tls.secretName is given; leave it out" $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $name, $_ := .Values.files -}}
{{- if or (not (regexMatch `^[A-Za-z0-9._-]{1,253}$` $name)) (hasPrefix ".." $name) (eq "." $name) -}}
{{- $faults = append $faults (printf "files: %q is no name that a file can have here; use letters, digits, -, _ and ." $name) -}}
{{- end -}}
{{- end -}}
{{- range $key := list "certificate_rules_file" "quotas_file" "jwt_jwks" -}}
{{- $path := default "" (get $.Values.config $key) -}}
{{- $name := trimPrefix "/etc/attune/files/" $path -}}
{{- if and (hasPrefix "/etc/attune/files/" $path) (not (hasKey $.Values.files $name)) -}}
{{- $faults = append $faults (printf "config.%s is %s, and files has no %s" $key $path $name) -}}
{{- end -}}
{{- end -}}
{{- $c := include "attune.settings" . | fromJson -}}
{{- $encrypts := include "attune.encrypts" . -}}
{{- $asks := include "attune.asks" . -}}
{{- $shown := default "none" $c.tls_client_certificates -}}
{{- if ne (empty $c.tls_certificate_file) (empty $c.tls_key_file) -}}
{{- $faults = append $faults "config.tls_certificate_file and config.tls_key_file belong together; give both, or tls.secretName in their place" -}}
{{- end -}}
{{- if and (ne $shown "none") (not $encrypts) -}}
{{- $faults = append $faults "config.tls_client_certificates needs TLS; set tls.secretName, and tls.clientCertificates in its place" -}}
{{- end -}}
{{- if and (ne $shown "none") (not $c.tls_client_ca_file) -}}
{{- $faults = append $faults "config.tls_client_ca_file is missing: who signs the certificates of clients?" -}}
{{- end -}}
{{- if not $asks -}}
{{- range $key := list "certificate_rules_file" "jwt_issuer" -}}
{{- if get $c $key -}}
{{- $faults = append $faults (printf "config.%s has no effect while config.auth is none; set config.auth to required" $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and $c.certificate_rules_file (eq $shown "none") -}}
{{- $faults = append $faults "config.certificate_rules_file needs tls.clientCertificates request or require" -}}
{{- end -}}
{{- if $c.jwt_issuer -}}
{{- range $key := list "jwt_audience" "jwt_jwks" -}}
{{- if not (get $c $key) -}}
{{- $faults = append $faults (printf "config.%s is missing; JWTs need jwt_issuer, jwt_audience and jwt_jwks" $key) -}}
{{- end -}}
{{- end -}}
{{- else if or $c.jwt_audience $c.jwt_jwks -}}
{{- $faults = append $faults "config.jwt_issuer is missing; JWTs need jwt_issuer, jwt_audience and jwt_jwks" -}}
{{- end -}}
{{- if and (contains "://" (default "" $c.jwt_jwks)) (not (regexMatch `^https://[^/@?#]+([/?#]|$)` $c.jwt_jwks)) -}}
{{- $faults = append $faults (printf "config.jwt_jwks must be a file or an https URL without a user's name; got %q" $c.jwt_jwks) -}}
{{- end -}}
{{- if not (or $c.allow_insecure_network (and $encrypts $asks)) -}}
{{- $lacks := "neither encrypts (tls.secretName) nor asks who calls (config.auth: required)" -}}
{{- if $encrypts -}}
{{- $lacks = "does not ask who calls (config.auth: required)" -}}
{{- else if $asks -}}
{{- $lacks = "does not encrypt (tls.secretName)" -}}
{{- end -}}
{{- $faults = append $faults (printf "config.allow_insecure_network is false, and the server %s: give both, or set it to true where the network itself is trusted; networkPolicy keeps others out" $lacks) -}}
{{- end -}}
{{- if and $encrypts (not $c.metrics_listen) -}}
{{- $faults = append $faults "config.metrics_listen must be set with TLS: the kubelet's gRPC probes do not speak it, and ask /healthz and /readyz beside the metrics; for example 0.0.0.0:9464" -}}
{{- end -}}
{{- if and .Values.test.tokenSecretName (not $encrypts) -}}
{{- $faults = append $faults "test.tokenSecretName needs TLS: the command line sends no token to another machine in plain text; set tls.secretName" -}}
{{- end -}}
{{- toJson $faults -}}
{{- end -}}
