import { currentCurrencies, formerCurrencies } from '@twinbox/contracts';
import fc from 'fast-check';
import { type JsonSchema, typesOf } from './json-schema.js';
import { CURRENCY_FORMAT } from './rules.js';

/** How many values of a kind are generated. */
export const COUNT = 1000;
/** The seed is fixed, so that a failure is caused by the change under test. */
const GENERATED = { numRuns: COUNT, seed: 20_261_130 };

type IsValid = (schema: JsonSchema, value: unknown) => boolean;

/**
 * Generates values that schemas allow or forbid. Values of equal fields are generated once, because generating takes longer than reading.
 * `isValid` is a validator of JSON Schema.
 */
export class GeneratedValues {
  private readonly pools = new Map<string, readonly unknown[]>();

  constructor(private readonly isValid: IsValid) {}

  /** Returns objects that the schema allows, some of them with unknown fields. */
  objects(schema: JsonSchema): object[] {
    const { properties = {}, required = [] } = schema;
    return Array.from({ length: COUNT }, (_, n) => {
      const entries = Object.entries(properties).flatMap(([name, field], at) =>
        // Each combination of absent optional fields occurs.
        required.includes(name) || (n >> at) % 2 === 0 ? [[name, this.valid(field)[shuffled(n, at)]]] : [],
      );
      return Object.fromEntries(n % 5 === 0 ? [...entries, ['later', UNKNOWN[n % UNKNOWN.length]]] : entries) as object;
    });
  }

  /** Returns data that is not an object, lacks a required field, or has a field with a value that its schema forbids. */
  violations(schema: JsonSchema): unknown[] {
    const { properties = {}, required = [] } = schema;
    const fields = Object.entries(properties);
    const others = ['text', 1, true, null, [{}]];
    const choices = fields.length + required.length + 1;
    return this.objects(schema).map((data, n) => {
      const choice = n % choices;
      const [name, field] = fields[choice] ?? [];
      // In order, so that each near miss occurs.
      if (name !== undefined && field) return { ...data, [name]: this.invalid(field)[Math.floor(n / choices)] };
      const missing = required[choice - fields.length];
      return missing === undefined ? others[n % others.length] : { ...data, [missing]: undefined };
    });
  }

  /** Returns valid objects in which one field has a value that its schema nearly allows or just allows. */
  *borderline(schema: JsonSchema): Generator<object> {
    const [data] = this.objects(schema);
    for (const [name, field] of Object.entries(schema.properties ?? {}))
      for (const value of nearMisses(field)) yield { ...data, [name]: value };
  }

  private valid(schema: JsonSchema): readonly unknown[] {
    return this.pool('valid', schema, () => {
      const isNullable = typesOf(schema).includes('null');
      return this.values(schema).map((value, n) => (isNullable && n % 10 === 0 ? null : value));
    });
  }

  private values(schema: JsonSchema): unknown[] {
    const { format, items, properties, minLength = 0, maxLength = 0, minItems = 0, maxItems = 0 } = schema;
    const [type] = typesOf(schema);
    if (properties) return this.objects(schema);
    if (type === 'array' && items) {
      const elements = this.valid(items);
      return elements.map((_, n) => {
        const length = n % 50 === 0 ? maxItems : Math.min(maxItems, minItems + (n % 3));
        return Array.from({ length }, (_, at) => elements[shuffled(n, at)]);
      });
    }
    if (type === 'integer') return fc.sample(integers(schema), GENERATED);
    if (type !== 'string') throw new Error(`No values are generated for ${JSON.stringify(schema)}.`);
    if (format === 'uuid') return fc.sample(fc.uuid({ version: 7 }), GENERATED).map(inAnyCase);
    if (format === 'date-time') return fc.sample(times, GENERATED);
    if (format === CURRENCY_FORMAT) return fc.sample(currencies, GENERATED).map(inAnyCase);
    const text = fc
      .array(fc.oneof(fc.constantFrom('a', ' ', '\n', '€', '😀', '\u{10FFFF}'), character), {
        minLength,
        maxLength: Math.min(maxLength, minLength + 20),
      })
      .map((characters) => characters.join(''));
    const limits = fc
      .tuple(fc.constantFrom('x', '€', '😀'), fc.constantFrom(minLength, maxLength))
      .map(([character, length]) => character.repeat(length));
    return fc.sample(fc.oneof({ arbitrary: text, weight: 9 }, limits), GENERATED);
  }

