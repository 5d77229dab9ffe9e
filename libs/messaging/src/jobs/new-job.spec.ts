import fc from 'fast-check';
import { PermanentError } from '../errors.js';
import { MAX_PAYLOAD_BYTES } from '../message/limits.js';
import { jobRows } from './new-job.js';

const id = '01890a5d-ac96-774b-bcce-b302099a8057';

describe('a new job', () => {
  it('gets an id of its own unless it has one, and keeps its order and time', () => {
    const runAt = new Date(5);

    const [first, second] = jobRows('call', [{ data: { n: 1 } }, { id, data: { n: 2 }, runAt }]);

    expect(first).toMatchObject({ queue: 'call', json: '{"n":1}', runAt: undefined });
    expect(first?.id).toMatch(/^[\da-f]{8}-[\da-f]{4}-7/);
    expect(second).toEqual({ id, queue: 'call', json: '{"n":2}', runAt });
  });

  it.each<[string, object]>([
    ['is not a UUID', { id: '7' }],
    ['outside the years 1 to 9999', { runAt: new Date('+010000-01-01T00:00:00Z') }],
    ['outside the years 1 to 9999', { runAt: new Date('0000-12-31T23:59:59Z') }],
    ['outside the years 1 to 9999', { runAt: new Date(NaN) }],
    ['cannot be serialised', { data: () => undefined }],
    ['cannot be serialised', { data: { toJSON: () => undefined } }],
    ['contains a zero byte', { data: { text: 'a\0b' } }],
    ['contains a zero byte', { data: { 'a\0b': 1 } }],
    ['half of a surrogate pair', { data: { text: '\uD83D' } }],
  ])('is rejected with "%s": %j', (reason, fields) => {
    const add = () => jobRows('call', [{ data: {}, ...fields }]);

    expect(add).toThrow(PermanentError);
    expect(add).toThrow(reason);
  });

  it.each(['', 'q'.repeat(256), 'a\0'])('is rejected in a queue named %j', (queue) => {
    expect(() => jobRows(queue, [])).toThrow('The name of the queue');
  });

  it('may have data up to the limit in bytes, not characters', () => {
    const bytesOf = (text: string) => Buffer.byteLength(JSON.stringify({ text }));
    const fits = 'é'.repeat((MAX_PAYLOAD_BYTES - bytesOf('')) / 2);

    expect(jobRows('call', [{ data: { text: fits } }])).toHaveLength(1);
    expect(() => jobRows('call', [{ data: { text: `${fits}éé` } }])).toThrow('bytes, more than');
  });

  it('is accepted with any data that jsonb can store, and rejected with any other', () => {
    const tricky = fc.string({ unit: fc.constantFrom('\\', 'u', '0', '0000', 'd800', '\0', '\uD800', '😀', 'a') });
    fc.assert(
      fc.property(tricky, (text) => {
        const add = () => jobRows('call', [{ data: { text } }]);

        if (text.includes('\0') || !text.isWellFormed()) expect(add).toThrow(PermanentError);
        else expect(JSON.parse(add()[0]?.json ?? '')).toEqual({ text });
      }),
      { numRuns: 500 },
    );
  });
});
