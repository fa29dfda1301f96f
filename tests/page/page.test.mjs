// What a person does on the page, done by a headless Chromium against a real server (see harness.mjs). The
// tests run in order and build on each other: photos are added, found, and cleared again. Each collection has a
// name of its own, so that the tests can run against a server that already holds photos.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ask, give, openBrowser, PATIENCE, photos, server } from './harness.mjs';

const mine = `page_test_${process.pid}`;
const imported = `page_import_${process.pid}`;
const hostile = `page_hostile_${process.pid}`;
const described = `page_described_${process.pid}`;
const sample = photos(8);
const TEXT = { name: 'holiday.jpg', mimeType: 'image/jpeg', buffer: Buffer.from('This is a text file that somebody renamed.\n') };

let browser;
let context;
let page;
let trouble;
let forgive;

before(async () => ({ browser, context, page, trouble, forgive } = await openBrowser()));
after(async () => {
  await browser?.close();
  const left = await ask('/v1/images');
  for (const { collection } of left) {
    if ([mine, imported, hostile, described].includes(collection)) await ask('/v2/vectordb/collections/drop', { collectionName: collection });
  }
});

const settled = () => page.waitForSelector('#gallery[aria-busy="false"]', { state: 'attached' });
const tiles = () => page.locator('#gallery .tile:not(.tile-skeleton)');
const similarities = async () => (await tiles().locator('.tile-score').allTextContents()).map((text) => Number(text.replace(/[^\d.-]/g, '')));
const activity = (title) => page.locator('.activity', { has: page.locator('.activity-title', { hasText: title }) }).first();

/** Waits until the page shows results of a search for the given heading of the query card. */
async function results(title) {
  await page.waitForSelector(`.query-title:text-is("${title}")`);
  await page.waitForFunction(() => / like this$/.test(document.getElementById('results-title').textContent));
  await settled();
}

async function addTo(collection, files) {
  await page.click('[data-view="add"]');
  await page.fill('#target', collection);
  await page.setInputFiles('#upload-files', files);
}

async function chooseCollection(name) {
  await page.click('#collection-button');
  await page.locator('.collection-choice', { hasText: name }).click();
  await page.waitForFunction((wanted) => document.getElementById('collection-name').textContent === wanted, name);
}

test('the page opens and names the device that embeds', async () => {
  await page.goto(`${server}/`);
  await page.waitForSelector('#device-lamp[data-state="up"]');
  const { device } = await ask('/v1/status');
  assert.notEqual(device.device, 'loading', 'the lamp is lit only when the model is loaded');
  await page.click('#device-button');
  assert.match(await page.textContent('#device-facts'), new RegExp(device.device === 'cpu' ? 'CPU' : 'GPU'));
  assert.ok((await page.textContent('#device-facts')).includes(device.reason), 'the reason for the device is shown');
  await page.keyboard.press('Escape');
});

test('photos are uploaded with progress and counted', async () => {
  await addTo(mine, sample.map(({ path }) => path));
  const card = activity(`${sample.length} photos`);
  await card.and(page.locator('[data-state="done"]')).waitFor();
  assert.equal(await card.locator('.activity-numbers').textContent(), `${sample.length} photos added.`);
  assert.equal(await card.locator('progress').evaluate((bar) => bar.value / bar.max), 1);
  await card.getByRole('button', { name: 'Show photos' }).click();
  await page.waitForFunction((count) => document.getElementById('collection-count').textContent === count, String(sample.length));
  await settled();
  assert.equal(await tiles().count(), sample.length);
  assert.deepEqual((await tiles().locator('.tile-name').allTextContents()).sort(), sample.map(({ name }) => name));
});

test('every tile reserves the shape of its photo and shows its thumbnail', async () => {
  const stored = await ask(`/v1/images/${mine}?limit=${sample.length}`);
  for (const { name, width, height } of stored) {
    const frame = await tiles().filter({ hasText: name }).locator('.tile-frame').boundingBox();
    const shape = Math.min(2.2, Math.max(0.7, width / height));
    assert.ok(Math.abs(frame.width / frame.height - shape) < 0.05, `${name}: ${frame.width} x ${frame.height} for ${width} x ${height}`);
  }
  await page.waitForFunction(() => [...document.querySelectorAll('.tile-image')].every((image) => image.complete && image.naturalWidth > 0));
});

