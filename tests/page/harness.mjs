// A headless Chromium on the page of a running server, and everything the tests need to know about it: which
// server, which photos, and what went wrong on the way. Console errors, thrown errors and requests that leave
// the server are collected, so that a test can insist that there were none.

import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync'];

/** Embedding on a small CPU takes its time; waiting longer than this (in ms) means that something hangs. */
export const PATIENCE = Number(process.env.ELANUS_PATIENCE ?? 60_000);

function required(name) {
  const value = process.env[name];
  if (!value) throw new Error(`set ${name}; tests/run does it`);
  return value;
}

/** The server under test, without a slash at the end. */
export const server = required('ELANUS_URL').replace(/\/$/, '');

/** The first `wanted` photos of the folder ELANUS_PHOTOS, as `{name, path, bytes}` in order of their names. */
export function photos(wanted) {
  const folder = required('ELANUS_PHOTOS');
  const names = readdirSync(folder).filter((name) => /\.(jpe?g|png|webp)$/i.test(name)).sort().slice(0, wanted);
  if (names.length < 3) throw new Error(`${folder} holds fewer than 3 photos`);
  return names.map((name) => ({ name, path: join(folder, name), bytes: readFileSync(join(folder, name)) }));
}

/** Opens the browser; `trouble` fills with what should never happen. */
export async function openBrowser() {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: FLAGS });
  const trouble = [];
  const forgiven = [];
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, colorScheme: 'light' });
  context.setDefaultTimeout(PATIENCE);
  const page = await context.newPage();
  page.on('pageerror', (error) => trouble.push(`thrown: ${error.message}`));
  page.on('dialog', (dialog) => {
    trouble.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on('console', (message) => {
    if (message.type() !== 'error' && message.type() !== 'warning') return;
    if (!forgiven.some((pattern) => pattern.test(message.text()))) trouble.push(`console: ${message.text()}`);
  });
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (!['blob:', 'data:'].includes(url.protocol) && url.origin !== server) trouble.push(`left the server: ${url}`);
  });
  /** Chromium logs each 4xx answer and each broken connection; a test that causes one says so. */
  const forgive = async (pattern, work) => {
    forgiven.push(pattern);
    await work();
    forgiven.pop();
  };
  return { browser, context, page, trouble, forgive };
}

/** Fires a drag over and a drop, or a paste, of one file at an element, as the browser would. */
export async function give(page, selector, kind, { name, bytes, type = 'image/jpeg' }) {
  await page.evaluate(({ selector, kind, name, type, base64 }) => {
    const data = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    const transfer = new DataTransfer();
    transfer.items.add(new File([data], name, { type }));
    const target = document.querySelector(selector);
    const options = { bubbles: true, cancelable: true };
    if (kind === 'paste') return target.dispatchEvent(new ClipboardEvent('paste', { ...options, clipboardData: transfer }));
    for (const step of ['dragenter', 'dragover', 'drop']) target.dispatchEvent(new DragEvent(step, { ...options, dataTransfer: transfer }));
  }, { selector, kind, name, type, base64: bytes.toString('base64') });
}

/** Calls the server directly, to compare what the page shows with what is true. */
export async function ask(path, body) {
  const answer = await fetch(server + path, body && { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
  const envelope = await answer.json();
  if (envelope.code !== 0) throw new Error(`${path}: ${envelope.message}`);
  return envelope.data;
}
