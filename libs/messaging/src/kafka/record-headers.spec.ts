import { RecordHeaders } from './record-headers.js';

describe('the headers of records', () => {
  it('are encoded once for each type and schema', () => {
    const headers = new RecordHeaders('/test');

    const first = headers.betweenIdAndSequence('A', 'urn:a:1');

    expect(headers.betweenIdAndSequence('A', 'urn:a:1')).toBe(first);
    expect(headers.betweenIdAndSequence('A', 'urn:a:2')).not.toEqual(first);
    expect(headers.betweenIdAndSequence('B', 'urn:a:1')).not.toEqual(first);
    expect(first.toString('latin1')).toBe(
      '\x12ce_source\x0a/test\x0ece_type\x02A\x1ace_dataschema\x0eurn:a:1\x16ce_sequence',
    );
  });

  it('P7 stay bounded in memory however many types a table has', () => {
    const headers = new RecordHeaders('/test');
    const first = headers.betweenIdAndSequence('type 0', 'urn:x:1');

    for (let n = 1; n <= 1000; n++) headers.betweenIdAndSequence(`type ${n}`, 'urn:x:1');

    expect(headers.betweenIdAndSequence('type 0', 'urn:x:1')).not.toBe(first);
    expect(headers.betweenIdAndSequence('type 0', 'urn:x:1')).toEqual(first);
  });
});
