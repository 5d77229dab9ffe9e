import { type TraceState } from '@opentelemetry/api';
import { formatTrace, parseTrace } from './trace-context.js';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';
const traceparent = `00-${TRACE}-${SPAN}-01`;

describe('a trace context', () => {
  it.each([
    [1, '01'],
    [0, '00'],
    // The random flag of level 2 describes the trace id and is not the sampling decision.
    [3, '01'],
  ])('with the flags %s is written with %s and read again', (traceFlags, flags) => {
    const written = formatTrace({ traceId: TRACE, spanId: SPAN, traceFlags });

    expect(written).toEqual({ traceparent: `00-${TRACE}-${SPAN}-${flags}` });
    expect(parseTrace(written)).toEqual({ traceId: TRACE, spanId: SPAN, traceFlags: Number(flags), isRemote: true });
  });

  it('keeps the tracestate of vendors', () => {
    const read = parseTrace({ traceparent, tracestate: 'vendor=a,other=b' });

    expect(read && formatTrace(read)).toEqual({ traceparent, tracestate: 'vendor=a,other=b' });
  });

  it('P7 is stored without a tracestate that is longer than the column', () => {
    const traceState = { serialize: () => 'a'.repeat(513) } as TraceState;

    expect(formatTrace({ traceId: TRACE, spanId: SPAN, traceFlags: 1, traceState })).toEqual({ traceparent });
  });

  it('of a later version is read as far as it is known', () => {
    expect(parseTrace({ traceparent: `cc-${TRACE}-${SPAN}-01-more` })).toMatchObject({ traceId: TRACE });
  });

  it.each([
    undefined,
    null,
    '',
    `ff-${TRACE}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}-01-more`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `00-${'0'.repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    `00-${TRACE}-${SPAN}`,
  ])('is ignored if it is %s', (invalid) => {
    expect(parseTrace({ traceparent: invalid })).toBeUndefined();
  });

  it('of a span without a trace is not written', () => {
    expect(formatTrace({ traceId: '0'.repeat(32), spanId: '0'.repeat(16), traceFlags: 0 })).toBeUndefined();
  });
});
