import { type INestApplication } from '@nestjs/common';
import { DueWork } from '../poll/due-work.js';
import { consumerLags } from '../kafka/group-offsets.js';
import { type InboxOptions } from '../messaging-options.js';
import { type Child } from '../../test/child.js';
import { startCounterChild } from '../../test/counter-child.js';
import { counted, CounterController, inboxHealth, startCounter } from '../../test/counter-process.js';
import { createSandbox, type Sandbox } from '../../test/sandbox.js';
import { produce, type RawRecord } from '../testing/topic.js';
import { until } from '../testing/until.js';

const SESSION = { sessionMs: 1000 };
const SOON = { backOff: { firstMs: 50, maxMs: 100 } };
/** Code of a child's handler that waits until a row appears in `sandbox.door`. A lock would run into its timeout. */
const AT_DOOR = `while ((await tx.query('select from sandbox.door')).length === 0) await new Promise(setImmediate);`;

let sandbox: Sandbox;
const apps: INestApplication[] = [];
const children: Child[] = [];

async function start(options: Partial<InboxOptions> = {}): Promise<INestApplication> {
  const app = await startCounter(sandbox, { ...SESSION, ...SOON, ...options });
  apps.push(app);
  return app;
}

function startChild(next: string): Child {
  const child = startCounterChild(sandbox, { ...SESSION, ...SOON, next });
  children.push(child);
  return child;
}

const send = (...records: RawRecord[]) => produce(sandbox.options.brokers, sandbox.consumer.topic.name, records);
const sql = (text: string) => sandbox.database.sql(text);
const parked = () => sql('select * from sandbox.inbox_parked order by "offset"');
const marks = () =>
  sql(`select first_offset::int as first, last_offset::int as last, deaths from sandbox.inbox_in_flight
        where partition = 0 order by first_offset, last_offset, deaths`);
const effects = async () => (await sql('select n from sandbox.effects order by seq')).map(({ n }) => n as number);
const ascending = (numbers: number[]) => numbers.toSorted((a, b) => a - b);
const waitsAtDoor = async () =>
  (await sql(`select from pg_stat_activity where query = 'select from sandbox.door'`)).length;

async function markedByDead(firstOffset: number, lastOffset: number, deaths: number): Promise<void> {
  await sql(
    `insert into sandbox.inbox_in_flight (id, consumer, topic, partition, first_offset, last_offset, deaths)
     values (gen_random_uuid(), '${sandbox.consumer.groupId}', '${sandbox.consumer.topic.name}', 0,
             ${firstOffset}, ${lastOffset}, ${deaths})`,
  );
}

beforeEach(async () => {
  sandbox = await createSandbox();
  await sql('create table sandbox.effects (seq serial, key text not null, n integer not null)');
  await sql('create table sandbox.door (opened integer)');
  CounterController.next = () => undefined;
});

afterEach(async () => {
  await Promise.all(children.splice(0).map((child) => child.kill()));
  await Promise.all(apps.splice(0).map((app) => app.close()));
  await sandbox.close();
});

