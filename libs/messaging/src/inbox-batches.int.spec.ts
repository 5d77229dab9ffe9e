import { Logger } from '@nestjs/common';
import { CrashMarks } from './crash-marks.js';
import { InboxBatches } from './inbox-batches.js';
import { inboxSettings } from './inbox-settings.js';
import { InboxStore } from './inbox-store.js';
import { type InboxWork } from './inbox-work.js';
import { type KafkaRecord, readMessage } from './message.js';
import { Slots } from './slots.js';
import { counted } from './testing/counter-process.js';
import { createSandbox, type Sandbox } from './testing/sandbox.js';

let sandbox: Sandbox;

beforeEach(async () => {
  sandbox = await createSandbox();
});

afterEach(async () => {
  await sandbox.close();
});

it('P7 keeps no mark in memory of what it gave up before it had it in hand', async () => {
  const { groupId, topic } = sandbox.consumer;
  const marks = new CrashMarks('sandbox', groupId);
  const work: InboxWork = {
    settings: inboxSettings(sandbox.consumer),
    dataSource: sandbox.dataSource,
    store: new InboxStore('sandbox', groupId, true),
    marks,
    slots: new Slots(4),
    counts: { processed: 0, duplicates: 0, passedOver: 0, failedAttempts: 0, parked: 0, deadLetters: 0 },
    inHand: new Set(),
    logger: new Logger(),
    stopping: new AbortController().signal,
    read: (record) => readMessage(record, topic),
    handles: () => true,
    handle: () => Promise.resolve(),
  };
  // A process that died had the second one in hand: it is begun for itself, after the first.
  await sandbox.database.sql(
    `insert into sandbox.inbox_in_flight (id, consumer, topic, partition, first_offset, last_offset)
     values (gen_random_uuid(), $1, $2, 0, 1, 1)`,
    [groupId, topic.name],
  );
  const records = ['0', '1'].map((offset): KafkaRecord => {
    const { key, value, headers } = counted(Number(offset));
    const bytes = (text: unknown) => Buffer.from(String(text));
    return {
      topic: topic.name,
      partition: 0,
      offset,
      timestamp: new Date(),
      key: bytes(key),
      value: bytes(value),
      headers: headers as KafkaRecord['headers'],
    };
  });
  let current = true;
  await new InboxBatches(work, () => undefined).take({
    records,
    isCurrent: () => current,
    // The partition is another's from then on.
    resolve: () => (current = false),
  });
  const removed: unknown[] = [];
  sandbox.dataSource.subscribers.push({ afterQuery: ({ parameters }) => void removed.push(parameters) });

  await marks.removeOwn(sandbox.dataSource);

  expect(work.counts.processed).toBe(1);
  expect(removed).toEqual([]);
});
