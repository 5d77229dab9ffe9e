import { jest } from '@jest/globals';
import { PollStore } from './poll-store.js';
import { createSandbox, type Sandbox } from '../../test/sandbox.js';
import { until } from '../testing/until.js';

let sandbox: Sandbox;
beforeEach(async () => {
  sandbox = await createSandbox();
});
afterEach(async () => {
  jest.restoreAllMocks();
  await sandbox.close();
});

/** Polls often, so that tests do not wait for seconds. */
const OFTEN = { leaseMs: 4000, renewEveryMs: 50 };

const aRelay = (options: { relay: boolean; overdueAfterMs?: number | false }) => {
  const relay = sandbox.newRelay(undefined, OFTEN, { overdueAfterMs: 1000, ...options });
  relay.start();
  return relay;
};

/** Makes the messages look as if they had been written an hour ago. */
const age = () => sandbox.database.sql(`update sandbox.outbox set created_at = now() - interval '1 hour'`);

it('P9 a process that may not publish reports an unpublished message until a relay publishes it', async () => {
  const service = aRelay({ relay: false });
  await until('it polls', () => service.health()['role'] === 'elsewhere');
  await sandbox.add(sandbox.outboxOf(service), 'a', 1);
  expect(service.health()).toMatchObject({ healthy: true });

  const report = await until('it is unhealthy', () => !service.health().healthy && service.health());
  expect(report['problem']).toMatch(
    /^The oldest unpublished message has waited for \d+ s, and no relay holds the lease/,
  );

  const relay = aRelay({ relay: true });
  await sandbox.drained();
  await until('it is healthy again', () => service.health().healthy);
  await until('so is the relay', () => relay.health().healthy);
  expect(relay.health()).toMatchObject({ role: 'leader' });
});

it('P9 a message that waits although a relay holds the lease is reported, by a standby as well', async () => {
  await sandbox.database.sql(`update sandbox.relay_lease set holder = gen_random_uuid(), expires_at = 'infinity'`);
  const [standby, service] = [aRelay({ relay: true }), aRelay({ relay: false })];
  await sandbox.add(sandbox.outboxOf(standby), 'a', 1);
  await age();

  for (const process of [standby, service]) {
    const report = await until('it is unhealthy', () => !process.health().healthy && process.health());
    expect(report['problem']).toContain('although a relay holds the lease');
  }
});

it('P9 an unpublished message in a gap is reported', async () => {
  const service = aRelay({ relay: false });
  await sandbox.add(sandbox.outboxOf(service), 'a', 1);
  await age();
  await sandbox.database.sql(
    `update sandbox.relay_lease set position = 5, gaps = int8multirange(int8range(1, 3)), expires_at = '-infinity'`,
  );

  await until('it is unhealthy', () => !service.health().healthy);
});

it('P9 messages that Debezium publishes are not reported if reporting is switched off', async () => {
  const polls = jest.spyOn(PollStore.prototype, 'holdLease');
  const service = aRelay({ relay: false, overdueAfterMs: false });
  await until('it polls', () => service.health()['role'] === 'elsewhere');
  await sandbox.add(sandbox.outboxOf(service), 'a', 1);
  await age();
  const before = polls.mock.calls.length;

  await until('it has polled often enough to report', () => polls.mock.calls.length > before + 4);

  expect(service.health()).toMatchObject({ healthy: true });
});

it('P6 rows published long ago, and a long transaction that commits, are not reported', async () => {
  const polls = jest.spyOn(PollStore.prototype, 'holdLease');
  const relay = sandbox.newRelay(undefined, undefined, { overdueAfterMs: 1000 });
  relay.start();
  await sandbox.add(sandbox.outboxOf(relay), 'a', 1);
  await sandbox.drained();
  await age();
  const before = polls.mock.calls.length;

  await sandbox.database.sql(
    `insert into sandbox.outbox (id, aggregatetype, aggregateid, type, dataschema, sequence, payload, created_at)
     values (gen_random_uuid(), 'counter', 'a', 'Counted', 'urn:event:Counted:1', 2, '{"n":2}', now() - interval '1 hour')`,
  );
  const reports: boolean[] = [];
  await until('it has polled often enough to report', () => {
    reports.push(relay.health().healthy);
    return polls.mock.calls.length > before + 4;
  });

  expect(reports).not.toContain(false);
});