test('a dropped photo finds itself first, the others follow in order', async () => {
  const photo = sample[2];
  await give(page, '#search-zone', 'drop', photo);
  await results('Your photo');
  assert.equal(await tiles().first().locator('.tile-name').textContent(), photo.name);
  const numbers = await similarities();
  assert.ok(numbers[0] > 0.995, `similarity with itself is ${numbers[0]}`);
  assert.deepEqual(numbers, [...numbers].sort((a, b) => b - a));
  assert.equal(numbers.length, sample.length);
  assert.ok(await page.locator('.query-image').evaluate((image) => image.complete && image.naturalWidth > 0), 'the query picture is shown');
});

test('the number of results is obeyed', async () => {
  await page.selectOption('#limit', '6');
  const wanted = Math.min(6, sample.length);
  await page.waitForFunction((count) => document.getElementById('results-title').textContent.startsWith(`${count} `), wanted);
  assert.equal(await tiles().count(), wanted);
});

test('a result is searched with, and Back returns to the search before', async () => {
  const tile = tiles().nth(1);
  const name = await tile.locator('.tile-name').textContent();
  const id = await tile.getAttribute('data-id');
  assert.ok((await ask(`/v1/images/${mine}?limit=50`)).length === sample.length && /^\d+$/.test(id), 'the id is kept digit by digit');
  await tile.hover();
  await tile.locator('.tile-find').click();
  await results('From this collection');
  assert.equal(await page.textContent('.query-name'), name);
  assert.ok(page.url().endsWith(`like=${id}`), page.url());
  assert.ok((await similarities())[0] > 0.995);
  await page.goBack();
  await results('Your photo');
  assert.equal(await page.textContent('.query-name'), sample[2].name);
});

test('the preview shows the photo, its original, and searches with it', async () => {
  const name = await tiles().nth(2).locator('.tile-name').textContent();
  await tiles().nth(2).locator('.tile-photo').click();
  assert.equal(await page.textContent('#preview-name'), name);
  const original = await fetch(await page.getAttribute('#preview-open', 'href'));
  assert.deepEqual(Buffer.from(await original.arrayBuffer()), sample.find((photo) => photo.name === name).bytes);
  await page.keyboard.press('ArrowLeft');
  assert.notEqual(await page.textContent('#preview-name'), name);
  await page.keyboard.press('ArrowRight');
  await page.click('#preview-search');
  await results('From this collection');
  assert.equal(await page.textContent('.query-name'), name);
});

test('a pasted photo is searched with, and the query can be cleared', async () => {
  await give(page, 'body', 'paste', sample[0]);
  await results('Your photo');
  assert.equal(await tiles().first().locator('.tile-name').textContent(), sample[0].name);
  await page.click('#clear-query');
  await page.waitForFunction((name) => document.getElementById('results-title').textContent === name, mine);
  await settled();
  assert.equal(await tiles().count(), sample.length);
  assert.equal(await page.locator('.tile-score').count(), 0);
});

test('a text file renamed to .jpg is refused in words', async () => {
  const card = activity(TEXT.name);
  await forgive(/status of 4\d\d/, async () => {
    await addTo(mine, [TEXT]);
    await card.and(page.locator('[data-state="done"]')).waitFor();
  });
  await card.locator('.failures-summary').click();
  assert.equal(await card.locator('.failure-name').textContent(), TEXT.name);
  assert.match(await card.locator('.failure-reason').textContent(), /\w+ \w+/);
  await forgive(/status of 4\d\d/, async () => {
    await page.click('[data-view="search"]');
    await page.setInputFiles('#query-file', TEXT);
    await page.waitForSelector('.notice-error');
  });
  assert.match(await page.textContent('.notice-error .notice-text'), /\w+ \w+/);
  assert.equal(await tiles().count(), 0);
  await page.click('#clear-query');
  await settled();
  assert.equal(await page.textContent('#collection-count'), String(sample.length));
});

