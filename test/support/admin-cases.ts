import { randomUUID } from 'node:crypto';
import { produce, until } from '@twinbox/messaging/testing';
import { v7 as uuidv7 } from 'uuid';
import { type InProcessService } from './in-process.js';

/** A service under administration. */
export interface Administered {
  readonly service: InProcessService;
  readonly schema: string;
  /** A topic that the service consumes. */
  readonly topic: string;
  /** An event of that topic. */
  readonly event: { readonly type: string; readonly version: number; readonly data: object };
}

const ADMIN = { 'x-user-id': 'root', 'x-roles': 'admin' };
const REASON = { reason: 'a test' };
const BASE = '/admin/messaging';

/** Makes dead letters, dead jobs and incidents of a running service, and calls its administration. */
export function administrationOf({ service, schema, topic, event }: Administered) {
  const sql: typeof service.database.sql = (...query) => service.database.sql(...query);
  const root = service.caller(ADMIN);
  const withKey = () => service.caller({ ...ADMIN, 'idempotency-key': randomUUID() });

  return {
    BASE,
    root,
    withKey,

    /** Sends a message that the consumer cannot read, and waits until it is a dead letter of the inbox. */
    aDeadLetter: async (key = randomUUID()): Promise<string> => {
      const headers = {
        ce_specversion: '1.0',
        ce_id: uuidv7(),
        ce_source: '/test',
        ce_type: event.type,
        ce_dataschema: `urn:event:${event.type}:${event.version}`,
        'content-type': 'application/json',
      };
      const record = { key, value: 'not JSON', headers };
      await produce(service.topics.brokers, topic, [record]);
      const { id } = await until('it is a dead letter', async () => {
        const [row] = await sql<{ id: string }>(
          `select id from ${schema}.inbox_parked where dead_at is not null and convert_from(key, 'UTF8') = $1`,
          [key],
        );
        return row;
      });
      return id;
    },

    /** Stores a message as one that Kafka has rejected. */
    aDeadOutboxLetter: async (): Promise<string> => {
      const [row] = await sql<{ position: string }>(
        `insert into ${schema}.outbox_parked
           (position, id, aggregatetype, aggregateid, type, dataschema, sequence, payload, created_at, error, dead_at)
         values (-(random() * 1e12)::bigint, $1, 'order', $2, 'Tested', 'urn:event:Tested:1', 1, '{}', now(), 'too large', now())
         returning position`,
        [uuidv7(), randomUUID()],
      );
      return String(row?.position);
    },

    /** Stores a message in the inbox that waits for an attempt in an hour, or for an earlier one of its key. */
    aParkedMessage: async (key: string, type: string, isFirst = true, consumer = 'tested'): Promise<string> => {
      const [row] = await sql<{ id: string }>(
        `insert into ${schema}.inbox_parked (consumer, topic, partition, "offset", recorded_at, source, message_id, type, key, headers, value,
           holds_key, attempts, error, next_attempt_at)
         values ($7, $1, 0, (random() * 1e12)::bigint, now(), '/test', $2, $3, convert_to($4, 'UTF8'), '{"ce_type":"T"}', '{"n":1}', true,
           $5, $6, case when $5 > 0 then now() + interval '1 hour' end) returning id::text as id`,
        [topic, uuidv7(), type, key, isFirst ? 2 : 0, isFirst ? 'it failed' : null, consumer],
      );
      return String(row?.id);
    },

    aDeadJob: async (queue = 'tested', error = 'it failed', data: object = { n: 1 }): Promise<string> => {
      const id = uuidv7();
      await sql(
        `insert into ${schema}.jobs (id, queue, data, run_at, attempts, error, dead_at) values ($1, $2, $4, now(), 8, $3, now())`,
        [id, queue, error, data],
      );
      return id;
    },

    anIncident: async (): Promise<string> => {
      const [row] = await sql<{ id: string }>(
        `insert into ${schema}.messaging_incidents (kind, subject, problem, detail)
         values ('messages-missed', $1, 'It was deleted.', '{}') returning id`,
        [randomUUID()],
      );
      return String(row?.id);
    },

    /** Sends two bodies with the same key. */
    reuseKey: async (path: string, first: object, second: object): Promise<void> => {
      const caller = withKey();
      await caller.post(path, first);
      await caller.post(path, second);
    },
  };
}

