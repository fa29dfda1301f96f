// The list of things that add photos: uploads from this device and imports by the server. Both have one
// shape, so one view shows them and one rule says what "running" means. uploads.js and imports.js feed it.
//
// An activity: {id, kind: 'upload' | 'import' | 'reduction', collection, source, state, total, done, skipped, failed,
// failedCount, rate, eta, note, cancel(), resume()}; skipped counts photos that were there already; state is queued, running, paused, done, cancelled or failed; rate is
// in photos per second, eta in seconds or null; failed is [{name, reason}] and may be shorter than failedCount.

import { announce } from './messages.js';
import { count, photos } from './format.js';

/** True while photos may still arrive through this activity. */
export const isActive = ({ state }) => ['queued', 'running', 'paused'].includes(state);

/** Adds an activity or replaces the one with the same id. */
export function putActivity(store, activity) {
  const { activities } = store.get();
  const before = activities.find((one) => one.id === activity.id);
  store.set({
    activities: before ? activities.map((one) => (one === before ? activity : one)) : [activity, ...activities],
  });
  speak(before, activity);
}

export function dismissActivity(store, id) {
  store.set({ activities: store.get().activities.filter((one) => one.id !== id) });
}

/** What became of the photos, in one sentence. */
export function outcome({ state, done, total, skipped, failedCount }) {
  const added = Math.max(0, done - skipped - failedCount);
  const known = skipped ? `, ${count(skipped)} already there` : '';
  const refused = `${known}${failedCount ? `, ${count(failedCount)} could not be added` : ''}`;
  if (state === 'done') return `${photos(added)} added${refused}`;
  if (state === 'cancelled') return `Cancelled after ${photos(added)}${refused}`;
  if (state === 'failed') return `Stopped after ${count(done)} of ${photos(total)}${refused}`;
  return '';
}

/** Screen readers hear the start, each quarter and the end, not every number. */
function speak(before, now) {
  const quarter = ({ done, total }) => (total ? Math.floor((4 * done) / total) : 0);
  if (!before) announce(`Adding photos to ${now.collection}.`);
  else if (!isActive(now) && isActive(before)) announce(`${outcome(now)}.`);
  else if (isActive(now) && quarter(now) > quarter(before)) announce(`${count(now.done)} of ${photos(now.total)} done.`);
}
