// Keeps a page fresh, puts times into the viewer's zone, and runs the dialogs.
// Nothing here decides anything: the server does.
"use strict";

(() => {
  const live = document.getElementById("live");
  const dialog = document.getElementById("dialog");
  const toast = document.getElementById("toast");

  // Times come in UTC; the title keeps that.
  const clock = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
  const fine = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hourCycle: "h23" });
  function localise(root) {
    for (const el of root.querySelectorAll("time:not([data-local])")) {
      el.textContent = ("fine" in el.dataset ? fine : clock).format(new Date(el.dateTime));
      el.dataset.local = "";
    }
  }

  // What the viewer is using stays as it is when the page is brought up to date:
  // times already in their zone, open details, drawn charts, text being typed.
  Idiomorph.defaults.ignoreActiveValue = true;
  Idiomorph.defaults.callbacks.beforeNodeMorphed = (before, after) => {
    if (before.nodeType !== 1) return true;
    if (before.tagName === "TIME" && after.dateTime === before.dateTime) return false;
    return !("canvas" in before.dataset) && !("table" in before.dataset);
  };
  Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name, el) =>
    !(name === "open" && el.tagName === "DETAILS");

  // A path that is to be sent to somebody is shown with the server's name.
  function address(root) {
    for (const el of root.querySelectorAll("[data-absolute]")) el.textContent = new URL(el.textContent, location.origin).href;
  }

  // Live updates: while the page is looked at, and nobody is being asked anything.
  let busy = false;
  function say(state, text) {
    for (const el of document.querySelectorAll("[data-live]")) {
      if (el.dataset.state !== state) { el.dataset.state = state; el.textContent = text; }
    }
  }
  async function refresh() {
    if (!live || busy || document.hidden) return;
    busy = true;
    try {
      await htmx.ajax("GET", location.pathname + location.search, { source: live, target: live, swap: "morph:innerHTML" });
    } finally { busy = false; }
  }
  if (live && live.dataset.poll) {
    setInterval(() => { if (!dialog.open) refresh(); }, 1000 * live.dataset.poll);
    document.addEventListener("visibilitychange", () => {
      say(document.hidden ? "paused" : "live", document.hidden ? "Paused" : "Live");
      refresh();
    });
  }

  document.addEventListener("htmx:beforeSwap", (e) => {
    const { target, xhr } = e.detail;
    if (target === dialog) e.detail.shouldSwap = true; // errors too are shown there
    if (target === live && xhr.status === 401) location.reload();
  });
  document.addEventListener("htmx:afterSwap", (e) => {
    const { target, xhr } = e.detail;
    localise(document);
    address(document);
    if (target === live) { charts.draw(); if (xhr.status < 400) say("live", "Live"); }
  });
  document.addEventListener("htmx:afterSettle", (e) => {
    if (e.detail.target !== dialog) return;
    if (!dialog.open) dialog.showModal();
    (dialog.querySelector("[autofocus]") || dialog.querySelector("[data-close]"))?.focus();
  });
  for (const name of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) {
    document.addEventListener(name, (e) => {
      const { target, xhr } = e.detail;
      if (target === live) {
        if (xhr && (xhr.status === 401 || xhr.status === 403)) location.reload();
        say("lost", "No connection, trying again");
      } else if (name !== "htmx:responseError") {
        tell("The server did not answer. Nothing may have been changed; look before you repeat it.");
      }
    });
  }

  // Dialogs.
  dialog.addEventListener("close", () => { dialog.replaceChildren(); refresh(); });
  dialog.addEventListener("click", (e) => {
    if (e.target === dialog || e.target.closest("[data-close]")) dialog.close();
  });

  let fading;
  function tell(text) {
    toast.textContent = text;
    clearTimeout(fading);
    fading = setTimeout(() => { toast.textContent = ""; }, 6000);
  }

  document.addEventListener("click", async (e) => {
    const copy = e.target.closest("[data-copy]");
    if (copy) {
      const text = document.getElementById(copy.dataset.copy).textContent;
      try {
        await navigator.clipboard.writeText(text);
        if (copy.closest("dialog")) copy.lastChild.textContent = "Copied"; // what lies under a dialog is not announced
        else tell("Copied.");
      } catch { tell("The browser does not allow copying here; select the text instead."); }
    }
    if (e.target.closest("[data-theme-toggle]")) {
      const root = document.documentElement;
      const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
      root.dataset.theme = dark ? "light" : "dark";
      document.cookie = `centrifuge_theme=${root.dataset.theme}; path=/; max-age=31536000; samesite=lax`;
      charts.redraw();
    }
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => charts.redraw());

  // A link that works as a button answers to the space bar, as buttons do.
  document.addEventListener("keydown", (e) => {
    if (e.key === " " && e.target.matches("a[role=button]")) { e.preventDefault(); e.target.click(); }
  });
  document.addEventListener("keydown", (e) => {
    if (e.key !== "/" || e.ctrlKey || e.metaKey || e.altKey || e.target.closest("input, textarea, select, dialog")) return;
    e.preventDefault();
    document.querySelector("[data-search]")?.focus();
  });

  localise(document);
  address(document);
  charts.draw();
  document.documentElement.dataset.ready = "";
})();
