import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../../checkout.js';
import { type AsyncApi } from './asyncapi.js';
import { compatibilityProblems } from './compatibility.js';

// oxlint-disable-next-line typescript/no-explicit-any -- a change may set anything
type Editable = any;

const released = JSON.parse(
  readFileSync(join(root, 'libs/contracts/events/released/0.1.0/asyncapi.json'), 'utf8'),
) as AsyncApi;

/** A document with fields that the events of 0.1.0 do not have: an enumeration, and an array of objects. */
const base = edited(released, ({ components }) => {
  components.schemas['OrderCancelled.v1'].properties.kind = { type: 'string', enum: ['late', 'unwanted'] };
  components.schemas['OrderCancelled.v1'].properties.items = {
    type: 'array',
    items: { type: 'object', properties: { sku: { type: 'string', maxLength: 20 } }, required: ['sku'] },
  };
  // It has not been released, so it may still change, except to what consumers of version 1 cannot read.
  components.schemas['OrderPlaced.v2'] = structuredClone(components.schemas['OrderPlaced.v1']);
  components.schemas['OrderPlaced.v2'].required.push('items');
  components.schemas['OrderPlaced.v2'].properties.items = { type: 'array', items: { type: 'object' } };
});

function edited(document: AsyncApi, edit: (document: Editable) => void): AsyncApi {
  const copy = structuredClone(document);
  edit(copy);
  return copy;
}

const problemsOf = (edit: (document: Editable) => void, exemptions: Parameters<typeof compatibilityProblems>[2] = []) =>
  compatibilityProblems(edited(base, edit), [{ version: '1.2.0', document: base }], exemptions);

const cancelled = (edit: (schema: Editable) => void) => (document: Editable) =>
  edit(document.components.schemas['OrderCancelled.v1']);
const secondVersion = (edit: (schema: Editable) => void) => (document: Editable) =>
  edit(document.components.schemas['OrderPlaced.v2']);
const headers = (edit: (schema: Editable) => void) => (document: Editable) =>
  edit(document.components.messages['OrderCancelled.v1'].headers);
const topic = (edit: (kafka: Editable, channel: Editable) => void) => (document: Editable) =>
  edit(document.channels.orderEvents.bindings.kafka, document.channels.orderEvents);

const remove = (schema: Editable, field: string) => {
  delete schema.properties[field];
  schema.required = schema.required.filter((name: string) => name !== field);
};

