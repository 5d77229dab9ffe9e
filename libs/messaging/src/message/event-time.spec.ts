import fc from 'fast-check';
import { eventTime, NO_TIMESTAMP, recordTime } from './event-time.js';

const EARLIEST = Date.parse('0001-01-01T00:00:00Z');
const LATEST = Date.parse('9999-12-31T23:59:59.999Z');
const instants = fc.integer({ min: EARLIEST, max: LATEST });

describe('the time of an event', () => {
  it('is read from every instant that RFC 3339 can express', () => {
    fc.assert(
      fc.property(instants, fc.constantFrom('T', 't', ' '), fc.constantFrom('Z', 'z', '+00:00'), (ms, t, zone) => {
        const text = new Date(ms).toISOString().replace('T', t).replace('Z', zone);

        expect(eventTime(text)?.getTime()).toBe(ms);
      }),
    );
  });

  it('is the same instant with any offset from UTC', () => {
    const minutes = fc.integer({ min: -23 * 60 - 59, max: 23 * 60 + 59 });
    const inside = fc.integer({ min: EARLIEST + 2 * 86_400_000, max: LATEST - 2 * 86_400_000 });
    fc.assert(
      fc.property(inside, minutes, (ms, offset) => {
        const local = new Date(ms + offset * 60_000).toISOString().slice(0, -1);
        const two = (n: number) => String(Math.trunc(n)).padStart(2, '0');
        const zone = `${offset < 0 ? '-' : '+'}${two(Math.abs(offset) / 60)}:${two(Math.abs(offset) % 60)}`;

        expect(eventTime(local + zone)?.getTime()).toBe(ms);
      }),
    );
  });

  it('is either within the limits or unknown, whatever the text', () => {
    const digits = fc.stringMatching(/^[0129:.TZ+ -]{0,30}$/);
    fc.assert(
      fc.property(fc.oneof(fc.string(), digits), (text) => {
        const ms = eventTime(text)?.getTime() ?? EARLIEST;

        expect(ms >= EARLIEST && ms <= LATEST).toBe(true);
      }),
    );
  });

  it.each([
    undefined,
    '2026-02-29T00:00:00Z',
    '2026-11-31T00:00:00Z',
    '2026-11-29T20:00:00',
    '2026-11-29T20:00:00+24:00',
    '9999-12-31T23:59:59.999-00:01',
    ' 2026-11-29T20:00:00Z',
  ])('is unknown for %j', (text) => {
    expect(eventTime(text)).toBeUndefined();
  });
});

describe('the timestamp of a record', () => {
  it('is moved into the limits for any 64-bit integer, and unchanged within them', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (timestamp) => {
        const ms = recordTime(String(timestamp)).getTime();

        expect(ms).toBeGreaterThanOrEqual(NO_TIMESTAMP);
        expect(ms).toBeLessThanOrEqual(LATEST);
      }),
    );
    fc.assert(fc.property(fc.integer({ min: 0, max: LATEST }), (ms) => recordTime(String(ms)).getTime() === ms));
  });
});
