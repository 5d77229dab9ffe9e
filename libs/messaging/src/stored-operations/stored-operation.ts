import { type LetterAction } from '../operations/operator.js';
import { type OperationFilter, type OperationOptions } from './operation-kind.js';

export const OPERATION_STATES = ['running', 'done', 'stopped', 'cancelled', 'failed'] as const;

/** `stopped`: the canary found a new failure. `failed`: the operation could not go on. */
export type OperationState = (typeof OPERATION_STATES)[number];

/** An operator's action on many items, which a process of the service runs. */
export interface StoredOperation {
  readonly id: string;
  readonly kind: string;
  readonly filter: OperationFilter;
  /** ISO 8601 with microseconds. Only items from before this time are handled. */
  readonly asOf: string;
  readonly options: OperationOptions;
  readonly state: OperationState;
  /** The number of items when the operation was created. */
  readonly total: number;
  /** Whether there were no others. If false, more than `total` may be handled. */
  readonly totalIsExact: boolean;
  /** The number of items handled. At the end it is lower than `total` if somebody else has handled items meanwhile. */
  readonly done: number;
  /** The number of items that failed, or, with a canary, failed again. */
  readonly failed: number;
  /** With a canary: for how many items of the last step the operation waits. */
  readonly waitingFor: number;
  /** Why the operation has ended, or what delays it. */
  readonly problem: string | null;
  readonly cancelledBy: string | null;
  readonly actor: string;
  readonly reason: string | null;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  readonly finishedAt: Date | null;
}

/** What an operator asks for. */
export interface OperationRequest {
  readonly kind: string;
  readonly filter: OperationFilter;
  readonly options?: (OperationOptions & { readonly asOf?: string | undefined }) | undefined;
}

/** The result of a dry run. An operation with the same filter and this `asOf` applies to the same items. */
export interface DryRun {
  readonly asOf: string;
  readonly total: number;
  /** False if there may be more. Up to 100,000 items are counted, and fewer if the filter has a cause or selects few of many messages. */
  readonly totalIsExact: boolean;
  /** Up to 20 items, without their payloads. */
  readonly first: readonly object[];
}

/** An operation to store, with the result of its dry run. */
export type NewOperation = OperationRequest & LetterAction & { readonly dryRun: DryRun };
