// Keeps the address bar and the Back button in step with the page. A search with a stored photo has an
// address of its own and survives a reload; a search with a file lives as long as the page, because a file
// cannot be put into an address.

/** What the address says: `{view, collection, like}`; absent parts are null. */
export function readAddress() {
  const parameters = new URLSearchParams(location.search);
  return {
    view: parameters.get('view') === 'add' ? 'add' : 'search',
    collection: parameters.get('c'),
    like: parameters.get('like'),
  };
}

export function createNavigation(store, onVisit) {
  const fileQueries = new Map();
  let nextFile = 1;

  function remember({ query }) {
    if (query?.kind === 'photo') return { photo: query.photo };
    if (query?.kind !== 'file') return {};
    const known = [...fileQueries].find(([, one]) => one === query);
    if (known) return { file: known[0] };
    fileQueries.set(nextFile, query);
    return { file: nextFile++ };
  }

  function recall(saved) {
    if (saved?.photo) return { kind: 'photo', photo: saved.photo };
    return fileQueries.get(saved?.file) ?? null;
  }

  addEventListener('popstate', (event) => onVisit({ ...readAddress(), query: recall(event.state) }));

  return {
    /** Writes the present state as a new entry of the history. */
    push() {
      const saved = remember(store.get());
      const address = addressOf(store.get());
      if (address === location.pathname + location.search && JSON.stringify(saved) === JSON.stringify(history.state ?? {})) return;
      history.pushState(saved, '', address);
    },
    /** The query to start with after a load or a reload. */
    initialQuery: () => {
      const { like } = readAddress();
      if (!like) return null;
      const saved = history.state?.photo;
      if (saved?.id === like) return { kind: 'photo', photo: saved };
      return { kind: 'photo', photo: { id: like, name: `Photo ${like}`, width: 0, height: 0, url: '', thumb: '', similarity: null } };
    },
  };
}

function addressOf({ view, collection, query }) {
  const parameters = new URLSearchParams({ c: collection });
  if (view === 'add') parameters.set('view', 'add');
  else if (query?.kind === 'photo') parameters.set('like', query.photo.id);
  return `/?${parameters}`;
}
