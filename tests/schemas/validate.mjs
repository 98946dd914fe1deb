// `node validate.mjs < documents.json`: what the custom resources' own schemas refuse, one line each.

import { AnalysisTemplate } from '@kubernetes-models/argo-rollouts/argoproj.io/v1alpha1/AnalysisTemplate';
import { HTTPRoute } from '@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1/HTTPRoute';
import { ScaledObject } from '@kubernetes-models/keda/keda.sh/v1alpha1/ScaledObject';
import { PodMonitor } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PodMonitor';
import { readFileSync } from 'node:fs';

const KINDS = { AnalysisTemplate, HTTPRoute, ScaledObject, PodMonitor };

for (const document of JSON.parse(readFileSync(0, 'utf8'))) {
  const Kind = KINDS[document.kind];
  if (!Kind) {
    console.log(`${document.kind}: no schema`);
    continue;
  }
  try {
    new Kind(document).validate();
  } catch (error) {
    console.log(`${document.kind} ${document.metadata.name}: ${error.message}`);
  }
}
