// What is chosen or dropped for a deploy, made into the one thing that travels: an
// archive as it is, loose files as a tar archive, compressed where the browser can.
// Everything goes in slices, so that a page with 20,000 files stays alive, and no
// more than a piece is in memory at a time. upload.js uses it as window.packing.
(() => {
  "use strict";

  // ---- Slices of work ----

  const sliceTime = 8; // ms

  // Slices lets the page do something else whenever a slice of work is over.
  class Slices {
    constructor(signal) {
      this.signal = signal;
      this.until = performance.now() + sliceTime;
    }

    over() { return performance.now() >= this.until; }

    async pause() {
      await new Promise((go) => setTimeout(go));
      this.signal.throwIfAborted();
      this.until = performance.now() + sliceTime;
    }
  }

  // ---- A tar archive ----

  const block = 512;
  const utf8 = new TextEncoder();

  // leftOut matches path elements that isIgnored in internal/archive/ignore.go leaves
  // out of every upload: the names travel, for the count, the bytes do not.
  const leftOutFolder = /^(\.git|__pycache__|\.venv|node_modules|\.ipynb_checkpoints|__MACOSX)$/;
  const leftOutFile = /^(\.DS_Store|Icon\r|Thumbs\.db|desktop\.ini|\._.*|\.#.*|#.+#|\..+\.sw[a-p]|.*(\.pyc|~|:Zone\.Identifier))$/;

  // header returns the block before a file. name and type are ASCII.
  function header(name, size, type) {
    const h = new Uint8Array(block);
    const put = (at, text) => { for (let i = 0; i < text.length; i++) h[at + i] = text.charCodeAt(i); };
    const octal = (at, width, n) => put(at, n.toString(8).padStart(width - 1, "0"));
    put(0, name);
    octal(100, 8, 0); // a browser does not know the mode: the server keeps the one of the version before
    octal(108, 8, 0);
    octal(116, 8, 0);
    octal(124, 12, Math.min(size, 0o77777777777));
    octal(136, 12, 0);
    put(148, "        ");
    put(156, type);
    put(257, "ustar\0" + "00");
    put(148, sumOf(h).toString(8).padStart(6, "0") + "\0 ");
    return h;
  }

  function sumOf(bytes) {
    let sum = 0;
    for (const b of bytes) sum += b;
    return sum;
  }

  // paxRecord is "LENGTH key=value\n", and LENGTH counts its own digits.
  function paxRecord(key, value) {
    const rest = utf8.encode(` ${key}=${value}\n`).length;
    let length = rest + String(rest).length;
    length = rest + String(length).length; // one more digit may have been needed
    return `${length} ${key}=${value}\n`;
  }

  const zeros = new Uint8Array(2 * block);
  const padding = (size) => zeros.subarray(0, (block - (size % block)) % block);

  // entry returns the parts of the archive that hold one file or folder. The server
  // does not look at times.
  function entry({ path, file, folder, size = 0 }) {
    const plain = /^[\x20-\x7e]{1,100}$/.test(path) && size <= 0o77777777777;
    const parts = [];
    if (!plain) {
      const records = utf8.encode(paxRecord("path", path) + (size > 0o77777777777 ? paxRecord("size", size) : ""));
      parts.push(header("pax", records.length, "x"), records, padding(records.length));
    }
    parts.push(header(plain ? path : "long", size, folder ? "5" : "0"));
    if (size > 0) parts.push(file, padding(size));
    return parts;
  }

  // tar returns an archive without reading the files.
  async function tar(items, slices) {
    const blobs = [];
    for (let at = 0; at < items.length; at += 256) {
      blobs.push(new Blob(items.slice(at, at + 256).flatMap(entry)));
      if (slices.over()) await slices.pause();
    }
    return new Blob([...blobs, zeros], { type: "application/x-tar" });
  }

  const piece = 64 << 10; // bytes
  const atOnce = 32; // small files that are read at the same time: each read costs the browser a question

  // tarBytes yields the bytes of the archive, in parts of at most a piece.
  async function* tarBytes(items) {
    for (let at = 0; at < items.length;) {
      const small = smallFrom(items, at);
      at += small.length;
      if (small.length > 0) yield* read(new Blob(small.flatMap(entry)));
      else for (const part of entry(items[at++])) yield* part instanceof Blob ? read(part) : [part];
      for (let done = at - Math.max(1, small.length); done < at; done++) items[done] = null; // the browser may forget the file
    }
    yield zeros;
  }

  // smallFrom returns the files from an index on that are read at once.
  function smallFrom(items, at) {
    const some = items.slice(at, at + atOnce);
    const large = some.findIndex(({ size }) => size > piece / 4);
    return large < 0 ? some : some.slice(0, large);
  }

  async function* read(blob) {
    for (let at = 0; at < blob.size; at += piece) {
      const part = blob.size <= piece ? blob : blob.slice(at, at + piece);
      const bytes = new Uint8Array(await part.arrayBuffer());
      if (bytes.length !== Math.min(piece, blob.size - at)) throw new Error("a file became shorter");
      yield bytes;
    }
  }

  // compressed is tar, read and compressed. The same files become the same bytes
  // after a reload: what is compressed at once does not depend on the browser.
  async function compressed(items, slices, tell) {
    const gzip = new CompressionStream("gzip");
    const whole = gathered(gzip.readable);
    const writer = gzip.writable.getWriter();
    const bytes = new Uint8Array(2 * piece);
    let length = 0, done = 0;
    try {
      for await (const part of tarBytes(items)) {
        bytes.set(part, length);
        length += part.length;
        if (length < piece) continue;
        await writer.write(bytes.subarray(0, length));
        tell(done += length);
        length = 0;
        if (slices.over()) await slices.pause();
      }
      await writer.write(bytes.subarray(0, length));
      await writer.close();
    } catch (error) {
      whole.catch(() => {});
      writer.abort(error).catch(() => {});
      throw error;
    }
    return whole;
  }

  const held = 1 << 20; // bytes kept before the browser may move them out of the tab

  async function gathered(stream) {
    const reader = stream.getReader();
    const blobs = [];
    let chunks = [], length = 0;
    for (;;) {
      const { value, done } = await reader.read();
      if (!done) {
        chunks.push(value);
        length += value.byteLength;
      }
      if (done || length >= held) {
        blobs.push(new Blob(chunks));
        chunks = [], length = 0;
      }
      if (done) return new Blob(blobs, { type: "application/gzip" });
    }
  }

  // ---- What was chosen or dropped ----

  // A choice becomes a list of { path, file, size } and { path, folder: true }.

  // spared cuts what need not travel: one empty entry stands for a folder that is
  // left out. The size of a file is asked for once: each costs the browser a look.
  async function spared(items, slices, tell) {
    const kept = [], folders = new Set();
    for (const { path, file, folder } of items) {
      const names = path.split("/");
      const at = names.findIndex((name, i) => i < names.length - 1 && leftOutFolder.test(name));
      if (at >= 0) {
        const top = names.slice(0, at + 1).join("/") + "/";
        if (!folders.has(top)) kept.push({ path: top, folder: true });
        folders.add(top);
      } else if (folder || leftOutFile.test(names.at(-1))) {
        kept.push({ path, folder });
      } else {
        kept.push({ path, file, size: file.size });
      }
      if (!slices.over()) continue;
      tell("looking", kept.length / items.length);
      await slices.pause();
    }
    return kept;
  }

  async function chosen(files, slices) {
    const items = [];
    for (const file of files) {
      items.push({ path: file.webkitRelativePath || file.name, file });
      if (slices.over()) await slices.pause();
    }
    return items;
  }

  // dropped must collect the entries before it waits for anything: the list is empty afterwards.
  function dropped(transfer) {
    const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
    const files = [...transfer.files];
    return async (slices) => (entries.length === 0 ? chosen(files, slices) : (await Promise.all(entries.map(walk))).flat());
  }

  async function walk(found) {
    const path = found.fullPath.replace(/^\/+/, "");
    if (found.isFile) return [{ path, file: await new Promise((ok, no) => found.file(ok, no)) }];
    if (leftOutFolder.test(found.name)) return [{ path: path + "/", folder: true }];
    const reader = found.createReader();
    const items = [];
    for (;;) { // a reader hands out at most 100 entries at a time
      const some = await new Promise((ok, no) => reader.readEntries(ok, no));
      if (some.length === 0) return items;
      for (const below of await Promise.all(some.map(walk))) for (const item of below) items.push(item);
    }
  }

  // isArchive has the rules of IsArchive in internal/archive/format.go: one file is an
  // archive by the ending of its name or by its first bytes; packed documents are files.
  const archiveName = /\.(tar|tar\.gz|tgz|tar\.zst|tzst|tar\.xz|txz|tar\.bz2|tbz2|tbz|zip|7z|rar)$/i;
  const emptyEnding = /\.(xz|bz2|zst|bin|dat|download|part|tmp|txt|file|archive|bak)$/i;
  const magics = ["\x28\xb5\x2f\xfd", "\xfd7zXZ\0", "BZh", "PK\x03\x04", "PK\x05\x06", "7z\xbc\xaf\x27\x1c", "Rar!\x1a\x07"];

  async function isArchive(path, file) {
    if (path.includes("/")) return false;
    if (archiveName.test(path)) return true;
    const head = new Uint8Array(await file.slice(0, 4096).arrayBuffer());
    if (isTar(head)) return true;
    if (head[0] === 0x1f && head[1] === 0x8b) return isTar(await unzipped(head));
    let name = path;
    while (emptyEnding.test(name)) name = name.replace(emptyEnding, "");
    const text = String.fromCharCode(...head.subarray(0, 8));
    return (archiveName.test(name) || !name.includes(".")) && magics.some((magic) => text.startsWith(magic));
  }

  // isTar tells a header of tar by its checksum.
  function isTar(head) {
    if (head.length < block || head[0] === 0) return false;
    const field = String.fromCharCode(...head.subarray(148, 156)).replace(/^[ \0]+|[ \0]+$/g, "");
    const sum = head.subarray(0, block).reduce((a, b, i) => a + (i < 148 || i >= 156 ? b : 32), 0);
    return /^[0-7]+$/.test(field) && parseInt(field, 8) === sum;
  }

  // unzipped returns the first bytes in a gzip file that begins with head.
  async function unzipped(head) {
    const reader = new Blob([head]).stream().pipeThrough(new DecompressionStream("gzip")).getReader();
    let got = new Uint8Array();
    try {
      while (got.length < block) {
        const { value, done } = await reader.read();
        if (done) break;
        got = new Uint8Array([...got, ...value]);
      }
    } catch { /* head is cut off, as expected */ }
    reader.cancel().catch(() => {});
    return got;
  }

  const mostCompressed = 512e6; // bytes of files: more would wait too long for the first byte to travel

  // pack makes what was chosen into the one thing that is uploaded. list returns the
  // choice; tell is called with words for what is done, and which part of it.
  async function pack(list, signal, tell) {
    const slices = new Slices(signal);
    let items = await list(slices);
    const only = items.length === 1 ? items[0] : null;
    if (only?.file && await isArchive(only.path, only.file)) return whole(only.file);
    const kept = await spared(items, slices, tell);
    items = list = null; // thousands are not kept
    const files = kept.filter((item) => item.file);
    const total = files.reduce((sum, item) => sum + item.size, 0);
    const loose = { kind: "loose", names: label(files), files: files.length, size: total, key: await stampOf(kept, slices) };
    if (files.length === 0 || total > mostCompressed || !window.CompressionStream) {
      return { ...loose, filename: "files.tar", body: await tar(kept, slices) };
    }
    const length = kept.reduce((sum, item) => sum + block * (item.size > 0 ? 1.5 : 1) + (item.size ?? 0), 0); // about
    return { ...loose, filename: "files.tar.gz", body: await compressed(kept, slices, (n) => tell("packing", Math.min(1, n / length))) };
  }

  // whole is pack for a file that travels as it is.
  function whole(file) {
    const key = String(new Stamp().add({ path: file.name, size: file.size, file }));
    return { kind: "archive", body: file, filename: file.name, names: file.name, files: 1, size: file.size, key };
  }

  // packImage is pack for the archive of an image.
  function packImage(file) { return { ...whole(file), part: "image" }; }

  function label(files) {
    const names = files.slice(0, 2).map(({ path }) => (path.length > 80 ? "…" + path.slice(-79) : path));
    const folder = files[0]?.path.split("/")[0] + "/";
    if (files.length > 1 && files.every(({ path }) => path.startsWith(folder))) return `folder ${folder}`;
    return files.length > 2 ? `${names.join(", ")} and ${files.length - 2} more` : names.join(", ");
  }

  // Stamp tells the same choice of files from another one, or from another order of
  // them, after a reload too.
  class Stamp {
    a = 0x811c9dc5;
    b = 0x1b873593;

    add({ path, file, size = 0 }) {
      const text = `${path}|${size}|${file?.lastModified ?? 0}\n`;
      for (let i = 0; i < text.length; i++) {
        this.a = Math.imul(this.a ^ text.charCodeAt(i), 0x01000193);
        this.b = Math.imul(this.b ^ text.charCodeAt(i), 0x5bd1e995) + (this.b >>> 13);
      }
      return this;
    }

    toString() { return (this.a >>> 0).toString(16) + (this.b >>> 0).toString(16); }
  }

  async function stampOf(items, slices) {
    const stamp = new Stamp();
    for (const item of items) {
      stamp.add(item);
      if (slices.over()) await slices.pause();
    }
    return String(stamp);
  }

  window.packing = { chosen, dropped, pack, packImage };
})();
