import {
  type BeforeApplicationShutdown,
  Inject,
  Injectable,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
} from '@nestjs/common';
import { DueWork } from '../poll/due-work.js';
import { MessagingHealth } from '../operations/health.js';
import { MessagingMetrics } from '../metrics/metrics.js';
import { JobHandlers } from './job-handlers.js';
import { JobStore } from './job-store.js';
import { JobWorker } from './job-worker.js';
import { MESSAGING_OPTIONS, type MessagingOptions } from '../messaging-options.js';
import { DataSources } from '../postgres/data-sources.js';

/** Starts a worker with the application if it has any job handlers. */
@Injectable()
export class JobLifecycle implements OnApplicationBootstrap, BeforeApplicationShutdown, OnApplicationShutdown {
  private worker: JobWorker | undefined;
  private stopped: Promise<void> | undefined;

  constructor(
    @Inject(MESSAGING_OPTIONS) private readonly options: MessagingOptions,
    private readonly handlers: JobHandlers,
    private readonly dataSources: DataSources,
    private readonly dueWork: DueWork,
    private readonly health: MessagingHealth,
    private readonly metrics: MessagingMetrics,
  ) {}

  onApplicationBootstrap(): void {
    const queues = this.handlers.find();
    if (queues.length === 0) return;
    const store = new JobStore(this.options.schema, this.dueWork.since);
    const worker = new JobWorker(store, this.dataSources.handling, this.dueWork, queues);
    this.worker = worker;
    this.health.register('jobs', () => worker.health());
    this.metrics.watchJobs(worker.counts);
    worker.start();
  }

  /** Does not wait: jobs, requests and consumers must stop concurrently, or their time limits would add up. */
  beforeApplicationShutdown(): void {
    this.stopped = this.worker?.stop();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.stopped;
  }
}
