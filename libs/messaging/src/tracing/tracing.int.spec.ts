import { type INestApplication } from '@nestjs/common';
import { context, ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { InMemorySpanExporter, type ReadableSpan, SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import { CounterController, startCounter } from '../../test/counter-process.js';
import { JobSandbox } from '../../test/job-sandbox.js';
import { createSandbox, type Sandbox } from '../../test/sandbox.js';
import { type Outbox } from '../outbox/outbox.js';
import { until } from '../testing/until.js';

const exporter = new InMemorySpanExporter();
let sandbox: Sandbox;
let app: INestApplication | undefined;

function turnOn(): void {
  trace.setGlobalTracerProvider(new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] }));
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
}

function turnOff(): void {
  trace.disable();
  context.disable();
}

beforeEach(async () => {
  turnOn();
  exporter.reset();
  sandbox = await createSandbox();
  await sandbox.database.sql('create table sandbox.effects (seq serial, key text not null, n integer not null)');
  CounterController.next = () => undefined;
});

afterEach(async () => {
  await app?.close();
  app = undefined;
  await sandbox.close();
  turnOff();
});

/** Runs `run` in a span of its own, like a request, and returns the id of its trace. */
const inRequest = (run: () => Promise<void>) =>
  trace.getTracer('test').startActiveSpan('request', async (span) => {
    await run();
    span.end();
    return span.spanContext().traceId;
  });

/** Adds messages of a key in one transaction. */
const add = (outbox: Outbox, key: string, count: number) =>
  sandbox.dataSource.transaction(async (tx) => {
    for (let n = 1; n <= count; n++) await sandbox.add(outbox, key, n, tx);
  });

const spans = (name: string) => exporter.getFinishedSpans().filter((span) => span.name.startsWith(`${name} `));
const idOf = (span: ReadableSpan | undefined) => span?.spanContext().spanId;
const linked = (span: ReadableSpan | undefined) => new Set(span?.links.map((link) => link.context.spanId));

/** Publishes what is in the outbox and stops. */
async function publish(): Promise<void> {
  const relay = sandbox.newRelay();
  relay.start();
  await sandbox.drained();
  await relay.stop();
}

it('P9 a batch is sent and handled with one span each, and every message has one below its creation', async () => {
  await inRequest(async () => add(sandbox.outboxOf(sandbox.newRelay()), 'a', 5));
  await publish();
  app = await startCounter(sandbox, { groupCommit: true });
  await until('all are handled', () => spans('process').length === 6);

  const created = spans('create');
  const ids = new Set(created.map(idOf));
  expect(created).toHaveLength(5);
  expect(spans('send')).toMatchObject([{ attributes: { 'messaging.batch.message_count': 5 } }]);
  expect(linked(spans('send')[0])).toEqual(ids);
  const [batch, ...rest] = spans('process').filter((span) => span.parentSpanContext === undefined);
  expect(rest).toEqual([]);
  expect(batch).toMatchObject({ attributes: { 'messaging.batch.message_count': 5 } });
  expect(linked(batch)).toEqual(ids);
  const handled = spans('process').filter((span) => span !== batch);
  expect(new Set(handled.map((span) => span.parentSpanContext?.spanId))).toEqual(ids);
  for (const span of handled) expect(linked(span)).toEqual(new Set([idOf(batch)]));
});

it('P9 a message that was parked is handled in the trace of its creation, each time it is tried', async () => {
  CounterController.next = () => {
    if (spans('process').length === 0) throw new Error('not now');
  };
  const traceId = await inRequest(async () => add(sandbox.outboxOf(sandbox.newRelay()), 'a', 1));
  await publish();

  app = await startCounter(sandbox, { backOff: { firstMs: 10, maxMs: 10 } });
  await until('it is tried twice', () => spans('process').length === 2);

  const [first, second] = spans('process');
  expect(first?.status).toMatchObject({ code: 2, message: 'not now' });
  expect(first?.attributes).toMatchObject({ 'error.type': 'Error' });
  expect(second?.status).toEqual({ code: 0 });
  for (const span of [first, second]) {
    expect(span?.spanContext().traceId).toBe(traceId);
    expect(span?.parentSpanContext?.spanId).toBe(idOf(spans('create')[0]));
  }
});

