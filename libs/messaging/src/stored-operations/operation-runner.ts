import { randomUUID } from 'node:crypto';
import { Logger } from '@nestjs/common';
import { describeError, PermanentError } from '../errors.js';
import { Audit } from '../operations/audit.js';
import { operatorTransaction } from '../operations/operator.js';
import { type DueWork } from '../poll/due-work.js';
import { type DataSources } from '../postgres/data-sources.js';
import { failureOf } from '../postgres/failures.js';
import { pause, settlesWithin, STOP_MS, WakeUpCall } from '../waiting.js';
import { canaryVerdict } from './canary.js';
import { auditOperation } from './operation-audit.js';
import { OPERATION_TIMING, OperationHold } from './operation-hold.js';
import { OperationLostError, type OperationKind, type OperationStep, type StepContext } from './operation-kind.js';
import { type HeldOperation, OperationStore, type SavedProgress } from './operation-store.js';
import { stepSize, waitAfter } from './pace.js';
import { type OperationState } from './stored-operation.js';

/** A longer wait releases the operation, so that this process can run others, and any process can continue it. */
const LONGEST_PAUSE_MS = 200;
/** After this time, other operations get their turn. */
const TURN_MS = 1000;
/** How often the canary looks. Less than the default wait between two attempts of an item, so that a failed one is seen. */
const LOOK_AGAIN_MS = 400;
/** By how much the wake-up comes after the end of a wait. */
const LATER_MS = 5;

/**
 * Runs stored operations: one step at a time, and in turns, so that a slow or long operation does not hold up the others. It competes for
 * them with the other processes. A process that takes over continues after the last saved step. The poll wakes the runner while an open
 * operation has no live runner, and the end of a wait wakes the process that has released the operation.
 */
export class OperationRunner {
  private readonly logger = new Logger('Operations');
  private readonly store: OperationStore;
  private readonly audit: Audit;
  /** Operations of other kinds are left to a newer version of the service. */
  private readonly kinds: ReadonlyMap<string, OperationKind>;
  private readonly stopper = new AbortController();
  private readonly wakeUp = new WakeUpCall();
  private running: Promise<void> | undefined;

  constructor(
    schema: string,
    kinds: readonly OperationKind[],
    private readonly dataSources: DataSources,
    dueWork: DueWork,
    private readonly timing = OPERATION_TIMING,
  ) {
    this.store = new OperationStore(schema);
    this.audit = new Audit(schema);
    this.kinds = new Map(kinds.map((kind) => [kind.name, kind]));
    dueWork.on('operations', () => this.wakeUp.call());
  }

  start(): void {
    this.running ??= this.run();
  }

  /** Lets a step in progress finish. Another process continues the operation. */
  async stop(): Promise<void> {
    this.stopper.abort();
    this.wakeUp.call();
    if (this.running && !(await settlesWithin(STOP_MS, this.running)))
      this.logger.warn(`An operation has not stopped after ${STOP_MS} ms. Another process will continue it`);
  }

  private async run(): Promise<void> {
    const { signal: stopping } = this.stopper;
    while (!stopping.aborted) {
      await this.wakeUp.wait();
      try {
        while (!stopping.aborted && (await this.runNext()));
      } catch (error) {
        // The next poll wakes the runner again.
        this.logger.warn(`Cannot run operations now: ${describeError(error)}`);
      }
    }
  }

  /** Takes the operation whose turn it is, and runs it until it ends or waits, or its turn is over. Returns false if there is none. */
  private async runNext(): Promise<boolean> {
    const db = this.dataSources.default;
    const [runner, sinceMs] = [randomUUID(), performance.now()];
    const operation = await this.store.take(db, [...this.kinds.keys()], runner, this.timing.leaseMs);
    const kind = operation && this.kinds.get(operation.kind);
    if (!kind) return false;
    const hold = new OperationHold(
      this.store,
      db,
      { id: operation.id, runner, sinceMs },
      this.timing,
      this.stopper.signal,
    );
    try {
      await this.runHeld(operation, kind, runner, hold);
    } catch (error) {
      if (!(error instanceof OperationLostError)) await this.onError(operation, runner, error);
    } finally {
      hold.end();
    }
    return true;
  }

