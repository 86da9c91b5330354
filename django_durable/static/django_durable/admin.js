/* Refreshes the part of a page that changes, without losing what is open, focused or scrolled to. */
(function () {
  "use strict";

  function live() {
    return document.getElementById("durable-live");
  }

  /* Told apart: a filled-in form or a selection is nothing to be replaced under one's hands. */
  function busy(part) {
    const selection = window.getSelection();
    return document.hidden || part.querySelector(":active") || (selection && !selection.isCollapsed);
  }

  function keep(part, fresh) {
    part.querySelectorAll("details[open][id]").forEach(function (each) {
      const same = fresh.querySelector("#" + CSS.escape(each.id));
      if (same) {
        same.open = true;
      }
    });
  }

  function path(element, part) {
    const places = [];
    for (let each = element; each && each !== part; each = each.parentElement) {
      places.unshift(Array.prototype.indexOf.call(each.parentElement.children, each));
    }
    return places;
  }

  function focusAgain(part, places) {
    const found = places.reduce(function (each, place) {
      return each && each.children[place];
    }, part);
    if (found) {
      found.focus({ preventScroll: true });
    }
  }

  async function refresh() {
    const part = live();
    if (!part || !part.dataset.refresh) {
      return;
    }
    if (!busy(part)) {
      try {
        const answer = await fetch(window.location.href, { credentials: "same-origin", redirect: "error" });
        if (answer.ok) {
          const page = new DOMParser().parseFromString(await answer.text(), "text/html");
          const fresh = page.getElementById("durable-live");
          if (fresh && !busy(part)) {
            const focused = part.contains(document.activeElement) ? path(document.activeElement, part) : null;
            keep(part, fresh);
            part.replaceWith(fresh);
            if (focused) {
              focusAgain(fresh, focused);
            }
          }
        }
      } catch (error) {
        /* The server is away: the next look finds it again. */
      }
    }
    plan();
  }

  function plan() {
    const part = live();
    if (part && part.dataset.refresh) {
      window.setTimeout(refresh, Number(part.dataset.refresh) * 1000);
    }
  }

  document.addEventListener("DOMContentLoaded", plan);
})();
