// Shows uploads and imports: a card for each on the Add view, and one thin strip below the header elsewhere.
// Cards are updated in place, because a list of failures that someone has opened must not close twice a second.

import { byId, el, icon, iconButton, setText } from './dom.js';
import { count, photos, rate, timeLeft } from './format.js';
import { sentence } from './errors.js';
import { dismissActivity, isActive, outcome } from './activities.js';
import { folderName } from './imports.js';

const MOST_FAILURES = 200;
const WHENCE = { upload: 'upload', import: 'server folder', reduction: 'shorter vectors' };
const STATES = { queued: 'Waiting to start', running: 'Adding photos', paused: 'Paused', done: 'Done', cancelled: 'Cancelled', failed: 'Stopped' };

export function mountActivities(store, { onShowAdd, onShowPhotos }) {
  const cards = new Map();
  byId('activity-strip').addEventListener('click', onShowAdd);
  store.watch(['activities'], ({ activities }) => {
    byId('activity-empty').hidden = activities.length > 0;
    for (const [id, card] of cards) {
      if (activities.some((one) => one.id === id)) continue;
      card.node.remove();
      cards.delete(id);
    }
    // Oldest first, each put in front of the ones before: the newest ends on top.
    for (const activity of [...activities].reverse()) {
      if (!cards.has(activity.id)) {
        cards.set(activity.id, createCard(store, activity.id, onShowPhotos));
        byId('activity-list').prepend(cards.get(activity.id).node);
      }
      cards.get(activity.id).update(activity);
    }
  });
  store.watch(['activities', 'view'], renderStrip);
}

function renderStrip({ activities, view }) {
  const active = activities.filter(isActive);
  byId('activity-strip').hidden = view === 'add' || active.length === 0;
  if (active.length === 0) return;
  const total = active.reduce((sum, one) => sum + one.total, 0);
  const done = active.reduce((sum, one) => sum + one.done, 0);
  const [only] = active;
  const what = active.length > 1 ? `${active.length} additions` : `Adding ${only.kind === 'import' ? folderName(only.source) : 'photos'} to ${only.collection}`;
  setText(byId('activity-strip-text'), `${what}: ${active.length === 1 ? progressInWords(only) : `${count(done)} of ${photos(total)}`}`);
  setProgress(byId('activity-strip-bar'), done, total);
}

function createCard(store, id, onShowPhotos) {
  const current = () => store.get().activities.find((one) => one.id === id);
  const state = el('span', { class: 'activity-state' });
  const title = el('h3', { class: 'activity-title' });
  const bar = el('progress', { class: 'progress', 'aria-label': 'Progress' });
  const numbers = el('p', { class: 'activity-numbers' });
  const note = el('p', { class: 'activity-note' });
  const resume = el('button', { type: 'button', class: 'button button-small', onclick: () => current().resume() }, 'Resume');
  const cancel = el('button', { type: 'button', class: 'button button-small', onclick: () => current().cancel() }, 'Cancel');
  const show = el('button', { type: 'button', class: 'button button-small', onclick: () => onShowPhotos(current().collection) }, 'Show photos');
  const dismiss = iconButton('close', 'Remove from this list', () => dismissActivity(store, id));
  const failures = createFailures();
  const node = el('li', { class: 'activity' },
    el('div', { class: 'activity-head' }, el('div', { class: 'activity-words' }, title, state), el('div', { class: 'activity-buttons' }, resume, cancel, show, dismiss)),
    bar, numbers, note, failures.node);

  return {
    node,
    update(activity) {
      const active = isActive(activity);
      node.dataset.state = activity.state;
      node.dataset.kind = activity.kind;
      setText(title, activity.kind === 'import' ? folderName(activity.source) : activity.source);
      title.title = activity.source;
      setText(state, `${STATES[activity.state] ?? activity.state}, ${WHENCE[activity.kind]} into ${activity.collection}`);
      setProgress(bar, activity.state === 'done' && activity.total === 0 ? 1 : activity.done, activity.total || (active ? 0 : 1));
      setText(numbers, active ? progressInWords(activity) : `${outcome(activity)}.`);
      setText(note, activity.note);
      note.hidden = !activity.note;
      resume.hidden = activity.state !== 'paused' || !activity.resume;
      cancel.hidden = !active;
      show.hidden = active || activity.done <= activity.failedCount;
      dismiss.hidden = active;
      failures.update(activity);
    },
  };
}

/** The list of failures: closed at first, appended to while it grows. */
function createFailures() {
  const summary = el('summary', { class: 'failures-summary' });
  const list = el('ul', { class: 'failures-list' });
  const rest = el('p', { class: 'quiet' });
  const node = el('details', { class: 'failures' }, summary, list, rest);
  return {
    node,
    update({ failed, failedCount }) {
      node.hidden = failedCount === 0;
      if (failedCount === 0) return;
      const text = `${photos(failedCount)} could not be added`;
      if (summary.textContent !== text) summary.replaceChildren(icon('alert', 'icon-small'), text);
      for (const { name, reason } of failed.slice(list.children.length, MOST_FAILURES)) {
        list.append(el('li', {}, el('span', { class: 'failure-name' }, name), el('span', { class: 'failure-reason' }, sentence(reason))));
      }
      setText(rest, failedCount > list.children.length ? `The first ${count(list.children.length)} are listed.` : '');
    },
  };
}

/** "412 of 850 photos, 58 photos/s, 8 s left" */
function progressInWords({ state, done, total, rate: perSecond, eta }) {
  if (state === 'queued' || total === 0) return state === 'queued' ? 'waiting for its turn' : 'looking for photos';
  const parts = [`${count(done)} of ${photos(total)}`];
  if (state === 'running' && perSecond > 0) parts.push(rate(perSecond));
  if (state === 'running' && Number.isFinite(eta) && eta !== null && done > 0) parts.push(timeLeft(eta));
  return parts.join(', ');
}

/** Without a total the bar is indeterminate. */
function setProgress(bar, value, max) {
  if (!max) {
    bar.removeAttribute('value');
    return;
  }
  bar.max = max;
  bar.value = value;
}