  private async runHeld(
    operation: HeldOperation,
    kind: OperationKind,
    runner: string,
    hold: OperationHold,
  ): Promise<void> {
    const { id, options } = operation;
    let { saved } = operation;
    const endOfTurn = performance.now() + TURN_MS;
    for (;;) {
      if (hold.isLost) return;
      if (hold.signal.aborted) return this.release(id, runner, { waitMs: 0 });
      if (saved.items && !(await this.canaryPasses(operation, kind, runner, saved.items))) return;
      if (!saved.more) return this.finish(operation, runner, 'done');
      const begunAt = performance.now();
      const step = await this.step(operation, kind, saved, runner, hold);
      saved = step.saved;
      const waitMs = waitAfter(options, step.handled, performance.now() - begunAt);
      // Items that wait for others must not keep this process from running another operation.
      if (saved.items) return this.release(id, runner, { waitMs: Math.max(waitMs, LOOK_AGAIN_MS) });
      if (waitMs > LONGEST_PAUSE_MS || performance.now() >= endOfTurn) return this.release(id, runner, { waitMs });
      await pause(waitMs, hold.signal);
    }
  }

  private async step(
    operation: HeldOperation,
    kind: OperationKind,
    before: SavedProgress,
    runner: string,
    { signal, mayGoOn }: OperationHold,
  ): Promise<{ saved: SavedProgress; handled: number }> {
    const { id, options } = operation;
    const { leaseMs } = this.timing;
    let result: { saved: SavedProgress; handled: number } | undefined;
    const save: StepContext['save'] = async (tx, step) => {
      const saved = progressAfter(before, step, options.canary === true);
      const { done, failed } = step;
      if (!(await this.store.save(tx, id, runner, { progress: saved, done, failed, leaseMs })))
        throw new OperationLostError(id);
      result = { saved, handled: done + failed };
    };
    const context = { dataSource: this.dataSources.default, signal, mayGoOn, save };
    await kind.step({ ...operation, progress: before.at }, stepSize(options, before.steps), context);
    if (!result) throw new PermanentError(`A step of kind ${kind.name} was not saved`);
    return result;
  }

  /** Ends or releases the operation unless all items of the last step have been processed. */
  private async canaryPasses(
    operation: HeldOperation,
    kind: OperationKind,
    runner: string,
    items: readonly string[],
  ): Promise<boolean> {
    const outcomes = await kind.outcomes?.(this.dataSources.default, operation.filter, items);
    const verdict = canaryVerdict(outcomes ?? { waiting: 0, failed: [] }, operation.sinceStepMs);
    if (verdict.is === 'passed') return true;
    if (verdict.is === 'stop') await this.finish(operation, runner, 'stopped', verdict);
    else await this.release(operation.id, runner, { waitMs: LOOK_AGAIN_MS, waiting: verdict.waiting });
    return false;
  }

  private async onError(operation: HeldOperation, runner: string, error: unknown): Promise<void> {
    const problem = describeError(error);
    if (error instanceof PermanentError || failureOf(error) === 'never')
      return this.finish(operation, runner, 'failed', { problem, failed: 0 });
    const { retryMs } = this.timing;
    this.logger.warn(`Operation ${operation.id} will continue in ${retryMs} ms: ${problem}`);
    await this.release(operation.id, runner, { waitMs: retryMs, problem });
  }

  private async release(id: string, runner: string, how: Parameters<OperationStore['release']>[3]): Promise<void> {
    await this.store.release(this.dataSources.default, id, runner, how);
    setTimeout(() => this.wakeUp.call(), how.waitMs + LATER_MS).unref();
  }

  private async finish(
    { id, actor, reason }: HeldOperation,
    runner: string,
    state: OperationState,
    { problem, failed }: { readonly problem?: string; readonly failed: number } = { failed: 0 },
  ): Promise<void> {
    await operatorTransaction(this.dataSources.default, async (tx) => {
      await this.audit.lock(tx);
      const ended = await this.store.finish(tx, id, runner, { state, problem, failed });
      if (ended) await auditOperation(tx, this.audit, 'end', ended, { actor, reason: reason ?? undefined });
    });
  }
}

function progressAfter(
  before: SavedProgress,
  { progress, more, done, failed, items }: OperationStep,
  canary: boolean,
): SavedProgress {
  const watched = canary && items !== undefined && items.length > 0;
  return {
    at: progress,
    more,
    steps: before.steps + (done + failed > 0 ? 1 : 0),
    ...(watched && { items, waiting: items.length }),
  };
}
