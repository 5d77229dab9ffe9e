import type { Tracer } from '@opentelemetry/api';

/** The running telemetry of this process. */
export interface Telemetry {
  /** Makes the spans of the edges. */
  readonly tracer: Tracer;
  /** Sends the spans that are left. Takes a bounded time and never throws. */
  stop(): Promise<void>;
}

let running: Telemetry | undefined;

/** Returns the telemetry of this process, or undefined if its environment did not ask for any. */
export function runningTelemetry(): Telemetry | undefined {
  return running;
}

export function telemetryStarted(telemetry: Telemetry): void {
  running = telemetry;
}
