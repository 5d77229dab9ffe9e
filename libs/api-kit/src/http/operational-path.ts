/** The first segments of the paths at which the service tells about itself. */
const OPERATIONAL = /^\/(health|metrics|docs|openapi\.json)(?=[/?]|$)/;

/**
 * Whether the path is one of health, metrics or documentation. Limits for callers do not apply there, because a load balancer or a scraper
 * must get an answer whatever others do.
 */
export function isOperational(path: string): boolean {
  return OPERATIONAL.test(path);
}
