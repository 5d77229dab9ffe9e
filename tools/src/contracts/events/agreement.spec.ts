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

it('a schema allows only one kind of text that our reader refuses, which is not Unicode (RFC 7493, section 2.1)', () => {
  const [found] = published;
  const data = { ...(found!.event.schema.examples?.[0] as object), customerId: '\ud83d' };

  expect(isValid(found!.event.schema, data)).toBe(true);
  expect(refusal(found!, data)).toContain('customerId must be text');
});
