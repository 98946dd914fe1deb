{{- define "onnxserve.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: {{ .Values.graceSeconds }}
{{- with .Values.serviceAccount }}
serviceAccountName: {{ . }}
{{- end }}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .Values.gpu.runtimeClass }}
runtimeClassName: {{ . }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- if eq .Values.models.source "objects" }}
initContainers:
  - name: models
    image: {{ include "onnxserve.image" . }}
    imagePullPolicy: {{ .Values.image.pullPolicy }}
    args:
      - archive
      - pull
      - --store
      - /models
      {{- range .Values.models.objects }}
      - {{ . | quote }}
      {{- end }}
    {{- with .Values.models.credentials }}
    envFrom:
      - secretRef: {name: {{ . }}}
    {{- end }}
    securityContext: {{- include "onnxserve.confined" . | nindent 6 }}
    resources:
      requests: {cpu: 100m, memory: 256Mi}
      limits: {memory: 1Gi}
    volumeMounts:
      - {name: models, mountPath: /models}
      - {name: tmp, mountPath: /tmp}
{{- end }}
containers:
  - name: onnxserve
    image: {{ include "onnxserve.image" . }}
    imagePullPolicy: {{ .Values.image.pullPolicy }}
    args: [serve, --timeout, {{ .Values.startSeconds | quote }}]
    env:
      - {name: HOME, value: /state}
      - {name: ONNXSERVE_STATE, value: /state}
      - {name: ONNXSERVE_STORE, value: {{ include "onnxserve.store" . }}}
      - {name: ONNXSERVE_GATEWAY_FILE, value: /etc/onnxserve/gateway.toml}
      {{- if .Values.models.publicKey.secret }}
      - {name: ONNXSERVE_PUBLIC_KEY, value: /etc/onnxserve-keys/{{ .Values.models.publicKey.key }}}
      {{- end }}
      {{- if .Values.models.identity.secret }}
      - {name: ONNXSERVE_IDENTITY, value: /etc/onnxserve-keys/{{ .Values.models.identity.key }}}
      {{- end }}
      {{- with .Values.confine }}
      - {name: ONNXSERVE_CONFINE, value: {{ . | quote }}}
      {{- end }}
      {{- with .Values.env }}{{ toYaml . | nindent 6 }}{{ end }}
    ports:
      - {name: http, containerPort: 8000}
      - {name: counters, containerPort: 9902}
    startupProbe:
      {{- include "onnxserve.ready" . | nindent 6 }}
      periodSeconds: 5
      failureThreshold: {{ div (add .Values.startSeconds 60) 5 }}
    readinessProbe:
      {{- include "onnxserve.ready" . | nindent 6 }}
      periodSeconds: 5
      failureThreshold: 2
    livenessProbe:
      httpGet:
        path: /v2/health/live
        port: http
        {{- if .Values.tls.secret }}
        scheme: HTTPS
        {{- end }}
      periodSeconds: 10
      failureThreshold: 6
    lifecycle:
      preStop:
        exec: {command: [sleep, {{ .Values.drainSeconds | quote }}]}
    securityContext: {{- include "onnxserve.confined" . | nindent 6 }}
    resources: {{- include "onnxserve.resources" . | nindent 6 }}
    volumeMounts:
      - {name: config, mountPath: /etc/onnxserve, readOnly: true}
      - {name: state, mountPath: /state}
      - {name: tmp, mountPath: /tmp}
      {{- if ne .Values.models.source "image" }}
      - name: models
        mountPath: /models
        readOnly: true
        {{- with .Values.models.pvc.subPath }}
        subPath: {{ . }}
        {{- end }}
      {{- end }}
      {{- if or .Values.models.publicKey.secret .Values.models.identity.secret }}
      - {name: keys, mountPath: /etc/onnxserve-keys, readOnly: true}
      {{- end }}
volumes: {{- include "onnxserve.volumes" . | nindent 2 }}
{{- if .Values.spread }}
topologySpreadConstraints:
  {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "onnxserve.selector" $ | nindent 8 }}
  {{- end }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- if or .Values.tolerations .Values.gpu.count }}
tolerations:
  {{- if .Values.gpu.count }}
  - {key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}
  {{- end }}
  {{- with .Values.tolerations }}{{ toYaml . | nindent 2 }}{{ end }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "onnxserve.ready" -}}
httpGet:
  path: /v2/health/ready
  port: http
  {{- if .Values.tls.secret }}
  scheme: HTTPS
  {{- end }}
timeoutSeconds: 3
{{- end -}}

{{- define "onnxserve.resources" -}}
requests: {{- toYaml .Values.resources.requests | nindent 2 }}
limits:
  {{- toYaml .Values.resources.limits | nindent 2 }}
  {{- if .Values.gpu.count }}
  {{ .Values.gpu.resource }}: {{ .Values.gpu.count }}
  {{- end }}
{{- end -}}

{{- define "onnxserve.volumes" -}}
- name: config
  projected:
    sources:
      - configMap: {name: {{ include "onnxserve.name" . }}}
      {{- range compact (list .Values.keys.secret .Values.tls.secret) }}
      - secret: {name: {{ . }}}
      {{- end }}
- name: state
  emptyDir: {sizeLimit: {{ .Values.state.sizeLimit }}}
- name: tmp
  emptyDir: {sizeLimit: 1Gi}
{{- if eq .Values.models.source "pvc" }}
- name: models
  persistentVolumeClaim: {claimName: {{ required "models.pvc.claim names the claim" .Values.models.pvc.claim }}, readOnly: true}
{{- else if eq .Values.models.source "oci" }}
- name: models
  image:
    reference: {{ required "models.oci.reference names the image" .Values.models.oci.reference }}
    pullPolicy: {{ .Values.models.oci.pullPolicy }}
{{- else if eq .Values.models.source "objects" }}
- name: models
  emptyDir: {sizeLimit: {{ .Values.state.sizeLimit }}}
{{- end }}
{{- if or .Values.models.publicKey.secret .Values.models.identity.secret }}
- name: keys
  projected:
    sources:
      {{- range compact (list .Values.models.publicKey.secret .Values.models.identity.secret) }}
      - secret: {name: {{ . }}}
      {{- end }}
{{- end }}
{{- end -}}
