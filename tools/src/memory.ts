/**
 * Bounds the heap of a service that Node starts, in MB. Without it V8 takes what the machine has before it collects, and a service that
 * needs 160 MB had 700 MB resident. A container has twice as much: docker-compose.yml.
 */
export const SERVICE_HEAP = '--max-old-space-size=256';

/** The same for a command that runs to its end: migrations, topics, demo data. */
export const STEP_HEAP = '--max-old-space-size=128';
