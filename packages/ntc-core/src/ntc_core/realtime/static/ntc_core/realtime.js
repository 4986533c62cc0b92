// The browser's side of the live channel (docs/guides/realtime.md). No dependencies.

const LONGEST_WAIT_MS = 30_000;
const ANSWER_MS = 5_000; // within which a ping is answered
const SIGNED_OUT = 401;
const ENDED = 4401;
const FIRST_WAIT_MS = {
  1012: 5_000, // the server restarts, and thousands come back
  4001: 1_000, // the socket had lived its time
};
// The server had enough of this socket: it was slow, noisy or one too many, or something failed.
// To come back at once would go on like that.
const HAD_ENOUGH = new Set([1011, 4408, 4409, 4429]);

/**
 * Keep a socket open, through every drop of the network, and pass on each event once.
 *
 * @param {object} options
 * @param {() => Promise<Response | object | null>} options.getTicket asks POST realtime/tickets/, with
 *   an access token that is fresh, and resolves to the response (401: nobody is signed in any more),
 *   or to the `data` in it (null: the same). Whatever else goes wrong is tried again later.
 * @param {(message: {seq: number, event: string, data: any, at: string}) => void} options.onEvent
 * @param {(seq: number) => void} [options.onGap] events are missing: fetch what you show.
 * @param {(state: "open" | "waiting" | "ended") => void} [options.onState] "open" comes after every
 *   connection, the first one too: fetch what you show then, and nothing can fall in between.
 *   "ended": the session is over, nothing comes any more.
 * @returns {{close: () => void}}
 */
export function connect({ getTicket, onEvent, onGap = () => {}, onState = () => {} }) {
  let current = null; // the attempt that counts; whatever comes of another one is late
  let lastSeq = null;
  let failures = 0;
  let retry = null;
  let silence = null;

  async function open() {
    retry = null;
    const mine = (current = { socket: null, isOpen: false, quietMs: LONGEST_WAIT_MS });
    expectNews(mine, LONGEST_WAIT_MS);
    try {
      const ticket = await readTicket(await getTicket());
      if (mine !== current) return;
      if (ticket === null) return end();
      const url = lastSeq === null ? ticket.url : `${ticket.url}?after=${lastSeq}`;
      mine.socket = new WebSocket(url, ticket.protocols);
    } catch {
      return lost(mine);
    }
    mine.socket.onmessage = ({ data }) => hear(mine, JSON.parse(data));
    mine.socket.onclose = ({ code }) => lost(mine, code);
  }

  function hear(mine, message) {
    if (mine !== current) return;
    if (message.type === "hello") {
      mine.isOpen = true;
      mine.quietMs = 2000 * message.heartbeat_seconds;
      lastSeq ??= message.seq;
    }
    // Before the page's own functions, which may throw.
    expectNews(mine, mine.quietMs);
    if (message.type === "hello") {
      onState("open");
    } else if (message.type === "event") {
      lastSeq = message.seq;
      onEvent(message);
    } else if (message.type === "gap") {
      lastSeq = message.seq;
      onGap(message.seq);
    }
  }

  // A phone that changed its network is told by nobody that the old one is gone.
  function expectNews(mine, withinMs) {
    clearTimeout(silence);
    silence = setTimeout(() => lost(mine), withinMs);
  }

  function lost(mine, code) {
    if (mine !== current) return;
    if (code === ENDED) return end();
    stop();
    mine.socket?.close();
    if (mine.isOpen && !HAD_ENOUGH.has(code)) failures = 0;
    // Full jitter: those who were lost together do not come back together.
    const longest = FIRST_WAIT_MS[code] ?? Math.min(LONGEST_WAIT_MS, 1000 * 2 ** failures);
    failures += 1;
    retry = setTimeout(open, Math.random() * longest);
    onState("waiting");
  }

  // The network is back, or somebody looks again, perhaps after hours in which nothing ran here.
  function check() {
    if (document.visibilityState !== "visible") return;
    if (retry !== null) {
      clearTimeout(retry);
      open();
    } else if (current?.isOpen) {
      current.socket.send('{"type": "ping"}');
      expectNews(current, ANSWER_MS);
    }
  }

  function stop() {
    current = null;
    clearTimeout(retry);
    clearTimeout(silence);
    retry = null;
  }

  function close() {
    const socket = current?.socket;
    stop();
    removeEventListener("online", check);
    document.removeEventListener("visibilitychange", check);
    socket?.close(1000);
  }

  function end() {
    close();
    onState("ended");
  }

  addEventListener("online", check);
  document.addEventListener("visibilitychange", check);
  open();
  return { close };
}

/** Return the ticket of what `getTicket` got; null: nobody is signed in any more. */
async function readTicket(answer) {
  if (answer === null || answer.status === SIGNED_OUT) return null;
  const body = answer instanceof Response ? await answer.json() : answer;
  const ticket = body.data ?? body;
  // A browser would take `undefined` for a path of this site.
  if (typeof ticket.url !== "string") throw new TypeError("The answer has no ticket.");
  return ticket;
}
