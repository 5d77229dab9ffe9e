import { randomUUID } from 'node:crypto';
import { type AdminClient, type Operation } from '@twinbox/client/admin';
import { type TestDatabase, until } from '@twinbox/messaging/testing';
import { v7 as uuidv7 } from 'uuid';

/** How an operation succeeds, and a call that the service refuses with the code. */
export interface Example {
  readonly succeeds: () => Promise<void>;
  readonly fails: () => Promise<unknown>;
  readonly code: string;
}

/** The administration of payment-service, as it is while the examples run. */
export interface Administration {
  readonly admin: AdminClient;
  readonly operator: AdminClient;
  readonly customer: AdminClient;
  readonly database: TestDatabase;
  /** The consumer group of payment-service, and its topic. */
  readonly consumer: string;
  readonly topic: string;
  /** Places an order whose payment is requested, and returns its id. */
  readonly requestedOrder: () => Promise<string>;
}

const NOBODY = '01939d3c-2f4a-7c3e-9d55-8a0f6a1b2c3d';
const REASON = { reason: 'a test' };
const LETTER = { box: 'inbox', id: '999999' } as const;

/** Returns an example for each operation. It is a record of all, so that the compiler finds one without an example. */
export function adminExamples(of: () => Administration): Record<keyof AdminClient, Example> {
  let offset = 5000;
  const admin = () => of().admin;
  const customer = () => of().customer;

  /** Inserts a message that payment-service cannot handle. */
  async function aHeldMessage(isDead = true) {
    const { database, consumer, topic } = of();
    const messageId = uuidv7();
    const headers = { ce_specversion: '1.0', ce_id: messageId, ce_type: 'OrderPlaced', ce_source: '/tested' };
    const [row] = await database.sql<{ id: string }>(
      `insert into payments.inbox_parked (consumer, topic, partition, "offset", recorded_at, source, message_id, type, key, headers, value,
         holds_key, attempts, error, dead_at, next_attempt_at)
       values ($1, $2, 0, $3, now(), '/tested', $4::text, 'OrderPlaced', convert_to($4::text, 'UTF8'), $5, '{}', true, 5, 'it failed',
         case when $6 then now() end, case when $6 then null else now() + interval '1 hour' end)
       returning id::text as id`,
      [consumer, topic, offset++, messageId, JSON.stringify(headers), isDead],
    );
    return { box: 'inbox', id: row!.id, key: messageId } as const;
  }

  async function aDeadJob(queue = 'charge') {
    const id = uuidv7();
    const data = { paymentRequestId: NOBODY, gateway: 'simulator' };
    await of().database.sql(
      `insert into payments.jobs (id, queue, data, run_at, attempts, error, dead_at) values ($1, $2, $3, now(), 8, 'it failed', now())`,
      [id, queue, data],
    );
    return { id, data };
  }

  const anOperation = async (ratePerSecond?: number) => {
    const queue = randomUUID();
    await aDeadJob(queue);
    await aDeadJob(queue);
    const options = ratePerSecond === undefined ? {} : { ratePerSecond };
    const operation = await admin().createOperation({ kind: 'discard-jobs', filter: { queue }, options, ...REASON });
    return operation as Operation;
  };

  async function anIncident() {
    const [row] = await of().database.sql<{ id: string }>(
      `insert into payments.messaging_incidents (kind, subject, problem, detail)
       values ('messages-missed', $1, 'It was deleted.', '{}') returning id::text as id`,
      [randomUUID()],
    );
    return { id: row!.id };
  }

  return {
    getMessagingOverview: {
      async succeeds() {
        const { consumers, queues } = await of().operator.getMessagingOverview();
        expect(consumers).toMatchObject([{ consumer: of().consumer, topic: of().topic }]);
        expect(queues.map(({ queue }) => queue)).toEqual(expect.arrayContaining(['charge', 'refund']));
      },
      fails: () => customer().getMessagingOverview(),
      code: 'role-required',
    },
    listDeadLetters: {
      async succeeds() {
        const { id, key } = await aHeldMessage();
        const { items } = await of().operator.listDeadLetters({ box: 'inbox', key }).page();
        expect(items).toMatchObject([{ id, key, type: 'OrderPlaced', error: 'it failed' }]);
      },
      fails: () => admin().listDeadLetters({ box: 'outbox', consumer: 'x' }).page(),
      code: 'dead-letter-filter-unknown',
    },
    listDeadLetterCauses: {
      async succeeds() {
        const { key } = await aHeldMessage();
        const causes = await of().operator.listDeadLetterCauses({ box: 'inbox', key });
        expect(causes).toMatchObject({ items: [{ cause: 'it failed', count: 1 }], complete: true });
      },
      fails: () => admin().listDeadLetterCauses({ box: 'inbox', aggregateType: 'x' }),
      code: 'dead-letter-filter-unknown',
    },
    getDeadLetter: {
      async succeeds() {
        const { box, id } = await aHeldMessage();
        expect(await of().operator.getDeadLetter({ box, id })).toMatchObject({ id, payload: '{}', waiting: 0 });
      },
      fails: () => admin().getDeadLetter(LETTER),
      code: 'dead-letter-not-found',
    },
    retryDeadLetter: {
      async succeeds() {
        const { box, id } = await aHeldMessage();
        expect(await admin().retryDeadLetter({ box, id })).toMatchObject({ id });
      },
      fails: () => admin().retryDeadLetter(LETTER),
      code: 'dead-letter-not-found',
    },
    discardDeadLetter: {
      async succeeds() {
        const { box, id } = await aHeldMessage();
        expect(await admin().discardDeadLetter({ box, id, ...REASON })).toMatchObject({ id });
        await expect(admin().getDeadLetter({ box, id })).rejects.toMatchObject({ code: 'dead-letter-not-found' });
      },
      fails: () => of().operator.discardDeadLetter({ ...LETTER, ...REASON }),
      code: 'role-required',
    },
    editDeadLetter: {
      async succeeds() {
        const { box, id } = await aHeldMessage();
        const items = [{ productId: 'tea', name: 'Tea', quantity: 2, unitPrice: 450 }];
        const payload = JSON.stringify({ orderId: NOBODY, customerId: 'ada', total: 900, currency: 'EUR', items });
        expect(await admin().editDeadLetter({ box, id, payload, ...REASON })).toMatchObject({ id });
      },
      async fails() {
        const { box, id } = await aHeldMessage();
        return admin().editDeadLetter({ box, id, payload: '{', ...REASON });
      },
      code: 'edit-invalid',
    },
    listDeadJobs: {
      async succeeds() {
        const queue = randomUUID();
        const { id } = await aDeadJob(queue);
        expect((await of().operator.listDeadJobs({ queue }).page()).items).toMatchObject([{ id, queue, attempts: 8 }]);
      },
      fails: () => admin().listDeadJobs({ cursor: 'nonsense' }).page(),
      code: 'validation',
    },
    listDeadJobCauses: {
      async succeeds() {
        const queue = randomUUID();
        await aDeadJob(queue);
        const causes = await of().operator.listDeadJobCauses({ queue });
        expect(causes).toMatchObject({ items: [{ cause: 'it failed', types: [queue] }], complete: true });
      },
      fails: () => customer().listDeadJobCauses(),
      code: 'role-required',
    },
    getDeadJob: {
      async succeeds() {
        const { id, data } = await aDeadJob();
        expect(await of().operator.getDeadJob({ id })).toMatchObject({ id, data });
      },
      fails: () => admin().getDeadJob({ id: NOBODY }),
      code: 'dead-job-not-found',
    },
    retryDeadJob: {
      async succeeds() {
        const { id } = await aDeadJob();
        expect(await admin().retryDeadJob({ id, ...REASON })).toMatchObject({ id });
      },
      fails: () => admin().retryDeadJob({ id: NOBODY }),
      code: 'dead-job-not-found',
    },
    discardDeadJob: {
      async succeeds() {
        const { id } = await aDeadJob();
        expect(await admin().discardDeadJob({ id, ...REASON })).toMatchObject({ id });
      },
      fails: async () => admin().discardDeadJob({ id: (await aDeadJob()).id, reason: ' ' }),
      code: 'validation',
    },
    editDeadJob: {
      async succeeds() {
        const { id, data } = await aDeadJob();
        const edited = JSON.stringify({ ...data, note: 'checked by hand' });
        expect(await admin().editDeadJob({ id, data: edited, ...REASON })).toMatchObject({ id });
      },
      fails: async () => admin().editDeadJob({ id: (await aDeadJob()).id, data: '{}', ...REASON }),
      code: 'edit-invalid',
    },
    listParkedMessages: {
      async succeeds() {
        const { id, key } = await aHeldMessage(false);
        const { items } = await of().operator.listParkedMessages({ box: 'inbox', key }).page();
        expect(items).toMatchObject([{ id, key, attempts: 5, waitsFor: null }]);
      },
      fails: () => admin().listParkedMessages({ box: 'outbox', consumer: 'x' }).page(),
      code: 'dead-letter-filter-unknown',
    },
    getParkedMessage: {
      async succeeds() {
        const { box, id } = await aHeldMessage(false);
        expect(await of().operator.getParkedMessage({ box, id })).toMatchObject({ id, payload: '{}' });
      },
      fails: () => admin().getParkedMessage(LETTER),
      code: 'parked-message-not-found',
    },
    getAggregateMessages: {
      async succeeds() {
        const id = await of().requestedOrder();
        const { raised } = await of().operator.getAggregateMessages({ id });
        expect(raised).toMatchObject([{ type: 'PaymentRequested', aggregateType: 'payment' }]);
      },
      fails: () => customer().getAggregateMessages({ id: NOBODY }),
      code: 'role-required',
    },
    listInboxRecords: {
      async succeeds() {
        const orderId = await of().requestedOrder();
        const [placed] = await of().database.sql<{ id: string }>(
          `select id from orders.outbox where aggregateid = $1 and type = 'OrderPlaced'`,
          [orderId],
        );
        const { items } = await of().operator.listInboxRecords({ messageId: [placed!.id, NOBODY] });
        expect(items).toMatchObject([{ consumer: of().consumer, messageId: placed!.id }]);
      },
      fails: () => admin().listInboxRecords({ messageId: [''] }),
      code: 'validation',
    },
    createOperation: {
      async succeeds() {
        expect(await anOperation()).toMatchObject({ kind: 'discard-jobs', total: 2, actor: 'root' });
        const none = { kind: 'retry-jobs', filter: { queue: randomUUID() }, options: { dryRun: true } } as const;
        expect(await admin().createOperation(none)).toMatchObject({ total: 0, first: [] });
      },
      fails: () => admin().createOperation({ kind: 'retry-jobs', filter: {} }),
      code: 'operation-invalid',
    },
    listOperations: {
      async succeeds() {
        const { id } = await anOperation();
        expect((await of().operator.listOperations({ limit: 1 }).page()).items).toMatchObject([{ id }]);
      },
      fails: () => admin().listOperations({ cursor: 'nonsense' }).page(),
      code: 'validation',
    },
    getOperation: {
      async succeeds() {
        const { id } = await anOperation();
        const ended = await until('it has ended', async () => {
          const operation = await of().operator.getOperation({ id });
          return operation.finishedAt !== null && operation;
        });
        expect(ended).toMatchObject({ id, state: 'done', done: 2 });
      },
      fails: () => admin().getOperation({ id: NOBODY }),
      code: 'operation-not-found',
    },
    cancelOperation: {
      async succeeds() {
        const { id } = await anOperation(0.01);
        expect(await admin().cancelOperation({ id, ...REASON })).toMatchObject({ id, state: 'cancelled' });
      },
      async fails() {
        const { id } = await anOperation();
        await until('it has ended', async () => (await admin().getOperation({ id })).finishedAt !== null);
        return admin().cancelOperation({ id });
      },
      code: 'operation-ended',
    },
    listPauses: {
      async succeeds() {
        await admin().pauseProcessing({ kind: 'queue', name: 'refund', ...REASON });
        const { items } = await of().operator.listPauses();
        await admin().resumeProcessing({ kind: 'queue', name: 'refund' });
        expect(items).toMatchObject([{ kind: 'queue', name: 'refund', actor: 'root', ...REASON }]);
      },
      fails: () => customer().listPauses(),
      code: 'role-required',
    },
    pauseProcessing: {
      async succeeds() {
        const paused = await admin().pauseProcessing({ kind: 'queue', name: 'refund' });
        await admin().resumeProcessing({ kind: 'queue', name: 'refund' });
        expect(paused).toMatchObject({ kind: 'queue', name: 'refund', reason: null });
      },
      fails: () => admin().pauseProcessing({ kind: 'queue', name: 'none' }),
      code: 'nothing-to-pause',
    },
    resumeProcessing: {
      async succeeds() {
        const paused = await admin().pauseProcessing({ kind: 'queue', name: 'refund' });
        expect(await admin().resumeProcessing({ kind: 'queue', name: 'refund', ...REASON })).toEqual({ ended: paused });
        expect(await admin().resumeProcessing({ kind: 'queue', name: 'refund' })).toEqual({ ended: null });
      },
      fails: () => admin().resumeProcessing({ kind: 'consumer', name: 'none' }),
      code: 'nothing-to-pause',
    },
    listIncidents: {
      async succeeds() {
        const { id } = await anIncident();
        const { items } = await of().operator.listIncidents();
        expect(items).toContainEqual(expect.objectContaining({ id, kind: 'messages-missed' }));
      },
      fails: () => customer().listIncidents(),
      code: 'role-required',
    },
    acknowledgeIncident: {
      async succeeds() {
        const { id } = await anIncident();
        expect(await admin().acknowledgeIncident({ id, ...REASON })).toMatchObject({ id, occurrences: 1 });
      },
      fails: () => admin().acknowledgeIncident({ id: '999999', ...REASON }),
      code: 'incident-not-found',
    },
    listAuditEntries: {
      async succeeds() {
        const { box, id, key } = await aHeldMessage();
        await admin().discardDeadLetter({ box, id, ...REASON });
        const { items } = await of().operator.listAuditEntries({ messageId: key }).page();
        expect(items).toMatchObject([{ actor: 'root', action: 'discard', box: 'inbox', letter: { id }, ...REASON }]);
      },
      fails: () => admin().listAuditEntries({ cursor: 'nonsense' }).page(),
      code: 'validation',
    },
    getAuditEntry: {
      async succeeds() {
        const { box, id, key } = await aHeldMessage();
        await admin().discardDeadLetter({ box, id, ...REASON });
        const [entry] = (await of().operator.listAuditEntries({ messageId: key }).page()).items;
        expect(await of().operator.getAuditEntry({ id: entry!.id })).toMatchObject({
          id: entry!.id,
          action: 'discard',
        });
      },
      fails: () => admin().getAuditEntry({ id: '999999' }),
      code: 'audit-entry-not-found',
    },
  };
}
