import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isKnownCurrency } from '@twinbox/contracts';
import { readEvent } from '@twinbox/messaging/testing';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { root } from '../../checkout.js';
import { COUNT, GeneratedValues } from './generated-values.js';
import { type JsonSchema } from './json-schema.js';
import { CURRENCY_FORMAT } from './rules.js';
import { type EventVersion, eventVersions, topics } from './schemas.js';

const ajv = new Ajv2020({ strict: true, allowUnionTypes: true });
addFormats.default(ajv);
ajv.addFormat(CURRENCY_FORMAT, (code) => isKnownCurrency(code.toUpperCase()));

const isValid = (schema: JsonSchema, value: unknown) => ajv.validate(schema as object, value);
const values = new GeneratedValues(isValid);
const published = (
  await Promise.all(topics.map(async (topic) => (await eventVersions(topic)).map((event) => ({ topic, event }))))
).flat();

/** Returns why an inbox would make a message with this data a dead letter. */
function refusal({ topic, event }: (typeof published)[number], data: unknown): string | undefined {
  try {
    readEvent(topic, event.type, data, event.schema.$id);
    return undefined;
  } catch (error) {
    return String(error);
  }
}

describe.each(published.map((found) => ({ name: found.event.name, found })))('$name', ({ name, found }) => {
  const { schema }: EventVersion = found.event;

  it('has a committed schema, which is the one of its class', () => {
    const committed = readFileSync(join(root, `libs/contracts/events/schemas/${name}.json`), 'utf8');

    expect(JSON.parse(committed)).toEqual(schema);
  });

  it('has an example that its schema and our reader accept', () => {
    const [example] = schema.examples ?? [];

    expect(example).toBeDefined();
    expect([isValid(schema, example), refusal(found, example)]).toEqual([true, undefined]);
  });

  it('P5 our reader accepts 1,000 values that the schema allows', () => {
    const objects = values.objects(schema);

    const refused = objects.filter((data) => !isValid(schema, data) || refusal(found, data) !== undefined);

    expect(objects).toHaveLength(COUNT);
    expect(refused).toEqual([]);
  });

  it('P5 our reader refuses 1,000 values that the schema forbids', () => {
    const violations = values.violations(schema);

    const accepted = violations.filter((data) => isValid(schema, data) || refusal(found, data) === undefined);

    expect(violations).toHaveLength(COUNT);
    expect(accepted).toEqual([]);
  });

  it('P5 our reader and the schema agree on values around the limits of each field', () => {
    const judged = [...values.borderline(schema)].map((data) => ({
      data,
      isAllowed: isValid(schema, data),
      isRead: refusal(found, data) === undefined,
    }));

    expect(judged.filter(({ isAllowed, isRead }) => isAllowed !== isRead)).toEqual([]);
  });
});

it.each([['garbage'], [null], [[{}]]])(
  'P5 a handler gets no items from a message of version 1, even if it has %j',
  (items) => {
    const { topic, event } = published.find(({ event }) => event.name === 'OrderPlaced.v1')!;
    const example = event.schema.examples?.[0] as object;

    expect(readEvent(topic, event.type, { ...example, items }, event.schema.$id)).toEqual(example);
  },
);

/** A schema cannot express these (RFC 7493, section 2.1; RFC 3339, section 5.6). */
it.each([
  ['half of a surrogate pair', 'OrderPlaced.v1', 'customerId', '\ud83d'],
  ['a time before the year 1 in UTC', 'PaymentRequested.v1', 'expiresAt', '0001-01-01T00:00:00+00:01'],
  ['a time after the year 9999 in UTC', 'PaymentRequested.v1', 'expiresAt', '9999-12-31T23:59:59-00:01'],
])('P5 our reader refuses %s, although the schema allows it', (_, name, field, value) => {
  const found = published.find(({ event }) => event.name === name)!;
  const data = { ...(found.event.schema.examples?.[0] as object), [field]: value };

  expect(isValid(found.event.schema, data)).toBe(true);
  expect(refusal(found, data)).toContain(`${field} must be`);
});
