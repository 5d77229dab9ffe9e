import { type Call } from './call.js';

/** One page of a list. */
export interface Page<T> {
  readonly items: readonly T[];
  /** The cursor of the next page; null on the last page. */
  readonly nextCursor: string | null;
}

type ItemOf<P extends Page<unknown>> = P['items'][number];

/** A list. `for await` iterates over its items and asks for a page only when it gets there. */
export class Pages<P extends Page<unknown>, E> implements AsyncIterable<ItemOf<P>> {
  /** Use the methods of a client. */
  constructor(private readonly load: (cursor: string | undefined) => Call<P, E>) {}

  /** Returns the first page, or the one at the cursor that the list was asked for. */
  page(): Call<P, E> {
    return this.load(undefined);
  }

  /** Iterates over whole pages. */
  async *pages(): AsyncGenerator<P, void, undefined> {
    let cursor: string | undefined;
    do {
      const page = await this.load(cursor);
      yield page;
      cursor = page.nextCursor ?? undefined;
    } while (cursor !== undefined);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<ItemOf<P>, void, undefined> {
    for await (const { items } of this.pages()) yield* items as ItemOf<P>[];
  }
}