/** Provokes the answers of the administration that no general request gets. */
export function adminCases(administered: Administered): Record<string, () => Promise<unknown>> {
  const admin = administrationOf(administered);
  const { root, reuseKey, aDeadLetter, aDeadJob, anIncident } = admin;
  const letter = async () => `${BASE}/dead-letters/inbox/${await aDeadLetter()}`;
  const job = async () => `${BASE}/dead-jobs/${await aDeadJob()}`;
  const jobs = { kind: 'retry-jobs', filter: { queue: 'nobody has it' } };
  const anOperation = async () => `${BASE}/operations/${(await root.post(`${BASE}/operations`, jobs)).body.id}`;

  return {
    'dead letters': async () => {
      const path = await letter();
      await root.get(path);
      await root.get(`${BASE}/dead-letters?box=outbox&consumer=x`);
      await root.get(`${BASE}/dead-letters/causes?box=inbox&aggregateType=x`);
      await root.post(`${path}/edit`, { ...REASON, payload: 'nor this' });
      await root.post(`${path}/retry`, {});
      await root.post(`${await letter()}/discard`, REASON);
      for (const change of ['retry', 'discard'])
        await reuseKey(`${await letter()}/${change}`, REASON, { reason: 'another' });
      const payload = JSON.stringify(administered.event.data);
      await reuseKey(`${await letter()}/edit`, { ...REASON, payload }, { ...REASON, payload: '{}' });
    },
    'parked messages': async () => {
      const { schema, service } = administered;
      await root.get(`${BASE}/parked?box=outbox&consumer=x`);
      const id = await admin.aDeadOutboxLetter();
      await service.database.sql(`update ${schema}.outbox_parked set dead_at = null where position = $1`, [id]);
      await root.get(`${BASE}/parked/outbox/${id}`);
    },
    'dead jobs': async () => {
      const path = await job();
      await root.get(path);
      await root.post(`${path}/edit`, { ...REASON, data: '{' });
      await root.post(`${path}/edit`, { ...REASON, data: '{"n":2}' });
      await root.post(`${await job()}/retry`, {});
      await root.post(`${await job()}/discard`, REASON);
      await reuseKey(`${await job()}/retry`, REASON, { reason: 'another' });
      await reuseKey(`${await job()}/discard`, REASON, { reason: 'another' });
      await reuseKey(`${await job()}/edit`, { ...REASON, data: '1' }, { ...REASON, data: '2' });
    },
    operations: async () => {
      await root.post(`${BASE}/operations`, { ...jobs, options: { dryRun: true } });
      await root.post(`${BASE}/operations`, { kind: 'retry-jobs', filter: {} });
      await reuseKey(`${BASE}/operations`, jobs, { ...jobs, reason: 'another' });
      const ended = await anOperation();
      await until('it is done', async () => (await root.get(ended)).body.state === 'done');
      await root.post(`${ended}/cancel`, {});
      // No process gets the lease of this one, so it stays running.
      const running = await anOperation();
      await administered.service.database.sql(
        `update ${administered.schema}.messaging_operations set state = 'running', finished_at = null, runner = gen_random_uuid(),
                runner_until = 'infinity' where id = $1`,
        [running.split('/').at(-1)],
      );
      await reuseKey(`${running}/cancel`, {}, { reason: 'another' });
    },
    pauses: async () => {
      await root.send('PUT', `${BASE}/pauses/relay/relay`, {});
      await root.send('DELETE', `${BASE}/pauses/relay/relay`);
      await root.send('PUT', `${BASE}/pauses/queue/none`, {});
      await root.send('DELETE', `${BASE}/pauses/queue/none`);
    },
    incidents: async () => {
      await root.post(`${BASE}/incidents/${await anIncident()}/acknowledge`, REASON);
      await reuseKey(`${BASE}/incidents/${await anIncident()}/acknowledge`, REASON, { reason: 'another' });
    },
    audit: async () => {
      await root.post(`${await letter()}/discard`, REASON);
      const [entry] = (await root.get(`${BASE}/audit`)).body.items;
      await root.get(`${BASE}/audit/${entry.id}`);
    },
  };
}
