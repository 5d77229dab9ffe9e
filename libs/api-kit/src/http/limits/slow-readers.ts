import type { Server, ServerResponse } from 'node:http';

/** How often responses are checked. */
const CHECK_MS = 1000;

/** Responses that may take as long as they like. */
const unlimited = new WeakSet<ServerResponse>();

/** Exempts a response that has limits of its own, such as a stream of events. */
export function allowSlowReading(response: ServerResponse): void {
  unlimited.add(response);
}

/**
 * Closes the connection of a client that takes longer than `timeoutMs` to read a response. A client that reads a little from time to time is
 * never silent, but the response stays in memory. The time begins with the head of the response, so a handler may take longer.
 */
export function limitReading(server: Server, timeoutMs: number): void {
  /** The responses in progress, and when their heads were first seen to be sent. */
  const sentAt = new Map<ServerResponse, number | undefined>();
  server.on('request', (_request, response: ServerResponse) => {
    sentAt.set(response, undefined);
    response.once('close', () => sentAt.delete(response));
  });
  const check = setInterval(
    () => {
      const now = performance.now();
      for (const [response, since] of sentAt) {
        if (!response.headersSent || unlimited.has(response)) continue;
        if (since === undefined) sentAt.set(response, now);
        else if (now - since > timeoutMs) response.destroy();
      }
    },
    Math.min(CHECK_MS, timeoutMs / 2),
  );
  check.unref();
  server.once('close', () => clearInterval(check));
}
