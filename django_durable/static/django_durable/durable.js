/**
 * Watches instances of django_durable while they change. No dependencies; docs/reference/websockets.md has the whole story.
 *
 *   import { watch } from "{% static 'django_durable/durable.js' %}";
 *   const order = watch("order-7", { onstatus: (state) => ..., ondone: (state) => ... });
 *   order.close();
 *
 * Without any script of one's own, elements show an instance by their attributes:
 *
 *   <section data-durable-instance="order-7">
 *     <p data-durable-text="custom_status.text"></p>
 *     <progress data-durable-value="custom_status.done" data-durable-max="custom_status.total"></progress>
 *     <a hidden data-durable-show-when="runtime_status=Completed" href="...">Receipt</a>
 *     <p data-durable-stream="words" data-durable-after="2">It depends</p>
 *   </section>
 *
 * All instances of a page share one websocket. When it breaks it is opened again, ever later, and goes on where it was;
 * where it cannot be opened, the REST API is asked, if the page names it: <meta name="durable-api" content="/durable/">.
 */

const SILENCE = 25000; // Milliseconds without a message after which the server is asked whether it is there.
const PATIENCE = 10000; // For its answer.
const FIRST_DELAY = 500;
const LONGEST_DELAY = 30000;
const ATTEMPTS = 2; // To open the websocket, before the API is asked beside further attempts.
const STREAMS = 3; // Event streams at once: browsers open six connections to a server, and the page needs some itself.

const configured = (name) => document.querySelector(`meta[name="durable-${name}"]`)?.content;

// The page's line to the server: a websocket, else the API.

/** The page's one socket, and what is watched through it: `subjects` by instance id. */
class Line {
  subjects = new Map();
  failures = 0;

  constructor(url, api) {
    this.url = url && new URL(url, location.href);
    if (url) this.url.protocol = this.url.protocol.replace("http", "ws");
    this.api = api && new URL(api, location.href);
    addEventListener("online", () => this.hurry());
    addEventListener("pageshow", () => this.hurry());
    document.addEventListener("visibilitychange", () => document.hidden || this.hurry());
  }

  add(subject) {
    this.subjects.set(subject.id, subject);
    if (this.asks) this.ask(subject);
    else if (this.socket) this.subscribe(subject);
    else if (!this.timer) this.open();
  }

  remove(subject) {
    if (this.subjects.get(subject.id) !== subject) return;
    this.subjects.delete(subject.id);
    subject.stream?.close();
    if (this.subjects.size) this.send({ type: "unsubscribe", instance_id: subject.id });
    else this.rest();
  }

  subscribe({ id, position, history, kv, streams }) {
    this.send({ type: "subscribe", instance_id: id, since: position, history, kv, streams });
  }

  /** Ask for more than before. */
  renew(subject) {
    this.subscribe(subject);
    if (!this.asks) return;
    subject.stream?.close();
    this.ask(subject);
  }

