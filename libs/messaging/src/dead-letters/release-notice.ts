import { type DueWork } from '../poll/due-work.js';
import { type DataSources } from '../postgres/data-sources.js';
import { channelOf } from '../postgres/notices.js';

/** Notifies all processes that an operator has released parked messages. */
export class ReleaseNotice {
  private readonly channel: string;

  constructor(
    schema: string,
    private readonly dataSources: Pick<DataSources, 'default'>,
    private readonly dueWork: DueWork,
  ) {
    this.channel = channelOf(schema);
  }

  /** Never throws. A lost notice costs a second, because every process's poll sees the audit. */
  async send(): Promise<void> {
    this.dueWork.found('parked');
    await this.dataSources.default
      .query(`select set_config('synchronous_commit', 'off', true), pg_notify($1, $2)`, [
        this.channel,
        'parked-changed',
      ])
      .catch(() => undefined);
  }
}
