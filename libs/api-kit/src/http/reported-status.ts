const statuses = new WeakMap<object, number>();

/** Records the status of a problem that a client is told about by a stream with the status 200. */
export function recordStatus(request: object, status: number): void {
  statuses.set(request, status);
}

/** Returns the status of a request for logs and metrics, so that they show an outage that clients are told about by a stream. */
export function reportedStatus(request: object, sent: number): number {
  return statuses.get(request) ?? sent;
}