  send(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  open() {
    clearTimeout(this.timer);
    this.timer = null;
    if (!this.url) return this.askInstead();
    const socket = (this.socket = new WebSocket(this.url));
    socket.onopen = () => {
      this.failures = 0;
      this.askNoMore();
      this.heard();
      this.tell("live");
      for (const subject of this.subjects.values()) this.subscribe(subject);
    };
    socket.onmessage = ({ data }) => {
      this.heard();
      const message = JSON.parse(data);
      this.subjects.get(message.instance_id)?.receive(message);
      if (message.code === "too_fast") console.warn(message.detail);
    };
    socket.onclose = ({ code }) => {
      if (this.socket === socket) this.closed(code);
    };
  }

  closed(code) {
    clearTimeout(this.silence);
    this.socket = null;
    if (code === 4401) {
      // Only logging in helps; whoever was not told yet is told now.
      for (const subject of [...this.subjects.values()])
        subject.receive({ type: "error", code: "not_authenticated", instance_id: subject.id });
      return;
    }
    if (!this.subjects.size) return;
    this.failures = code === 4429 ? Math.max(this.failures, 4) + 1 : this.failures + 1;
    const delay = Math.min(FIRST_DELAY * 2 ** (this.failures - 1), LONGEST_DELAY);
    this.timer = setTimeout(() => this.open(), delay * (0.5 + Math.random() / 2));
    if (this.failures >= ATTEMPTS) this.askInstead();
    this.tell(this.asks ? "fallback" : "offline");
  }

  /** Nothing is watched any more. */
  rest() {
    clearTimeout(this.timer);
    clearTimeout(this.silence);
    const socket = this.socket;
    this.socket = this.timer = null;
    this.askNoMore();
    socket?.close();
  }

  heard() {
    clearTimeout(this.silence);
    this.silence = setTimeout(() => this.doubt(), SILENCE);
  }

  /** Ask the server whether it is there, and give the socket up where it does not answer. */
  doubt() {
    clearTimeout(this.silence);
    const socket = this.socket;
    this.send({ type: "ping" });
    this.silence = setTimeout(() => {
      socket?.close();
      if (this.socket === socket) this.closed(1006); // A dead connection takes its time to close.
    }, PATIENCE);
  }

  /** The network is back, or somebody looks at the page again. */
  hurry() {
    if (this.timer) this.open();
    else if (this.socket?.readyState === WebSocket.OPEN) this.doubt();
  }

  tell(connection) {
    this.connection = connection;
    for (const subject of this.subjects.values()) subject.connected(connection);
  }

  // The API in place of the socket.

  askInstead() {
    if (!this.api || this.asks) return;
    this.asks = true;
    for (const subject of this.subjects.values()) this.ask(subject);
    this.tell("fallback");
  }

  askNoMore() {
    this.asks = false;
    for (const subject of this.subjects.values()) {
      subject.stream?.close();
      subject.stream = null;
    }
  }

  address({ id }, rest) {
    return new URL(`instances/${encodeURIComponent(encodeURIComponent(id))}/${rest}`, this.api);
  }

  /** By an event stream, else by polling. */
  ask(subject) {
    const streams = [...this.subjects.values()].filter((each) => each.stream).length;
    if (streams >= STREAMS) return this.poll(subject);
    const url = this.address(subject, "changes/");
    for (const name of ["history", "kv"]) if (subject[name]) url.searchParams.set(name, "true");
    if (subject.streams) url.searchParams.set("streams", JSON.stringify(subject.streams));
    if (subject.position) url.searchParams.set("since", subject.position);
    const stream = (subject.stream = new EventSource(url));
    stream.onmessage = ({ data }) => subject.receive(JSON.parse(data));
    stream.onerror = () => {
      // A stream that ended is opened again by the browser; one that was refused is not.
      if (stream.readyState === EventSource.CLOSED && subject.stream === stream) this.poll(subject);
    };
  }

  async poll(subject) {
    subject.stream = null;
    const turn = (subject.turn = {});
    let tag = "";
    while (this.asks && subject.turn === turn && this.subjects.get(subject.id) === subject) {
      let wait = 5;
      try {
        const headers = { Accept: "application/json", ...(tag && { "If-None-Match": tag }) };
        const answer = await fetch(this.address(subject, "status/"), { headers, cache: "no-store" });
        wait = Number(answer.headers.get("Retry-After")) || wait;
        if (answer.ok || answer.status === 304) {
          const state = answer.ok && (await answer.json());
          if (!(await this.pollItems(subject, turn))) return;
          tag = answer.headers.get("ETag");
          if (state) subject.receive({ type: state.done ? "done" : "status", ...state });
        } else if ([401, 403, 404].includes(answer.status)) {
          const { code, detail } = await answer.json();
          subject.receive({ type: "error", code, detail, instance_id: subject.id });
        }
      } catch {
        // The server is away; so it is for the socket.
      }
      await new Promise((resolve) => setTimeout(resolve, wait * 1000));
    }
  }

  /** Read what streams have, in order; false where somebody else reads by now. */
  async pollItems(subject, turn) {
    for (const [name, first] of Object.entries(subject.streams ?? {})) {
      const common = { type: "stream", instance_id: subject.id, stream: name };
      let after = first;
      for (let more = true; more; ) {
        const url = this.address(subject, `streams/${encodeURIComponent(encodeURIComponent(name))}/items/`);
        if (after !== null) url.searchParams.set("after", after);
        const answer = await fetch(url, { headers: { Accept: "application/json" }, cache: "no-store" });
        const page = await answer.json();
        if (!this.asks || subject.turn !== turn) return false;
        more = false;
        if (answer.ok) {
          const { items, position, ended, reason } = page;
          const trimmed_to = page.first_position - 1;
          if (items.length || ended) subject.receive({ ...common, items, ended, reason, trimmed_to });
          more = items.length > 0 && !ended;
          after = position;
        } else if (answer.status === 410) {
          more = true;
          after = page.first_position - 1;
          subject.receive({ ...common, items: [], ended: false, reason: null, trimmed_to: after });
        } else if ([401, 403].includes(answer.status)) {
          subject.receive({ ...page, type: "error", instance_id: subject.id });
        }
      }
    }
    return true;
  }
}

// What is watched, and by whom.

/** Of two positions in a stream the first; null is the beginning. */
const earlier = (one, other) => (one === null || other === null ? null : Math.min(one, other));

/** One instance, for everybody on the page who watches it. */
class Subject {
  watchers = new Set();
  state = null;
  history = false;
  kv = false;

