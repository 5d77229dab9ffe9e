import { type DataSource, type EntityManager } from 'typeorm';

/** A value of a `jsonb` column, as it is read back. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json | undefined };

/** What an operation applies to, by names of the kind. Stored with the operation and never changed afterwards. */
export type OperationFilter = Readonly<Record<string, Json | undefined>>;

export interface OperationOptions {
  /**
   * Handles 1, 2, 5, 10, 20, 50, 100 and then 200 items a step. After each step the operation waits for what it has retried, and stops
   * at the first new failure. It looks about twice a second, so it does not see a failure after which the item was processed before the
   * next look. Not for discards.
   */
  readonly canary?: boolean | undefined;
  /** The most items a second, on average over some seconds. May be less than 1. */
  readonly ratePerSecond?: number | undefined;
  /** Replay only: the topic to publish to, instead of that of each message. */
  readonly topic?: string | undefined;
  /** Replay only: publishes although consumers may no longer recognise the copies as duplicates. */
  readonly force?: boolean | undefined;
}

/** The number of items that a preview shows. */
export const SHOWN_ITEMS = 20;

/** What an operation would apply to. */
export interface OperationPreview {
  readonly total: number;
  /** False if `total` is only the number up to which a preview counts, so that there may be more. */
  readonly totalIsExact: boolean;
  /** Up to 20 items in the order in which they would be handled, without their payloads. */
  readonly first: readonly object[];
}

/** An operation in progress, as a kind sees it. */
export interface RunningOperation {
  readonly id: string;
  readonly filter: OperationFilter;
  /** ISO 8601 with microseconds. Only items from before this time are handled. */
  readonly asOf: string;
  readonly options: OperationOptions;
  /** Who created the operation, and why. */
  readonly actor: string;
  readonly reason: string | null;
  /** The `progress` of the last saved step; null before the first one. */
  readonly progress: Json;
}

export interface OperationStep {
  /** What the next step, perhaps in another process, needs to continue after this one. */
  readonly progress: Json;
  /** The number of items that this step has handled. */
  readonly done: number;
  /** The number of items that this step could not handle. */
  readonly failed: number;
  /** Whether there may be more items. */
  readonly more: boolean;
  /** The ids of the handled items, for {@link OperationKind.outcomes}. */
  readonly items?: readonly string[] | undefined;
}

export interface StepContext {
  readonly dataSource: DataSource;
  /** Aborts when the process stops, or when it can no longer be sure that no other process runs the operation. */
  readonly signal: AbortSignal;
  /** Whether this process certainly runs the operation. To be checked before every effect outside of the database; costs no query. */
  readonly mayGoOn: () => boolean;
  /**
   * Saves a step, exactly once and as the last statement before the commit. A kind whose effects are in the database passes the
   * transaction of the effects. Another kind saves in a transaction of its own after the effects, which the next runner repeats if the
   * process dies in between. The lock of the operation's row comes after all other locks.
   * @throws OperationLostError if the operation has been cancelled, or another process has taken it over
   */
  readonly save: (tx: EntityManager, step: OperationStep) => Promise<void>;
}

/** What became of retried items. */
export interface ItemOutcomes {
  /** The number of items that have neither been processed nor failed again. */
  readonly waiting: number;
  /** The items that have failed again, each with its error. */
  readonly failed: readonly { readonly item: string; readonly error: string }[];
}

/** A kind of bulk action. It knows what the items are. The runner does everything else. */
export interface OperationKind {
  readonly name: string;
  /**
   * Validates the input of an operator, which no compiler has checked.
   * @throws InvalidInputError for an invalid value, an unknown or missing filter, or an option that the kind does not have
   */
  check(filter: OperationFilter, options: OperationOptions): void;
  /** Counts what an operation would handle, with a bounded effort. Not called in a transaction, so it may call other systems. */
  preview(db: DataSource, filter: OperationFilter, asOf: string, options: OperationOptions): Promise<OperationPreview>;
  /**
   * Handles at most `atMost` further items after `operation.progress`, and saves that with `context.save`.
   * @throws PermanentError if the operation cannot succeed and must end; anything else is tried again some seconds later
   */
  step(operation: RunningOperation, atMost: number, context: StepContext): Promise<unknown>;
  /** Returns what became of the items of one step. A kind without it has no canary. */
  outcomes?(db: DataSource, filter: OperationFilter, items: readonly string[]): Promise<ItemOutcomes>;
}

/** The operation has ended, or another process runs it. What was not saved has to be undone. */
export class OperationLostError extends Error {
  override readonly name = 'OperationLostError';

  constructor(id: string) {
    super(`Operation ${id} has ended, or another process has taken it over`);
  }
}

/** The injection token of all kinds. */
export const OPERATION_KINDS = Symbol('OPERATION_KINDS');
