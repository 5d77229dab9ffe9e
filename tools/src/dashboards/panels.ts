import { DashboardBuilder, QueryVariableBuilder, RowBuilder } from '@grafana/grafana-foundation-sdk/dashboard';
import { DataqueryBuilder } from '@grafana/grafana-foundation-sdk/prometheus';
import { PanelBuilder } from '@grafana/grafana-foundation-sdk/timeseries';

/** The data source of `deploy/grafana/provisioning`. */
const DATASOURCE = { type: 'prometheus', uid: 'prometheus' };
const COLUMNS = 24;
const PANEL_HEIGHT = 7;

export interface Query {
  readonly expr: string;
  /** The name of a series, with its labels in double braces. */
  readonly legend: string;
}

export interface Panel {
  readonly title: string;
  /** What the panel shows, and what to make of it. */
  readonly description: string;
  /** Grafana's name of the unit; a number by default. */
  readonly unit?: string;
  readonly queries: readonly Query[];
}

export interface Row {
  readonly title: string;
  readonly panels: readonly Panel[];
}

export interface DashboardPlan {
  /** Part of the dashboard's address. */
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  readonly rows: readonly Row[];
}

/** Gauges that are read from the database or Kafka are the same in every replica. */
export function shared(metric: string, by: string, legend: string): Query {
  return { expr: `max by (job, ${by}) (${metric})`, legend: `{{job}} ${legend}` };
}

/** Counters of the processes, as a rate per second over all replicas. */
export function rate(metric: string, by: string, legend: string): Query {
  return { expr: `sum by (job, ${by}) (rate(${metric}[$__rate_interval]))`, legend: `{{job}} ${legend}` };
}

/** Quantiles of a histogram over all replicas. */
export function quantiles(metric: string, selector = ''): Query[] {
  return [0.5, 0.99].map((quantile) => ({
    expr: `histogram_quantile(${quantile}, sum by (job, le) (rate(${metric}_bucket${selector}[$__rate_interval])))`,
    legend: `{{job}} p${quantile * 100}`,
  }));
}

/** Returns the dashboard as Grafana stores it. */
export function dashboardOf({ uid, title, description, rows }: DashboardPlan): object {
  const builder = new DashboardBuilder(title)
    .uid(uid)
    .description(description)
    .tags(['twinbox'])
    .readonly()
    .refresh('10s')
    .time({ from: 'now-1h', to: 'now' })
    .timezone('browser')
    .withVariable(
      new QueryVariableBuilder('job')
        .label('Service')
        .datasource(DATASOURCE)
        .query('label_values(nodejs_version_info, job)')
        .multi(true)
        .includeAll(true)
        .allValue('.+'),
    );
  for (const row of rows) {
    builder.withRow(new RowBuilder(row.title));
    const span = Math.max(COLUMNS / 4, COLUMNS / row.panels.length);
    for (const panel of row.panels) builder.withPanel(panelOf(panel, span));
  }
  return builder.build();
}

function panelOf({ title, description, unit = 'short', queries }: Panel, span: number): PanelBuilder {
  const panel = new PanelBuilder()
    .title(title)
    .description(description)
    .datasource(DATASOURCE)
    .unit(unit)
    .min(0)
    .span(span)
    .height(PANEL_HEIGHT);
  for (const [index, { expr, legend }] of queries.entries())
    panel.withTarget(
      new DataqueryBuilder()
        .refId(String.fromCharCode('A'.charCodeAt(0) + index))
        .expr(ofChosenJobs(expr))
        .legendFormat(legend),
    );
  return panel;
}

/** Adds the variable of the dashboard to every selector of a metric. */
function ofChosenJobs(expr: string): string {
  return expr.replaceAll(
    /\b([a-z][a-z0-9]*_[a-z0-9_]+|orders|up)(\{([^}]*)\})?(?=[[)\s]|$)/g,
    (_, metric: string, __: string | undefined, labels = '') =>
      `${metric}{job=~"$job"${labels === '' ? '' : `,${String(labels)}`}}`,
  );
}
