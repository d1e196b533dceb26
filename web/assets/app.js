// What every page does beyond links and forms: the menu of a phone, keys, and
// taking in what is new. Without it every page still works.
(() => {
  "use strict";
  const root = document.documentElement;
  root.classList.add("scripted");

  const rail = document.getElementById("rail");
  const menu = document.querySelector(".menu-button");
  menu?.addEventListener("click", () => {
    menu.setAttribute("aria-expanded", String(rail.classList.toggle("open")));
  });

  const keys = document.getElementById("keys");
  const help = document.getElementById("help");
  if (help && keys) {
    help.hidden = false;
    help.addEventListener("click", () => keys.showModal());
  }

  // What j and k step through: the rows and lines that lead somewhere.
  const stops = () => [...document.querySelectorAll("main :is(a.cover, tbody th a, .proposal > summary)")].filter(x => x.offsetParent !== null);
  function step(by) {
    const all = stops();
    const at = all.indexOf(document.activeElement);
    const next = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + by, 0), all.length - 1)];
    next?.focus();
    next?.scrollIntoView({ block: "nearest" });
  }

  let going = 0; // when g was pressed
  document.addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey || keys?.open) return;
    if (event.target.closest("input, textarea, select, [contenteditable]")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const went = going && event.timeStamp - going < 1500;
    going = 0;
    if (went) {
      const link = [...document.querySelectorAll("nav a[data-key]")].find(a => a.dataset.key === event.key);
      if (link) {
        event.preventDefault();
        link.click();
      }
      return;
    }
    switch (event.key) {
      case "g": going = event.timeStamp; return;
      case "j": step(1); break;
      case "k": step(-1); break;
      case "?": keys?.showModal(); break;
      case "/":
        rail.classList.add("open");
        document.getElementById("find")?.focus();
        break;
      default: return;
    }
    event.preventDefault();
  });

  // A part of the page that may change is fetched again when there is news of
  // it, and now and then. It stays as it is while somebody is at it: then a
  // line at the foot says so.
  const told = document.getElementById("news");
  const idle = part => !part.contains(document.activeElement) && !part.querySelector("details[open]:not([data-proposal])") && !part.querySelector("form :is(input:not([type=hidden]), textarea):focus");
  let waiting = 0;
  function refresh() {
    waiting = 0;
    for (const part of document.querySelectorAll("[data-live]")) {
      if (idle(part)) {
        htmx.trigger(part, "news");
      } else if (told) {
        told.textContent = "Something has changed since. ";
        const again = document.createElement("a");
        again.href = location.href;
        again.textContent = "Load the page again";
        told.append(again);
      }
    }
  }
  const soon = () => { waiting = waiting || setTimeout(refresh, 400); };
  const live = document.querySelector("[data-live]");
  if (live) {
    setInterval(() => document.hidden || soon(), 30000);
    if (document.body.dataset.news) {
      const topics = live.dataset.live.split(" ");
      const source = new EventSource(document.body.dataset.news);
      for (const topic of topics) source.addEventListener(topic, soon);
      addEventListener("pagehide", () => source.close());
    }
  }
})();