test('a full disk pauses an upload; Resume sends what is missing', async () => {
  const message = 'the disk that holds the data is full';
  const uploads = new RegExp(`/v1/images/${hostile}(\\?|$)`);
  await page.route(uploads, (route) => route.fulfill({ status: 507, json: { code: 7, message } }));
  const card = activity('3 photos');
  await forgive(/status of 507/, async () => {
    await addTo(hostile, sample.slice(0, 3).map(({ path }) => path));
    await card.and(page.locator('[data-state="paused"]')).waitFor();
  });
  assert.match(await card.locator('.activity-note').textContent(), new RegExp(message, 'i'));
  await page.unroute(uploads);
  await card.getByRole('button', { name: 'Resume' }).click();
  await card.and(page.locator('[data-state="done"]')).waitFor();
  assert.equal(await card.locator('.activity-numbers').textContent(), '3 photos added.');
  assert.equal((await ask('/v1/images')).find(({ collection }) => collection === hostile).count, 3);
});

test('a busy server is asked again without a word', async () => {
  let refused = 0;
  const uploads = new RegExp(`/v1/images/${hostile}(\\?|$)`);
  const busy = { status: 503, headers: { 'Retry-After': '1' }, json: { code: 8, message: 'too many requests' } };
  await page.route(uploads, (route) => ((refused += 1) === 1 ? route.fulfill(busy) : route.fallback()));
  const card = activity(sample[3].name);
  await forgive(/status of 503/, async () => {
    await addTo(hostile, [sample[3].path]);
    await card.and(page.locator('[data-state="done"]')).waitFor();
  });
  await page.unroute(uploads);
  assert.equal(await card.locator('.activity-numbers').textContent(), '1 photo added.');
});

test('a file name is text, whatever it says', async () => {
  const name = '<img src=x onerror=alert(1)>.jpg';
  await addTo(hostile, [{ name, mimeType: 'image/jpeg', buffer: sample[4].bytes }]);
  const card = activity(name);
  await card.and(page.locator('[data-state="done"]')).waitFor();
  await card.getByRole('button', { name: 'Show photos' }).click();
  await page.waitForFunction((wanted) => document.querySelector('.tile-name')?.textContent.includes(wanted), '<img');
  assert.equal(await page.locator('img[src="x"]').count(), 0);
});

test('a folder of the server is imported with progress', async () => {
  const { imageRoots } = await ask('/v1/status');
  assert.ok(imageRoots.length > 0, 'start the server with --image-root');
  await page.click('[data-view="add"]');
  await page.fill('#target', imported);
  await page.fill('#folder', '/surely/not/below/a/root');
  await forgive(/status of 4\d\d/, async () => {
    await page.click('#start-import');
    await page.waitForFunction(() => document.getElementById('import-error').textContent !== '');
  });
  await page.locator('.chip').first().click();
  assert.equal(await page.inputValue('#folder'), imageRoots[0]);
  await page.click('#start-import');
  const card = page.locator('.activity[data-kind="import"]').first();
  await card.waitFor();
  await card.and(page.locator('[data-state="done"]')).waitFor({ timeout: 10 * PATIENCE });
  const job = (await ask('/v1/jobs')).find(({ collection }) => collection === imported);
  assert.equal(job.done, job.total);
  assert.equal(await card.locator('progress').evaluate((bar) => bar.value), job.total);
  await card.getByRole('button', { name: 'Show photos' }).click();
  const { count } = (await ask('/v1/images')).find(({ collection }) => collection === imported);
  assert.ok(count > 0);
  await page.waitForFunction((text) => document.getElementById('collection-count').textContent === text, new Intl.NumberFormat('en').format(count));
});

