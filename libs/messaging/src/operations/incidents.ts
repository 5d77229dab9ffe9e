import { Inject, Injectable, Logger } from '@nestjs/common';
import { type DataSource, type EntityManager } from 'typeorm';
import { Audit } from './audit.js';
import { describeError, InvalidInputError } from '../errors.js';
import { type ComponentHealth } from './health.js';
import { type Incident, openIncidents, reportIncident } from './incident.js';
import { MESSAGING_OPTIONS, type MessagingOptions } from '../messaging-options.js';
import { beginOperatorAction, checkAction, type LetterAction, operatorTransaction } from './operator.js';
import { AfterCommit } from '../postgres/after-commit.js';
import { DataSources } from '../postgres/data-sources.js';
import { quoteIdentifier } from '../postgres/schema.js';

/**
 * The service's messaging incidents, which the relay and consumers report and an operator acknowledges.
 *
 * @hideconstructor
 */
@Injectable()
export class Incidents {
  private readonly logger = new Logger('Incidents');
  private readonly schema: string;
  private readonly audit: Audit;
  private open: readonly Incident[] = [];
  /** Makes health show a change now rather than with the next poll. */
  private readonly updateHealth = () => void this.list().catch(() => undefined);

  constructor(
    @Inject(MESSAGING_OPTIONS) { schema }: MessagingOptions,
    private readonly dataSources: DataSources,
    private readonly afterCommit: AfterCommit,
  ) {
    this.schema = schema;
    this.audit = new Audit(schema);
  }

  /** Lists the incidents that nobody has acknowledged, oldest first, at most 100. */
  async list(): Promise<readonly Incident[]> {
    return this.findOpen(this.dataSources.default);
  }

  /**
   * Stores an incident and logs it as an error. The field `total` of the detail is summed while the incident stays open.
   * @throws if the database is unavailable; the caller has to report again
   * @internal
   */
  async report(incident: Pick<Incident, 'kind' | 'subject' | 'problem' | 'detail'>, total?: string): Promise<void> {
    this.logger.error(`${incident.kind} on ${incident.subject}: ${incident.problem}`);
    const { text, values } = reportIncident(this.schema, incident, total);
    // Not the pool for requests: a consumer does not start reading before it has reported, so requests must not block it.
    const dataSource = this.dataSources.handling;
    await dataSource.query(text, values);
    // Updates health now rather than with the next poll.
    await this.findOpen(dataSource).catch((error: unknown) =>
      this.logger.debug(`Cannot list the open incidents: ${describeError(error)}`),
    );
  }

  /**
   * Acknowledges incidents, so that health no longer shows them, and returns how many were open. Each leaves an entry in
   * `messaging_audit`.
   * @throws InvalidInputError for an invalid id, actor or reason; any database error
   */
  async acknowledge(ids: readonly string[], { actor, reason }: LetterAction): Promise<number> {
    checkAction({ actor, reason });
    const acknowledged = await operatorTransaction(this.dataSources.default, (tx) =>
      this.acknowledgeIn(tx, ids, { actor, reason }),
    );
    await this.list();
    return acknowledged.length;
  }

  /**
   * Acknowledges one incident in the caller's transaction, and returns it. Returns undefined if it is not open (any more). `tx` must not
   * have locked the audit before. From then on it waits for a lock at most five seconds, or until the statement timeout if that is shorter.
   * @throws InvalidInputError for an invalid id, actor or reason; Error without an open transaction; any database error
   */
  async acknowledgeOne(tx: EntityManager, id: string, action: LetterAction): Promise<Incident | undefined> {
    checkAction(action);
    const queryRunner = await beginOperatorAction(tx);
    const [incident] = await this.acknowledgeIn(tx, [id], action);
    this.afterCommit.run(queryRunner, this.updateHealth);
    return incident;
  }

  private async acknowledgeIn(tx: EntityManager, ids: readonly string[], by: LetterAction): Promise<Incident[]> {
    for (const id of ids)
      if (!/^\d{1,18}$/.test(id)) throw new InvalidInputError(`${JSON.stringify(id)} is not an incident id`);
    await this.audit.lock(tx);
    const [rows]: [Incident[], number] = await tx.query(
      `update ${quoteIdentifier(this.schema)}.messaging_incidents set acknowledged_at = clock_timestamp()
        where id = any($1::bigint[]) and acknowledged_at is null
       returning id::text as id, kind, subject, problem, detail, occurrences, first_at as "firstAt", last_at as "lastAt"`,
      [ids],
    );
    const { actor, reason } = by;
    if (rows.length > 0) await this.audit.write(tx, { actor, action: 'acknowledge', box: 'incidents', reason }, rows);
    return rows;
  }

  private async findOpen(dataSource: DataSource): Promise<readonly Incident[]> {
    const [row]: { open: Incident[] | null }[] = await dataSource.query(`select ${openIncidents(this.schema)} as open`);
    this.open = row?.open ?? [];
    return this.open;
  }

  /**
   * Takes over the open incidents that a poll of this process has found.
   * @internal
   */
  found(open: readonly Incident[]): void {
    this.open = open;
  }

  /**
   * Reports unhealthy while an incident is open.
   * @internal
   */
  health(): ComponentHealth {
    const [first] = this.open;
    return {
      healthy: first === undefined,
      ...(first && { problem: `${first.kind} on ${first.subject}: ${first.problem}` }),
      open: this.open,
    };
  }
}
