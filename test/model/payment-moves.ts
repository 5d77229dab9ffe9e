import fc from 'fast-check';
import { type PaymentCommand } from '../../apps/payment-service/src/application/payment-journal.js';
import { type PaymentResult } from '../../apps/payment-service/src/domain/payment-request.js';
import { aSlot, type Move } from './move.js';
import { must } from './must.js';
import { type CallEnd } from './provider.js';
import { SLOTS, TTL_MS, type World } from './world.js';

const aResult = fc.constantFrom<PaymentResult>({ status: 'SUCCEEDED' }, { status: 'FAILED', reason: 'declined' });

/** With `maxWorkers` 2, a worker that lost its lease may still be running. */
export function work(queue: 'charge' | 'refund', slot: number, maxWorkers: number): Move {
  return {
    name: `a worker takes the ${queue} of order ${slot}`,
    can: (world) => {
      const job = world.jobOf(queue, slot);
      return job !== undefined && world.payments.workersAt(job) < maxWorkers;
    },
    make: async (world) => {
      await world.payments.start(world.jobOf(queue, slot)!);
      return 'the work has started';
    },
  };
}

/** Ends a call to the provider. `dies`: the worker dies after finishing the job, before removing it. */
export function answer(slot: number, how: CallEnd, nth: number, dies: boolean): Move {
  return {
    name: `call ${nth + 1} of the provider for order ${slot} ends: ${how}${dies ? ', and the worker dies' : ''}`,
    can: (world) => world.calls(slot).length > nth,
    make: async (world) => {
      const { payments, answered } = world;
      const { request, end } = world.calls(slot)[nth]!;
      const { status, decidedBy } = world.request(slot)!;
      const before = payments.tables.timeline.length;

      payments.workersDie = dies;
      const isReported = end(how);
      await payments.workersWait();
      payments.workersDie = false;

      if (!isReported) return undefined;
      const lines = payments.tables.timeline.length - before;
      const isStep = world.request(slot)!.status !== status;
      const isRepeated = answered.has(request.id);
      answered.add(request.id);
      must(!isRepeated || !isStep, 'a charge must have one result');
      must(lines === 1 || (isRepeated && lines === 0), `the result of a charge must add one step, not ${lines}`);
      must(!isRepeated || decidedBy !== 'gateway' || lines === 0, 'a repeated call must add nothing');
      return lines === 0 ? 'a repeated result of a charge' : undefined;
    },
  };
}

function decide(slot: number, result: PaymentResult): Move {
  return {
    name: `an operator marks the payment of order ${slot} as ${result.status}`,
    can: (world) => world.request(slot) !== undefined,
    make: async (world) => {
      const { database, decidePayment, provider } = world.payments;
      const { id, status } = world.request(slot)!;
      const command = commandOf(id, 'POST /payment-requests/:id');

      const decision = await database.request((tx) => decidePayment.execute(tx, command, result));

      must(
        decision.accepted === (status === 'PENDING' || status === result.status),
        'the first of contradicting decisions must win',
      );
      if (!decision.accepted) return decision.rejection.code;
      if (result.status === 'SUCCEEDED') provider.take(world.request(slot)!);
      return status === 'PENDING' ? undefined : 'a repeated decision';
    },
  };
}

function commandOf(paymentRequestId: string, cause: string): PaymentCommand {
  return { paymentRequestId, actor: 'operator:olga', cause, precondition: {} };
}

/** The provider has failed the refund for so long that its job is dead. */
function giveUp(slot: number): Move {
  const dead = (world: World) => {
    const job = world.jobOf('refund', slot);
    return job && world.request(slot)?.status === 'REFUND_PENDING' && world.payments.workersAt(job) === 0
      ? job
      : undefined;
  };
  return {
    name: `the refund of order ${slot} is given up`,
    can: (world) => dead(world) !== undefined,
    make: async (world) => {
      const { jobs, deadJobs } = world.payments.tables;
      const job = dead(world)!;
      jobs.delete(job.id);
      deadJobs.set(job.id, job);
      return 'a refund is given up';
    },
  };
}

