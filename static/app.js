// What every page has beside htmx: fresh relative times, copy buttons, menus,
// dialogs and guarded buttons. All of it is a comfort: the pages work without.
(() => {
  "use strict";

  const minute = 60e3, hour = 60 * minute, day = 24 * hour;

  // ago says how long before now the time t was, in the words that the server uses.
  function ago(t, now) {
    const past = now - t, d = Math.abs(past);
    const say = (n, unit) => (past < 0 ? `in ${n} ${unit}` : `${n} ${unit} ago`);
    if (d < 45e3) return "just now";
    if (d < 59.5 * minute) return say(Math.max(1, Math.round(d / minute)), "min");
    if (d < day) return say(Math.max(1, Math.floor(d / hour)), "h");
    if (d < 2 * day) return past < 0 ? "in 1 day" : "yesterday";
    if (d < 31 * day) return say(Math.floor(d / day), "days");
    return new Date(t).toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
  }

  function refreshTimes(root = document) {
    const now = Date.now();
    for (const el of root.querySelectorAll("time[data-relative]")) {
      const t = Date.parse(el.dateTime);
      if (Number.isNaN(t)) continue;
      const words = ago(t, now);
      if (el.textContent !== words) el.textContent = words;
    }
  }

  // writeClipboard falls back to a selection: the clipboard's own interface
  // exists only over HTTPS and on localhost.
  async function writeClipboard(text) {
    if (navigator.clipboard) return navigator.clipboard.writeText(text);
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "visually-hidden";
    document.body.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    if (!copied) throw new Error("The browser refused to copy.");
  }

  async function copy(button) {
    const from = button.dataset.copy && document.querySelector(button.dataset.copy);
    const text = "copyLink" in button.dataset ? button.href : button.dataset.copyText ?? from?.value ?? from?.textContent ?? "";
    button.dataset.label ??= button.textContent;
    try {
      await writeClipboard(text);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Select and copy by hand";
    }
    say(button.textContent);
    setTimeout(() => { button.textContent = button.dataset.label; }, 2000);
  }

  // say speaks text to screen readers without showing it.
  function say(text) {
    let el = document.querySelector("[data-say]");
    if (!el) {
      el = document.createElement("div");
      el.dataset.say = "";
      el.className = "visually-hidden";
      el.setAttribute("role", "status");
      document.body.append(el);
    }
    el.textContent = text;
  }

  function closeMenus(except) {
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (menu !== except) menu.open = false;
    }
  }

  // openDialog reports whether there was a dialog to open; otherwise a link goes where it points.
  function openDialog(opener) {
    const dialog = document.querySelector(opener.dataset.dialog);
    if (!dialog?.showModal) return false;
    if (!dialog.open) dialog.showModal();
    return true;
  }

  // guard enables a form's [data-guarded] buttons once the wanted words are typed.
  function guard(input) {
    const typed = input.value.trim() === input.dataset.mustEqual;
    for (const button of input.form?.querySelectorAll("[data-guarded]") ?? []) button.disabled = !typed;
  }

  function guardAll() {
    for (const input of document.querySelectorAll("input[data-must-equal]")) guard(input);
  }

  // countTicks says which deploys a form of ticks compares, on its button too.
  function countTicks(form) {
    const place = form.querySelector("[data-ticked]"), button = form.querySelector("button:not([type])");
    const numbers = [...form.querySelectorAll("input[name=with]:checked")].map((box) => Number(box.value)).sort((a, b) => a - b);
    place.dataset.text ??= place.textContent;
    const [one, two] = numbers.map((n) => `#${n}`);
    button.disabled = numbers.length > 2;
    form.querySelector("[type=reset]").hidden = numbers.length === 0;
    place.textContent = [place.dataset.text, `${one} ticked. Tick another deploy to compare the two.`, `${one} and ${two} ticked.`][numbers.length]
      ?? `${numbers.length} ticked: a comparison is of two.`;
    button.textContent = ["Compare", `Compare ${one} with what is live`, `Compare ${one} with ${two}`][numbers.length] ?? "Compare";
  }

  function countAllTicks() {
    for (const form of document.querySelectorAll("form[data-ticks]")) countTicks(form);
  }

  // markDay marks the day of the strip that the history below shows.
  function markDay() {
    const shown = document.querySelector("[data-shown-day]")?.dataset.shownDay;
    for (const day of shown === undefined ? [] : document.querySelectorAll(".strip a[data-day]")) {
      if (day.dataset.day === shown) day.setAttribute("aria-current", "true");
      else day.removeAttribute("aria-current");
    }
  }

  // followAnchor opens the section of Settings that took over a part of the page, which old links name by a fragment.
  function followAnchor() {
    const id = location.hash.slice(1);
    if (!id || document.getElementById(id)) return;
    const link = document.querySelector(`[data-anchors~="${CSS.escape(id)}"]`);
    if (link) location.replace(link.href + location.hash);
  }

  function notice(text) {
    const place = document.getElementById("notice");
    if (!place) return;
    const box = document.createElement("div");
    box.className = "notice bad";
    box.setAttribute("role", "alert");
    box.append(Object.assign(document.createElement("p"), { textContent: text }));
    place.replaceChildren(box);
  }

  document.addEventListener("click", (event) => {
    const el = event.target instanceof Element ? event.target : null;
    closeMenus(el?.closest("details.menu"));
    const button = el?.closest("[data-copy], [data-copy-text], [data-copy-link], [data-dialog], [data-close]");
    if (!button) return;
    if (button.matches("[data-copy-link]")) { event.preventDefault(); copy(button); }
    else if (button.matches("[data-copy], [data-copy-text]")) copy(button);
    else if (button.matches("[data-close]")) {
      const dialog = button.closest("dialog");
      if (dialog) { event.preventDefault(); dialog.close(); }
    } else if (openDialog(button)) event.preventDefault();
  });

  document.addEventListener("keydown", (event) => {
    const menu = event.key === "Escape" && document.querySelector("details.menu[open]");
    if (!menu) return;
    const inside = menu.contains(document.activeElement);
    closeMenus();
    if (inside) menu.querySelector("summary").focus();
  });

  // ---- Keys: "/" searches, "g d" and "g h" go somewhere, "?" lists them ----

  const off = "slipway-keys-off";

  // keysOff reports whether somebody turned the keys off in this browser. Where a
  // browser keeps nothing, the keys are on.
  function keysOff() {
    try { return !!localStorage.getItem(off); } catch { return false; }
  }
  window.slipwayKeysOff = keysOff; // for files.js

  function turnKeys(on) {
    try {
      if (on) localStorage.removeItem(off);
      else localStorage.setItem(off, "yes");
    } catch { say("This browser keeps no settings: the keys stay on."); }
  }

  let began = 0; // when "g" was pressed

  // types reports whether a key belongs to what has the focus.
  const types = (el) => el?.matches?.("input:not([type=checkbox], [type=radio], [type=file]), textarea, select, [contenteditable]");

  function go(where) {
    const to = document.querySelector(`[data-go="${where}"]`);
    const url = to?.href ?? to?.dataset.url;
    if (url) location.assign(url);
    else say(where === "h" ? "Open a Deployment first." : "Open a Workspace first.");
  }

  function search() {
    const field = [...document.querySelectorAll("input[type=search]")].find((el) => el.checkVisibility?.() ?? el.offsetParent);
    field?.focus();
    field?.select();
    return !!field;
  }

  function key(event) {
    const after = event.timeStamp - began < 1500;
    began = 0;
    if (after && (event.key === "d" || event.key === "h")) return go(event.key);
    if (event.key === "g") began = event.timeStamp;
    else if (event.key === "/") { if (search()) event.preventDefault(); }
    else if (event.key === "?") document.getElementById("keys")?.showModal();
  }

  document.addEventListener("keydown", (event) => {
    const el = event.target;
    if (event.key === " " && el.matches?.("a[role=switch]")) { event.preventDefault(); el.click(); return; }
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || types(el)) return;
    if (keysOff() || document.querySelector("dialog[open]")) return;
    key(event);
  });

  document.addEventListener("change", (event) => {
    if (!event.target.matches?.("[data-keys]")) return;
    turnKeys(event.target.checked);
    event.target.checked = !keysOff();
  });

  for (const box of document.querySelectorAll("[data-keys]")) box.checked = !keysOff();
  for (const el of document.querySelectorAll("[data-needs-script]")) el.hidden = false;

  // ---- Nothing is lost unasked ----

  // A dropped file must not take the place of the page: only fields for files, and the form of upload.js, take one.
  for (const type of ["dragover", "drop"]) {
    document.addEventListener(type, (event) => {
      if (!event.dataTransfer?.types.includes("Files") || event.target.matches?.("input[type=file]")) return;
      event.preventDefault();
      if (type === "dragover") event.dataTransfer.dropEffect = "none";
    });
  }

  // edited reports whether a form has input that is not sent. data-edited says so of input that came back refused.
  function edited(form) {
    if (form.dataset.sent) return false;
    if (form.dataset.edited === "yes") return true;
    const lines = (text) => text.replace(/\r\n?/g, "\n");
    return [...form.querySelectorAll("textarea, input:not([type=hidden], [type=file])")].some((el) => lines(el.value) !== lines(el.defaultValue))
      || [...form.querySelectorAll("input[type=file]")].some((el) => el.files.length > 0);
  }

  window.addEventListener("beforeunload", (event) => {
    if ([...document.querySelectorAll("form[data-edited]")].some(edited)) event.preventDefault();
  });
  window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-edited]")) delete form.dataset.sent;
  });
  document.addEventListener("submit", (event) => {
    if (event.target.matches?.("form[data-edited]")) event.target.dataset.sent = "yes";
  });

  document.addEventListener("input", (event) => {
    if (event.target.matches?.("input[data-must-equal]")) guard(event.target);
  });

  document.addEventListener("change", (event) => {
    if (event.target.matches?.("[data-submit]")) event.target.form?.requestSubmit();
    if (event.target.matches?.("form[data-ticks] [name=with]")) countTicks(event.target.form);
  });

  document.addEventListener("reset", (event) => {
    if (event.target.matches?.("form[data-ticks]")) setTimeout(() => countTicks(event.target)); // the boxes are emptied after this event
  });

  document.addEventListener("htmx:after:swap", () => { refreshTimes(); guardAll(); countAllTicks(); markDay(); });
  document.addEventListener("htmx:error", (event) => {
    const ctx = event.detail?.ctx;
    if (!ctx || ctx.response || ctx.sourceElement?.hasAttribute("hx-sse:connect")) return;
    notice("The server did not answer. Check the connection and try again.");
  });

  refreshTimes();
  guardAll();
  countAllTicks();
  window.addEventListener("pageshow", countAllTicks); // ticks that the browser kept
  followAnchor();
  document.querySelector(".tabs [aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  setInterval(() => refreshTimes(), 20e3);
})();
