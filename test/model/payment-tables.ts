import { type Jobs } from '@twinbox/messaging';
import {
  type PaymentRequestStore,
  type Step,
} from '../../apps/payment-service/src/application/payment-request-store.js';
import { type PaymentTimeline } from '../../apps/payment-service/src/application/payment-timeline.js';
import { type PaymentRequest } from '../../apps/payment-service/src/domain/payment-request.js';
import { type Message } from './memory.js';

export interface PaymentLine extends Step {
  readonly orderId: string;
}

export interface Job {
  readonly id: string;
  readonly queue: string;
  readonly paymentRequestId: string;
  readonly gateway: string;
}

export function emptyTables() {
  return {
    requests: new Map<string, PaymentRequest>(),
    /** Requests whose charge may have been sent. */
    chargesSent: new Set<string>(),
    timeline: [] as PaymentLine[],
    messages: [] as Message[],
    jobs: new Map<string, Job>(),
    /** Refunds that were given up: an operator has to send the money. */
    deadJobs: new Map<string, Job>(),
    inbox: new Set<string>(),
  };
}

export type PaymentTables = ReturnType<typeof emptyTables>;

export function requestOf({ requests }: PaymentTables, orderId: string): PaymentRequest | undefined {
  return [...requests.values()].find((request) => request.orderId === orderId);
}

export function requestStoreOn(tables: PaymentTables, clock: { now(): Date }): PaymentRequestStore {
  const addSteps = (orderId: string, steps: readonly Step[]): void => {
    tables.timeline.push(...steps.map((step) => ({ ...step, orderId })));
  };
  const store: Pick<
    PaymentRequestStore,
    | 'beginInsert'
    | 'insert'
    | 'lock'
    | 'lockByOrder'
    | 'awaitInserts'
    | 'lockExpired'
    | 'save'
    | 'note'
    | 'markChargeSent'
    | 'find'
  > = {
    beginInsert: async () => clock.now(),
    insert: async (_, state, steps) => {
      if (requestOf(tables, state.orderId)) return undefined;
      const orderCancelled = isCancelled(tables, state.orderId);
      tables.requests.set(state.id, state);
      addSteps(state.orderId, steps);
      return { orderCancelled };
    },
    lock: async (_, id) => tables.requests.get(id),
    lockByOrder: async (_, orderId) => requestOf(tables, orderId),
    awaitInserts: async () => {},
    lockExpired: async (_, limit) => expiredIn(tables, limit, clock.now()),
    save: async (_, saved) => {
      for (const { state, steps } of saved) {
        tables.requests.set(state.id, state);
        addSteps(state.orderId, steps);
      }
    },
    note: async (_, orderId, step) => addSteps(orderId, [step]),
    markChargeSent: async (id) => markChargeSent(tables, id),
    find: async (id) => tables.requests.get(id),
  };
  return store as PaymentRequestStore;
}

function expiredIn({ requests }: PaymentTables, limit: number, now: Date) {
  return [...requests.values()]
    .filter(({ status, expiresAt }) => status === 'PENDING' && expiresAt <= now)
    .slice(0, limit)
    .map((request) => ({ request, now }));
}

function markChargeSent({ requests, chargesSent }: PaymentTables, id: string): PaymentRequest | undefined {
  const request = requests.get(id);
  if (!request) return undefined;
  if (request.status !== 'PENDING' && !chargesSent.has(id)) return undefined;
  chargesSent.add(id);
  return request;
}

export function timelineOn(tables: PaymentTables): PaymentTimeline {
  const timeline: Pick<PaymentTimeline, 'hasCancellation'> = {
    hasCancellation: async (_, orderId) => isCancelled(tables, orderId),
  };
  return timeline as PaymentTimeline;
}

function isCancelled({ timeline }: PaymentTables, orderId: string): boolean {
  return timeline.some((line) => line.orderId === orderId && line.cause === 'OrderCancelled');
}

export function jobsOn(tables: PaymentTables): Jobs {
  const addAll: Jobs['addAll'] = async (_, queue, jobs) =>
    jobs.map(({ id = '', data }) => {
      const known = tables.jobs.get(id);
      if (known && known.queue !== queue)
        throw new Error(`Job ${id} for ${queue} has the id of a job of ${known.queue}`);
      if (!known) tables.jobs.set(id, { id, queue, ...(data as Pick<Job, 'paymentRequestId' | 'gateway'>) });
      return id;
    });
  const add: Jobs['add'] = async (tx, queue, data, options) => (await addAll(tx, queue, [{ ...options, data }]))[0]!;
  const isWaiting: Jobs['isWaiting'] = async (_, id) => tables.jobs.has(id);
  const isRunning: Jobs['isRunning'] = async () => false;
  return { add, addAll, isWaiting, isRunning } as Jobs;
}
