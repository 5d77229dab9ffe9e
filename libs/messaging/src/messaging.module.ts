import {
  Catch,
  type DynamicModule,
  Global,
  type INestApplication,
  type INestMicroservice,
  Injectable,
  Module,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type Provider,
  type RpcExceptionFilter,
} from '@nestjs/common';
import { DiscoveryModule, ModuleRef } from '@nestjs/core';
import { type NestMicroservice } from '@nestjs/microservices';
import { type Observable, throwError } from 'rxjs';
import { DataSource } from 'typeorm';
import { AggregateMessages } from './inspection/aggregate-messages.js';
import { ParkedMessageList } from './inspection/parked-message-list.js';
import { AfterCommit } from './postgres/after-commit.js';
import { AuditTrail } from './operations/audit-trail.js';
import { DeadJobs } from './dead-letters/dead-jobs.js';
import { DeadLetters } from './dead-letters/dead-letters.js';
import { DataSources } from './postgres/data-sources.js';
import { DueWork } from './poll/due-work.js';
import { Poll } from './poll/poll.js';
import { MessagingHealth } from './operations/health.js';
import { Inbox } from './inbox/inbox.js';
import { Incidents } from './operations/incidents.js';
import { InboxRecords } from './inbox/inbox-records.js';
import { JobHandlers } from './jobs/job-handlers.js';
import { JobLifecycle } from './jobs/job-lifecycle.js';
import { Jobs } from './jobs/jobs.js';
import { handlingDataSource, MESSAGING_OPTIONS, type MessagingOptions } from './messaging-options.js';
import { MessagingMetrics } from './metrics/metrics.js';
import { Overview } from './overview/overview.js';
import { Pauses } from './pauses/pauses.js';
import { Outbox } from './outbox/outbox.js';
import { OperationLifecycle } from './stored-operations/operation-lifecycle.js';
import { operationKinds } from './operation-kinds.js';
import { Operations } from './stored-operations/operations.js';
import { sslModeProblem } from './postgres/ssl-mode.js';
import { Relay } from './relay/relay.js';
import { reveal } from './secret.js';

/**
 * Starts the poll, and with it the relay, with the application and stops it last. A standby or the next start publishes what is still
 * unpublished then.
 */
@Injectable()
class PollLifecycle implements OnApplicationBootstrap, OnApplicationShutdown {
  constructor(
    private readonly poll: Poll,
    private readonly relay: Relay,
    private readonly handlers: JobHandlers,
  ) {}

  onApplicationBootstrap(): void {
    const queues = this.handlers.find().map(({ name }) => name);
    this.poll.start(queues, this.relay);
  }

  async onApplicationShutdown(): Promise<void> {
    await this.poll.stop();
  }
}

/** The classes that a service may inject and that need no factory. */
const INJECTABLE = [
  InboxRecords,
  DeadLetters,
  AggregateMessages,
  ParkedMessageList,
  Jobs,
  DeadJobs,
  Overview,
  AuditTrail,
  Operations,
  Pauses,
];

/**
 * The outbox, relay, inbox and jobs of one service. Requires the service's TypeORM `DataSource` as a provider, and the tables of
 * `messagingTables` in its schema. {@link connectInboxes} connects the consumers.
 */
@Global()
@Module({})
// oxlint-disable-next-line no-extraneous-class -- a Nest module is a class
export class MessagingModule {
  /** @throws if connections to the database would not be as secure as its URL makes them look */
  static forRoot(options: MessagingOptions): DynamicModule {
    const problem = sslModeProblem(reveal(options.databaseUrl));
    if (problem !== undefined) throw new Error(`databaseUrl: ${problem}`);
    return {
      module: MessagingModule,
      imports: [DiscoveryModule],
      providers: [
        { provide: MESSAGING_OPTIONS, useValue: options },
        dataSourcesProvider(options),
        MessagingHealth,
        DueWork,
        metricsProvider(options),
        pollProvider(options),
        relayProvider(options),
        incidentsProvider(options),
        PollLifecycle,
        AfterCommit,
        outboxProvider(options),
        JobHandlers,
        JobLifecycle,
        operationKinds,
        OperationLifecycle,
        ...INJECTABLE,
      ],
      exports: [MessagingHealth, MessagingMetrics, Incidents, AfterCommit, Outbox, ...INJECTABLE],
    };
  }
}

