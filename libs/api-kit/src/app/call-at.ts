/** The longest delay of a timer, about 25 days. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/** Calls back at a time, however far away it is. Returns a function that cancels the call. */
export function callAt(time: Date, callback: () => void): () => void {
  let timer: NodeJS.Timeout;
  const wait = () => {
    const leftMs = time.getTime() - Date.now();
    timer = leftMs > MAX_TIMEOUT_MS ? setTimeout(wait, MAX_TIMEOUT_MS) : setTimeout(callback, leftMs);
  };
  wait();
  return () => clearTimeout(timer);
}
