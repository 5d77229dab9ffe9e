import { Inject, Injectable, Logger, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { MESSAGING_DATA_SOURCE } from '@twinbox/api-kit';
import { DataSource } from 'typeorm';
import { areFound, indexedWords, searchWords } from '../../domain/search-words.js';

/** How many products are read, or locked and written, at a time. */
const BATCH = 200;

/** What is read of a product without words. */
interface Unindexed {
  readonly id: string;
  readonly name: string;
}

/** Of a product: its words are not those of its name. Served by products_without_words, whose condition this is. */
const WITHOUT_WORDS = 'words_of is distinct from name';

/** By which words a product is found. */
export function wordsOf({ id, name }: Unindexed): string[] {
  return indexedWords(`${id} ${name}`);
}

/** What to look for in the column `words`; undefined: there is no word, so there is nothing to find. */
export function queryOf(search: string): string | undefined {
  const words = searchWords(search);
  // A word that begins another one would find that one's products, too.
  const needed = words.filter((word) => !words.some((other) => other !== word && other.startsWith(word)));
  // As the type tsquery writes it: no parser and no dictionary of the database reads these words.
  return needed.length === 0 ? undefined : needed.map((word) => `'${word}':*`).join(' & ');
}

/**
 * Looks after the products whose words are missing or out of date, because something else wrote them: a process of the version
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

  /** The ids of products without words that the search finds, the first `limit` after `after`; normally there are none. */
  async findUnindexed(search: string, after: string, limit: number): Promise<string[]> {
    const words = searchWords(search);
    const found: string[] = [];
    for (let last = after; ;) {
      const read: Unindexed[] = await this.dataSource.query(
        `select id, name from orders.products where ${WITHOUT_WORDS} and id > $1 order by id limit ${BATCH}`,
        [last],
      );
      if (read.length > 0) this.fill();
      found.push(...read.filter((product) => areFound(words, wordsOf(product))).map(({ id }) => id));
      if (read.length < BATCH || found.length >= limit) return found.slice(0, limit);
      last = read.at(-1)?.id ?? last;
    }
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
    while (!this.stopped && (await this.fillBatch()) > 0);
  }

  /** Leaves out products that somebody else has locked: a sale does not wait, and the next search starts this again. */
  private fillBatch(): Promise<number> {
    return this.background.transaction(async (tx) => {
      const locked: Unindexed[] = await tx.query(
        `select id, name from orders.products where ${WITHOUT_WORDS} order by id limit ${BATCH} for no key update skip locked`,
      );
      if (locked.length === 0) return 0;
      await tx.query(
        `update orders.products
            set words = array_to_tsvector(found.words), words_of = found.name
           from json_to_recordset($1::json) as found (id text, name text, words text[])
          where products.id = found.id`,
        [JSON.stringify(locked.map((product) => ({ ...product, words: wordsOf(product) })))],
      );
      return locked.length;
    });
  }
}
