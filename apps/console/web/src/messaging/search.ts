import { type Box } from './dead/causes.js';

/** Reads the filters of a page from its address. What is not valid is left out, so that an old bookmark still opens the page. */
type Search = Readonly<Record<string, unknown>>;

/** At most as long as the services accept. */
const LONGEST = 1000;

function textOf(value: unknown): string | undefined {
  // The router reads what looks like a number as one.
  const text = typeof value === 'number' ? String(value) : value;
  return typeof text === 'string' && text !== '' && text.length <= LONGEST ? text : undefined;
}

const oneOf = <T extends string>(value: unknown, values: readonly T[]): T | undefined =>
  values.find((one) => one === value);

const timeOf = (value: unknown) => {
  const text = textOf(value);
  return text !== undefined && !Number.isNaN(Date.parse(text)) ? text : undefined;
};

const BOXES: readonly Box[] = ['inbox', 'outbox'];

export interface LettersSearch {
  readonly box?: Box | undefined;
  readonly cause?: string | undefined;
  readonly type?: string | undefined;
  readonly key?: string | undefined;
  readonly consumer?: string | undefined;
  readonly diedAfter?: string | undefined;
  /** The letter that is shown whole: its id within the box. */
  readonly letter?: string | undefined;
}

export const lettersSearch = (search: Search): LettersSearch =>
  present({
    box: oneOf(search['box'], BOXES),
    cause: textOf(search['cause']),
    type: textOf(search['type']),
    key: textOf(search['key']),
    consumer: textOf(search['consumer']),
    diedAfter: timeOf(search['diedAfter']),
    letter: textOf(search['letter']),
  });

export interface ParkedSearch {
  readonly box?: Box | undefined;
  readonly type?: string | undefined;
  readonly key?: string | undefined;
  readonly consumer?: string | undefined;
  readonly message?: string | undefined;
}

export const parkedSearch = (search: Search): ParkedSearch =>
  present({
    box: oneOf(search['box'], BOXES),
    type: textOf(search['type']),
    key: textOf(search['key']),
    consumer: textOf(search['consumer']),
    message: textOf(search['message']),
  });

export interface JobsSearch {
  readonly queue?: string | undefined;
  readonly cause?: string | undefined;
  readonly diedAfter?: string | undefined;
  readonly job?: string | undefined;
}

export const jobsSearch = (search: Search): JobsSearch =>
  present({
    queue: textOf(search['queue']),
    cause: textOf(search['cause']),
    diedAfter: timeOf(search['diedAfter']),
    job: textOf(search['job']),
  });

export const OPERATION_STATES = ['running', 'done', 'stopped', 'cancelled', 'failed'] as const;

export interface OperationsSearch {
  readonly state?: (typeof OPERATION_STATES)[number] | undefined;
}

export const operationsSearch = (search: Search): OperationsSearch =>
  present({ state: oneOf(search['state'], OPERATION_STATES) });

export interface AuditSearch {
  readonly actor?: string | undefined;
  readonly action?: string | undefined;
  readonly outcome?: 'done' | 'refused' | undefined;
  readonly messageId?: string | undefined;
  readonly operation?: string | undefined;
}

export const auditSearch = (search: Search): AuditSearch =>
  present({
    actor: textOf(search['actor']),
    action: textOf(search['action']),
    outcome: oneOf(search['outcome'], ['done', 'refused']),
    messageId: textOf(search['messageId']),
    operation: textOf(search['operation']),
  });

/** Removes the fields without a value, which the address would otherwise name and the services refuse. */
export function present<T extends object>(fields: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}