const forbidden: Readonly<Record<string, (document: Editable) => void>> = {
  'OrderCancelled.v1: removed the required field reason': cancelled((schema) => remove(schema, 'reason')),
  'OrderCancelled.v1: removed the optional field actor': cancelled((schema) => remove(schema, 'actor')),
  'OrderCancelled.v1: added the required field gift': cancelled((schema) => {
    schema.properties.gift = { type: 'boolean' };
    schema.required.push('gift');
  }),
  'OrderCancelled.v1: made the optional field actor required': cancelled((schema) => schema.required.push('actor')),
  'OrderCancelled.v1: made the required field reason optional': cancelled((schema) => {
    schema.required = schema.required.filter((name: string) => name !== 'reason');
  }),
  'OrderCancelled.v1: changed the type of reason from string to integer': cancelled((schema) => {
    schema.properties.reason = { type: 'integer' };
  }),
  'OrderCancelled.v1: changed the type of actor from string or null to string': cancelled((schema) => {
    schema.properties.actor.type = 'string';
  }),
  'OrderCancelled.v1: changed the limits of reason': cancelled((schema) => {
    schema.properties.reason.maxLength = 100;
  }),
  'OrderCancelled.v1: changed the limits of customerId': cancelled((schema) => {
    schema.properties.customerId.maxLength = 1000;
  }),
  'OrderCancelled.v1: changed the limits of orderId': cancelled((schema) => {
    schema.properties.orderId.pattern = '^[0-9]+$';
  }),
  'OrderCancelled.v1: changed the format of orderId from uuid to none': cancelled((schema) => {
    delete schema.properties.orderId.format;
  }),
  'OrderCancelled.v1: changed the limits of kind': cancelled((schema) => {
    schema.properties.kind.enum = ['late'];
  }),
  'OrderCancelled.v1: changed the limits of items[].sku': cancelled((schema) => {
    schema.properties.items.items.properties.sku.maxLength = 10;
  }),
  'OrderCancelled.v1: added the required field items[].size': cancelled((schema) => {
    schema.properties.items.items.properties.size = { type: 'string' };
    schema.properties.items.items.required.push('size');
  }),
  'OrderCancelled.v1: removed the schema of the elements of items': cancelled((schema) => {
    delete schema.properties.items.items;
  }),
  'OrderCancelled.v1: changed the limits of the value': cancelled((schema) => {
    schema.additionalProperties = false;
  }),
  'OrderCancelled.v1: changed the content type from application/json to text/csv': ({ components }) => {
    components.messages['OrderCancelled.v1'].contentType = 'text/csv';
  },
  'OrderCancelled.v1: changed the key from orderId to customerId': ({ components }) => {
    components.messages['OrderCancelled.v1'].bindings.kafka.key['x-field'] = 'customerId';
  },
  'key of OrderCancelled.v1: changed the type of the value from string to integer': ({ components }) => {
    components.messages['OrderCancelled.v1'].bindings.kafka.key.type = 'integer';
  },
  'headers of OrderCancelled.v1: removed the required field ce_id': headers((schema) => remove(schema, 'ce_id')),
  'headers of OrderCancelled.v1: added the required field ce_subject': headers((schema) => {
    schema.properties.ce_subject = { type: 'string' };
    schema.required.push('ce_subject');
  }),
  'headers of OrderCancelled.v1: changed the limits of ce_type': headers((schema) => {
    schema.properties.ce_type.const = 'OrderCanceled';
  }),
  'headers of OrderCancelled.v1: changed the limits of ce_dataschema': headers((schema) => {
    schema.properties.ce_dataschema.const = 'https://schemas.example/OrderCancelled/1';
  }),
  'order.events: renamed the topic to orders': topic((_, channel) => {
    channel.address = 'orders';
  }),
  'order.events: changed the number of partitions from 6 to 12': topic((kafka) => {
    kafka.partitions = 12;
  }),
  'order.events: changed the cleanup policy from delete to compact': topic((kafka) => {
    kafka.topicConfiguration['cleanup.policy'] = ['compact'];
  }),
  'order.events: shortened the retention from 604800000 to 3600000 ms': topic((kafka) => {
    kafka.topicConfiguration['retention.ms'] = 3_600_000;
  }),
  'order.events: removed OrderCancelled.v1': topic((_, channel) => {
    delete channel.messages['OrderCancelled.v1'];
  }),
  'order.events: removed the topic': ({ channels }) => {
    delete channels.orderEvents;
  },
};

describe('a change that is incompatible with a release', () => {
  it.each(Object.entries(forbidden))('is reported: %s', (text, change) => {
    const problems = problemsOf(change);

    expect(problems).toEqual([expect.stringContaining(`${text}, which is incompatible with 1.2.0. Undo it, or `)]);
  });

  it('is reported if it is incompatible with any release, and names all of them', () => {
    const current = edited(
      base,
      cancelled((schema) => remove(schema, 'kind')),
    );
    const documents = { '0.1.0': released, '1.1.0': base, '1.2.0': base, '1.3.0': current };

    const problems = compatibilityProblems(
      current,
      Object.entries(documents).map(([version, document]) => ({ version, document })),
      [],
    );

    expect(problems).toEqual([
      'OrderCancelled.v1: removed the optional field kind, which is incompatible with 1.1.0, 1.2.0. ' +
        'Undo it, or exempt it with a reason.',
    ]);
  });
});

