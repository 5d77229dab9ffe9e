import { type Answer, type Page } from '@twinbox/client';

/** A page that was loaded, and the ETag with which the service can say that it has not changed. */
interface Loaded<P> {
  readonly etag: string | undefined;
  readonly data: P;
}

/** Enough for a long list. The oldest is forgotten first. */
const MOST = 200;

/** Remembers what was loaded, so that a refresh of what has not changed is a 304 without a body, and renders nothing. */
export class Conditional {
  private readonly loaded = new Map<string, Loaded<unknown>>();

  /** Loads something, or returns what it returned before if the service says that it has not changed. */
  async load<P>(key: string, send: (headers: Record<string, string>) => Promise<Answer<P | undefined>>): Promise<P> {
    const before = this.loaded.get(key) as Loaded<P> | undefined;
    const answer = await send(before?.etag === undefined ? {} : { 'if-none-match': before.etag });
    if (answer.data === undefined) {
      if (!before) throw new Error('The service says that nothing has changed, but nothing was loaded before.');
      return before.data;
    }
    this.loaded.delete(key);
    this.loaded.set(key, { etag: answer.etag, data: answer.data });
    const [oldest] = this.loaded.keys();
    if (this.loaded.size > MOST && oldest !== undefined) this.loaded.delete(oldest);
    return answer.data;
  }
}

/** All items of the pages, each of them once: a new one at the top moves the others to later pages. */
export function itemsOf<T extends { readonly id: string }>(pages: readonly Page<T>[]): readonly T[] {
  const seen = new Set<string>();
  return pages.flatMap(({ items }) => items.filter(({ id }) => !seen.has(id) && seen.add(id)));
}