/** An operator checks that the provider has not made the refund, makes it by hand, and confirms it. */
export function confirm(slot: number, onlyIfDue = false): Move {
  return {
    name: `an operator confirms the refund of order ${slot}`,
    can: (world) => (onlyIfDue ? isGivenUp(world, slot) : world.request(slot) !== undefined),
    make: async (world) => {
      const { database, confirmRefund, provider } = world.payments;
      const { id, status, amount } = world.request(slot)!;
      const isDue = isGivenUp(world, slot);
      const command = commandOf(id, 'POST /payment-requests/:id/refunded');

      const decision = await database.request((tx) => confirmRefund.execute(tx, command));

      must(
        decision.accepted === (isDue || status === 'REFUNDED'),
        'a refund by hand must be accepted only after the provider gave up',
      );
      if (!decision.accepted) return decision.rejection.code;
      if (isDue) provider.refunded.set(id, amount);
      return isDue ? undefined : 'a repeated refund';
    },
  };
}

function isGivenUp(world: World, slot: number): boolean {
  const request = world.request(slot);
  const dead = [...world.payments.tables.deadJobs.values()];
  return request?.status === 'REFUND_PENDING' && dead.some(({ paymentRequestId }) => paymentRequestId === request.id);
}

/** The provider sends the result of a charge, which does not arrive yet. */
function send(slot: number, result: PaymentResult): Move {
  return {
    name: `the provider reports the payment of order ${slot} as ${result.status}`,
    can: (world) => world.request(slot) !== undefined && world.webhooksOf(slot).length < 4,
    make: async (world) => {
      const request = world.request(slot)!;
      if (result.status === 'SUCCEEDED') world.payments.provider.take(request);
      world.send(request, result);
      return 'the webhook is in flight';
    },
  };
}

/** A webhook arrives: any of them, even again, or the first that has not arrived yet. */
export function receive(slot: number, nth?: number): Move {
  return {
    name: `${nth === undefined ? 'the next webhook' : `webhook ${nth + 1}`} of order ${slot} arrives`,
    can: (world) => world.webhook(slot, nth) !== undefined,
    make: async (world) => {
      const isNew = await world.payments.receiveWebhook(world.webhook(slot, nth)!);
      return isNew ? undefined : 'a duplicate webhook';
    },
  };
}

/** Expires up to `limit` payments; with fewer than are due, other moves may come between. */
export function expire(limit: number): Move {
  return {
    name: `the timer expires up to ${limit} payments`,
    can: (world) => overdueIn(world) > 0,
    make: async (world) => {
      const { database, expirePayments } = world.payments;
      const overdue = overdueIn(world);

      await database.transaction((tx) => expirePayments.execute(tx, limit));

      must(overdueIn(world) === Math.max(0, overdue - limit), 'payments that are due must expire');
      return undefined;
    },
  };
}

function overdueIn(world: World): number {
  const requests = SLOTS.flatMap((slot) => world.request(slot) ?? []);
  return requests.filter(({ status, expiresAt }) => status === 'PENDING' && expiresAt <= world.now).length;
}

export const working = fc
  .tuple(fc.constantFrom('charge', 'refund'), aSlot)
  .map(([queue, slot]) => work(queue, slot, 2));
export const answering = fc
  .tuple(aSlot, fc.constantFrom('SUCCEEDED', 'SUCCEEDED', 'FAILED', 'PENDING', 'LOST', 'DOWN'), fc.nat(1), fc.boolean())
  .map((how) => answer(...how));
export const deciding = fc.tuple(aSlot, aResult).map(([slot, result]) => decide(slot, result));
export const givingUp = aSlot.map(giveUp);
export const confirming = aSlot.map((slot) => confirm(slot));
export const sending = fc.tuple(aSlot, aResult).map(([slot, result]) => send(slot, result));
export const receiving = fc.tuple(aSlot, fc.nat(3)).map(([slot, nth]) => receive(slot, nth));
export const expiring = fc.constantFrom(1, 2).map((limit) => expire(limit));

/** To just before a payment expires, to its expiry, or a little further. */
export const waiting = fc.constantFrom(1, TTL_MS - 1, TTL_MS).map((ms): Move => ({
  name: `${ms} ms pass`,
  can: () => true,
  make: async (world) => {
    world.wait(ms);
    return 'time passes';
  },
}));
