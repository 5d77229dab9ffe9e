import { join } from 'node:path';
import { type GeneratedFiles } from '../generated-files.js';
import { messaging } from './messaging.js';
import { ordersAndPayments } from './orders-and-payments.js';
import { dashboardOf, type DashboardPlan } from './panels.js';
import { services } from './services.js';

const FOLDER = 'deploy/grafana/dashboards';

/** All dashboards. */
const plans: readonly DashboardPlan[] = [messaging, ordersAndPayments, services];

/** Generates the dashboards that Grafana loads. */
export function dashboards(): GeneratedFiles {
  const files = plans.map((plan) => {
    const path = join(FOLDER, `${plan.uid.replace('twinbox-', '')}.json`);
    return [path, `${JSON.stringify(dashboardOf(plan), null, 2)}\n`] as const;
  });
  return { files: new Map(files), folders: [FOLDER] };
}
