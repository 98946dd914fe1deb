// `node ask.js URL ROWS KEY`: what a written client says of golden rows and of bad ones, as JSON.

import { base64, isRowError, MAX_ROWS, RequestFailed, SegmentClient, type Row } from './client.js';

declare const process: { argv: string[] };

const [url, text, key] = process.argv.slice(2) as [string, string, string];
const rows: Row[] = JSON.parse(text);
const client = new SegmentClient({ url, ...(key && { key }) });

const answers = await client.predict(rows, { top_k: 2 });
const labels = answers.map((answer) => (isRowError(answer) ? answer.error.type : answer.label));
const scores = answers.map((answer) => (isRowError(answer) ? [] : Object.keys(answer.scores ?? {})));

const bad = ['red', ...(rows[1] as number[]).slice(1)] as unknown as Row; // the compiler would refuse it
const mixed = await client.predict([rows[0]!, bad, rows[2]!]);
const error = mixed[1]!;

async function* many(): AsyncGenerator<Row> {
  for (let index = 0; index < 1000; index++) yield rows[index % rows.length]!;
}
const streamed: string[] = [];
for await (const answer of client.stream(many())) streamed.push(isRowError(answer) ? '!' : answer.label);

const failure = await new SegmentClient({ url, version: '9.9.9' }).predict(rows).catch((reason: unknown) => reason);
const nobody = await new SegmentClient({ url: 'http://127.0.0.1:9', tries: 2 }).predict(rows).catch((reason: unknown) => reason);

const redirects: unknown[] = [];
const recording: typeof fetch = (place, init) => {
  redirects.push(init?.redirect);
  return fetch(place, init);
};
await new SegmentClient({ url, fetch: recording, ...(key && { key }) }).predict(rows);
const reasonOf = async (options: { key?: string; fetch?: typeof fetch }): Promise<string> =>
  new SegmentClient({ url, ...options }).predict(rows).then(String, String);
const secret = await reasonOf({ key: 'geheim\u0000' });
const infinite = await client.predict([[Infinity] as unknown as Row]).then(String, String);
const foreign = await reasonOf({ fetch: async () => new Response('<html>') });

// Requests that are never answered, and whether the end of their stream ended them.
const pending = { begun: 0, ended: 0 };
const silent: typeof fetch = (_, init) => {
  pending.begun += 1;
  if (pending.begun === 1) return Promise.resolve(new Response(JSON.stringify({ predictions: Array(MAX_ROWS).fill({ label: 'sky', score: 1 }) })));
  return new Promise((_, reject) => {
    init?.signal?.addEventListener('abort', () => {
      pending.ended += 1;
      reject(new Error('ended'));
    });
  });
};
for await (const _ of new SegmentClient({ url, fetch: silent }).stream(many(), 3)) break;

console.log(
  JSON.stringify({
    labels,
    scores,
    mixed: mixed.map((answer) => (isRowError(answer) ? 'error' : answer.label)),
    error: isRowError(error) ? error.error : null,
    streamed,
    failure: failure instanceof RequestFailed ? [failure.status, failure.type] : String(failure),
    nobody: nobody instanceof RequestFailed ? nobody.status : String(nobody),
    redirects,
    left: [pending.begun, pending.ended],
    secret,
    foreign,
    infinite,
    base64: base64(new Uint8Array([137, 80, 78, 71])),
  }),
);