test('a new collection can be given another descriptor, one that is there keeps its own', async () => {
  await page.click('[data-view="add"]');
  await page.fill('#target', mine);
  assert.equal(await page.isVisible('#descriptor'), false, 'a collection that is there keeps its own');
  await page.fill('#target', described);
  await page.waitForSelector('#descriptor:not([hidden])');
  const { default: standard, models } = await ask('/v1/models');
  assert.equal(await page.textContent('#descriptor-words'), [standard.model, standard.input, standard.pooling].join(', '));
  await page.click('#descriptor summary');
  const offered = (id) => page.locator(`#${id} option`).evaluateAll((all) => all.map((one) => one.value));
  assert.deepEqual(await offered('descriptor-model'), models.map(({ model }) => model));
  assert.deepEqual(await offered('descriptor-input'), models[0].inputs);
  assert.deepEqual(await offered('descriptor-pooling'), models[0].poolings);
  await page.selectOption('#descriptor-input', 'torchvision');
  await page.selectOption('#descriptor-pooling', 'gem');
  await page.setInputFiles('#upload-files', sample.slice(0, 2).map(({ path }) => path));
  const card = activity('2 photos');
  await card.and(page.locator('[data-state="done"]')).waitFor();
  const { model, count } = (await ask('/v1/images')).find(({ collection }) => collection === described);
  assert.equal(count, 2);
  assert.match(model, /torchvision.*gem/);
  await page.waitForSelector('#descriptor[hidden]', { state: 'attached' });
  await card.getByRole('button', { name: 'Show photos' }).click();
});

test('clearing asks first; Keep keeps, Clear empties, others stay', async () => {
  await chooseCollection(mine);
  const openQuestion = async () => {
    await page.click('#collection-button');
    await page.click(`[aria-label="Clear ${mine}"]`);
    await page.waitForSelector('#confirm[open]');
  };
  const held = async () => (await ask('/v1/images')).find(({ collection }) => collection === mine)?.count ?? 0;
  await openQuestion();
  assert.match(await page.textContent('#confirm-title'), new RegExp(mine));
  assert.equal(await page.evaluate(() => document.activeElement.id), 'confirm-no', 'the safe answer has the focus');
  await page.click('#confirm-no');
  assert.equal(await held(), sample.length);
  await openQuestion();
  await page.keyboard.press('Escape');
  assert.equal(await held(), sample.length);
  await openQuestion();
  await page.click('#confirm-yes');
  await page.waitForSelector('.notice-title:text-is("No photos here yet")');
  assert.equal(await page.textContent('#collection-count'), '0');
  assert.equal(await held(), 0);
  assert.ok((await ask('/v1/images')).some(({ collection }) => collection === imported));
});

test('an unreachable server is said in words, and the page comes back by itself', async () => {
  await chooseCollection(imported);
  await settled();
  await forgive(/ERR_FAILED|ERR_INTERNET_DISCONNECTED/, async () => {
    await page.route(/\/v[12]\//, (route) => route.abort());
    await give(page, '#search-zone', 'drop', sample[0]);
    await page.waitForSelector('.notice-error');
    await page.locator('#offline-banner', { hasText: 'not reachable' }).waitFor();
    await page.unroute(/\/v[12]\//);
    await page.waitForSelector('#offline-banner', { state: 'hidden' });
  });
  await results('Your photo');
});

test('dark follows the system until a choice is made, and the choice is remembered', async () => {
  const brightness = () => page.evaluate(() => {
    const [red, green, blue] = getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number);
    return (red + green + blue) / 3;
  });
  assert.ok((await brightness()) > 200);
  await page.emulateMedia({ colorScheme: 'dark' });
  assert.ok((await brightness()) < 60);
  await page.click('#theme-button');
  assert.ok((await brightness()) > 200);
  await page.reload();
  assert.ok((await brightness()) > 200, 'remembered after a reload');
  await page.click('#theme-button');
  assert.ok((await brightness()) < 60);
});

test('nothing sticks out on a phone', async () => {
  await page.setViewportSize({ width: 360, height: 740 });
  const fits = async (what) => assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${what} is wider than the screen`);
  await settled();
  await fits('the gallery');
  await give(page, '#search-zone', 'drop', sample[0]);
  await results('Your photo');
  await fits('the results');
  await page.click('[data-view="add"]');
  await fits('the Add view');
});

test('no console error, no script error, no request to anywhere else', () => {
  assert.deepEqual(trouble, []);
});
