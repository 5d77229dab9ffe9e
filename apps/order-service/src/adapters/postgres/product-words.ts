import { Inject, Injectable, Logger, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { MESSAGING_DATA_SOURCE } from '@twinbox/api-kit';
import { DataSource } from 'typeorm';
import { areFound, indexedWords, searchWords } from '../../domain/search-words.js';

const BATCH = 500;
/** Bounds the products without words that a search reads. */
const MAX_READ = 1000;

interface Unindexed {
  readonly id: string;
  readonly name: string;
}

/** Selects products whose words are missing or outdated. Must match the condition of the index products_without_words. */
export const WITHOUT_WORDS = 'words_of is distinct from name';

export function wordsOf({ id, name }: Unindexed): string[] {
  return indexedWords(`${id} ${name}`);
}

export function queryOf(search: string): string | undefined {
  const words = searchWords(search);
  // A prefix of another word is redundant.
  const needed = words.filter((word) => !words.some((other) => other !== word && other.startsWith(word)));
  // The text format of tsquery, which bypasses the parsers and dictionaries of the database.
  return needed.length === 0 ? undefined : needed.map((word) => `'${word}':*`).join(' & ');
}

/** Computes the search words of products written by the previous version or with SQL. Until then, a search reads those products. */
@Injectable()
export class ProductWords implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly logger = new Logger('Products');
  private stopped = false;
  private filling: Promise<void> | undefined;

  /** `background` keeps this work off the pool that serves requests. */
  constructor(
    private readonly dataSource: DataSource,
    @Inject(MESSAGING_DATA_SOURCE) private readonly background: DataSource,
  ) {}

  onApplicationBootstrap(): void {
    this.fill();
  }

  async onApplicationShutdown(): Promise<void> {
    this.stopped = true;
    await this.filling;
  }

  /**
   * Finds the first `limit` products after `after` that match the search but have no words; normally there are none. `areAll` is false
   * if more may exist beyond the products that were read.
   */
  async findUnindexed(search: string, after: string, limit: number): Promise<{ ids: string[]; areAll: boolean }> {
    const read: Unindexed[] = await this.dataSource.query(
      `select id, name from orders.products where ${WITHOUT_WORDS} and id > $1 order by id limit ${MAX_READ}`,
      [after],
    );
    if (read.length > 0) this.fill();
    const words = searchWords(search);
    const found = read.filter((product) => areFound(words, wordsOf(product)));
    return {
      ids: found.slice(0, limit).map(({ id }) => id),
      areAll: read.length < MAX_READ || found.length >= limit,
    };
  }

  private fill(): void {
    this.filling ??= this.fillAll()
      .catch((error: unknown) =>
        this.logger.warn(`Cannot compute the missing search words of products yet: ${(error as Error).message}`),
      )
      .finally(() => (this.filling = undefined));
  }

  private async fillAll(): Promise<void> {
    for (let after: string | undefined = ''; after !== undefined && !this.stopped;) after = await this.fillBatch(after);
  }

  /** Returns the last id, or undefined if none was left. Skips locked products, so that no sale waits; the next search retries them. */
  private fillBatch(after: string): Promise<string | undefined> {
    return this.background.transaction(async (tx) => {
      const locked: Unindexed[] = await tx.query(
        `select id, name from orders.products where ${WITHOUT_WORDS} and id > $1
          order by id limit ${BATCH} for no key update skip locked`,
        [after],
      );
      if (locked.length === 0) return undefined;
      await tx.query(
        `update orders.products
            set words = array_to_tsvector(found.words), words_of = found.name
           from json_to_recordset($1::json) as found (id text, name text, words text[])
          where products.id = found.id`,
        [JSON.stringify(locked.map((product) => ({ ...product, words: wordsOf(product) })))],
      );
      return locked.at(-1)?.id;
    });
  }
}
