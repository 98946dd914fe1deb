// What the console shows: each version's workers, what it says of itself, and the roles that decide on its traffic.
import queries from 'models.js';
import roles from 'roles.js';

async function described(r, one) {
  const about = await queries.about(r, one.modelName + '/' + one.modelVersion);
  return {
    name: one.modelName,
    version: one.modelVersion,
    ready: one.workers.filter((worker) => worker.status === 'READY').length,
    workers: Math.max(one.workers.length, one.minWorkers),
    signature: about.signature,
    evidence: about.evidence,
    golden: about.golden_deviation,
    provider: about.provider ? about.provider.name.replace('ExecutionProvider', '') : '',
  };
}

async function models(r) {
  roles.load(r);
  const listed = await queries.listed(r), found = { url: r.variables.public_url, labels: {}, models: [] };
  for (let i = 0; i < listed.length; i++) {
    const name = listed[i].modelName, versions = await queries.ask(r, '/-/state/' + name + '/all') || [];
    found.labels[name] = roles.model(name);
    for (let j = 0; j < versions.length; j++) {
      found.models.push(await described(r, versions[j]));
    }
  }
  queries.tell(r, found);
}

export default { models };
