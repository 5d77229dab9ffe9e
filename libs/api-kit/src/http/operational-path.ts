/** Whether the path is one of health or metrics, which probes and scrapers request every few seconds. */
export function isMonitoring(path: string): boolean {
  return /^\/(health|metrics)(?=[/?]|$)/.test(path);
}

/**
 * Whether the path is one of health, metrics or documentation. Limits for callers do not apply there, because a load balancer or a scraper
 * must get an answer whatever others do.
 */
export function isOperational(path: string): boolean {
  return isMonitoring(path) || /^\/(docs|openapi\.json)(?=[/?]|$)/.test(path);
}
