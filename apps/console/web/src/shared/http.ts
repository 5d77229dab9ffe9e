import { isProblem, type ProblemDocument, TwinboxConnectionError, TwinboxProblem } from '@twinbox/client';

const IDLE_MS = 60_000;
let lastInputAt = performance.now();
for (const type of ['pointerdown', 'pointermove', 'keydown', 'touchstart', 'wheel'])
  addEventListener(type, () => (lastInputAt = performance.now()), { capture: true, passive: true });

/**
 * Sends a request to the console's server. It says whether the person has been idle, because a page that refreshes itself must not keep
 * the session of somebody who has left.
 */
export const consoleFetch: typeof fetch = async (input, init) => {
  const headers = new Headers(init?.headers);
  if (performance.now() - lastInputAt > IDLE_MS) headers.set('x-user-idle', '1');
  return fetch(input, { ...init, headers });
};

/** Sends a request to the console's server itself, and returns the JSON of its answer. @throws TwinboxProblem, TwinboxConnectionError */
export async function requestJson<T>(
  path: string,
  { body, ...init }: Omit<RequestInit, 'body'> & { readonly body?: unknown } = {},
): Promise<T> {
  const sent = { method: init.method ?? 'GET', url: path, attempts: 1 };
  const json =
    body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
  try {
    const response = await consoleFetch(path, { ...init, ...json });
    const answer = (await response.json()) as unknown;
    if (!response.ok) throw new TwinboxProblem(answer as ProblemDocument, sent, response.headers);
    return answer as T;
  } catch (error) {
    if (isProblem(error)) throw error;
    init.signal?.throwIfAborted();
    throw new TwinboxConnectionError(sent, error);
  }
}
