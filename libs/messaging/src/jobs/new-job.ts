import { v7 as uuidv7 } from 'uuid';
import { isStorableJson, isUuid, textFlaw } from '../message/column-text.js';
import { PermanentError } from '../errors.js';
import { MAX_PAYLOAD_BYTES } from '../message/limits.js';
import { type TraceContext } from '../tracing/trace-context.js';

/** The id of a job and when it runs. */
export interface JobAddOptions {
  /** The job's id, a UUID. Default: a new UUIDv7. While a job with this id exists, adding it again changes nothing. */
  readonly id?: string;
  /** When the job runs: not before this time, and up to a second after it. Default: at once. */
  readonly runAt?: Date;
  /** The aggregate that the job is about, so that operators find it with the aggregate's messages. */
  readonly aggregateId?: string;
}

/** A job to add. Its data is serialised with `JSON.stringify`. */
export interface NewJob extends JobAddOptions {
  readonly data: object;
}

/** A row of the table, before it is inserted. */
export interface JobRow {
  readonly id: string;
  readonly queue: string;
  readonly json: string;
  readonly runAt: Date | undefined;
  readonly aggregateId: string | undefined;
}

/** A row with the trace of the code that adds the job. */
export interface TracedJobRow extends JobRow {
  readonly trace?: TraceContext | undefined;
}

/** Validates new jobs. @throws PermanentError for input that the table cannot store */
export function jobRows(queue: string, jobs: readonly NewJob[]): JobRow[] {
  const flaw = textFlaw(queue);
  if (flaw !== undefined) throw new PermanentError(`The name of the queue ${flaw}`);
  return jobs.map(({ id = uuidv7(), data, runAt, aggregateId }) => {
    const name = `Job ${id} of ${queue}`;
    if (!isUuid(id)) throw new PermanentError(`The id of ${name} is not a UUID`);
    if (runAt && !isStorableTime(runAt)) throw new PermanentError(`The time of ${name} is outside the years 1 to 9999`);
    const aggregateFlaw = aggregateId === undefined ? undefined : textFlaw(aggregateId);
    if (aggregateFlaw !== undefined) throw new PermanentError(`The aggregate id of ${name} ${aggregateFlaw}`);
    return { id, queue, json: jsonOf(data, name), runAt, aggregateId };
  });
}

/** Serialises the data of a job. @throws PermanentError, which never contains the data */
export function jsonOf(data: unknown, name: string): string {
  const json = JSON.stringify(data) as string | undefined;
  if (json === undefined) throw new PermanentError(`The data of ${name} cannot be serialised as JSON`);
  const bytes = Buffer.byteLength(json);
  if (bytes > MAX_PAYLOAD_BYTES)
    throw new PermanentError(`The data of ${name} has ${bytes} bytes, more than ${MAX_PAYLOAD_BYTES}`);
  if (!isStorableJson(json))
    throw new PermanentError(`The data of ${name} contains a zero byte or half of a surrogate pair`);
  return json;
}

function isStorableTime(time: Date): boolean {
  const year = time.getUTCFullYear();
  return year >= 1 && year <= 9999;
}
