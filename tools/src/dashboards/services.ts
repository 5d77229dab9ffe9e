import { type DashboardPlan, quantiles } from './panels.js';

/** Without requests of machines, which would hide those of users. */
const USERS = '{route!~"/health.*|/metrics"}';
/** Without streams either, whose duration is no latency. */
const ANSWERED = '{route!~"/health.*|/metrics|.*/events"}';

export const services: DashboardPlan = {
  uid: 'twinbox-services',
  title: 'Twinbox: services',
  description: 'Requests, latency and the processes that serve them.',
  rows: [
    {
      title: 'Requests',
      panels: [
        {
          title: 'Processes that answer',
          description: 'Processes whose metrics Prometheus can read.',
          queries: [{ expr: 'sum by (job) (up)', legend: '{{job}}' }],
        },
        {
          title: 'REST requests',
          description: 'By status, without health checks and scrapes.',
          unit: 'reqps',
          queries: [
            {
              expr: `sum by (job, status) (rate(http_request_duration_seconds_count${USERS}[$__rate_interval]))`,
              legend: '{{job}} {{status}}',
            },
          ],
        },
        {
          title: 'REST latency',
          description: 'LatencyBudgetBurn fires if too many requests take longer than 0.5 s.',
          unit: 's',
          queries: quantiles('http_request_duration_seconds', ANSWERED),
        },
        {
          title: 'REST requests by route',
          description: 'By method, route and status, without health checks and scrapes.',
          unit: 'reqps',
          queries: [
            {
              expr: `sum by (job, method, route, status) (rate(http_request_duration_seconds_count${USERS}[$__rate_interval]))`,
              legend: '{{job}} {{method}} {{route}} {{status}}',
            },
          ],
        },
        {
          title: 'REST latency by route',
          description: 'The 99th percentile of each route, without streams.',
          unit: 's',
          queries: [
            {
              expr: `histogram_quantile(0.99, sum by (job, method, route, le) (rate(http_request_duration_seconds_bucket${ANSWERED}[$__rate_interval])))`,
              legend: '{{job}} {{method}} {{route}}',
            },
          ],
        },
        {
          title: 'Share of failed requests',
          description: 'Over 5 minutes. The budget is 0.1 %; ErrorBudgetBurn fires if it is used up too fast.',
          unit: 'percentunit',
          queries: [{ expr: 'job:request_errors:ratio_rate5m', legend: '{{job}} {{edge}}' }],
        },
        {
          title: 'Share of slow requests',
          description: 'Over 5 minutes: requests that took longer than 0.5 s. The budget is 1 %.',
          unit: 'percentunit',
          queries: [{ expr: 'job:slow_requests:ratio_rate5m', legend: '{{job}} {{edge}}' }],
        },
        {
          title: 'gRPC calls',
          description: 'By status.',
          unit: 'reqps',
          queries: [
            {
              expr: 'sum by (job, status) (rate(grpc_request_duration_seconds_count[$__rate_interval]))',
              legend: '{{job}} {{status}}',
            },
          ],
        },
        {
          title: 'gRPC latency',
          description: 'Without the duration of streams.',
          unit: 's',
          queries: quantiles('grpc_request_duration_seconds', '{method!~".*/Watch.*"}'),
        },
        {
          title: 'Open streams',
          description: 'Live updates by server-sent events and gRPC.',
          queries: [
            { expr: 'sum by (job) (http_open_streams)', legend: '{{job}} HTTP' },
            { expr: 'sum by (job) (grpc_open_streams)', legend: '{{job}} gRPC' },
          ],
        },
        {
          title: 'Idempotency keys',
          description: 'Stored answers of requests. They are removed after IDEMPOTENCY_KEY_TTL.',
          queries: [{ expr: 'max by (job) (idempotency_keys)', legend: '{{job}}' }],
        },
        {
          title: 'Failed readings',
          description: 'Metrics that could not be read from the database or Kafka. Other panels have gaps then.',
          unit: 'ops',
          queries: [
            {
              expr: 'sum by (job, source) (rate(messaging_scrape_errors_total[$__rate_interval]))',
              legend: '{{job}} {{source}}',
            },
            {
              expr: 'sum by (job, source) (rate(database_gauge_errors_total[$__rate_interval]))',
              legend: '{{job}} {{source}}',
            },
          ],
        },
      ],
    },
    {
      title: 'Processes',
      panels: [
        {
          title: 'CPU',
          description: 'Processor seconds a second, for each process.',
          unit: 'percentunit',
          queries: [{ expr: 'rate(process_cpu_seconds_total[$__rate_interval])', legend: '{{job}} {{instance}}' }],
        },
        {
          title: 'Memory',
          description: 'What the process occupies, and the used part of its heap.',
          unit: 'bytes',
          queries: [
            { expr: 'process_resident_memory_bytes', legend: '{{job}} {{instance}}' },
            { expr: 'nodejs_heap_size_used_bytes', legend: '{{job}} {{instance}} heap' },
          ],
        },
        {
          title: 'Event loop delay',
          description: 'A replica refuses requests beyond MAX_EVENT_LOOP_DELAY.',
          unit: 's',
          queries: [{ expr: 'nodejs_eventloop_lag_p99_seconds', legend: '{{job}} {{instance}} p99' }],
        },
        {
          title: 'Open files',
          description: 'Connections and files, against the limit of the process.',
          queries: [
            { expr: 'process_open_fds', legend: '{{job}} {{instance}}' },
            { expr: 'process_max_fds', legend: '{{job}} {{instance}} limit' },
          ],
        },
      ],
    },
  ],
};