  constructor(id, line) {
    this.id = id;
    this.line = line;
  }

  add(watcher) {
    const { history, kv, streams } = watcher.options;
    const more = (history && !this.history) || (kv && !this.kv);
    this.watchers.add(watcher);
    this.history ||= Boolean(history);
    this.kv ||= Boolean(kv);
    if (this.line.subjects.get(this.id) !== this) this.line.add(this);
    else if (more || history || kv || Object.keys(streams ?? {}).length) {
      this.position = undefined; // From the beginning, which the others skip.
      this.line.renew(this);
    }
    if (this.state) queueMicrotask(() => watcher.receive(this.state));
    if (this.line.connection) queueMicrotask(() => watcher.options.onconnection?.(this.line.connection));
  }

  /** The streams that are watched, each with the position after which somebody wants its items. */
  get streams() {
    const wanted = {};
    for (const { streams } of this.watchers)
      for (const [name, { after }] of streams) wanted[name] = name in wanted ? earlier(after, wanted[name]) : after;
    return Object.keys(wanted).length ? wanted : undefined;
  }

  remove(watcher) {
    this.watchers.delete(watcher);
    if (!this.watchers.size) this.line.remove(this);
  }

  receive(message) {
    if (message.position) this.position = message.position;
    if (message.runtime_status) this.state = message;
    const last = ["done", "gone", "error"].includes(message.type);
    if (last) this.line.remove(this);
    for (const watcher of [...this.watchers]) watcher.receive(message);
  }

  connected(connection) {
    if (connection) for (const { options } of this.watchers) options.onconnection?.(connection);
  }
}

class Watcher {
  constructor(subject, options) {
    this.subject = subject;
    this.options = options;
    this.place = [0, 0];
    this.streams = new Map(Object.entries(options.streams ?? {}).map(([name, after]) => [name, { after, ended: false }]));
  }

  /** The instance as it was shown last, null before. */
  get state() {
    return this.subject.state;
  }

  close() {
    this.closed = true;
    this.subject.remove(this);
  }

