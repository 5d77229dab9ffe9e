import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { jest } from '@jest/globals';
import { ROOT_CONTEXT, SpanKind, trace, TraceFlags } from '@opentelemetry/api';
import {
  AlwaysOnSampler,
  InMemorySpanExporter,
  SamplingDecision,
  SimpleSpanProcessor,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import Fastify from 'fastify';
import { asksForTraces } from './asks-for-traces.js';
import { CallersSampler, samplerOf } from './callers-sampler.js';
import { httpSpans } from './http-spans.js';

describe('tracing', () => {
  it.each([
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://localhost:4318' }, true],
    [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://localhost:4318/v1/traces' }, true],
    [{ OTEL_TRACES_EXPORTER: 'console' }, true],
    [{}, false],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: ' ' }, false],
    [{ OTEL_SERVICE_NAME: 'orders', OTEL_TRACES_SAMPLER: 'always_on' }, false],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://localhost:4318', OTEL_TRACES_EXPORTER: 'none' }, false],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://localhost:4318', OTEL_SDK_DISABLED: 'TRUE' }, false],
  ])('with the environment %j is on: %s', (env, on) => {
    expect(asksForTraces(env)).toBe(on);
  });

  it.each([
    ['nothing of OpenTelemetry, while it is off', {}, false],
    ['the SDK, if the environment asks for it', { OTEL_TRACES_EXPORTER: 'console' }, true],
  ])('loads %s', async (_, asked, loaded) => {
    const show = `import { registerHooks } from 'node:module';
      registerHooks({ resolve(name, context, next) {
        const found = next(name, context);
        if (found.url.includes('opentelemetry')) console.log(found.url);
        return found;
      } });`;
    const entry = new URL('../../dist/telemetry.js', import.meta.url).href;
    const imports = [`data:text/javascript,${encodeURIComponent(show)}`, entry].flatMap((url) => ['--import', url]);

    const { stdout } = await promisify(execFile)(process.execPath, [...imports, '-e', '0'], {
      cwd: fileURLToPath(new URL('../../../..', import.meta.url)),
      env: { PATH: process.env['PATH'], ...asked },
    });

    expect(stdout.includes('/sdk-node/')).toBe(loaded);
    expect(stdout === '').toBe(!loaded);
  });
});

describe('the sampler', () => {
  const TRACE = '0af7651916cd43dd8448eb211c80319c';
  const asked = (isRemote = true, traceFlags = TraceFlags.SAMPLED) =>
    trace.setSpanContext(ROOT_CONTEXT, { traceId: TRACE, spanId: 'b7ad6b7169203331', traceFlags, isRemote });
  const decide = (sampler: CallersSampler, kind = SpanKind.SERVER, context = asked()) =>
    sampler.shouldSample(context, TRACE, 'POST /orders', kind, {}, []).decision === SamplingDecision.RECORD_AND_SAMPLED;

  beforeEach(() => jest.useFakeTimers());
  afterEach(() => jest.useRealTimers());

  it('P10 records as many requests as their callers ask for, up to a limit', () => {
    const sampler = new CallersSampler(new AlwaysOnSampler());
    const recorded = (requests: number) =>
      Array.from({ length: requests }, () => decide(sampler)).filter(Boolean).length;

    expect(recorded(200)).toBe(50);
    jest.advanceTimersByTime(1000);
    expect(recorded(200)).toBe(10);
    jest.advanceTimersByTime(60_000);
    expect(recorded(200)).toBe(50);
  });

  it('leaves everything else to the sampler of the environment', () => {
    const sampler = new CallersSampler(new AlwaysOnSampler());
    for (let n = 0; n < 100; n++) decide(sampler);

    expect(decide(sampler)).toBe(false);
    expect(decide(sampler, SpanKind.CONSUMER)).toBe(true);
    expect(decide(sampler, SpanKind.SERVER, ROOT_CONTEXT)).toBe(true);
    expect(decide(sampler, SpanKind.SERVER, asked(true, TraceFlags.NONE))).toBe(true);
    expect(decide(sampler, SpanKind.SERVER, asked(false))).toBe(true);
  });

  it.each([
    [{}, 'ParentBased{root=AlwaysOnSampler', []],
    [{ OTEL_TRACES_SAMPLER: 'always_off' }, 'AlwaysOffSampler', []],
    [
      { OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: '0.1' },
      'ParentBased{root=TraceIdRatioBased{0.1}',
      [],
    ],
    [
      { OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '10 %' },
      'TraceIdRatioBased{1}',
      ['OTEL_TRACES_SAMPLER_ARG="10 %" is not a number from 0 to 1. Everything is sampled.'],
    ],
    [
      { OTEL_TRACES_SAMPLER: 'constructor' },
      'ParentBased{root=AlwaysOnSampler',
      [expect.stringContaining('OTEL_TRACES_SAMPLER="constructor" is not a sampler.')],
    ],
  ])('of the environment %j is %s', (env, name, expected) => {
    const problems: string[] = [];

    const sampler = samplerOf(env, (text) => problems.push(text));

    expect(String(sampler)).toMatch(new RegExp(`^${name.replace(/[{.]/g, '\\$&')}`));
    expect(problems).toEqual(expected);
  });
});

describe('the span of a request', () => {
  it.each([
    [200, { status: { code: 0 }, attributes: { 'http.response.status_code': 200 } }],
    [400, { status: { code: 0 }, attributes: { 'http.response.status_code': 400 } }],
    [503, { status: { code: 2 }, attributes: { 'http.response.status_code': 503, 'error.type': '503' } }],
  ])(
    'P10 quotes neither its query nor an exception, and is an error if the status is that of a fault: %s',
    async (code, expected) => {
      const exporter = new InMemorySpanExporter();
      const instrumentation = httpSpans();
      instrumentation.setTracerProvider(
        new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] }),
      );
      const app = Fastify();
      app.get('/orders/:id', (_, reply) => {
        if (code === 200) return { done: true };
        return reply.code(code).send(new Error('hush'));
      });

      await app.inject('/orders/7?token=hush');

      await app.close();
      instrumentation.disable();
      const [span, ...others] = exporter.getFinishedSpans();
      expect(others).toEqual([]);
      expect(span).toMatchObject({ name: 'GET /orders/:id', ...expected });
      expect(JSON.stringify([span?.attributes, span?.status, span?.events])).not.toContain('hush');
    },
  );
});
