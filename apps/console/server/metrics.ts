import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { ApiName } from './allowed-routes.js';
import type { Sessions } from './sessions.js';

/** The metrics of the console's server. */
export class Metrics {
  readonly registry = new Registry();
  private readonly answers = new Counter({
    name: 'console_service_answers_total',
    help: 'Answers of the services to forwarded requests, by the class of their status; none: the service could not be reached.',
    labelNames: ['service', 'status'],
    registers: [this.registry],
  });
  private readonly reports = new Counter({
    name: 'console_csp_reports_total',
    help: 'Violations of the content security policy that browsers have reported.',
    registers: [this.registry],
  });
  private readonly durations = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'Duration of HTTP requests, by method, route and status.',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers: [this.registry],
  });

  constructor(sessions: Sessions) {
    collectDefaultMetrics({ register: this.registry });
    const registers = [this.registry];
    void new Gauge({
      name: 'console_sessions',
      help: 'Signed-in browsers.',
      registers,
      collect() {
        this.set(sessions.size);
      },
    });
    void new Gauge({
      name: 'console_event_streams',
      help: 'Open event streams.',
      registers,
      collect() {
        this.set(sessions.openStreams);
      },
    });
  }

  countAnswer(service: ApiName, status: number | 'none'): void {
    this.answers.inc({ service, status: typeof status === 'number' ? `${Math.floor(status / 100)}xx` : status });
  }

  countReport(): void {
    this.reports.inc();
  }

  observe(method: string, route: string, status: number, elapsedMs: number): void {
    this.durations.observe({ method, route, status }, elapsedMs / 1000);
  }
}
