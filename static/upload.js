// Uploads of DAGs and of images: takes over <form data-upload> where the browser
// can, and leaves the plain multipart form alone where it cannot. Files may be
// chosen or dropped; loose ones travel as one tar archive, made without reading
// them; and an upload that broke off goes on where it stopped, also after a
// reload. An image that is named instead of uploaded goes with the form, or with
// the DAGs that belong to it.
(() => {
  "use strict";

  // ---- A tar archive as a Blob of headers and files ----

  const block = 512;
  const utf8 = new TextEncoder();

  // leftOut matches path elements that isIgnored in internal/archive/ignore.go leaves
  // out of every upload: the names travel, for the count, the bytes do not.
  const leftOutFolder = /^(\.git|__pycache__|\.venv|node_modules|\.ipynb_checkpoints|__MACOSX)$/;
  const leftOutFile = /^(\.DS_Store|Icon\r|Thumbs\.db|desktop\.ini|\._.*|\.#.*|#.+#|\..+\.sw[a-p]|.*(\.pyc|~|:Zone\.Identifier))$/;

  function header(path, size, time, type) {
    const h = new Uint8Array(block);
    const put = (at, text) => h.set(utf8.encode(text), at);
    const octal = (at, width, n) => put(at, n.toString(8).padStart(width - 1, "0"));
    put(0, path);
    octal(100, 8, 0); // a browser does not know the mode: the server keeps the one of the version before
    octal(108, 8, 0);
    octal(116, 8, 0);
    octal(124, 12, Math.min(size, 0o77777777777));
    octal(136, 12, time);
    put(148, "        ");
    put(156, type);
    put(257, "ustar\0" + "00");
    const sum = h.reduce((a, b) => a + b, 0);
    put(148, sum.toString(8).padStart(6, "0") + "\0 ");
    return h;
  }

  // paxRecord is "LENGTH key=value\n", and LENGTH counts its own digits.
  function paxRecord(key, value) {
    const rest = utf8.encode(` ${key}=${value}\n`).length;
    let length = rest + String(rest).length;
    length = rest + String(length).length; // one more digit may have been needed
    return `${length} ${key}=${value}\n`;
  }

  function padding(size) {
    return new Uint8Array((block - (size % block)) % block);
  }

  // entry returns the parts of the archive that hold one file or folder.
  function entry({ path, file, folder }) {
    const size = file?.size ?? 0;
    const time = Math.max(0, Math.floor((file?.lastModified ?? 0) / 1000));
    const plain = /^[\x20-\x7e]{1,100}$/.test(path) && size <= 0o77777777777;
    const parts = [];
    if (!plain) {
      const records = utf8.encode(paxRecord("path", path) + (size > 0o77777777777 ? paxRecord("size", size) : ""));
      parts.push(header("pax", records.length, time, "x"), records, padding(records.length));
    }
    parts.push(header(plain ? path : "long", size, time, folder ? "5" : "0"));
    if (size > 0) parts.push(file, padding(size));
    return parts;
  }

  function tar(items) {
    return new Blob([...items.flatMap(entry), new Uint8Array(2 * block)], { type: "application/x-tar" });
  }

  // ---- What was chosen or dropped ----

  // spared cuts what need not travel: one empty entry stands for a folder that is left out.
  function spared(items) {
    const seen = new Map();
    for (const item of items) {
      const names = item.path.split("/");
      const at = names.findIndex((name, i) => i < names.length - 1 && leftOutFolder.test(name));
      const kept = at >= 0 ? { path: names.slice(0, at + 1).join("/") + "/", folder: true }
        : leftOutFile.test(names.at(-1)) ? { path: item.path }
        : item;
      seen.set(kept.folder ? kept.path : Symbol(kept.path), kept); // two files of one name: for the server to refuse
    }
    return [...seen.values()];
  }

  function chosen(input) {
    return [...input.files].map((file) => ({ path: file.webkitRelativePath || file.name, file }));
  }

  // dropped must collect the entries before it waits for anything: the list is empty afterwards.
  async function dropped(transfer) {
    const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
    if (entries.length === 0) return [...transfer.files].map((file) => ({ path: file.name, file }));
    return (await Promise.all(entries.map(walk))).flat();
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
      for (const one of some) items.push(...await walk(one));
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

  // pack turns what was chosen into the one thing that is uploaded.
  async function pack(items) {
    const only = items.length === 1 ? items[0] : null;
    if (only?.file && await isArchive(only.path, only.file)) {
      return { kind: "archive", body: only.file, filename: only.path, names: only.path, files: 1, key: stamp(items) };
    }
    const kept = spared(items);
    const names = kept.filter((item) => item.file).map((item) => item.path);
    return { kind: "loose", body: tar(kept), filename: "files.tar", names: label(names), files: names.length, key: stamp(kept) };
  }

  // packImage is pack for the archive of an image.
  function packImage(file) {
    return { kind: "archive", part: "image", body: file, filename: file.name, names: file.name, files: 1, key: stamp([{ path: file.name, file }]) };
  }

  function label(names) {
    const folder = names[0]?.split("/")[0] + "/";
    if (names.length > 1 && names.every((n) => n.startsWith(folder))) return `folder ${folder}`;
    const first = names.slice(0, 2).map((n) => (n.length > 80 ? "…" + n.slice(-79) : n)).join(", ");
    return names.length > 2 ? `${first} and ${names.length - 2} more` : first;
  }

  // stamp tells the same choice of files from another one, after a reload too.
  function stamp(items) {
    let a = 0x811c9dc5, b = 0x1b873593;
    const text = items.map((i) => `${i.path}|${i.file?.size ?? 0}|${i.file?.lastModified ?? 0}`).sort().join("\n");
    for (let i = 0; i < text.length; i++) {
      a = Math.imul(a ^ text.charCodeAt(i), 0x01000193);
      b = Math.imul(b ^ text.charCodeAt(i), 0x5bd1e995) + (b >>> 13);
    }
    return (a >>> 0).toString(16) + (b >>> 0).toString(16);
  }

  // ---- Words ----

  function bytes(n, unit = unitOf(n)) {
    const v = n / 1000 ** unit;
    return unit === 0 || v >= 100 ? v.toFixed(0) : v.toFixed(1);
  }

  function unitOf(n) {
    return Math.min(4, Math.floor(Math.log10(Math.max(1, n)) / 3));
  }

  const units = ["B", "kB", "MB", "GB", "TB"];
  const size = (n) => `${bytes(n)} ${units[unitOf(n)]}`;

  function duration(s) {
    if (s < 60) return `${Math.max(1, Math.round(s))} s`;
    if (s < 3600) return `${Math.round(s / 60)} min`;
    return `${(s / 3600).toFixed(1)} h`;
  }

  function progressWords(sent, total, rate) {
    const unit = unitOf(total);
    const done = `${bytes(sent, unit)} of ${size(total)}`;
    return rate > 0 && sent < total ? `${done}, ${size(rate)}/s, ${duration((total - sent) / rate)} left` : done;
  }

  // ---- The form ----

  // make builds an element: make("p", {className: "error"}, "text", child…).
  function make(tag, properties = {}, ...children) {
    const el = Object.assign(document.createElement(tag), properties);
    el.append(...children);
    return el;
  }

  function button(text, onclick, kind = "small") {
    return make("button", { type: "button", className: `btn ${kind}`, textContent: text, onclick });
  }

  const signedOut = "You are signed out. Sign in again and choose the same files: the upload goes on where it stopped.";

  // refusal returns the one sentence to show for a failed upload.
  function refusal(error) {
    const response = error.originalResponse;
    const status = response?.getStatus() ?? error.causingError?.status ?? 0;
    const text = (response?.getBody() ?? "").trim();
    const plain = (response?.getHeader("Content-Type") ?? "").startsWith("text/plain");
    if (status === 401) return signedOut;
    if (plain && text && text.length < 1000) return text;
    if (status === 413) return "The upload is larger than the server, or a proxy in front of it, takes.";
    if (status >= 400) return `The server refused the upload with status ${status}.`;
    if (error.originalRequest) return "The connection to the server is lost; what has arrived is kept.";
    return "A file could not be read: it changed or went away. Choose it again.";
  }

  // retries reports whether the same request may succeed later: the connection
  // broke, the server restarts, or it still holds the upload open.
  function retries(error) {
    const status = error.originalResponse?.getStatus() ?? error.causingError?.status ?? 0;
    return status === 0 || [408, 409, 423, 429, 500, 502, 503, 504].includes(status);
  }

  class UploadForm {
    constructor(form) {
      this.form = form;
      this.deployment = form.dataset.deployment ?? new URL(form.action).pathname.split("/").at(-2);
      this.stays = form.hasAttribute("data-open"); // the fields show without a choice
      this.kind = form.dataset.kind ?? "DAG_ONLY";
      this.takesDAGs = form.querySelector("input[name=files]") !== null;
      this.mergeByHand = false;
      this.place = form.querySelector("[data-upload-status]") ?? this.addPlace();
      this.build();
      this.listen();
      this.remind();
    }

    addPlace() {
      const place = make("div");
      const submit = this.form.querySelector("[type=submit], button:not([type])");
      const before = submit?.closest(".row") ?? submit;
      if (before) before.before(place); else this.form.append(place);
      return place;
    }

    build() {
      this.alert = make("p", { className: "error", hidden: true });
      this.alert.setAttribute("role", "alert");
      this.name = make("b", { className: "grow" });
      this.words = make("span", { className: "num muted" });
      this.spoken = make("span", { className: "visually-hidden" });
      this.spoken.setAttribute("aria-live", "polite");
      this.bar = make("progress", { max: 1, value: 0 });
      this.pause = button("Pause", () => this.toggle());
      this.cancel = button("Cancel", () => this.discard());
      this.box = make("div", { className: "progress", hidden: true },
        make("div", { className: "row" }, this.name, this.words, this.pause, this.cancel), this.bar);
      this.reminder = make("div", { className: "stack tight" });
      this.place.classList.add("stack", "tight");
      this.place.replaceChildren(this.reminder, this.box, this.alert, this.spoken);
    }

    listen() {
      this.form.addEventListener("submit", (event) => this.submit(event));
      this.form.addEventListener("change", (event) => {
        if (event.target.name === "image") this.chooseImage(event.target.files[0]);
        else if (event.target.type === "file") this.choose(chosen(event.target));
        if (event.target.name === "merge" && event.isTrusted) this.chooseMerge(event.target.value);
      });
      this.form.addEventListener("input", (event) => {
        if (event.target.name === "folder_path" && this.selection && !this.mergeByHand) this.tick(this.usualMerge(this.selection.kind));
      });
    }

    async takeDrop(transfer) {
      this.form.scrollIntoView({ block: "nearest" });
      try {
        const items = dropped(transfer);
        if (!this.takesDAGs) return this.chooseImage((await items)[0]?.file);
        for (const input of this.form.querySelectorAll("input[type=file]")) input.value = "";
        this.choose(await items);
      } catch {
        this.fail("What was dropped could not be read. Choose the files instead.");
      }
    }

    // open shows the fields below the bar, or hides them again.
    open(on) { this.form.toggleAttribute("data-open", on || this.stays); }

    // choose remembers what to upload; the submit button starts it.
    choose(items) {
      if (this.upload || items.length === 0) return;
      this.fail("");
      const choosing = pack(items).then((selection) => {
        if (this.choosing === choosing && !this.upload) this.chose(selection);
      }, () => this.fail("A file could not be read: it changed or went away. Choose it again."));
      this.choosing = choosing;
    }

    chose(selection) {
      this.selection = selection;
      if (this.selection.files === 0) {
        this.selection = null;
        return this.fail("There are no files in it that would be deployed.");
      }
      if (!this.mergeByHand) this.tick(this.usualMerge(this.selection.kind));
      const count = this.selection.files === 1 ? "" : `${this.selection.files} files, `;
      this.show(this.selection.names, `${count}${size(this.selection.body.size)}, ready to upload`, 0);
      this.pause.hidden = true;
      this.cancel.textContent = "Remove";
      this.say(`${this.selection.names} chosen.`);
    }

    // chooseImage remembers the archive of an image, which is uploaded first.
    chooseImage(file) {
      if (this.upload || !file) return;
      this.fail("");
      this.image = packImage(file);
      const source = this.form.querySelector("input[name=source][value=archive]");
      if (source) source.checked = true;
      this.say(`${file.name} chosen.`);
    }

    // chooseMerge remembers a choice by hand, and shows the field that it needs.
    chooseMerge(merge) {
      this.mergeByHand = true;
      const field = this.form.querySelector("input[name=folder_path]");
      if (merge === "folder" && field) field.closest("details").open = true;
    }

    // usualMerge is what files of a kind mean until somebody chooses.
    usualMerge(kind) {
      if (kind !== "archive") return "add";
      return this.form.querySelector("input[name=folder_path]")?.value.trim() ? "folder" : "replace";
    }

    tick(merge) {
      for (const radio of this.form.querySelectorAll("input[name=merge]")) radio.checked = radio.value === merge;
    }

    async submit(event) {
      if (!this.upload) this.data = new FormData(this.form); // fields are disabled later
      const source = this.data.get("source") ?? "";
      const archive = source === "archive";
      if (source && !archive && !this.takesDAGs) return; // nothing is uploaded
      event.preventDefault();
      if (this.upload) return;
      if (this.choosing) {
        await this.choosing;
        this.data = new FormData(this.form); // the choice may have ticked another effect
      }
      if (this.upload) return;
      if (archive && !this.image) return this.fail("Choose the archive of an image first.");
      if (source && !archive && !this.imageRef()) return this.fail(source === "pushed" ? "Choose one of the pushed tags, or push an image first." : "Type the reference of an image, like quay.io/team/airflow:1.2.");
      if (this.takesDAGs && !this.selection) return this.fail("Choose an archive, files or a folder first.");
      this.queue = [archive && this.image, this.takesDAGs && this.selection].filter(Boolean);
      this.start("");
    }

    // imageRef is the image that was chosen by name.
    imageRef() {
      const data = this.data;
      return (data.get({ pushed: "tag", reference: "ref" }[data.get("source")]) ?? "").trim();
    }

    // metadata describes what is uploaded now; to is the deploy that it is added to.
    metadata(to) {
      const data = this.data, { kind, part, filename, names } = this.current;
      const all = {
        deployment: this.deployment, kind, filename, names, to,
        merge: data.get("merge") ?? this.usualMerge(kind),
        description: (data.get("description") ?? "").trim(), folder: (data.get("folder_path") ?? "").trim(),
      };
      if (this.kind !== "DAG_ONLY") Object.assign(all, { deploy: this.kind, part: part ?? "", ref: to ? "" : this.imageRef(), dags: this.takesDAGs ? "yes" : "" });
      return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== ""));
    }

    async start(to) {
      this.fail("");
      this.reminder.replaceChildren();
      this.current = this.queue.shift();
      const metadata = this.metadata(to);
      const fingerprint = ["slipway", this.deployment, metadata.merge, metadata.folder ?? "", metadata.deploy ?? "", metadata.ref ?? "", to, this.current.key, this.current.body.size].join("-");
      this.upload = new tus.Upload(this.current.body, {
        endpoint: this.form.dataset.tus,
        metadata,
        fingerprint: () => Promise.resolve(fingerprint),
        removeFingerprintOnSuccess: true,
        retryDelays: [0, 1000, 3000, 5000, 10000, 20000, 30000, 30000, 30000, 30000],
        onShouldRetry: (error) => this.retry(error),
        onAfterResponse: (request, response) => this.hear(request, response),
        onProgress: (sent, total) => this.progress(sent, total),
        onError: (error) => (this.over(error) ? this.finish() : this.stop(refusal(error), retries(error))),
        onSuccess: () => (this.queue.length > 0 ? this.start(this.next.split("/").at(-1)) : this.finish()),
      });
      const focused = this.form.contains(document.activeElement);
      this.busy(true);
      this.show(this.current.names, "starting", 0);
      const [last] = (await this.upload.findPreviousUploads()).sort((a, b) => b.creationTime.localeCompare(a.creationTime));
      if (last) this.upload.resumeFromPreviousUpload(last);
      this.run();
      if (focused) this.pause.focus(); // the button that had the focus is disabled
    }

    run() {
      this.running = true;
      this.lost = false;
      this.marks = [];
      this.pause.hidden = false;
      this.pause.textContent = "Pause";
      this.cancel.textContent = "Cancel";
      this.upload.start();
    }

    // hear picks the address of the staged deploy from the last answer. It
    // throws where tus-js-client would start over though the upload still exists.
    hear(request, response) {
      this.next = response.getHeader("Slipway-Deploy") ?? this.next;
      const status = response.getStatus();
      if (request.getMethod() === "HEAD" && (status >= 500 || status === 401)) {
        throw Object.assign(new Error(`status ${status}`), { status });
      }
    }

    // over reports whether the deploy ended while its files arrived: its page says why.
    over(error) {
      return this.next && [404, 410].includes(error.originalResponse?.getStatus());
    }

    retry(error) {
      if (!retries(error)) return false;
      this.marks = [];
      this.words.textContent = "The connection broke; trying again …";
      this.say(this.words.textContent);
      return true;
    }

    progress(sent, total) {
      const now = performance.now();
      const last = this.marks.at(-1);
      if (last && now - last.now < 300 && sent < total) return;
      this.marks = [...this.marks.slice(-20), { now, sent }]; // the rate of the last six seconds
      const first = this.marks[0];
      const rate = now - first.now > 900 ? ((sent - first.sent) * 1000) / (now - first.now) : 0;
      this.show(this.current.names, sent < total ? progressWords(sent, total, rate) : "uploaded, being checked …", total ? sent / total : 1);
      const tenth = Math.floor((sent * 10) / Math.max(1, total));
      if (tenth !== this.tenth) this.say(sent < total ? `${tenth * 10} % uploaded.` : "Uploaded. The files are being checked.");
      this.tenth = tenth;
    }

    toggle() {
      if (!this.running) { this.fail(""); return this.run(); }
      this.upload.abort();
      this.stop("", true);
      this.words.textContent = "paused";
      this.say("Paused.");
    }

    // stop ends an attempt: for good, or so that it can go on. One that the
    // connection ended goes on by itself when the browser is online again.
    stop(sentence, resumable) {
      this.running = false;
      this.lost = resumable && sentence !== "";
      this.fail(sentence);
      if (!resumable) return this.reset();
      this.words.textContent = "stopped";
      this.pause.textContent = "Go on";
    }

    async discard() {
      const upload = this.upload;
      this.reset();
      this.selection = this.choosing = this.image = this.current = null;
      for (const input of this.form.querySelectorAll("input[type=file]")) input.value = "";
      this.box.hidden = true;
      this.open(false);
      if (!upload) return;
      await upload.abort();
      for (const old of await upload.findPreviousUploads()) forget(old);
    }

    finish() {
      const next = this.next && new URL(this.next, location.href);
      this.running = false;
      this.upload = null;
      if (next && next.origin === location.origin) location.assign(next);
      else location.reload();
    }

    reset() {
      this.upload = null;
      this.running = false;
      this.busy(false);
      this.pause.hidden = true;
      this.cancel.textContent = "Remove";
      this.next = undefined;
      const [first] = [this.selection, this.current].filter(Boolean);
      if (first) this.show(first.names, `${size(first.body.size)}, not uploaded`, 0);
    }

    // remind tells of an upload to this Deployment that an earlier page began.
    async remind() {
      const all = await tus.defaultOptions.urlStorage.findAllUploads();
      for (const old of all.filter((u) => u.uploadUrl && u.metadata?.deployment === this.deployment)) {
        const answer = await fetch(old.uploadUrl, { method: "HEAD", headers: { "Tus-Resumable": "1.0.0" } }).catch(() => null);
        if (answer && [403, 404, 410].includes(answer.status)) forget(old);
        if (!answer?.ok || this.upload) continue;
        const offset = Number(answer.headers.get("Upload-Offset"));
        if (offset >= old.size) forget(old); // it arrived, and its deploy is on the page
        else this.offer(old, offset);
      }
    }

    offer(old, offset) {
      const percent = Math.floor((100 * offset) / Math.max(1, old.size));
      const text = make("p", {}, `The upload of ${old.metadata.names} stopped at ${percent} %. Choose it again to go on.`);
      const box = make("div", { className: "notice info" }, text, button("Discard", () => { forget(old); box.remove(); }));
      box.setAttribute("role", "status");
      this.reminder.append(box);
      this.open(true);
      this.restore(old.metadata);
    }

    // restore fills in what belonged to that upload, which keeps what it was begun with.
    restore({ merge, description, folder }) {
      const fields = this.form.elements;
      if (merge) { this.tick(merge); this.chooseMerge(merge); }
      if (fields.description && !fields.description.value) fields.description.value = description ?? "";
      if (fields.folder_path && !fields.folder_path.value) fields.folder_path.value = folder ?? "";
    }

    show(name, words, part) {
      this.open(true);
      this.box.hidden = false;
      this.name.textContent = name;
      this.words.textContent = words;
      this.bar.value = part;
      this.bar.hidden = !this.upload;
      this.bar.setAttribute("aria-label", `Upload of ${name}`);
    }

    say(text) { this.spoken.textContent = text; }

    fail(sentence) {
      if (sentence) this.open(true);
      this.alert.textContent = sentence;
      if (sentence === signedOut) {
        const href = "/signin?next=" + encodeURIComponent(location.pathname);
        this.alert.append(" ", make("a", { href, textContent: "Sign in" }));
      }
      this.alert.hidden = !sentence;
    }

    // busy keeps the choice as it is while it is under way.
    busy(on) {
      const fields = "input[type=file], input[type=radio], input[name=ref], input[name=folder_path], [type=submit], button:not([type])";
      for (const el of this.form.querySelectorAll(fields)) el.disabled = on;
      this.form.setAttribute("aria-busy", on);
    }
  }

  function forget(old) { tus.defaultOptions.urlStorage.removeUpload(old.urlStorageKey); }

  const forms = new Map();

  function adopt() {
    if (!window.tus?.isSupported) return;
    for (const form of forms.keys()) if (!form.isConnected) forms.delete(form);
    for (const form of forms.values()) if (form.selection || form.upload) form.open(true);
    for (const form of document.querySelectorAll("form[data-upload]")) {
      if (!forms.has(form)) forms.set(form, new UploadForm(form));
    }
  }

  // A drop anywhere on the page goes to its form.
  const target = () => [...forms.values()].find((form) => form.form.isConnected && form.form.dataset.dropText && !form.upload);

  function over(form) {
    document.body.toggleAttribute("data-over", !!form);
    if (form) document.body.dataset.dropText = form.form.dataset.dropText;
    else delete document.body.dataset.dropText;
  }

  document.addEventListener("dragover", (event) => {
    const form = event.dataTransfer?.types.includes("Files") && target();
    if (!form || event.target.matches?.("input[type=file]")) return over(null);
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
    over(form);
  });
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) over(null); });
  document.addEventListener("drop", (event) => {
    const form = document.body.hasAttribute("data-over") && target();
    over(null);
    if (!form) return;
    event.preventDefault();
    form.takeDrop(event.dataTransfer);
  });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") over(null); });

  window.addEventListener("beforeunload", (event) => {
    if ([...forms.values()].some((form) => form.running)) event.preventDefault();
  });
  window.addEventListener("online", () => {
    for (const form of forms.values()) if (form.upload && form.lost) form.toggle();
  });
  window.addEventListener("pageshow", (event) => {
    if (event.persisted && forms.size > 0) location.reload();
  });
  document.addEventListener("htmx:after:swap", adopt);
  adopt();
})();
