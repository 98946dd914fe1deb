// Detects probing, that is, a client that sends nearly the same body many times. Bodies are compared by SimHash (M. Charikar,
// STOC 2002): two are near when few of 64 bits differ; an alert is raised when most of a window are near.
const NEAR_BITS = 10;
const KEPT = 64;
const ALERT_SHARE = 0.5;

function simhash(body) {
  const bits = new Int32Array(64);
  const words = body.toLowerCase().match(/[a-z_]+|-?[0-9]+(?:\.[0-9]+)?(?:e-?[0-9]+)?/g) || [];
  words.forEach((whole, at) => {
    const word = whole.slice(0, 5); // later digits of a number don't make it another one
    let a = 2166136261 ^ at, b = 40503 ^ at; // the position of a word counts
    for (let i = 0; i < word.length; i++) {
      a = Math.imul(a ^ word.charCodeAt(i), 16777619);
      b = Math.imul(b + word.charCodeAt(i), 2654435761);
    }
    for (let i = 0; i < 32; i++) {
      bits[i] += (a >>> i) & 1 ? 1 : -1;
      bits[32 + i] += (b >>> i) & 1 ? 1 : -1;
    }
  });
  let low = 0, high = 0;
  for (let i = 0; i < 32; i++) {
    low |= (bits[i] > 0 ? 1 : 0) << i;
    high |= (bits[32 + i] > 0 ? 1 : 0) << i;
  }
  return [low >>> 0, high >>> 0];
}

function ones(value) {
  return (value >>> 0).toString(2).split('1').length - 1;
}

// Whether most of a client's last bodies were near an earlier one. Equal bodies don't count: caches and retries send them.
function suspicious(client, body) {
  const sketch = simhash(body);
  const kept = JSON.parse(ngx.shared.sketches.get(client) || '[]');
  const near = kept.some((before) => {
    const apart = ones(before[0] ^ sketch[0]) + ones(before[1] ^ sketch[1]);
    return apart > 0 && apart <= NEAR_BITS;
  });
  const last = kept.concat([[sketch[0], sketch[1], near ? 1 : 0]]).slice(-KEPT);
  ngx.shared.sketches.set(client, JSON.stringify(last));
  return last.length === KEPT && last.filter((before) => before[2]).length >= ALERT_SHARE * KEPT;
}

export default { suspicious };
