import { type Attributes, type Context, type Link, SpanKind, trace, TraceFlags } from '@opentelemetry/api';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  ParentBasedSampler,
  type Sampler,
  SamplingDecision,
  type SamplingResult,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace';

/** How many requests a second may be traced because their callers ask for it, and how many at once. */
const CALLERS_PER_SECOND = 10;
const CALLERS_AT_ONCE = 50;

/**
 * Limits how many traces callers can force. A request continues the trace of its caller, sampled or not, as W3C Trace Context says.
 * But anybody may send `traceparent` with the flag "sampled", so beyond the limit such a request is not sampled. Requests without a
 * sampled parent are left to the sampler of the environment.
 */
export class CallersSampler implements Sampler {
  private tokens = CALLERS_AT_ONCE;
  private filledAt = performance.now();

  constructor(private readonly others: Sampler) {}

  shouldSample(
    context: Context,
    traceId: string,
    name: string,
    kind: SpanKind,
    attributes: Attributes,
    links: Link[],
  ): SamplingResult {
    const parent = trace.getSpanContext(context);
    const isForced =
      kind === SpanKind.SERVER && parent?.isRemote === true && (parent.traceFlags & TraceFlags.SAMPLED) !== 0;
    if (isForced && !this.take()) return { decision: SamplingDecision.NOT_RECORD };
    return this.others.shouldSample(context, traceId, name, kind, attributes, links);
  }

  toString(): string {
    return `CallersSampler{${String(this.others)}}`;
  }

  private take(now = performance.now()): boolean {
    const filled = this.tokens + ((now - this.filledAt) / 1000) * CALLERS_PER_SECOND;
    this.tokens = Math.min(CALLERS_AT_ONCE, filled);
    this.filledAt = now;
    if (this.tokens < 1) return false;
    this.tokens--;
    return true;
  }
}

/**
 * Returns the sampler that OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG name. An invalid value is reported, and everything is sampled
 * then, which is the default (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables).
 */
export function samplerOf(env: NodeJS.ProcessEnv, problem: (text: string) => void): Sampler {
  const name = env['OTEL_TRACES_SAMPLER']?.trim() || 'parentbased_always_on';
  const roots: Readonly<Record<string, () => Sampler>> = {
    always_on: () => new AlwaysOnSampler(),
    always_off: () => new AlwaysOffSampler(),
    traceidratio: () => new TraceIdRatioBasedSampler(ratioOf(env, problem)),
  };
  const rootName = name.replace(/^parentbased_/, '');
  const root = Object.hasOwn(roots, rootName) ? roots[rootName]?.() : undefined;
  if (root) return name.startsWith('parentbased_') ? new ParentBasedSampler({ root }) : root;
  problem(
    `OTEL_TRACES_SAMPLER="${name}" is not a sampler. Everything is sampled; set it to parentbased_traceidratio and ` +
      'OTEL_TRACES_SAMPLER_ARG to the share, such as 0.1.',
  );
  return new ParentBasedSampler({ root: new AlwaysOnSampler() });
}

function ratioOf(env: NodeJS.ProcessEnv, problem: (text: string) => void): number {
  const text = env['OTEL_TRACES_SAMPLER_ARG']?.trim() ?? '';
  const ratio = Number(text);
  if (text !== '' && ratio >= 0 && ratio <= 1) return ratio;
  problem(`OTEL_TRACES_SAMPLER_ARG="${text}" is not a number from 0 to 1. Everything is sampled.`);
  return 1;
}