  private invalid(schema: JsonSchema): readonly unknown[] {
    return this.pool('invalid', schema, () => {
      const { items } = schema;
      const candidates = [
        ...nearMisses(schema),
        ...fc.sample(fc.jsonValue({ maxDepth: 1 }), { ...GENERATED, numRuns: 100 }),
      ];
      if (items)
        candidates.push(
          ...this.invalid(items)
            .slice(0, 100)
            .map((item) => [item]),
        );
      if (items?.properties) candidates.push(...this.violations(items).map((item) => [item]));
      const wrong = candidates.filter((value) => !this.isValid(schema, value));
      return Array.from({ length: COUNT }, (_, n) => wrong[n % wrong.length]);
    });
  }

  private pool(kind: string, schema: JsonSchema, generate: () => readonly unknown[]): readonly unknown[] {
    const key = kind + JSON.stringify({ ...schema, description: undefined, examples: undefined });
    const pool = this.pools.get(key) ?? generate();
    this.pools.set(key, pool);
    return pool;
  }
}

const UNKNOWN = [null, 1, 'text', [], { nested: [1] }];

/** A permutation of the indexes of a pool for each field, so that fields of the same kind differ. */
const shuffled = (n: number, at: number) => (n * 7 + at * 131) % COUNT;

function inAnyCase(text: string, n: number): string {
  return n % 3 === 0
    ? text.toUpperCase()
    : n % 3 === 1
      ? text
      : text.replaceAll(/[a-z]/g, (letter, at: number) => (at % 2 ? letter : letter.toUpperCase()));
}

const character = fc.integer({ min: 1, max: 0xfff }).map((code) => String.fromCodePoint(code));

const currencies = fc.constantFrom(...currentCurrencies(), ...formerCurrencies(), 'XTS', 'XXX');

/** Without the first and the last day, whose offsets lead to years that RFC 3339 does not have. */
const times = fc
  .tuple(
    fc.date({ min: new Date('0001-01-02T00:00:00Z'), max: new Date('9999-12-30T23:59:59Z'), noInvalidDate: true }),
    fc.constantFrom('', '.1', '.123456789'),
    fc.constantFrom('Z', '+02:00', '-23:59', '+23:59'),
  )
  .map(([time, fraction, offset]) => time.toISOString().replace(/\.\d+Z$/, `${fraction}${offset}`));

function integers({ minimum = Number.MIN_SAFE_INTEGER, maximum = Number.MAX_SAFE_INTEGER }: JsonSchema) {
  return fc.oneof(
    fc.maxSafeInteger().filter((n) => n >= minimum && n <= maximum),
    fc.constantFrom(minimum, maximum),
  );
}

/** Returns values around the limits of a schema, of other types, and in other forms. Some of them are valid. */
function nearMisses(schema: JsonSchema): unknown[] {
  const { format, minLength = 1, maxLength = 0, minimum = 0, maximum = 0, minItems = 1, maxItems = 0, items } = schema;
  const uuid = '01939d3c-2f4a-7c3e-9d55-8a0f6a1b2c3d';
  const values: unknown[] = [null, true, 1.5, '', [], {}, ['x'], [[]], 'a\0', '\0', 7, '7'];
  values.push('x'.repeat(maxLength + 1), '😀'.repeat(maxLength + 1), 'x'.repeat(Math.max(0, minLength - 1)));
  values.push(minimum - 1, maximum + 1, minimum + 0.5, String(minimum), 1e19, 1e300, -0.5);
  values.push(
    `{${uuid}}`,
    `urn:uuid:${uuid}`,
    uuid.replaceAll('-', ''),
    uuid.replace('-7', '-4'),
    `${uuid}\n`,
    ` ${uuid}`,
  );
  if (format === 'date-time')
    values.push(
      '2026-02-30T00:00:00Z',
      '2026-11-21',
      '2026-11-21T24:00:00Z',
      '2026-11-21T09:30:00',
      '0000-01-01T00:00:00Z',
      '2026-11-21 09:30:00Z',
      '2026-11-21T23:59:60Z',
      '2026-11-21T09:30:00.Z',
      '2026-11-21t09:30:00z',
      '2026-11-21T09:30:00+24:00',
    );
  if (format === CURRENCY_FORMAT) values.push('eur', 'Eur', 'EURO', 'EU', 'ABC', 'ſEK', 'E1R', 'EUR\n', ' EUR');
  if (items) {
    const [example] = items.examples ?? [];
    values.push(
      Array.from({ length: minItems - 1 }, () => example),
      Array.from({ length: maxItems + 1 }, () => example),
    );
  }
  return values;
}
