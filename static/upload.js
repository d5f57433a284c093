// Uploads of DAGs and of images: takes over <form data-upload> where the browser
// can, and leaves the plain multipart form alone where it cannot. Files may be
// chosen or dropped, pack.js makes one archive of them, and an upload that broke
// off goes on where it stopped, also after a reload. An image that is named instead of uploaded goes with the form, or with
// the DAGs that belong to it.
(() => {
  "use strict";

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

  // progressWords tells how far an upload is; sure, that the rate was measured for long
  // enough to say when it ends.
  function progressWords(sent, total, rate, sure) {
    const unit = unitOf(total);
    const done = `${bytes(sent, unit)} of ${size(total)}`;
    if (!(rate > 0) || sent >= total) return done;
    return `${done}, ${size(rate)}/s` + (sure ? `, ${duration((total - sent) / rate)} left` : "");
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
      for (const input of form.querySelectorAll("input[type=file]")) input.autocomplete = "off"; // else the browser saves a long list of files again and again
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
        else if (event.target.type === "file") this.choose(event.target);
        if (event.target.name === "merge" && event.isTrusted) this.chooseMerge(event.target.value);
      });
      this.form.addEventListener("input", (event) => {
        if (event.target.name === "folder_path" && this.selection && !this.mergeByHand) this.tick(this.usualMerge(this.selection.kind));
      });
    }

    takeDrop(transfer) {
      this.form.scrollIntoView({ block: "nearest" });
      if (!this.takesDAGs) return this.chooseImage(transfer.files[0]);
      for (const input of this.form.querySelectorAll("input[type=file]")) input.value = "";
      this.pack(packing.dropped(transfer), "What was dropped could not be read. Choose the files instead.");
    }

    // open shows the fields below the bar, or hides them again.
    open(on) { this.form.toggleAttribute("data-open", on || this.stays); }

    // choose packs what to upload; the submit button starts it. The field is emptied: a
    // list of thousands need not stay, and the same files can be chosen again.
    choose(input) {
      const files = [...input.files]; // the list of the field is emptied with it
      if (this.upload || files.length === 0) return;
      this.pack((slices) => packing.chosen(files, slices), "A file could not be read: it changed or went away. Choose it again.");
      input.value = "";
    }

    pack(list, sentence) {
      if (this.upload) return;
      this.forgetChoice();
      const stop = this.stopPacking = new AbortController();
      const choosing = this.choosing = packing.pack(list, stop.signal, (words, part) => this.packed(words, part)).then((selection) => {
        if (this.choosing === choosing && !this.upload) this.chose(selection);
      }, () => {
        if (this.choosing !== choosing) return;
        this.forgetChoice();
        this.fail(sentence);
      });
    }

    // packed shows how far packing is, once that takes long enough to be noticed.
    packed(words, part) {
      const now = performance.now();
      this.packingSince ??= now;
      if (now - this.packingSince < 500 || now - this.shownAt < 100) return;
      this.shownAt = now;
      this.show("The files you chose", `${words}, ${Math.floor(100 * part)} %`, part);
      this.pause.hidden = true;
      this.cancel.textContent = "Remove";
    }

    forgetChoice() {
      this.stopPacking?.abort();
      this.selection = this.choosing = this.packingSince = null;
      this.shownAt = 0;
      this.box.hidden = true;
      this.fail("");
    }

    chose(selection) {
      this.selection = selection;
      if (this.selection.files === 0) {
        this.selection = null;
        return this.fail("There are no files in it that would be deployed.");
      }
      if (!this.mergeByHand) this.tick(this.usualMerge(this.selection.kind));
      const { files, body } = this.selection;
      const count = files === 1 ? "" : `${files.toLocaleString("en")} files, `;
      const packed = body.size < this.selection.size / 2 ? `, packed to ${size(body.size)}` : "";
      this.packingSince = null;
      this.show(this.selection.names, `${count}${size(this.selection.size)}${packed}, ready to upload`, 0);
      this.pause.hidden = true;
      this.cancel.textContent = "Remove";
      this.say(`${this.selection.names} chosen.`);
    }

    // chooseImage remembers the archive of an image, which is uploaded first.
    chooseImage(file) {
      if (this.upload || !file) return;
      this.fail("");
      this.image = packing.packImage(file);
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
      if (!this.upload) this.data = this.fields(); // they are disabled later
      const source = this.data.get("source") ?? "";
      const archive = source === "archive";
      if (source && !archive && !this.takesDAGs) return; // nothing is uploaded
      event.preventDefault();
      if (this.upload) return;
      const choosing = this.choosing;
      if (choosing) {
        await choosing;
        if (this.choosing !== choosing || !this.selection) return; // it was removed, another one made, or nothing is in it
        this.data = this.fields(); // the choice may have ticked another effect
      }
      if (this.upload) return;
      if (archive && !this.image) return this.fail("Choose the archive of an image first.");
      if (source && !archive && !this.imageRef()) return this.fail(source === "pushed" ? "Choose one of the pushed tags, or push an image first." : "Type the reference of an image, like quay.io/team/airflow:1.2.");
      if (this.takesDAGs && !this.selection) return this.fail("Choose an archive, files or a folder first.");
      this.queue = [archive && this.image, this.takesDAGs && this.selection].filter(Boolean);
      this.start("");
    }

    // fields returns the values of all fields but those for files, which are many.
    fields() {
      const inputs = [...this.form.querySelectorAll("input[type=file]:enabled")];
      for (const input of inputs) input.disabled = true;
      const data = new FormData(this.form);
      for (const input of inputs) input.disabled = false;
      return data;
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
      const took = now - first.now;
      const rate = took > 900 ? ((sent - first.sent) * 1000) / took : 0;
      this.show(this.current.names, sent < total ? progressWords(sent, total, rate, took > 3000) : "uploaded, being checked …", total ? sent / total : 1);
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
      this.forgetChoice();
      this.image = this.current = null;
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
      this.bar.hidden = !this.upload && !this.packingSince;
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
