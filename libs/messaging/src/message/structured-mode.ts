import { TextDecoder } from 'node:util';

/** The relevant attributes of a CloudEvent, as received. Attributes that are not set are missing. */
export interface Attributes {
  readonly specversion?: string | undefined;
  readonly id?: string | undefined;
  readonly source?: string | undefined;
  readonly type?: string | undefined;
  readonly time?: string | undefined;
  readonly dataschema?: string | undefined;
  /** An extension attribute. */
  readonly sequence?: string | undefined;
}

/** An event as its content mode carries it, not yet validated. */
export interface Envelope {
  readonly attributes: Attributes;
  /** Why the record is not a valid event of its content mode, if it is not. */
  readonly flaw?: string;
  /** Returns the data, or undefined if it is not a JSON object. */
  readonly data: () => object | undefined;
}

/**
 * Returns the `content-type` if it says that the value is the whole event; undefined in binary mode (CloudEvents, Kafka binding
 * 1.0.2, section 3). The header's name is matched case-insensitively, because some clients write `Content-Type`.
 */
export function structuredContentType(headers: Readonly<Record<string, string>>): string | undefined {
  const type = headers['content-type'] ?? Object.entries(headers).find(([name]) => /^content-type$/i.test(name))?.[1];
  return type !== undefined && /^\s*application\/cloudevents/i.test(type) ? type : undefined;
}

const STRINGS = ['specversion', 'id', 'source', 'type', 'subject', 'time', 'dataschema', 'datacontenttype'] as const;
const NO_EVENT = { attributes: {}, data: () => undefined };

/** Reads an event in the JSON format (CloudEvents, JSON format 1.0.2). */
export function readStructured(contentType: string, value: Buffer): Envelope {
  const { mediaType, charset } = parseContentType(contentType);
  if (mediaType === 'application/cloudevents-batch+json')
    return { ...NO_EVENT, flaw: 'the value is a batch of events, which the Kafka binding does not define' };
  if (mediaType !== 'application/cloudevents+json')
    return { ...NO_EVENT, flaw: 'the event is in a format other than application/cloudevents+json' };
  const decoder = decoderOf(charset);
  if (!decoder) return { ...NO_EVENT, flaw: 'the content type has an unknown charset' };
  const event = parseObject(value, decoder) as Readonly<Record<string, unknown>> | undefined;
  if (!event) return { ...NO_EVENT, flaw: `the value is not a JSON object in ${decoder.encoding.toUpperCase()}` };

  // A null attribute counts as not set.
  const set = (name: string) => (Object.hasOwn(event, name) ? (event[name] ?? undefined) : undefined);
  const text = (name: string) => {
    const attribute = set(name);
    return typeof attribute === 'string' ? attribute : undefined;
  };
  const sequence = set('sequence');
  const wrong = STRINGS.filter((name) => set(name) !== undefined && text(name) === undefined);
  const both = set('data') !== undefined && set('data_base64') !== undefined;
  return {
    attributes: {
      specversion: text('specversion'),
      id: text('id'),
      source: text('source'),
      type: text('type'),
      time: text('time'),
      dataschema: text('dataschema'),
      // Defined as a string, but many producers write a number.
      sequence: typeof sequence === 'number' ? String(sequence) : text('sequence'),
    },
    ...(both && { flaw: 'the event has both data and data_base64' }),
    ...(wrong.length > 0 && { flaw: `attributes that are not strings: ${wrong.join(', ')}` }),
    data: () => objectIn(set('data')) ?? encodedIn(set('data_base64')),
  };
}

/** Parses the media type, in lower case, and the charset, by default utf-8. Parameters may be quoted (RFC 9110, section 5.6.6). */
function parseContentType(contentType: string): { mediaType: string; charset: string } {
  const [mediaType = ''] = contentType.split(';', 1);
  const parameters = contentType.slice(mediaType.length);
  for (const [, name, quoted, token] of parameters.matchAll(
    /;\s*([^\s=;"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))/g,
  )) {
    if (name?.toLowerCase() !== 'charset') continue;
    return { mediaType: mediaType.trim().toLowerCase(), charset: quoted?.replaceAll(/\\(.)/g, '$1') ?? token ?? '' };
  }
  return { mediaType: mediaType.trim().toLowerCase(), charset: 'utf-8' };
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

function decoderOf(charset: string): TextDecoder | undefined {
  if (/^utf-?8$/i.test(charset)) return utf8;
  try {
    return new TextDecoder(charset, { fatal: true });
  } catch {
    return undefined;
  }
}

/** Parses the bytes as a JSON object; undefined if they are not one. A byte order mark is allowed. */
export function parseObject(bytes: Buffer, decoder = utf8): object | undefined {
  try {
    return objectIn(JSON.parse(decoder.decode(bytes)));
  } catch {
    return undefined;
  }
}

function objectIn(json: unknown): object | undefined {
  return typeof json === 'object' && json !== null && !Array.isArray(json) ? json : undefined;
}

function encodedIn(base64: unknown): object | undefined {
  // Checked first, because Buffer.from ignores characters that are not Base64.
  return typeof base64 === 'string' && base64.length % 4 === 0 && /^[A-Za-z\d+/]+={0,2}$/.test(base64)
    ? parseObject(Buffer.from(base64, 'base64'))
    : undefined;
}
