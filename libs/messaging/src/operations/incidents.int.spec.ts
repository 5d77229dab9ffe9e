import { AfterCommit } from '../postgres/after-commit.js';
import { InvalidInputError } from '../errors.js';
import { Incidents } from './incidents.js';
import { createSandbox, type Sandbox } from '../../test/sandbox.js';

let sandbox: Sandbox;
let incidents: Incidents;

const missed = (messages: number) => ({
  kind: 'messages-missed' as const,
  subject: 'shipping of parcel.events/3',
  problem: 'Kafka deleted messages before they were read',
  detail: { messages },
});

beforeAll(async () => {
  sandbox = await createSandbox();
  const { options, dataSource } = sandbox;
  incidents = new Incidents(options, { default: dataSource, handling: dataSource }, new AfterCommit());
});

afterAll(async () => sandbox.close());

it('P9 an incident stays in health, adding up occurrences, until an operator acknowledges it; the audit keeps it', async () => {
  await incidents.report(missed(3), 'messages');
  await incidents.report(missed(4), 'messages');

  const [open] = await incidents.list();
  expect(open).toMatchObject({ ...missed(7), occurrences: 2 });
  expect(incidents.health()).toMatchObject({ healthy: false, problem: expect.stringContaining('parcel.events/3') });

  await expect(incidents.acknowledge([open!.id], { actor: 'ops', reason: 'replayed' })).resolves.toBe(1);

  expect(incidents.health()).toEqual({ healthy: true, open: [] });
  await expect(incidents.acknowledge([open!.id], { actor: 'ops' })).resolves.toBe(0);
  const audit = await sandbox.database.sql('select actor, action, box, letter, reason from sandbox.messaging_audit');
  expect(audit).toMatchObject([
    { actor: 'ops', action: 'acknowledge', box: 'incidents', reason: 'replayed', letter: { kind: 'messages-missed' } },
  ]);
});

it('a further incident after an acknowledgement is reported as a new one', async () => {
  await incidents.report(missed(1), 'messages');

  expect(await incidents.list()).toMatchObject([{ occurrences: 1, detail: { messages: 1 } }]);
});

it.each(['', 'x', '-1', '1'.repeat(19)])('rejects the id %j', async (id) => {
  await expect(incidents.acknowledge([id], { actor: 'ops' })).rejects.toThrow(InvalidInputError);
});
