import { type EntityManager } from 'typeorm';
import { type Place } from './crash-marks.js';
import { type InboxWork } from './inbox-work.js';
import { inTransaction } from '../postgres/transaction.js';

/** How many processes have died with a message alone in flight, as known when it was marked. */
export interface Deaths {
  readonly known: number;
  countAgain(): Promise<number>;
}

/** Settles single messages, each under a crash mark of its own. */
export class MessageMarks {
  constructor(private readonly work: InboxWork) {}

  /**
   * Settles a message under a counting mark, as {@link settling} does. The caller ensures that nothing else is in flight. `settle`
   * also receives how many processes have died handling the message that way.
   */
  async coveringAlone<T extends object>(
    place: Place,
    settle: (tx: EntityManager, deaths: Deaths) => Promise<T>,
  ): Promise<T | undefined> {
    const { crashMarks, dataSource } = this.work;
    const { id, deaths } = await crashMarks.markAlone(dataSource, place);
    return this.settling(id, place, async (tx) =>
      settle(tx, { known: deaths, countAgain: async () => crashMarks.deathsOf(tx, place, id) }),
    );
  }

  /**
   * Settles a message under a mark of ours, in one transaction which also removes all marks of the message, because earlier deaths
   * no longer matter. If `settle` throws or returns undefined, only our mark is removed: the message did not crash this process.
   */
  async settling<T extends object>(
    mark: string,
    place: Place,
    settle: (tx: EntityManager) => Promise<T | undefined>,
  ): Promise<T | undefined> {
    const { crashMarks, dataSource } = this.work;
    try {
      const settled = await inTransaction(dataSource, async (tx) => {
        const outcome = await settle(tx);
        if (outcome) await crashMarks.settle(tx, place);
        return outcome;
      });
      if (settled) crashMarks.forgetOwn([mark]);
      else await crashMarks.remove(dataSource, [mark]);
      return settled;
    } catch (error) {
      await crashMarks.remove(dataSource, [mark]);
      throw error;
    }
  }
}
