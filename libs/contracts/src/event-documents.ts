import { fileURLToPath } from 'node:url';

/** The folder of the published event contracts: `asyncapi.json`, `schemas/` with a JSON Schema for each event version, and `index.html`. */
export const EVENT_DOCUMENTS = fileURLToPath(new URL('../events', import.meta.url));