function dataSourcesProvider(options: MessagingOptions): Provider {
  return {
    provide: DataSources,
    inject: [ModuleRef],
    // Looked up when used: the service provides them in a module that this one need not import, and a mere relay need not have any.
    useFactory: (modules: ModuleRef): DataSources => ({
      get default() {
        return modules.get(DataSource, { strict: false });
      },
      get handling() {
        return modules.get<DataSource>(handlingDataSource(options), { strict: false });
      },
    }),
  };
}

function metricsProvider(options: MessagingOptions): Provider {
  return {
    provide: MessagingMetrics,
    inject: [DataSources, DueWork],
    useFactory: (dataSources: DataSources, { since }: DueWork) =>
      new MessagingMetrics(options, () => dataSources.default, since),
  };
}

function pollProvider(options: MessagingOptions): Provider {
  return {
    provide: Poll,
    inject: [DueWork, MessagingHealth],
    useFactory: (dueWork: DueWork, health: MessagingHealth) => {
      dueWork.attentionFound = (attention) => health.attentionFound(attention);
      return new Poll(options, dueWork);
    },
  };
}

function relayProvider(options: MessagingOptions): Provider {
  return {
    provide: Relay,
    inject: [Poll, MessagingHealth, MessagingMetrics],
    useFactory: (poll: Poll, health: MessagingHealth, metrics: MessagingMetrics) => {
      const relay = new Relay(options, poll);
      health.register('relay', () => relay.health());
      metrics.watchRelay(relay);
      return relay;
    },
  };
}

function outboxProvider(options: MessagingOptions): Provider {
  return {
    provide: Outbox,
    inject: [AfterCommit, Poll],
    useFactory: (afterCommit: AfterCommit, poll: Poll) => new Outbox(options, afterCommit, () => poll.wake()),
  };
}

function incidentsProvider(options: MessagingOptions): Provider {
  return {
    provide: Incidents,
    inject: [DataSources, AfterCommit, MessagingHealth, DueWork],
    useFactory: (dataSources: DataSources, afterCommit: AfterCommit, health: MessagingHealth, dueWork: DueWork) => {
      const incidents = new Incidents(options, dataSources, afterCommit);
      health.register('incidents', () => incidents.health());
      dueWork.incidentsFound = (open) => incidents.found(open);
      return incidents;
    },
  };
}

/** Rethrows handler errors as they are. Nest's default filter replaces them with a generic object, but the inbox needs the original. */
@Catch()
class RethrowFilter implements RpcExceptionFilter {
  catch(exception: unknown): Observable<never> {
    return throwError(() => exception);
  }
}

/**
 * Connects the service's consumers to the application; `app.startAllMicroservices()` starts them. Returns the microservices so that
 * the caller can add global interceptors, guards and pipes, which Nest does not share with the HTTP side.
 */
export function connectInboxes(app: INestApplication): INestMicroservice[] {
  const options = app.get<MessagingOptions>(MESSAGING_OPTIONS);
  return options.consumes.map((consumer) => {
    const { handling } = app.get(DataSources);
    const [health, dueWork, incidents] = [app.get(MessagingHealth), app.get(DueWork), app.get(Incidents)];
    const strategy = new Inbox(options, consumer, handling, health, dueWork, incidents);
    app.get(MessagingMetrics).watchInbox(consumer.groupId, strategy.counts);
    // Initialisation is deferred because Nest otherwise binds the handlers before a filter can be added. The microservice must not
    // run the lifecycle hooks: the application runs them.
    const microservice = app.connectMicroservice({ strategy }, { deferInitialization: true }) as NestMicroservice;
    microservice.setIsInitHookCalled(true);
    microservice.useGlobalFilters(new RethrowFilter());
    return microservice;
  });
}
