// Reads files out of drops, pastes and file inputs, folders included. Nothing is opened here: a File is only
// a handle, its bytes are read when it is sent. Items must be collected before the first await, because the
// browser empties a DataTransfer as soon as its event is over.

const IMAGE_NAME = /\.(jpe?g|jfif|png|webp|gif|bmp|tiff?)$/i;

/** True when name or type says that this may be an image the server reads. */
function looksLikeImage(file) {
  return IMAGE_NAME.test(file.name) || /^image\/(jpeg|png|webp|gif|bmp|tiff)$/.test(file.type);
}

/** True when a drag or a paste carries files (and not, say, text). */
export function carriesFiles(transfer) {
  return Boolean(transfer) && [...transfer.types].includes('Files');
}

/** The files of a paste; an empty list when text was pasted. */
export function filesFromPaste(event) {
  return [...(event.clipboardData?.files ?? [])];
}

/**
 * The files of a drop or an input as `{files: [{file, name}], skipped}`. Folders are walked; inside them,
 * files that are no images are skipped and counted. A file that was chosen by itself is always kept, so that
 * the server can say what is wrong with it.
 */
export async function filesFromDrop(transfer) {
  const entries = [];
  const files = [];
  for (const item of transfer.items) {
    if (item.kind !== 'file') continue;
    const entry = item.webkitGetAsEntry?.();
    const file = entry?.isDirectory ? null : item.getAsFile();
    if (file) files.push({ file, name: file.name });
    else if (entry) entries.push(entry);
  }
  const found = [];
  for (const entry of entries) await walk(entry, found);
  const kept = found.filter(({ file }) => looksLikeImage(file));
  return { files: [...files, ...kept], skipped: found.length - kept.length };
}

/** The same for an `<input type=file>`, which names folders through `webkitRelativePath`. */
export function filesFromInput(input) {
  const all = [...input.files].map((file) => ({ file, name: file.webkitRelativePath || file.name }));
  const kept = all.filter(({ file }) => !file.webkitRelativePath || looksLikeImage(file));
  return { files: kept, skipped: all.length - kept.length };
}

async function walk(entry, found) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    found.push({ file, name: entry.fullPath.replace(/^\//, '') });
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    // A reader hands out at most 100 entries at a time and an empty list at the end.
    const entries = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (entries.length === 0) return;
    for (const child of entries) await walk(child, found);
  }
}
