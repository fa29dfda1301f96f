// The large view of one photo, with the way to search with it and the way to its original file.
// It is a native modal dialog: Escape closes it, focus stays inside and returns to the tile; the arrow keys
// step through the photos of the grid it was opened from.

import { byId } from './dom.js';
import { similarity } from './format.js';

const ENLARGED = 1.6;

export function mountPreview({ onSearch }) {
  const dialog = byId('preview');
  const image = byId('preview-image');
  let photos = [];
  let at = 0;

  function show(index) {
    at = index;
    const photo = photos[at];
    image.src = photo.thumb;
    image.alt = photo.name;
    limit('--most-width', photo.width);
    limit('--most-height', photo.height);
    sharpen(photo);
    byId('preview-name').textContent = photo.name;
    byId('preview-facts').textContent = [
      photo.similarity === null ? '' : `similarity ${similarity(photo.similarity)}`,
      photo.width ? `${photo.width} \u00d7 ${photo.height} pixels` : '',
      `id ${photo.id}`,
    ].filter(Boolean).join(', ');
    byId('preview-open').href = photo.url;
    byId('preview-previous').disabled = at === 0;
    byId('preview-next').disabled = at === photos.length - 1;
  }

  /** Keeps a small photo from being blown up to the size of the window. */
  function limit(property, pixels) {
    if (pixels) image.style.setProperty(property, `min(100%, ${pixels * ENLARGED}px)`);
    else image.style.removeProperty(property);
  }

  /** The thumbnail shows at once and is replaced when the original has arrived and can be drawn. */
  function sharpen(photo) {
    const original = new Image();
    original.src = photo.url;
    original.decode().then(() => { if (photos[at] === photo) image.src = photo.url; }, () => {});
  }

  const step = (by) => { if (photos[at + by]) show(at + by); };
  byId('preview-previous').addEventListener('click', () => step(-1));
  byId('preview-next').addEventListener('click', () => step(1));
  byId('preview-close').addEventListener('click', () => dialog.close());
  byId('preview-search').addEventListener('click', () => {
    dialog.close();
    onSearch(photos[at]);
  });
  dialog.addEventListener('keydown', (event) => {
    if (event.key === 'ArrowLeft') step(-1);
    if (event.key === 'ArrowRight') step(1);
  });
  dialog.addEventListener('click', (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener('close', () => image.removeAttribute('src'));

  return (photo, all) => {
    photos = all;
    show(Math.max(0, all.indexOf(photo)));
    dialog.showModal();
  };
}
