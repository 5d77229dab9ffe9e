/*
 * Loaded before a service: node --import @twinbox/api-kit/telemetry apps/order-service/dist/main.js. It loads the OpenTelemetry SDK and
 * starts it if the environment asks for traces, and otherwise nothing.
 */
import { asksForTraces } from './telemetry/asks-for-traces.js';

if (asksForTraces(process.env)) {
  const { startTelemetry } = await import('./telemetry/start-telemetry.js');
  startTelemetry(process.env, process.argv);
}
