// Puts the page together: makes the state and the controllers, mounts the views, and wires what a person does
// in one view to what must happen elsewhere. Every rule that spans two views is in this file.

import { byId } from './dom.js';
import { createStore, INITIAL } from './store.js';
import { createSearch } from './search.js';
import { createNavigation, readAddress } from './navigation.js';
import { createImports } from './imports.js';
import { startUpload } from './uploads.js';
import { startPulse } from './pulse.js';
import { recall, remember } from './preferences.js';
import { mountTheme } from './theme.js';
import { mountStatusCard } from './statuscard.js';
import { mountCollections, refreshCollections } from './collections.js';
import { mountSearchZone } from './searchzone.js';
import { mountGallery } from './gallery.js';
import { mountPreview } from './preview.js';
import { mountAddView } from './addview.js';
import { mountActivities } from './activityview.js';

const COUNTS_MILLIS = 2000;

const address = readAddress();
const store = createStore({
  ...INITIAL,
  view: address.view,
  collection: address.collection ?? INITIAL.collection,
  limit: Number(recall('limit')) || INITIAL.limit,
});
const search = createSearch(store);
const navigation = createNavigation(store, visit);
const imports = createImports(store, { onProgress: countsMayHaveChanged, onEnd: photosChanged });

function go(patch) {
  store.set(patch);
  navigation.push();
}

/** The person went back or forward. */
function visit({ view, collection, query }) {
  store.set({ view, collection: collection ?? store.get().collection, query });
  if (view === 'search') search.refresh();
}

function showSearch() {
  go({ view: 'search' });
  search.refreshBrowse();
}

function searchFile(file) {
  const found = search.searchByFile(file);
  go({ view: 'search' });
  return found;
}

function searchPhoto(photo) {
  const found = search.searchByPhoto(photo);
  navigation.push();
  scrollTo({ top: 0 });
  byId('results-title').focus({ preventScroll: true });
  return found;
}

function clearQuery() {
  search.clearQuery();
  navigation.push();
  byId('choose-query').focus({ preventScroll: true });
}

/** A search with a file goes on in the other collection; a stored photo belongs to its own. */
function switchCollection(collection) {
  const { query } = store.get();
  go({ collection, query: query?.kind === 'file' ? query : null });
  search.refresh();
}

/** From a finished upload or import to its photos. */
function showCollection(collection) {
  go({ view: 'search', collection, query: null });
  search.refresh();
  scrollTo({ top: 0 });
}

async function afterClearing(collection) {
  await refreshCollections(store);
  if (collection !== store.get().collection) return;
  go({ query: null });
  search.refresh();
}

function upload(collection, files, { skipped, descriptor }) {
  startUpload(store, { collection, files, skipped, descriptor, onAdded: photosChanged });
}

/** Photos of a collection came or went for good: counts and the newest photos are read again. */
async function photosChanged(collection) {
  await refreshCollections(store);
  if (collection === store.get().collection) search.refreshBrowse();
}

let countsRead = 0;

/** While photos arrive, counts are read again now and then; the first photos are shown at once. */
async function countsMayHaveChanged(collection) {
  if (performance.now() - countsRead < COUNTS_MILLIS) return;
  countsRead = performance.now();
  await refreshCollections(store);
  const { shown } = store.get();
  if (collection === store.get().collection && shown.photos.length === 0) search.refreshBrowse();
}

function mountViews() {
  const tabs = [...document.querySelectorAll('[data-view]')];
  for (const tab of tabs) tab.addEventListener('click', () => (tab.dataset.view === 'search' ? showSearch() : go({ view: 'add' })));
  byId('brand').addEventListener('click', (event) => {
    event.preventDefault();
    go({ view: 'search', query: null });
    search.refresh();
  });
  store.watch(['view'], ({ view }) => {
    for (const name of ['search', 'add']) byId(`view-${name}`).hidden = view !== name;
    for (const tab of tabs) tab.setAttribute('aria-current', tab.dataset.view === view ? 'page' : 'false');
    document.title = view === 'add' ? 'Add photos \u00b7 Elanus' : 'Elanus';
  });
  // A file dropped beside a zone must not replace the page.
  for (const name of ['dragover', 'drop']) addEventListener(name, (event) => event.preventDefault());
}

mountTheme();
mountViews();
mountStatusCard(store);
mountCollections(store, { onSwitch: switchCollection, onCleared: afterClearing });
const addFiles = mountAddView(store, { onUpload: upload, onImport: imports.start });
mountSearchZone(store, {
  onFile: searchFile,
  onClear: clearQuery,
  onManyFiles: (dropped) => {
    go({ view: 'add' });
    addFiles(dropped);
  },
});
const openPreview = mountPreview({ onSearch: searchPhoto });
mountGallery(store, {
  onOpen: openPreview,
  onFind: searchPhoto,
  onMore: search.showMore,
  onRetry: search.refresh,
  onAdd: () => go({ view: 'add' }),
  onClear: clearQuery,
  onLimit: (limit) => {
    remember('limit', String(limit));
    store.set({ limit });
    if (store.get().query) search.refresh();
  },
});
mountActivities(store, { onShowAdd: () => go({ view: 'add' }), onShowPhotos: showCollection });

async function reload() {
  await refreshCollections(store);
  await imports.discover();
  if (store.get().shown.phase !== 'ready') await search.refresh();
}

let begun = false;

/** The first beat chooses the collection and fills the page; later ones look for jobs from elsewhere. */
async function firstOrNext() {
  if (!begun) {
    begun = true;
    if (!address.collection && store.get().status.defaultCollection) store.set({ collection: store.get().status.defaultCollection });
    return reload();
  }
  await Promise.all([refreshCollections(store), imports.discover()]);
}

store.set({ query: navigation.initialQuery() });
startPulse(store, { onBeat: firstOrNext, onReturn: reload });
