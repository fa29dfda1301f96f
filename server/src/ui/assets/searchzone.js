// The search zone: an invitation while nothing is searched, the query picture while something is.
// It takes one image by drop, paste or file choice. Several at once are not guessed at: the person is offered
// to add them to the collection instead.

import { byId, el, icon, setText } from './dom.js';
import { count } from './format.js';
import { tell } from './messages.js';
import { carriesFiles, filesFromDrop, filesFromInput, filesFromPaste } from './files.js';

export function mountSearchZone(store, { onFile, onClear, onManyFiles }) {
  const zone = byId('search-zone');
  const input = byId('query-file');

  const take = ({ files, skipped = 0 }) => {
    if (files.length === 1) return onFile(files[0].file);
    if (files.length === 0) return tell('There was no image in that', { detail: 'Drop a JPEG, PNG, WebP, GIF, BMP or TIFF file.' });
    tell('A search takes one photo', {
      detail: `You dropped ${count(files.length)} files.`,
      action: { label: 'Add them instead', run: () => onManyFiles({ files, skipped }) },
    });
  };

  byId('choose-query').addEventListener('click', () => input.click());
  input.addEventListener('change', () => {
    const chosen = filesFromInput(input);
    input.value = '';
    if (chosen.files.length) take(chosen);
  });
  whenDropped(byId('view-search'), placeOfDrop, (transfer, place) => {
    const files = filesFromDrop(transfer);
    return files.then(place === zone ? take : (dropped) => onManyFiles(dropped));
  });
  document.addEventListener('paste', (event) => {
    const files = filesFromPaste(event);
    if (files.length === 0 || store.get().view !== 'search') return;
    event.preventDefault();
    take({ files: files.map((file) => ({ file, name: file.name })) });
  });

  store.watch(['query'], ({ query }) => {
    byId('search-layout').classList.toggle('has-query', Boolean(query));
    zone.setAttribute('aria-labelledby', query ? 'query-title' : 'zone-title');
    byId('zone-query').hidden = !query;
    byId('zone-query').replaceChildren(...(query ? queryCard(query, () => input.click(), onClear) : []));
  });
  store.watch(['collections', 'collection'], (state) => setText(byId('zone-text'), invitation(state)));
}

/** The whole Search view takes drops for the zone, except the invitation in an empty collection. */
const placeOfDrop = (target) => target.closest('[data-adds]') ?? byId('search-zone');

/**
 * Lets `area` take file drops. `placeOf` says which zone a drop on this element belongs to; that zone is
 * highlighted while files hover there and handed to `onDrop` with the transfer.
 */
export function whenDropped(area, placeOf, onDrop) {
  let lit = null;
  const light = (place) => {
    if (place === lit) return;
    lit?.classList.remove('is-over');
    place?.classList.add('is-over');
    lit = place;
  };
  area.addEventListener('dragover', (event) => {
    if (!carriesFiles(event.dataTransfer)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = 'copy';
    light(placeOf(event.target));
  });
  area.addEventListener('dragleave', (event) => {
    if (!area.contains(event.relatedTarget)) light(null);
  });
  area.addEventListener('drop', (event) => {
    light(null);
    if (!carriesFiles(event.dataTransfer)) return;
    event.preventDefault();
    onDrop(event.dataTransfer, placeOf(event.target));
  });
}

function invitation({ collections, collection }) {
  const entry = collections?.find((one) => one.collection === collection);
  if (collections && !entry?.count) return 'Add some photos first. Then drop one here, and the photos most like it appear.';
  if (entry && !entry.searchable) return 'This collection holds vectors that were not made from photos with this server\u2019s model, so a photo cannot be searched in it.';
  return 'Drop a photo here, paste one, or choose a file.';
}

function queryCard(query, onChoose, onClear) {
  const own = query.kind === 'file';
  const name = own ? query.name : query.photo.name;
  const source = own ? query.picture : query.photo.url;
  const picture = el('div', { class: 'query-picture' });
  const image = el('img', { class: 'query-image', src: source || null, alt: `The photo that is searched with: ${name}` });
  image.addEventListener('error', () => picture.replaceChildren(icon('image', 'query-noimage')));
  picture.append(source ? image : icon('image', 'query-noimage'));
  return [
    picture,
    el('div', { class: 'query-words' },
      el('h2', { class: 'query-title', id: 'query-title' }, own ? 'Your photo' : 'From this collection'),
      el('p', { class: 'query-name', title: name }, name),
      el('div', { class: 'query-actions' },
        el('button', { type: 'button', class: 'button button-small', onclick: onChoose }, 'Change'),
        el('button', { type: 'button', class: 'button button-small', id: 'clear-query', onclick: onClear }, 'Clear'))),
  ];
}
