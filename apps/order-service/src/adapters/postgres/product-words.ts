import { Inject, Injectable, Logger, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { MESSAGING_DATA_SOURCE } from '@twinbox/api-kit';
import { DataSource } from 'typeorm';
import { areFound, indexedWords, searchWords } from '../../domain/search-words.js';

/** How many products are locked and written at a time. */
const BATCH = 500;
/** A search reads no more products without words than these. */
const MOST_READ = 1000;

/** What is read of a product without words. */
interface Unindexed {
  readonly id: string;
  readonly name: string;
}

/** Of a product: its words are not those of its name. Served by products_without_words, whose condition this is. */
export const WITHOUT_WORDS = 'words_of is distinct from name';

/** By which words a product is found. */
export function wordsOf({ id, name }: Unindexed): string[] {
  return indexedWords(`${id} ${name}`);
}

/** Builds the tsquery of a search. Undefined when the search has no words. */
export function queryOf(search: string): string | undefined {
  const words = searchWords(search);
  // A word that begins another one would find that one's products, too.
  const needed = words.filter((word) => !words.some((other) => other !== word && other.startsWith(word)));
  // As the type tsquery writes it: no parser and no dictionary of the database reads these words.
  return needed.length === 0 ? undefined : needed.map((word) => `'${word}':*`).join(' & ');
}

/**
 * Computes missing or outdated search words of products that something else wrote: a process of the version
 * before, or SQL. Until they have their words, they are found by reading them.
 */
@Injectable()
export class ProductWords implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly logger = new Logger('Products');
  private stopped = false;
  private filling: Promise<void> | undefined;

  /** `background`: not the pool of the requests. */
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
   * The ids of products without words that the search finds, the first `limit` after `after`; normally there are none. `areAll`: as far
   * as a page needs them, and not only those among the first that were read.
   */
  async findUnindexed(search: string, after: string, limit: number): Promise<{ ids: string[]; areAll: boolean }> {
    const read: Unindexed[] = await this.dataSource.query(
      `select id, name from orders.products where ${WITHOUT_WORDS} and id > $1 order by id limit ${MOST_READ}`,
      [after],
    );
    if (read.length > 0) this.fill();
    const words = searchWords(search);
    const found = read.filter((product) => areFound(words, wordsOf(product)));
    return {
      ids: found.slice(0, limit).map(({ id }) => id),
      areAll: read.length < MOST_READ || found.length >= limit,
    };
  }

  /** Computes the words of the products that lack them, in the background. */
  private fill(): void {
    this.filling ??= this.fillAll()
      .catch((error: unknown) =>
        this.logger.warn(`Some products have no search words yet: ${(error as Error).message}`),
      )
      .finally(() => (this.filling = undefined));
  }

  private async fillAll(): Promise<void> {
    for (let after: string | undefined = ''; after !== undefined && !this.stopped;) after = await this.fillBatch(after);
  }

  /**
   * Gives the last id; undefined when there was nothing left to do. Leaves out products that somebody else has locked: a sale does not
   * wait, and the next search starts this again.
   */
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
