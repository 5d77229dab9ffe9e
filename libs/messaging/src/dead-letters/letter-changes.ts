import { type EntityManager } from 'typeorm';
import { type DeadLetter, type LetterBox, type LetterFilter } from './dead-letter.js';
import { detailOfTexts } from './edit.js';
import { InboxLetterStore } from './inbox-letter-store.js';
import { type LetterStore, type Selection } from './letter-store.js';
import { LetterEdits } from './letter-edits.js';
import { type MessagingOptions } from '../messaging-options.js';
import { Audit } from '../operations/audit.js';
import { type LetterAction } from '../operations/operator.js';
import { OutboxLetterStore } from './outbox-letter-store.js';

export type LetterChange = 'retry' | 'discard';

/** Retries and discards dead letters in a transaction, together with their audit entries. */
export class LetterChanges {
  readonly stores: Readonly<Record<LetterBox, LetterStore>>;
  private readonly edits: LetterEdits;
  private readonly audit: Audit;

  constructor(options: Pick<MessagingOptions, 'schema' | 'consumes' | 'publishes'>) {
    const { schema, consumes, publishes } = options;
    const goOn = consumes.filter(({ afterDeadLetter }) => afterDeadLetter === 'go-on').map(({ groupId }) => groupId);
    this.stores = { outbox: new OutboxLetterStore(schema, publishes), inbox: new InboxLetterStore(schema, goOn) };
    this.edits = new LetterEdits(options);
    this.audit = new Audit(schema);
  }

  /**
   * Changes those of the chosen letters that are still dead and match the filter, and returns them as they were. Locks in the same
   * order as everyone else: the keys, then the audit, then letters, which no running handler has locked. `tx` must not have locked any
   * of them before.
   */
  async apply(
    tx: EntityManager,
    change: LetterChange,
    filter: Selection<LetterFilter>,
    chosen: readonly string[],
    by: LetterAction & { readonly operation?: string | undefined },
  ): Promise<DeadLetter[]> {
    const letters = await this.take(tx, filter, chosen);
    if (letters.length === 0) return [];
    await this.stores[filter.box][change](
      tx,
      letters.map(({ id }) => id),
    );
    const { actor, reason, operation } = by;
    await this.audit.write(tx, { actor, action: change, box: filter.box, reason, operation }, letters);
    return letters;
  }

  /**
   * Replaces the payload of one letter and retries it, in the order of {@link apply}. Returns it as it was; undefined if it is no longer
   * dead.
   * @throws EditRefusedError
   */
  async edit(
    tx: EntityManager,
    box: LetterBox,
    id: string,
    payload: string,
    { actor, reason }: LetterAction,
  ): Promise<DeadLetter | undefined> {
    await this.edits.lockFreeKey(tx, box, id);
    const [letter] = await this.take(tx, { box }, [id]);
    if (!letter) return undefined;
    const original = await this.edits.apply(tx, letter, payload);
    await this.stores[box].retry(tx, [id]);
    const detail = detailOfTexts(original, payload);
    await this.audit.write(tx, { actor, action: 'edit', box, reason, detail }, [letter]);
    return letter;
  }

  /** Locks and returns the letters, in the order of {@link apply}. */
  private async take(
    tx: EntityManager,
    filter: Selection<LetterFilter>,
    chosen: readonly string[],
  ): Promise<DeadLetter[]> {
    const store = this.stores[filter.box];
    await store.lockKeys(tx, chosen);
    await this.audit.lock(tx);
    return store.take(tx, filter, chosen);
  }
}
