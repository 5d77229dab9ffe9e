import fc from 'fast-check';
import { parseObject, readStructured, structuredContentType } from './structured-mode.js';

const JSON_EVENT = 'application/cloudevents+json';
const read = (event: object, contentType = JSON_EVENT) =>
  readStructured(contentType, Buffer.from(JSON.stringify(event)));

/** JSON objects as they arrive, where -0 has become 0. */
const jsonObjects = fc
  .dictionary(fc.string(), fc.jsonValue())
  .map((object) => JSON.parse(JSON.stringify(object)) as object);

describe('structuredContentType', () => {
  it.each(['content-type', 'Content-Type', 'CONTENT-TYPE'])('finds the header %s', (name) => {
    expect(structuredContentType({ ce_id: 'id', [name]: JSON_EVENT })).toBe(JSON_EVENT);
  });

  it('prefers the header in lower case, which the Kafka binding defines', () => {
    const headers = { 'Content-Type': 'application/cloudevents+avro', 'content-type': JSON_EVENT };

    expect(structuredContentType(headers)).toBe(JSON_EVENT);
  });

  it.each([
    {},
    { 'content-type': 'application/json' },
    { 'content-type': 'text/plain; a="application/cloudevents+json"' },
    { 'x-content-type': JSON_EVENT },
  ])('is undefined in binary mode: %j', (headers: Record<string, string>) => {
    expect(structuredContentType(headers)).toBeUndefined();
  });
});

describe('the content type of an event', () => {
  it.each(['utf-8', 'UTF8', '"utf-8"', '"UT\\F-8"'])('may name the charset as %s', (charset) => {
    const { flaw, attributes } = read({ id: 'é' }, `${JSON_EVENT}; charset=${charset}`);

    expect([flaw, attributes.id]).toEqual([undefined, 'é']);
  });

  it('may have other parameters, whose values are not taken for a charset', () => {
    expect(read({ id: 'é' }, `${JSON_EVENT}; a="x; charset=utf-16le"; b=charset`).attributes.id).toBe('é');
  });

  it('decides how the bytes are decoded', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (id) => {
        const value = Buffer.from(JSON.stringify({ id }), 'utf16le');

        expect(readStructured(`${JSON_EVENT}; charset=utf-16le`, value).attributes.id).toBe(id);
      }),
    );
  });

  it('is rejected with an empty charset', () => {
    expect(read({}, `${JSON_EVENT}; charset=`).flaw).toContain('charset');
  });
});

describe('the attributes of an event', () => {
  it('are missing if they are null', () => {
    const { attributes, flaw } = read({ id: null, source: '/test', subject: null });

    expect([attributes.id, attributes.source, flaw]).toEqual([undefined, '/test', undefined]);
  });

  it('include a sequence as text or as a number, but nothing else', () => {
    const sequenceOf = (sequence: unknown) => read({ sequence }).attributes.sequence;

    expect([sequenceOf('3'), sequenceOf(3), sequenceOf(true), sequenceOf([3])]).toEqual([
      '3',
      '3',
      undefined,
      undefined,
    ]);
  });

  it('are reported together if they are not strings', () => {
    expect(read({ id: 1, subject: {}, datacontenttype: [] }).flaw).toBe(
      'attributes that are not strings: id, subject, datacontenttype',
    );
  });
});

describe('the data of an event', () => {
  it('is the same as JSON and in Base64', () => {
    fc.assert(
      fc.property(jsonObjects, (data) => {
        const data_base64 = Buffer.from(JSON.stringify(data)).toString('base64');

        expect(read({ data }).data()).toEqual(data);
        expect(read({ data_base64 }).data()).toEqual(data);
      }),
    );
  });

  it.each([undefined, null, 7, 'text', [], '{"n":1}'])('is missing if it is %j', (data) => {
    expect(read({ data }).data()).toBeUndefined();
  });

  it.each(['', '=', 'eyJuIjoxfQ', 'eyJuIjo xfQ==', 'eyJuIjoxfQ==\n', 'eyJuIjoxfQ-_', 'WzFd', 'e30e', 7])(
    'is missing if its Base64 is %j',
    (data_base64) => {
      expect(read({ data_base64 }).data()).toBeUndefined();
    },
  );

  it('must not be there twice', () => {
    const data_base64 = Buffer.from('{}').toString('base64');

    expect(read({ data: {}, data_base64 }).flaw).toBe('the event has both data and data_base64');
    expect(read({ data: null, data_base64 }).flaw).toBeUndefined();
  });
});

describe('parseObject', () => {
  it('returns what was serialised, with or without a byte order mark', () => {
    fc.assert(
      fc.property(jsonObjects, fc.constantFrom('', '\uFEFF'), (object, mark) => {
        expect(parseObject(Buffer.from(mark + JSON.stringify(object)))).toEqual(object);
      }),
    );
  });

  it('never throws, and returns nothing but objects', () => {
    const bytes = fc.oneof(
      fc.uint8Array().map((array) => Buffer.from(array)),
      fc.json().map((text) => Buffer.from(text)),
    );
    fc.assert(
      fc.property(bytes, (value) => {
        const parsed = parseObject(value);

        expect(parsed === undefined || (Object(parsed) === parsed && !Array.isArray(parsed))).toBe(true);
      }),
    );
  });

  it('rejects bytes that are not UTF-8 rather than replacing them', () => {
    expect(parseObject(Buffer.from([...Buffer.from('{"a":"'), 0xff, ...Buffer.from('"}')]))).toBeUndefined();
  });
});
