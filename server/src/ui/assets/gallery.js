// The results area: heading, photos, skeletons, and what is said when there is nothing to show.
// Every tile gets its aspect ratio from the stored width and height before its thumbnail arrives, so nothing
// on the page moves while images load.

import { byId, el, icon, iconButton, setText } from './dom.js';
import { describe, sentence } from './errors.js';
import { baseName, count, photos as photosInWords, similarity } from './format.js';

const LIMITS = [6, 12, 24, 48, 96, 200];
const NARROWEST = 0.7;
const WIDEST = 2.2;
const EXPLANATION = 'Cosine similarity: 1.000 is the same picture, nearer to 1 is more alike';

export function mountGallery(store, actions) {
  const list = byId('gallery');
  let rendered = [];

  mountLimit(store, actions.onLimit);
  byId('show-more').addEventListener('click', actions.onMore);

  store.watch(['shown', 'query', 'collection', 'collections', 'status'], (state) => {
    const { shown, query } = state;
    const busy = shown.phase === 'loading';
    list.setAttribute('aria-busy', String(busy));
    list.classList.toggle('is-stale', busy && shown.photos.length > 0);
    if (busy && shown.photos.length === 0) {
      rendered = [];
      list.replaceChildren(...skeletons());
    } else if (rendered !== shown.photos) {
      renderTiles(list, rendered, shown.photos, query, actions);
      rendered = shown.photos;
    }
    byId('show-more').hidden = !shown.more;
    renderHeading(state);
    byId('results-message').replaceChildren(...message(state, actions));
  });
}

/** Appends when the new photos continue the old ones (Show more), else starts afresh. */
function renderTiles(list, before, now, query, actions) {
  const grows = before.length > 0 && now.length > before.length && before.every((photo, i) => photo === now[i]);
  const tiles = (grows ? now.slice(before.length) : now).map((photo) => tile(photo, query, now, actions));
  if (grows) list.append(...tiles);
  else list.replaceChildren(...tiles);
}

function tile(photo, query, all, { onOpen, onFind }) {
  const name = baseName(photo.name);
  const image = el('img', { class: 'tile-image', src: photo.thumb || null, alt: '', loading: 'lazy', decoding: 'async', draggable: 'false' });
  const button = el('button', { type: 'button', class: 'tile-photo', 'aria-label': `Open ${name}`, onclick: () => onOpen(photo, all) }, image);
  image.addEventListener('error', () => button.replaceChildren(icon('image', 'tile-broken')));
  const item = el('li', { class: 'tile' },
    el('div', { class: 'tile-frame' },
      button,
      iconButton('search', `Find photos like ${name}`, () => onFind(photo), 'tile-find')),
    photo.similarity !== null && meter(photo.similarity),
    el('div', { class: 'tile-caption' },
      el('span', { class: 'tile-name', title: photo.name }, isQuery(photo, query) ? 'This photo' : name),
      photo.similarity !== null && score(photo.similarity)));
  const ratio = photo.width && photo.height ? photo.width / photo.height : 4 / 3;
  item.style.setProperty('--ratio', Math.min(WIDEST, Math.max(NARROWEST, ratio)).toFixed(4));
  item.dataset.id = photo.id;
  return item;
}

const isQuery = (photo, query) => query?.kind === 'photo' && query.photo.id === photo.id;

function score(value) {
  return el('span', { class: 'tile-score', title: EXPLANATION },
    el('span', { class: 'visually-hidden' }, 'Similarity '), similarity(value));
}

function meter(value) {
  const bar = el('span', { class: 'meter', 'aria-hidden': 'true' }, el('span', { class: 'meter-fill' }));
  bar.firstElementChild.style.setProperty('--share', Math.min(1, Math.max(0, value)).toFixed(4));
  return bar;
}

function skeletons() {
  return [1.5, 0.75, 1.33, 1.5, 1, 1.33, 0.75, 1.5, 1.33, 1.5].map((ratio) => {
    const item = el('li', { class: 'tile tile-skeleton', 'aria-hidden': 'true' }, el('div', { class: 'tile-frame' }));
    item.style.setProperty('--ratio', String(ratio));
    return item;
  });
}

function renderHeading({ shown, query, collection, collections }) {
  const entry = collections?.find((one) => one.collection === collection);
  const found = shown.photos.length;
  byId('metric-button').hidden = !query || found === 0;
  if (query) {
    setText(byId('results-title'), shown.phase === 'failed' ? 'No results' : shown.phase === 'loading' ? 'Searching' : `${photosInWords(found)} like this`);
    setText(byId('results-note'), shown.phase === 'ready' ? `out of ${count(entry?.count ?? found)} in ${collection}, in ${count(Math.round(shown.millis))} ms` : `in ${collection}`);
  } else {
    setText(byId('results-title'), collection);
    setText(byId('results-note'), entry ? `${photosInWords(entry.count)}${entry.count > 1 ? ', newest first' : ''}` : 'no photos yet');
  }
}

function message(state, { onRetry, onAdd, onClear }) {
  const { shown, query, collection, collections } = state;
  if (shown.phase === 'failed') {
    const { title, detail } = describe(shown.error);
    return [notice('alert', title, detail, [
      query && query.kind === 'file' && ![0, 429, 503, 507].includes(shown.error?.status)
        ? ['Clear', onClear] : ['Try again', onRetry],
    ], 'alert')];
  }
  if (shown.phase !== 'ready' || shown.photos.length > 0) return [];
  const entry = collections?.find((one) => one.collection === collection);
  if (entry?.reason) return [notice('alert', `${collection} is out of service`, sentence(entry.reason), [], 'alert')];
  if (entry && !entry.searchable) return [notice('layers', 'No photos in here', `${collection} holds vectors that were not made from photos with this server\u2019s model. Choose another collection, or add photos under a new name.`, [['Add photos', onAdd]])];
  if (query) return [notice('image', 'Nothing to compare with', `${collection} holds no photos yet. Add some, then search again.`, [['Add photos', onAdd]])];
  const invitation = notice('image', 'No photos here yet', 'Drop photos or a whole folder here to add them, or let the server import a folder from its own disk. They can be searched while the rest still arrives.', [['Add photos', onAdd]]);
  invitation.setAttribute('data-adds', '');
  return [invitation];
}

function notice(symbol, title, detail, buttons, role = null) {
  return el('div', { class: `notice${role ? ' notice-error' : ''}`, role },
    icon(symbol, 'notice-icon'),
    el('p', { class: 'notice-title' }, title),
    el('p', { class: 'notice-text' }, detail),
    ...buttons.map(([label, run]) => el('button', { type: 'button', class: role ? 'button' : 'button button-primary', onclick: run }, label)));
}

function mountLimit(store, onLimit) {
  const select = byId('limit');
  for (const limit of LIMITS) select.append(el('option', { value: String(limit) }, String(limit)));
  select.addEventListener('change', () => onLimit(Number(select.value)));
  store.watch(['limit'], ({ limit }) => { select.value = String(limit); });
}