describe('a message that kills its process', () => {
  it('P4 P5 is the only message in flight that becomes a dead letter', async () => {
    // In flight with it: the rest of its batch, and on another partition a slow message whenever it kills.
    const beside = [0, 1, 2, 3, 4, 5, 6, 7].map((n) => counted(n, { key: `k${n}`, partition: 0 }));
    const killer = [counted(13, { key: 'killer', partition: 0 }), counted(14, { key: 'killer', partition: 0 })];
    const slow = [20, 21].map((n) => counted(n, { key: `k${n}`, partition: n % 2 }));
    await send(...beside.slice(0, 4), ...killer, ...beside.slice(4), ...slow);

    let starts = 0;
    let dead: Record<string, unknown>[] = [];
    for (; dead.length === 0 && starts < 10; starts++) {
      const child = startChild(`async (n, tx) => {
        if (n === 13) process.kill(process.pid, 'SIGKILL');
        if (n >= 20) await tx.query('select pg_sleep(0.5)');
      }`);
      await until('it died, or all is settled', async () => {
        dead = await sql('select error, message_id from sandbox.inbox_parked where dead_at is not null');
        return dead.length > 0 || child.isGone;
      });
    }
    await until('the others are handled', async () => (await effects()).length >= 10);

    expect(dead).toMatchObject([{ error: 'the process died 3 times while handling it' }]);
    // Attempted once with others, three times alone, and then never again.
    expect(starts).toBe(5);
    expect(ascending(await effects())).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 20, 21]);
    expect((await parked()).map(({ value }) => String(value))).toEqual(['{"n":13}', '{"n":14}']);
  });

  it('P5 is not handled again after three deaths, whether from the topic or parked', async () => {
    await send(
      counted(0, { key: 'a', partition: 0 }),
      counted(1, { key: 'b', partition: 0 }),
      counted(2, { key: 'c', partition: 0 }),
    );
    let failing = true;
    const tried: number[] = [];
    CounterController.next = (n) => {
      tried.push(n);
      if (n === 1 && failing) throw new Error('not yet');
    };
    await markedByDead(0, 0, 3);
    const first = await start({ backOff: { firstMs: 60_000, maxMs: 60_000 } });
    await until('the first is dead, the second parked', async () => (await parked()).length === 2);
    await first.close();
    failing = false;
    await markedByDead(1, 1, 3);

    await sql('update sandbox.inbox_parked set next_attempt_at = now() where dead_at is null');
    await start();

    await until('both are dead', async () => (await parked()).every(({ dead_at }) => dead_at !== null));
    const error = 'the process died 3 times while handling it';
    expect(await parked()).toMatchObject([
      { error, attempts: 0, holds_key: true },
      { error, attempts: 1 },
    ]);
    expect(ascending(tried)).toEqual([1, 2]);
    expect(await effects()).toEqual([2]);
  });

  it('P5 is found by handling suspects with nothing else in flight, each under a mark that counts deaths', async () => {
    const seen: Record<number, unknown> = {};
    let inFlight = 0;
    let most = 0;
    CounterController.next = async (n, tx) => {
      most = Math.max(most, ++inFlight);
      await tx.query('select pg_sleep(0.05)');
      seen[n] = (await marks()).filter(({ first, last }) => first === last);
      inFlight--;
    };
    // On two partitions, because the message that kills could be on either.
    await send(
      ...[0, 1, 2].map((n) => counted(n, { key: `k${n}`, partition: 0 })),
      counted(9, { key: 'k9', partition: 1 }),
    );
    await markedByDead(0, 2, 0);
    await markedByDead(1, 1, 2);
    await sql(`insert into sandbox.inbox_in_flight (id, consumer, topic, partition, first_offset, last_offset)
               select gen_random_uuid(), consumer, topic, 1, 0, 0 from sandbox.inbox_in_flight limit 1`);

    const app = await start();

    await until('all are handled', async () => (await effects()).length === 4);
    const dead = { first: 1, last: 1, deaths: 2 };
    expect(most).toBe(1);
    expect(seen[0]).toEqual([{ first: 0, last: 0, deaths: 1 }, dead]);
    expect(seen[1]).toEqual([dead, { first: 1, last: 1, deaths: 3 }]);
    expect(seen[2]).toEqual([{ first: 2, last: 2, deaths: 1 }]);
    await app.close();
    expect(await sql('select from sandbox.inbox_in_flight')).toEqual([]);
  });
});

