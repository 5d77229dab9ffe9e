import { storable } from '../message/column-text.js';
import { quoteIdentifier } from '../postgres/schema.js';

export const INCIDENT_KINDS = ['positions-went-back', 'offsets-went-back', 'messages-missed'] as const;

/**
 * - `positions-went-back`: the outbox or its sequence was reset, or the database is an older copy.
 * - `offsets-went-back`: the database's offset of a partition is lower than the one committed to Kafka.
 * - `messages-missed`: Kafka deleted messages before the consumer read them.
 */
export type IncidentKind = (typeof INCIDENT_KINDS)[number];

/** Something that happened once, may have done damage, and stays in health until an operator acknowledges it. */
export interface Incident {
  readonly id: string;
  readonly kind: IncidentKind;
  /** What is affected: the outbox of a schema, or a partition of a consumer. */
  readonly subject: string;
  /** A description of what happened and what to do about it. */
  readonly problem: string;
  readonly detail: Readonly<Record<string, unknown>>;
  /** How often it was reported since it was last acknowledged. */
  readonly occurrences: number;
  readonly firstAt: string;
  readonly lastAt: string;
}

/** Returns the statement that reports an incident. `total` is a field of the detail that is summed over the occurrences. */
export function reportIncident(
  schema: string,
  { kind, subject, problem, detail }: Pick<Incident, 'kind' | 'subject' | 'problem' | 'detail'>,
  total?: string,
): { readonly text: string; readonly values: unknown[] } {
  return {
    text: `insert into ${quoteIdentifier(schema)}.messaging_incidents as open (kind, subject, problem, detail)
           values ($1, $2, $3, $4::jsonb)
           on conflict (kind, subject) where acknowledged_at is null do update
              set problem = excluded.problem, occurrences = open.occurrences + 1, last_at = excluded.last_at,
                  detail = case when $5::text is null then excluded.detail
                           else jsonb_set(excluded.detail, array[$5],
                                to_jsonb(coalesce((open.detail ->> $5)::bigint, 0) + (excluded.detail ->> $5)::bigint)) end`,
    values: [kind, storable(subject).slice(0, 600), storable(problem), JSON.stringify(detail), total ?? null],
  };
}

/** Returns a column of the poll's statement: the open incidents as JSON, or null. Served by messaging_incidents_open. */
export function openIncidents(schema: string): string {
  return `(select json_agg(json_build_object('id', id::text, 'kind', kind, 'subject', subject, 'problem', problem,
            'detail', detail, 'occurrences', occurrences, 'firstAt', first_at, 'lastAt', last_at) order by id)
             from (select * from ${quoteIdentifier(schema)}.messaging_incidents
                    where acknowledged_at is null order by id limit 100) as open)`;
}