  receive(message) {
    const { onstatus, onhistory, onkv, ondone, ongone, onerror } = this.options;
    if (this.closed) return;
    if (message.runtime_status) {
      const shown = `${message.created_at} ${message.revision}`;
      if (shown !== this.shown) onstatus?.(message);
      this.shown = shown;
      if (message.type === "done") ondone?.(message);
    } else if (message.type === "history" && this.options.history) {
      const { execution, seq } = message;
      const [lastExecution, lastSeq] = this.place;
      if (execution < lastExecution || (execution === lastExecution && seq <= lastSeq)) return;
      this.place = [execution, seq];
      onhistory?.(message);
    } else if (message.type === "stream" && this.streams.has(message.stream)) this.receiveItems(message);
    else if (message.type === "kv" && this.options.kv) onkv?.(message);
    else if (message.type === "gone") ongone?.(message);
    else if (message.type === "error") onerror?.(message);
  }

  /** Give on what is new: what others of the page have asked for may have come before. */
  receiveItems(message) {
    const place = this.streams.get(message.stream);
    const items = message.items.filter(({ position }) => position > (place.after ?? 0));
    const trimmed = message.trimmed_to > (place.after ?? Infinity);
    const ends = message.ended && !place.ended;
    if (trimmed) place.after = message.trimmed_to;
    if (items.length) place.after = items.at(-1).position;
    place.ended ||= message.ended;
    if (items.length || trimmed || ends) this.options.onitems?.({ ...message, items });
  }
}

const lines = new Map();

/**
 * Watch an instance.
 *
 * Callbacks: onstatus(state) at first and with every change, ondone(state) with output and error where they may be seen,
 * onhistory(event) with `history: true`, onkv(entries) with `kv: true`, onitems({stream, items, ended, reason}) with
 * `streams: {words: 41}`, where 41 is the position of the last item that the page has, null for none, ongone() once it was
 * deleted, onerror({code, detail}) where it may not be watched, onconnection("live" | "fallback" | "offline").
 *
 * `socket` and `api` are addresses, by default those of <meta name="durable-socket"> (else /ws/durable/) and
 * <meta name="durable-api"> (else there is no fallback). An empty `socket` is none: the API is asked at once.
 */
export function watch(instanceId, options = {}) {
  const url = options.socket ?? configured("socket") ?? "/ws/durable/";
  if (!lines.has(url)) lines.set(url, new Line(url, options.api ?? configured("api")));
  const line = lines.get(url);
  const subject = line.subjects.get(instanceId) ?? new Subject(instanceId, line);
  const watcher = new Watcher(subject, options);
  subject.add(watcher);
  return watcher;
}

// Elements that show an instance by their attributes.

const ROOT = "[data-durable-instance]";

const valueAt = (state, path) =>
  path.split(".").reduce((value, key) => (value != null && Object.hasOwn(Object(value), key) ? value[key] : undefined), state);

const asText = (value) => (value == null ? "" : typeof value === "object" ? JSON.stringify(value) : String(value));

/** "path": it has a value; "path=a,b": one of them; "!" before either: not so. */
function holds(state, condition) {
  const [, not, path, , expected] = /^\s*(!?)\s*([^=]*?)\s*(=\s*(.*?)\s*)?$/.exec(condition);
  const value = valueAt(state, path);
  const found = expected === undefined ? Boolean(value) : expected.split(",").some((each) => each.trim() === asText(value));
  return found !== Boolean(not);
}

function setNumber(element, name, value) {
  if (typeof value === "number") element.setAttribute(name, value);
  else element.removeAttribute(name);
}

/** Show a state in an element. Only ever as text. */
export function show(root, state) {
  const parts = (name) =>
    [root, ...root.querySelectorAll(`[${name}]`)].filter((each) => each.hasAttribute(name) && each.closest(ROOT) === root);
  root.dataset.durableStatus = state.runtime_status;
  for (const each of parts("data-durable-text")) {
    const text = asText(valueAt(state, each.dataset.durableText));
    if (each.textContent !== text) each.textContent = text;
  }
  for (const each of parts("data-durable-max")) setNumber(each, "max", valueAt(state, each.dataset.durableMax));
  for (const each of parts("data-durable-value")) setNumber(each, "value", valueAt(state, each.dataset.durableValue));
  for (const each of parts("data-durable-show-when")) each.hidden = !holds(state, each.dataset.durableShowWhen);
}

// Streams: their items are added to elements, each once, and only ever as text.

const streamsIn = (root) =>
  [root, ...root.querySelectorAll("[data-durable-stream]")].filter((each) => each.dataset.durableStream && each.closest(ROOT) === root);

const placeOf = (element) => (element.dataset.durableAfter ? Number(element.dataset.durableAfter) : null);

/** The names of the streams that elements show, each with the first position that one of them has. */
function wishesOf(root) {
  const wished = {};
  for (const element of streamsIn(root)) {
    const name = element.dataset.durableStream;
    wished[name] = name in wished ? earlier(placeOf(element), wished[name]) : placeOf(element);
  }
  return wished;
}

function addItem(element, value) {
  const textOf = (path) => asText(path ? valueAt(value, path) : value);
  const template = element.querySelector(":scope > template");
  if (template) {
    const made = template.content.cloneNode(true);
    for (const each of made.querySelectorAll("[data-durable-item]")) each.textContent = textOf(each.dataset.durableItem);
    element.append(made);
  } else {
    const text = textOf(element.dataset.durableItem);
    if (element.lastChild instanceof Text) element.lastChild.appendData(text);
    else element.append(text);
  }
}

/** Add items to the elements that show their stream. */
export function addItems(root, { stream, items, ended, reason, trimmed_to }) {
  for (const element of streamsIn(root)) {
    if (element.dataset.durableStream !== stream) continue;
    if (trimmed_to > (placeOf(element) ?? Infinity)) element.dataset.durableTrimmed = trimmed_to;
    for (const { position, value } of items) {
      if (position <= (placeOf(element) ?? 0)) continue;
      addItem(element, value);
      element.dataset.durableAfter = position;
    }
    if (!ended) continue;
    element.dataset.durableEnded = reason ?? "";
    if (element.hasAttribute("aria-busy")) element.setAttribute("aria-busy", "false");
  }
}

const bound = new Map();

function bind(root) {
  const tell = (name, detail) => root.dispatchEvent(new CustomEvent(`durable:${name}`, { bubbles: true, detail }));
  return watch(root.dataset.durableInstance, {
    history: root.hasAttribute("data-durable-history"),
    kv: root.hasAttribute("data-durable-kv"),
    streams: wishesOf(root),
    onitems: (message) => {
      addItems(root, message);
      tell("stream", message);
    },
    onstatus: (state) => {
      show(root, state);
      tell("status", state);
    },
    onhistory: (event) => tell("history", event),
    onkv: (entries) => tell("kv", entries),
    ondone: (state) => {
      show(root, state);
      tell("done", state);
    },
    ongone: (message) => tell("gone", message),
    onerror: (message) => tell("error", message),
    onconnection: (connection) => {
      root.dataset.durableConnection = connection;
    },
  });
}

/** Bind the elements that are there now; elements that come later are found by themselves. */
function scan() {
  for (const [root, watcher] of bound) {
    const same = streamsIn(root).every((each) => watcher.streams.has(each.dataset.durableStream));
    if (root.isConnected && root.dataset.durableInstance === watcher.subject.id && same) continue;
    watcher.close();
    bound.delete(root);
  }
  for (const root of document.querySelectorAll(ROOT)) {
    if (!bound.has(root) && root.dataset.durableInstance) bound.set(root, bind(root));
  }
}

scan();
new MutationObserver(scan).observe(document, {
  subtree: true,
  childList: true,
  attributes: true,
  attributeFilter: ["data-durable-instance", "data-durable-stream"],
});