describe('a version of an event', () => {
  const forbidden: Readonly<Record<string, (schema: Editable) => void>> = {
    'removed the required field total': (schema) => remove(schema, 'total'),
    'made the required field total optional': (schema) => {
      schema.required = schema.required.filter((name: string) => name !== 'total');
    },
    'changed the type of total from integer to string': (schema) => (schema.properties.total.type = 'string'),
    'changed the format of orderId from uuid to none': (schema) => delete schema.properties.orderId.format,
    'changed the limits of customerId': (schema) => (schema.properties.customerId.maxLength = 1000),
  };

  it.each(Object.entries(forbidden))(
    'is reported if consumers of the previous one cannot read it: %s',
    (text, change) => {
      const document = edited(base, secondVersion(change));

      expect(compatibilityProblems(document, [], [])).toEqual([
        `OrderPlaced.v2 as version 1: ${text}. A new version may only add to the previous one. Undo it, or add an event of another type.`,
      ]);
    },
  );

  it.each<[string, (schema: Editable) => void]>([
    ['adds required fields', () => undefined],
    ['requires more', (schema) => (schema.properties.customerId.maxLength = 10)],
  ])('is not reported if it %s', (_, change) => {
    expect(compatibilityProblems(edited(base, secondVersion(change)), [], [])).toEqual([]);
  });
});

describe('a change that is compatible', () => {
  it.each([
    ['nothing', () => undefined],
    ['a new optional field', cancelled((schema) => (schema.properties.gift = { type: 'string' }))],
    [
      'a new optional field of an element',
      cancelled((schema) => (schema.properties.items.items.properties.size = { type: 'string' })),
    ],
    ['a better description', cancelled((schema) => (schema.properties.reason.description = 'Why, in words.'))],
    ['a new optional header', headers((schema) => (schema.properties.baggage = { type: 'string' }))],
    ['a longer retention', topic((kafka) => (kafka.topicConfiguration['retention.ms'] *= 2))],
    [
      'a new version of an event',
      ({ components, channels }: Editable) => {
        const { required, ...first } = components.schemas['OrderCancelled.v1'];
        components.schemas['OrderCancelled.v2'] = { ...first, required: [...required, 'kind'] };
        components.messages['OrderCancelled.v2'] = components.messages['OrderCancelled.v1'];
        channels.orderEvents.messages['OrderCancelled.v2'] = {};
      },
    ],
  ])('is not reported: %s', (_, change) => {
    expect(problemsOf(change)).toEqual([]);
  });
});

describe('an exemption', () => {
  const change = 'OrderCancelled.v1: removed the optional field actor';
  const reason = 'No consumer reads it, as its teams confirmed.';

  it.each([
    [change, cancelled((schema) => remove(schema, 'actor'))],
    ['order.events: changed the number of partitions from 6 to 12', topic((kafka) => (kafka.partitions = 12))],
  ])('allows a change with a reason: %s', (change, edit) => {
    expect(problemsOf(edit, [{ change, reason }])).toEqual([]);
    expect(problemsOf(edit, [{ change, reason: ' ' }])).toHaveLength(1);
  });

  it.each<[string, (schema: Editable) => void]>([
    ['forbids unknown fields', (schema) => (schema.additionalProperties = false)],
    ['requires a field that it does not describe', (schema) => schema.required.push('gift')],
    ['leaves the elements of an array open', (schema) => delete schema.properties.items.items],
  ])('of a removed field does not allow that its schema also %s', (_, change) => {
    const reported = problemsOf(
      cancelled((schema) => {
        remove(schema, 'actor');
        change(schema);
      }),
      [{ change: 'OrderCancelled.v1: removed the optional field actor', reason }],
    );

    expect(reported).toEqual([
      expect.stringMatching(
        /^OrderCancelled\.v1: .*Undo it, or add a version of the event or an event of another type\.$/,
      ),
    ]);
  });

  it('allows no other change', () => {
    const change = 'OrderCancelled.v1: removed the required field reason';

    expect(problemsOf(forbidden[change] as () => void, [{ change, reason }])).toEqual([
      expect.stringContaining('Undo it, or add a version of the event or an event of another type.'),
    ]);
  });

  it('is reported if it is not needed', () => {
    expect(problemsOf(() => undefined, [{ change, reason }])).toEqual([
      `The exemption "${change}" is not needed. Remove it.`,
    ]);
  });
});
