// What the results area shows: the answer to a query, or, without one, the collection's newest photos.
// Each change of query, collection or number starts one request and abandons the one before, so an old answer
// can never replace a newer one.

import * as api from './api.js';
import { ApiError } from './errors.js';
import { announce } from './messages.js';
import { photos, similarity } from './format.js';

const PAGE = 48;

export function createSearch(store) {
  let running = new AbortController();

  /** Runs `load` as the newest request and puts what it finds into `shown`. */
  async function show(load, { keep = [] } = {}) {
    running.abort();
    running = new AbortController();
    const { signal } = running;
    const started = performance.now();
    store.set({ shown: { phase: 'loading', photos: keep, more: false, error: null, millis: 0 } });
    try {
      const found = await load(signal);
      if (signal.aborted) return;
      store.set({ shown: { phase: 'ready', error: null, millis: performance.now() - started, ...found } });
    } catch (error) {
      if (signal.aborted) return;
      store.set({ shown: { phase: 'failed', photos: [], more: false, error, millis: 0 } });
    }
  }

  /** True when the server is known not to have the collection; the first photo creates it. */
  function isAbsent() {
    const { collection, collections } = store.get();
    return collections !== null && !collections.some((one) => one.collection === collection);
  }

  function runQuery() {
    const { query, collection, limit, shown } = store.get();
    if (isAbsent()) return show(nothing);
    return show(async (signal) => {
      const source = query.kind === 'file' ? { file: query.file } : { id: query.photo.id };
      const hits = await api.search(collection, { ...source, limit, signal });
      announce(hits.length ? `${photos(hits.length)} found. The nearest has similarity ${similarity(hits[0].similarity ?? 0)}.` : 'No photos found.');
      return { photos: hits, more: false };
    }, { keep: shown.photos });
  }

  function runBrowse(limit = PAGE) {
    const { collection } = store.get();
    if (isAbsent()) return show(nothing);
    return show((signal) => page(collection, 0, limit, signal));
  }

  /** Runs whatever the state asks for: the query if there is one, else the newest photos. */
  const refresh = () => (store.get().query ? runQuery() : runBrowse());

  return {
    refresh,

    searchByFile(file) {
      const picture = URL.createObjectURL(file);
      store.set({ query: { kind: 'file', file, name: file.name || 'Pasted image', picture } });
      if (file.size > api.MAX_BODY_BYTES) return show(async () => { throw new ApiError('', { status: 413 }); });
      return runQuery();
    },

    searchByPhoto(photo) {
      store.set({ query: { kind: 'photo', photo } });
      return runQuery();
    },

    clearQuery() {
      store.set({ query: null });
      return runBrowse();
    },

    /** Photos came or went while nobody searches: show the same number of newest photos again. */
    refreshBrowse() {
      const { query, shown } = store.get();
      if (!query && shown.phase !== 'loading') return runBrowse(Math.max(PAGE, shown.photos.length));
    },

    async showMore() {
      const { collection, shown } = store.get();
      return show(async (signal) => {
        const next = await page(collection, shown.photos.length, PAGE, signal);
        const known = new Set(shown.photos.map((photo) => photo.id));
        return { photos: [...shown.photos, ...next.photos.filter((photo) => !known.has(photo.id))], more: next.more };
      }, { keep: shown.photos });
    },
  };
}

const nothing = async () => ({ photos: [], more: false });

async function page(collection, offset, limit, signal) {
  const found = await api.browse(collection, { limit, offset, signal });
  return { photos: found, more: found.length === limit };
}
