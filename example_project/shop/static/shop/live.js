// Shows a workflow's page as the server shows it now, whenever durable.js tells that the workflow has changed.

const RETRY = 1000; // Milliseconds after which a server is asked again that did not answer.
let asking = false;
let outdated = false;

async function refresh() {
  outdated = true;
  if (asking) return;
  asking = true;
  while (outdated) {
    outdated = false;
    try {
      const answer = await fetch(location.href, { redirect: "manual" });
      if (answer.ok) show(new DOMParser().parseFromString(await answer.text(), "text/html"));
    } catch {
      outdated = true;
      await new Promise((resolve) => setTimeout(resolve, RETRY));
    }
  }
  asking = false;
}

function show(fresh) {
  const parts = document.querySelectorAll("[data-live]");
  const focused = document.activeElement?.id;
  fresh.querySelectorAll("[data-live]").forEach((part, place) => {
    if (parts[place].innerHTML !== part.innerHTML) parts[place].replaceChildren(...part.childNodes);
  });
  if (focused) document.getElementById(focused)?.focus();
}

document.addEventListener("durable:status", refresh);
document.addEventListener("durable:gone", refresh);
