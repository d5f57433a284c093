// What lists of changed files have beside htmx: differences that load when a file is
// opened, all files at once, long lines wrapped, marks of viewed files, and a jump from
// file to file. All of it is a comfort: each link leads to the same without.
(() => {
  "use strict";

  const atOnce = 30; // files opened by one press
  const marksKept = 50; // lists with marks in this browser
  const store = { wrap: "slipway.wrap", viewed: "slipway.viewed" };

  const card = (el) => el.closest("[data-files]");
  const rows = (root = document) => [...root.querySelectorAll(".filelist > li[data-content]")];
  const summaryOf = (row) => row.querySelector("summary");

  function read(key, otherwise) {
    try { return JSON.parse(localStorage.getItem(key)) ?? otherwise; } catch { return otherwise; }
  }

  function write(key, value) {
    try { localStorage.setItem(key, JSON.stringify(value)); } catch { /* private window: the marks last as long as the page */ }
  }

  // load fetches the difference of an opened file, once.
  function load(details) {
    const lazy = details.querySelector("[data-lazy]");
    if (!lazy || lazy.dataset.asked) return;
    lazy.dataset.asked = "yes";
    lazy.setAttribute("aria-busy", "true");
    window.htmx.trigger(lazy, "open");
  }

  // openAll opens the next closed files of a list, and closes all once none is closed.
  function openAll(button) {
    const all = [...card(button).querySelectorAll(".filelist details")];
    const closed = all.filter((d) => !d.open);
    if (closed.length) for (const d of closed.slice(0, atOnce)) d.open = true;
    else for (const d of all) d.open = false;
    label(button);
  }

  function label(button) {
    const closed = card(button).querySelectorAll(".filelist details:not([open])").length;
    const text = closed === 0 ? "Close all" : closed > atOnce ? `Open next ${atOnce}` : "Open all";
    if (button.textContent.trim() !== text) button.textContent = text;
  }

  function wrap(button, on) {
    card(button).classList.toggle("wrapped", on);
    const [off, wrapped] = button.dataset.wrap.split("|");
    button.textContent = on ? off : wrapped;
  }

  // marks are the viewed files of one list, by their contents; a file that changes again
  // has no mark.
  const marks = (key) => new Set(read(store.viewed, {})[key] ?? []);

  function keep(key, set) {
    const all = read(store.viewed, {});
    delete all[key];
    if (set.size) all[key] = [...set];
    write(store.viewed, Object.fromEntries(Object.entries(all).slice(-marksKept)));
  }

  function setViewed(row, yes) {
    const key = card(row).dataset.files, set = marks(key);
    if (yes) set.add(row.dataset.content); else set.delete(row.dataset.content);
    keep(key, set);
    if (yes) {
      row.querySelector("details").open = false;
      summaryOf(row).focus();
    }
    refresh();
  }

  function refreshMarks(list) {
    const all = rows(list), set = marks(list.dataset.files);
    let n = 0;
    for (const row of all) {
      const yes = set.has(row.dataset.content);
      if (yes) n++;
      row.classList.toggle("viewed", yes);
      row.querySelector("[data-viewed-sign]").hidden = !yes;
      const box = row.querySelector("input[data-viewed]");
      if (box) { box.checked = yes; box.closest("label").hidden = false; }
    }
    const count = list.querySelector("[data-viewed-count]");
    if (!count) return;
    count.hidden = n === 0;
    count.textContent = `${n} of ${all.length} viewed`;
  }

  function refresh() {
    for (const list of document.querySelectorAll("[data-files]")) {
      refreshMarks(list);
      const open = list.querySelector("[data-open-all]");
      if (open) label(open);
    }
  }

  // jump moves the focus to the next or the previous file, from where the focus is.
  function jump(step) {
    const all = rows();
    if (!all.length) return;
    const here = document.activeElement?.closest?.(".filelist > li[data-content]");
    let i = all.indexOf(here) + step;
    if (!here) {
      const below = all.findIndex((row) => row.getBoundingClientRect().top > 0);
      i = step > 0 ? below : (below < 0 ? all.length : below) - 1;
    }
    const to = summaryOf(all[Math.min(Math.max(i, 0), all.length - 1)]);
    to.focus({ preventScroll: true });
    to.scrollIntoView({ block: "start" });
  }

  function markHere() {
    const row = document.activeElement?.closest?.(".filelist > li[data-content]");
    if (!row) return;
    setViewed(row, !row.classList.contains("viewed"));
    if (row.classList.contains("viewed")) jump(1);
  }

  const keys = { n: () => jump(1), j: () => jump(1), p: () => jump(-1), k: () => jump(-1), v: markHere };

  document.addEventListener("keydown", (event) => {
    const act = keys[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (event.target.closest?.("input:not([type=checkbox]), textarea, select, [contenteditable], dialog")) return;
    if (window.slipwayKeysOff?.() || document.querySelector("dialog[open]")) return; // as in app.js
    act();
  });

  document.addEventListener("toggle", (event) => {
    const details = event.target;
    if (!details.matches?.(".filelist details")) return;
    if (details.open) load(details);
    const open = card(details)?.querySelector("[data-open-all]");
    if (open) label(open);
  }, true);

  let opened = null; // the file in which lines are being opened

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-open-all], [data-wrap], .filebody a[hx-get]");
    if (!button || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (button.matches(".filebody a")) { opened = button.closest(".filelist > li, .card"); return; }
    event.preventDefault();
    if (button.matches("[data-open-all]")) { openAll(button); return; }
    const on = !card(button).classList.contains("wrapped");
    write(store.wrap, on);
    wrap(button, on);
  });

  document.addEventListener("change", (event) => {
    if (event.target.matches?.("input[data-viewed]")) setViewed(event.target.closest("li"), event.target.checked);
  });

  document.addEventListener("htmx:after:swap", () => {
    refresh();
    // The pressed link is gone: go on in the difference that it was in.
    if (opened && document.activeElement === document.body) opened.querySelector(".diff")?.focus({ preventScroll: true });
    opened = null;
  });
  document.addEventListener("htmx:error", () => {
    for (const lazy of document.querySelectorAll("[data-lazy][data-asked]")) {
      delete lazy.dataset.asked;
      lazy.removeAttribute("aria-busy");
    }
  });

  if (read(store.wrap, false)) for (const button of document.querySelectorAll("[data-wrap]")) wrap(button, true);
  refresh();
})();
