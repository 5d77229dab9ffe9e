import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openApiDocument } from '@twinbox/api-kit';
import { root } from '@twinbox/tools';
import { type InProcessService } from './in-process.js';

interface Operation {
  security?: unknown;
  responses: Record<string, { headers?: { Vary?: { description?: string } } }>;
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { securitySchemes?: unknown; readonly schemas: Record<string, unknown> };
}

const KEYS_UNAVAILABLE = 'KeysUnavailableProblem';

/**
 * Expects that the OpenAPI document of a running service is the committed one. With `AUTH_MODE=dev` it may differ in what
 * `libs/contracts/README.md` lists, and has to differ in each of these.
 */
export function expectCommittedDocument({ app, openApi }: InProcessService, schema: string, authMode: string): void {
  const served = JSON.parse(JSON.stringify(openApiDocument(app, openApi))) as Document;
  const path = join(root, `libs/contracts/openapi/${schema}.json`);
  const committed = JSON.parse(readFileSync(path, 'utf8')) as Document;

  if (authMode === 'jwt') {
    expect(served).toEqual(committed);
    return;
  }
  expect(served.components.securitySchemes).not.toEqual(committed.components.securitySchemes);
  expect(served.components.schemas).not.toHaveProperty(KEYS_UNAVAILABLE);
  expect(withoutAuthMode(served)).toEqual(withoutAuthMode(committed));
}

/** Leaves out what depends on AUTH_MODE. Of a 503 it keeps the names of the other problems. */
function withoutAuthMode(document: Document): Document {
  delete document.components.securitySchemes;
  delete document.components.schemas[KEYS_UNAVAILABLE];
  for (const operation of Object.values(document.paths).flatMap((operations) => Object.values(operations))) {
    delete operation.security;
    const { responses } = operation;
    delete responses['401'];
    delete responses['403'];
    for (const { headers } of Object.values(responses)) delete headers?.Vary?.description;
    const problems = JSON.stringify(responses['503'] ?? {}).match(/(?<=\/)\w+Problem\b/g) ?? [];
    const others = [...new Set(problems)].filter((name) => name !== KEYS_UNAVAILABLE);
    delete responses['503'];
    if (others.length > 0) Object.assign(responses, { 503: others });
  }
  return document;
}
