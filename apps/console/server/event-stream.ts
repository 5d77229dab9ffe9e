import type { Readable } from 'node:stream';

/**
 * Passes on an event stream until it ends, its service is gone, or the signal is aborted because of the session or a shutdown. Each of them
 * ends the stream as a whole for the browser, which then resumes where it was, or learns that the session has ended.
 */
export async function* endsGracefully(body: Readable, signal: AbortSignal): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of body) yield chunk as Buffer;
  } catch (error) {
    const { name, code } = error as { readonly name?: string; readonly code?: string };
    if (!signal.aborted && name !== 'AbortError' && !/^(UND_ERR_|ECONN|EPIPE)/.test(code ?? '')) throw error;
  }
}
