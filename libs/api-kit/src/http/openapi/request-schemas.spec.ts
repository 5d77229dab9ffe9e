import { closeBody, closeParameter, mayBeEmpty } from './request-schemas.js';

const ITEM = '#/components/schemas/Item';

describe('a body', () => {
  it('has only the members that its classes declare, at any depth', () => {
    const schemas = {
      Order: { properties: { items: { type: 'array', items: { $ref: ITEM } } } },
      Item: { properties: { quantity: { type: 'integer' } } },
    };

    closeBody({ $ref: '#/components/schemas/Order' }, schemas);

    expect(schemas).toMatchObject({ Order: { additionalProperties: false }, Item: { additionalProperties: false } });
  });

  it('keeps all members of its class if a condition mentions some of them', () => {
    const schemas = { Order: { properties: { draft: {} }, anyOf: [{ properties: { draft: { const: true } } }] } };

    closeBody({ $ref: '#/components/schemas/Order' }, schemas);

    expect(schemas.Order).toMatchObject({ additionalProperties: false });
    expect(schemas.Order.anyOf).toEqual([{ properties: { draft: { const: true } } }]);
  });

  it('allows no text that PostgreSQL cannot store', () => {
    const schemas = {
      Note: {
        properties: {
          free: { type: 'string' },
          visible: { type: 'string', pattern: '\\S' },
          word: { type: 'string', pattern: '^\\w+$' },
          kind: { type: 'string', enum: ['a'] },
        },
      },
    };

    closeBody({ $ref: '#/components/schemas/Note' }, schemas);

    expect(schemas.Note.properties).toEqual({
      free: { type: 'string', pattern: '^[^\\u0000]*$' },
      visible: { type: 'string', allOf: [{ pattern: '^[^\\u0000]*$' }, { pattern: '\\S' }] },
      word: { type: 'string', pattern: '^\\w+$' },
      kind: { type: 'string', enum: ['a'] },
    });
  });

  it.each([
    [true, {}],
    [true, { properties: { a: {} } }],
    [false, { required: ['a'] }],
    [false, { anyOf: [{ required: ['a'] }, { required: ['b'] }] }],
    [true, { anyOf: [{ required: ['a'] }, {}] }],
  ])('may be omitted: %s for %j', (expected, schema) => {
    expect(mayBeEmpty(schema, {})).toBe(expected);
  });
});

describe('a list in a query', () => {
  it('repeats its name or is comma-separated', () => {
    const schema = { type: 'array', minItems: 1, maxItems: 4, items: { type: 'string', enum: ['NEW', '-old'] } };

    closeParameter(schema);

    expect(schema).toEqual({
      type: 'array',
      minItems: 1,
      items: { type: 'string' },
      anyOf: [
        { items: { type: 'string', enum: ['NEW', '-old'] }, maxItems: 4 },
        { items: { type: 'string', pattern: '^(?:NEW|-old)(?:,(?:NEW|-old)){0,3}$' }, maxItems: 1 },
      ],
    });
  });
});

it('a parameter is never null, because it comes as text', () => {
  const schema = { type: ['string', 'null'], enum: ['a', null] };

  closeParameter(schema);

  expect(schema).toEqual({ type: 'string', enum: ['a'] });
});
