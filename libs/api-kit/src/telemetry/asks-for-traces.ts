/**
 * Whether the environment names a place for traces. A variable that only describes traces, such as OTEL_SERVICE_NAME, does not ask for
 * them, because they would be sent to a collector on this machine that may not exist.
 */
export function asksForTraces(env: NodeJS.ProcessEnv): boolean {
  if (/^true$/i.test(env['OTEL_SDK_DISABLED']?.trim() ?? '')) return false;
  const exporter = env['OTEL_TRACES_EXPORTER']?.trim() ?? '';
  if (exporter !== '') return exporter !== 'none';
  return ['OTEL_EXPORTER_OTLP_ENDPOINT', 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'].some((name) => env[name]?.trim());
}
