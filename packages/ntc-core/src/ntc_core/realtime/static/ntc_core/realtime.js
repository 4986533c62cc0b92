// The browser's side of the live channel (docs/guides/realtime.md). No dependencies.

const LONGEST_WAIT_MS = 30_000;
const SESSION_ENDED = 4401;
const AT_ONCE = new Set([4001, 1012]); // its time was over, or the server restarts

/**
 * Keep a socket open, through every drop of the network, and pass on each event once.
 *
 * @param {object} options
 * @param {() => Promise<object>} options.getTicket answers POST realtime/tickets/: the envelope, or its `data`.
 * @param {(message: {seq: number, event: string, data: any, at: string}) => void} options.onEvent
 * @param {(seq: number) => void} [options.onGap] events are missing: fetch what you show.
 * @param {(state: "open" | "waiting" | "ended") => void} [options.onState] "open" comes after every
 *   connection, the first one too: fetch what you show then, and nothing can fall in between.
 *   "ended": the session is over, nothing comes any more.
 * @returns {{close: () => void}}
 */
export function connect({ getTicket, onEvent, onGap = () => {}, onState = () => {} }) {
  let socket = null;
  let lastSeq = null;
  let failures = 0;
  let retry = null;
  let silence = null;
  let closed = false;

  async function open() {
    retry = null;
    try {
      const answer = await getTicket();
      const { url, protocols } = answer.data ?? answer;
      if (closed) return;
      socket = new WebSocket(lastSeq === null ? url : `${url}?after=${lastSeq}`, protocols);
    } catch {
      return again();
    }
    let heartbeat = LONGEST_WAIT_MS;
    const alive = () => {
      clearTimeout(silence);
      // A phone that changed its network is told by nobody that the old one is gone.
      silence = setTimeout(() => lost(socket, 1006), 2 * heartbeat);
    };
    alive();
    socket.onmessage = ({ data, currentTarget }) => {
      if (currentTarget !== socket) return;
      const message = JSON.parse(data);
      if (message.type === "hello") {
        heartbeat = message.heartbeat_seconds * 1000;
        failures = 0;
        lastSeq ??= message.seq;
        onState("open");
      } else if (message.type === "event") {
        lastSeq = message.seq;
        onEvent(message);
      } else if (message.type === "gap") {
        lastSeq = message.seq;
        onGap(message.seq);
      }
      alive();
    };
    socket.onclose = ({ code, currentTarget }) => lost(currentTarget, code);
  }

  function lost(which, code) {
    if (which !== socket || closed) return;
    socket = null;
    which.close();
    clearTimeout(silence);
    if (code === SESSION_ENDED) {
      stop();
      onState("ended");
    } else {
      again(AT_ONCE.has(code));
    }
  }

  function again(atOnce = false) {
    if (closed) return;
    onState("waiting");
    // Full jitter: after a restart thousands come back, and not all in one second.
    const longest = atOnce ? 1000 : Math.min(LONGEST_WAIT_MS, 1000 * 2 ** failures);
    failures += 1;
    retry = setTimeout(open, Math.random() * longest);
  }

  function now() {
    if (retry !== null && document.visibilityState === "visible") {
      clearTimeout(retry);
      open();
    }
  }

  function stop() {
    closed = true;
    clearTimeout(retry);
    clearTimeout(silence);
    removeEventListener("online", now);
    document.removeEventListener("visibilitychange", now);
  }

  addEventListener("online", now);
  document.addEventListener("visibilitychange", now);
  open();
  return {
    close() {
      stop();
      socket?.close(1000);
    },
  };
}
