// The one place where the page's state lives. Controllers change it with `set`, views follow it with `watch`.
// Values are replaced, never changed in place, so that "did it change" is a comparison by identity.

/**
 * A store of named values.
 * `watch(keys, listener)` calls the listener at once and again whenever one of the keys changes.
 */
export function createStore(initial) {
  let state = { ...initial };
  const watchers = [];
  return {
    get: () => state,
    set(patch) {
      const changed = Object.keys(patch).filter((key) => patch[key] !== state[key]);
      if (changed.length === 0) return;
      state = { ...state, ...patch };
      for (const { keys, listener } of watchers) {
        if (keys.some((key) => changed.includes(key))) listener(state);
      }
    },
    watch(keys, listener) {
      watchers.push({ keys, listener });
      listener(state);
    },
  };
}

/** The state of a page that has just been opened. */
export const INITIAL = {
  view: 'search', //           'search' or 'add'
  status: null, //             the answer of GET /v1/status
  online: null, //             true, false, or null before the first answer
  collections: null, //        [{collection, count, model, searchable}], null before the first answer
  collection: 'images', //     the one that is searched and shown
  limit: 24, //                number of results of a search
  query: null, //              {kind: 'file', file, name, picture} or {kind: 'photo', photo}
  shown: { phase: 'loading', photos: [], more: false, error: null, millis: 0 }, // phase: loading, ready, failed
  activities: [], //           uploads and imports of this visit, newest first (see activities.js)
};
