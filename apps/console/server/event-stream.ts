import type { Readable } from 'node:stream';

/**
 * Passes on an event stream until it, its service or the session ends. Each of them ends the stream as a whole for the browser, which then
 * resumes where it was, or learns that the session has ended.
 */
export async function* endsGracefully(body: Readable, session: AbortSignal): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of body) yield chunk as Buffer;
  } catch (error) {
    const { name, code } = error as { readonly name?: string; readonly code?: string };
    // The signal has aborted the request, or the service is gone.
    if (!session.aborted && name !== 'AbortError' && !/^(UND_ERR_|ECONN|EPIPE)/.test(code ?? '')) throw error;
  }
}
