// What the console shows of each version: workers, signature, proof, and the labels that decide on its traffic.
import fs from 'fs';
import queries from 'models.js';

function labels(path) {
  try {
    return JSON.parse(fs.readFileSync(path, 'utf8')).models || {};
  } catch (e) {
    return {};
  }
}

async function versions(r, name) {
  return await queries.ask(r, '/-/state/' + name + '/all') || [];
}

async function described(r, one) {
  const found = await queries.about(r, one.modelName + '/' + one.modelVersion);
  const ready = one.workers.filter((worker) => worker.status === 'READY').length;
  return {
    name: one.modelName,
    version: one.modelVersion,
    ready: ready,
    workers: Math.max(one.workers.length, one.minWorkers),
    signature: found.signature,
    evidence: found.evidence,
    golden: found.golden_deviation,
    provider: found.provider ? found.provider.name.replace('ExecutionProvider', '') : '',
  };
}

async function models(r) {
  const names = (await queries.listed(r)).map((one) => one.modelName);
  const found = [];
  for (let i = 0; i < names.length; i++) {
    const all = await versions(r, names[i]);
    for (let j = 0; j < all.length; j++) {
      found.push(await described(r, all[j]));
    }
  }
  r.headersOut['Content-Type'] = 'application/json';
  r.return(200, JSON.stringify({ url: r.variables.public_url, labels: labels(r.variables.labels_file), models: found }));
}

export default { models };
