import { Logger } from '@nestjs/common';
import { PREPARED } from '@twinbox/messaging/transactions';
import { reasonOf } from './database-errors.js';

/** How often statements may be lost before preparing stops. A pooler that does not track prepared statements loses them all the time. */
const MAX_LOST_STATEMENTS = 10;

/**
 * The names of the statements that are marked with `prepared`, shared by all connections of the process. A named statement is parsed and
 * planned once per connection.
 *
 * If a table changes, the result of a prepared statement may no longer match, and PostgreSQL rejects the statement until it is prepared
 * again. The first such error gives all statements new names, so that every connection prepares them again. Only statements that were sent
 * before that fail, and they may be retried. The old prepared statements disappear with their connections.
 */
export class PreparedStatements {
  private readonly logger = new Logger('Database');
  private readonly numbers = new Map<string, number>();
  private generation = 1;
  /** How often the server did not have a statement that was prepared before, or already had one that was new. */
  private lost = 0;

  /** Returns the arguments of a query, with a name if the statement is to be prepared. */
  named([text, values, ...rest]: unknown[]): unknown[] {
    if (typeof text !== 'string' || !text.startsWith(PREPARED) || this.lost >= MAX_LOST_STATEMENTS)
      return [text, values, ...rest];
    const number = this.numbers.get(text) ?? this.numbers.size + 1;
    this.numbers.set(text, number);
    return [{ name: this.nameOf(number), text, values }, ...rest];
  }

  /** Handles a stale statement. The first error for a generation of names starts the next generation. */
  isStale([query]: unknown[], error: unknown): void {
    const { name, text = '' } = (query ?? {}) as { name?: string; text?: string };
    if (name === undefined || name !== this.nameOf(this.numbers.get(text) ?? 0)) return;
    this.generation++;
    const reason = reasonOf(error);
    if ((error as { code?: unknown }).code !== '0A000' && ++this.lost === MAX_LOST_STATEMENTS)
      this.logger.warn(`No longer preparing statements, because the server keeps losing them: ${reason}.`);
    else this.logger.warn(`Preparing all statements again: ${reason}.`);
  }

  private nameOf(number: number): string {
    return `prepared_${this.generation}_${number}`;
  }
}