it('P9 a dead letter of the outbox is published with its trace after a retry', async () => {
  const traceId = await inRequest(async () => add(sandbox.outboxOf(sandbox.newRelay()), 'a', 1));
  const columns = 'position, id, aggregatetype, aggregateid, type, dataschema, sequence, payload, created_at';
  await sandbox.database.sql(
    `insert into sandbox.outbox_parked (${columns}, traceparent, tracestate)
     select ${columns}, traceparent, 'vendor=a' from sandbox.outbox`,
  );
  await sandbox.database.sql('update sandbox.outbox set traceparent = null');

  const relay = sandbox.newRelay();
  relay.start();
  const record = await until('it is published', () =>
    sandbox.topic.records.find(({ headers }) => 'traceparent' in headers),
  );

  expect(record.headers).toMatchObject({ tracestate: 'vendor=a' });
  expect(record.headers['traceparent']).toBe(`00-${traceId}-${idOf(spans('create')[0])}-01`);
});

it('P9 each attempt at a job is in the trace of the code that added it, and so is what the job adds', async () => {
  const jobs = await JobSandbox.create();
  try {
    const process = await jobs.startProcess({
      call: async ({ id }) => {
        if (spans('process').length === 0) throw new Error('not now');
        await process.pool.transaction((tx) => process.jobs.add(tx, 'next', { id }));
      },
      next: () => undefined,
    });

    const traceId = await inRequest(async () => {
      await process.pool.transaction((tx) => process.jobs.add(tx, 'call', {}));
    });
    await until('both are done', () => spans('process').length === 3);

    expect(exporter.getFinishedSpans().map((span) => span.spanContext().traceId)).toEqual(
      Array.from({ length: 6 }, () => traceId),
    );
    const [failed, done, next] = spans('process');
    const [call, added] = spans('create');
    expect(failed).toMatchObject({ name: 'process call', status: { code: 2 } });
    expect([failed, done].map((span) => span?.parentSpanContext?.spanId)).toEqual([idOf(call), idOf(call)]);
    expect(added?.parentSpanContext?.spanId).toBe(idOf(done));
    expect(next).toMatchObject({ name: 'process next', attributes: { 'messaging.system': 'postgresql' } });
    expect(next?.parentSpanContext?.spanId).toBe(idOf(added));
  } finally {
    await jobs.close();
  }
});

it('P9 a trace that is not sampled goes on through messages and handlers, without spans', async () => {
  const traceId = '0af7651916cd43dd8448eb211c80319c';
  const unsampled = trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId: 'b7ad6b7169203331', traceFlags: 0 });
  let seen: unknown;
  CounterController.next = () => void (seen = trace.getActiveSpan()?.spanContext().traceId);

  await context.with(unsampled, async () => add(sandbox.outboxOf(sandbox.newRelay()), 'a', 2));
  await publish();
  app = await startCounter(sandbox, { groupCommit: true });
  await until('all are handled', async () => {
    const [{ handled } = {}] = await sandbox.database.sql('select count(*)::int as handled from sandbox.effects');
    return handled === 2;
  });

  const stored = await sandbox.database.sql('select distinct traceparent from sandbox.outbox');
  expect(stored).toEqual([{ traceparent: `00-${traceId}-b7ad6b7169203331-00` }]);
  expect(seen).toBe(traceId);
  expect(exporter.getFinishedSpans()).toEqual([]);
});

it('P9 without an SDK nothing is traced: no span, no columns, no headers', async () => {
  turnOff();
  await add(sandbox.outboxOf(sandbox.newRelay()), 'a', 2);
  app = await startCounter(sandbox);
  const [row] = await until('both are handled', async () => {
    const rows = await sandbox.database.sql('select traceparent, tracestate from sandbox.outbox, sandbox.effects');
    return rows.length === 4 && rows;
  });

  expect(row).toEqual({ traceparent: null, tracestate: null });
  expect(sandbox.topic.ofKey('a').map(({ headers }) => Object.keys(headers).length)).toEqual([7, 7]);
  expect(exporter.getFinishedSpans()).toEqual([]);
});
