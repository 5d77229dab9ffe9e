/**
 * Limits the heap of a service, in MB. Without a limit V8 uses most of the machine's memory before it collects garbage: a service that
 * needs 160 MB had 700 MB resident. The container limit in docker-compose.yml is twice as high.
 */
export const SERVICE_HEAP = '--max-old-space-size=256';

/** Limits the heap of one-shot commands: migrations, topics, demo data. */
export const STEP_HEAP = '--max-old-space-size=128';
