// Keeps a page fresh: fetches it again now and then and puts the parts marked data-live in place. Everything works without.
"use strict";
(() => {
  const EVERY_MS = 5000;
  const live = document.getElementById("live");
  const parts = () => document.querySelectorAll("[data-live][id]");
  if (!live || !window.fetch || !parts().length) return;

  let on = true;
  let waits = EVERY_MS;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "quiet";
  const say = () => { button.textContent = on ? "Live: on" : "Live: off"; button.setAttribute("aria-pressed", String(on)); };
  button.addEventListener("click", () => { on = !on; say(); if (on) refresh(); });
  live.append(button);
  live.hidden = false;
  say();

  // Nothing is taken from under a hand: a form in use or a selected text keeps its part as it is.
  const inUse = (part) => {
    const selection = window.getSelection();
    return part.contains(document.activeElement)
      || (selection && !selection.isCollapsed && part.contains(selection.anchorNode));
  };

  async function refresh() {
    try {
      const answer = await fetch(location.href, { credentials: "same-origin", cache: "no-store" });
      if (!answer.ok) throw new Error(String(answer.status));
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const part of parts()) {
        const other = fresh.getElementById(part.id);
        if (!other || inUse(part) || other.innerHTML === part.innerHTML) continue;
        part.replaceChildren(...[...other.childNodes].map((node) => document.importNode(node, true)));
      }
      document.body.classList.remove("stale");
      waits = EVERY_MS;
    } catch {
      document.body.classList.add("stale");
      waits = Math.min(waits * 2, 60000);
    }
  }

  const again = async () => {
    if (on && !document.hidden) await refresh();
    setTimeout(again, waits);
  };
  setTimeout(again, EVERY_MS);
})();
