import { type sendUnaryData, type Server, type ServerWritableStream, status as codes } from '@grpc/grpc-js';
import {
  HealthCheckResponse_ServingStatus as Serving,
  type HealthCheckRequest,
  type HealthCheckResponse,
  HealthService,
  type HealthServer,
} from '@twinbox/contracts/grpc/health';

/** How often a watched status is evaluated. */
const WATCH_MS = 1000;

/** The standard health service (grpc.health.v1) for the whole server, whose name is empty, and for each of its services. */
export class GrpcHealth {
  private readonly watchers = new Set<() => Promise<void>>();
  private isStopping = false;

  /** `isReady` returns whether the process can answer requests. It must not throw. */
  constructor(
    private readonly names: ReadonlySet<string>,
    private readonly isReady: () => Promise<boolean>,
  ) {}

  addTo(server: Server): void {
    const implementation: Pick<HealthServer, 'check' | 'watch'> = {
      check: ({ request }, callback) => void this.check(request, callback),
      watch: (call) => this.watch(call),
    };
    server.addService(HealthService, implementation);
  }

  /** Reports NOT_SERVING from now on, and ends the streams of watchers. */
  stop(): void {
    this.isStopping = true;
    for (const report of this.watchers) void report();
  }

  private async check({ service }: HealthCheckRequest, callback: sendUnaryData<HealthCheckResponse>): Promise<void> {
    if (this.knows(service)) callback(null, { status: await this.status() });
    else callback({ code: codes.NOT_FOUND, details: `There is no service ${JSON.stringify(service)}.` });
  }

  private watch(call: ServerWritableStream<HealthCheckRequest, HealthCheckResponse>): void {
    let last: Serving | undefined;
    const report = async (): Promise<void> => {
      const status = this.knows(call.request.service) ? await this.status() : Serving.SERVICE_UNKNOWN;
      if (status !== last && !call.cancelled) call.write({ status });
      last = status;
      if (this.isStopping) end();
    };
    const timer = setInterval(() => void report(), WATCH_MS);
    const end = (): void => {
      clearInterval(timer);
      this.watchers.delete(report);
      call.end();
    };
    this.watchers.add(report);
    call.once('cancelled', end);
    void report();
  }

  private knows(service: string): boolean {
    return service === '' || this.names.has(service);
  }

  private async status(): Promise<Serving> {
    return !this.isStopping && (await this.isReady()) ? Serving.SERVING : Serving.NOT_SERVING;
  }
}
