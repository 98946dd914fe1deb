// The cell that says whether a version's live rows differ from its profile, or why nobody knows.

import { cell } from './cells.js';

export function drift(row) {
  const few = row.evidence?.drift_profile;
  if (few && few.certify < few.needed) {
    return cell(`not judged: ${few.certify} certify ${few.unit} are too few, about ${few.wanted} ${few.unit} in all would do`, 'soft');
  }
  if (row.drift && row.drift !== 'judged') return cell(`not judged: ${row.drift}`, 'soft');
  if (!row.windows) return cell('not judged yet', 'soft');
  const what = row.worst ? `PSI ${row.worst.value.toFixed(3)} (${row.worst.labels.measure})` : '';
  return cell(`${what}; ${row.alarms} of ${row.windows} windows raise an alarm`, row.alarms ? 'bad' : 'good');
}