describe('a message that kills nothing', () => {
  it('P5 counts no death when it was alone in its batch, failed and is retried', async () => {
    const seen: unknown[] = [];
    CounterController.next = async () => {
      seen.push(await marks());
      if (seen.length < 3) throw new Error('not yet');
    };
    await start();

    await send(counted(1, { partition: 0 }));

    await until('it is handled', async () => (await effects()).length === 1);
    const alone = [{ first: 0, last: 0, deaths: 0 }];
    expect(seen).toEqual([alone, alone, alone]);
    expect(await marks()).toEqual([]);
  });

  it('P5 counts no death when live processes compete for it', async () => {
    const both = [await start({ maxAttempts: 6 }), await start({ maxAttempts: 6 })];
    const deaths: unknown[] = [];
    CounterController.next = async (n) => {
      deaths.push(...(await marks()).map((mark) => mark['deaths']));
      throw new Error(`no ${n}`);
    };
    await send(...Array.from({ length: 12 }, (_, n) => counted(n, { key: `k${n}`, partition: 0 })));

    await until('all are dead', async () => {
      for (const app of both) app.get(DueWork).found('parked');
      return (await parked()).filter(({ dead_at }) => dead_at !== null).length === 12;
    });

    expect((await parked()).map(({ error, attempts }) => [error, attempts])).toEqual(
      Array.from({ length: 12 }, (_, n) => [`no ${n}`, 6]),
    );
    expect(new Set(deaths)).toEqual(new Set([0]));
    const counts = both.map((app) => inboxHealth(app) as unknown as { deadLetters: number; failedAttempts: number });
    expect(counts.reduce((sum, { deadLetters }) => sum + deadLetters, 0)).toBe(12);
    expect(counts.reduce((sum, { failedAttempts }) => sum + failedAttempts, 0)).toBe(72);
  });

  it('P5 belongs to one process until its failure is recorded, and is counted with that outcome', async () => {
    let attempts = 0;
    let other: Promise<unknown[]> | undefined;
    CounterController.next = async () => {
      if (++attempts < 2) throw new Error('not yet');
      // Takes the row as soon as it is unlocked.
      other = sql('delete from sandbox.inbox_parked where dead_at is null returning id');
      await until('the other one waits', async () => (await sql('select from pg_locks where not granted')).length);
      throw new Error('never');
    };
    const app = await start({ maxAttempts: 2 });

    await send(counted(1));

    await until('it is dead', () => inboxHealth(app)['deadLetters'] === 1);
    expect(await other).toEqual([]);
    expect(await parked()).toMatchObject([{ attempts: 2, error: 'never' }]);
    expect(inboxHealth(app)).toMatchObject({ deadLetters: 1, failedAttempts: 2 });
  });

  it('P4 P5 is not blamed while a live process that lost its partition is still handling it', async () => {
    await markedByDead(0, 0, 2);
    await send(counted(1, { partition: 0 }));
    startChild(`async (n, tx) => {
      ${AT_DOOR}
      if (!globalThis.failed) throw (globalThis.failed = new Error('not yet'));
    }`);
    await until('it is in flight', waitsAtDoor);

    const second = await start({ maxAttempts: 1000 });
    // The first cannot rejoin before its handler is done, so the group goes on without it.
    await until('the second waits for it', async () => (await sql('select from pg_locks where not granted')).length);
    await sql('insert into sandbox.door values (1)');

    await until('it is handled', async () => (await effects()).length === 1);
    expect(inboxHealth(second)).toMatchObject({ deadLetters: 0 });
    expect(await parked()).toEqual([]);
  });
});

describe('a process that is killed', () => {
  it('P2 P4 has committed no offset beyond its settled messages, so the rest is delivered again', async () => {
    await send(...Array.from({ length: 10 }, (_, n) => counted(n, { key: `k${n}`, partition: 0 })));
    const child = startChild(`async (n, tx) => {
      if (n === 3) ${AT_DOOR}
    }`);
    await until('all but one are handled', async () => (await effects()).length === 9);
    const lag = async () => {
      const { groupId, topic } = sandbox.consumer;
      const [group] = await consumerLags({ brokers: sandbox.options.brokers, clientId: 'test' }, [
        { groupId, topic: topic.name },
      ]);
      return group!.partitions[0]!.messages;
    };
    const lagBefore = await lag();

    await child.kill();
    await start();

    await until('all are handled', async () => (await effects()).length === 10);
    expect(lagBefore).toBeGreaterThanOrEqual(7);
    expect(ascending(await effects())).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    await until('the offsets are committed', async () => (await lag()) === 0);
  });

  it('P7 leaves few marks behind, and repeated rebalances leave none', async () => {
    const stays = await start();
    const round = async (n: number) => {
      await send(...[0, 1, 2, 3].map((partition) => counted(4 * n + partition, { key: `k${partition}`, partition })));
      await until('the round is handled', async () => (await effects()).length === 4 * (n + 1));
    };
    await round(0);

    for (let n = 1; n <= 4; n++) {
      const other = n % 2 === 0 ? startChild('() => undefined') : await start();
      await until('the group has rebalanced', () => inboxHealth(stays)['joins'] === 2 * n);
      await round(n);
      await ('kill' in other ? other.kill() : other.close());
      await until('the group has rebalanced again', () => inboxHealth(stays)['joins'] === 2 * n + 1);
    }
    await round(5);

    // At most one for each assigned partition.
    expect((await sql('select from sandbox.inbox_in_flight')).length).toBeLessThanOrEqual(4);
  });
});
