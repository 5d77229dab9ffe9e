import {
  type BeforeApplicationShutdown,
  Inject,
  Injectable,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
} from '@nestjs/common';
import { MESSAGING_OPTIONS, type MessagingOptions } from '../messaging-options.js';
import { DueWork } from '../poll/due-work.js';
import { DataSources } from '../postgres/data-sources.js';
import { OPERATION_KINDS, type OperationKind } from './operation-kind.js';
import { OperationHousekeeping } from './operation-housekeeping.js';
import { OperationRunner } from './operation-runner.js';

/** Runs stored operations and removes old ones in every process that has a DataSource, so not in one that only relays. */
@Injectable()
export class OperationLifecycle implements OnApplicationBootstrap, BeforeApplicationShutdown, OnApplicationShutdown {
  private readonly runner: OperationRunner;
  private readonly housekeeping: OperationHousekeeping;
  private stopped: Promise<unknown> | undefined;

  constructor(
    @Inject(MESSAGING_OPTIONS) options: MessagingOptions,
    @Inject(OPERATION_KINDS) kinds: readonly OperationKind[],
    private readonly dataSources: DataSources,
    dueWork: DueWork,
  ) {
    this.runner = new OperationRunner(options.schema, kinds, dataSources, dueWork);
    this.housekeeping = new OperationHousekeeping(options, dataSources);
  }

  onApplicationBootstrap(): void {
    if (!this.hasDataSource()) return;
    this.runner.start();
    this.housekeeping.start();
  }

  /** Does not wait: operations, requests, jobs and consumers must stop concurrently, or their time limits would add up. */
  beforeApplicationShutdown(): void {
    this.stopped = Promise.all([this.runner.stop(), this.housekeeping.stop()]);
  }

  async onApplicationShutdown(): Promise<void> {
    await this.stopped;
  }

  private hasDataSource(): boolean {
    try {
      return this.dataSources.default !== undefined;
    } catch {
      return false;
    }
  }
}
