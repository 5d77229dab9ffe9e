import type { OpenAPIObject } from '@nestjs/swagger';
import { type Content, operationsOf, type Schema } from './operation.js';

/**
 * Lists what is missing from a document: operations without a summary, successes without a schema or an example, errors without an example.
 * For tests: `expect(openApiGaps(document)).toEqual([])`.
 */
export function openApiGaps(document: OpenAPIObject): string[] {
  const gaps: string[] = [];
  for (const { operation } of operationsOf(document)) {
    const name = operation.operationId ?? 'an operation';
    if (!operation.summary) gaps.push(`${name} has no summary`);
    if (!Object.keys(operation.responses).some((status) => status.startsWith('2'))) gaps.push(`${name} has no success`);
    for (const [status, response] of Object.entries(operation.responses)) {
      if (status === '204' || status === '304') continue;
      const [content] = Object.values(response.content ?? {});
      if (!content?.schema) gaps.push(`${name} ${status} has no schema`);
      else if (!hasExample(content, document)) gaps.push(`${name} ${status} has no example`);
    }
  }
  return gaps;
}

function hasExample(content: Content, document: OpenAPIObject): boolean {
  return (
    content.example !== undefined ||
    Object.keys(content.examples ?? {}).length > 0 ||
    schemaHasExample(content.schema, document, 0)
  );
}

// A schema has an example if it states one or if all of its properties have one.
function schemaHasExample(schema: Schema | undefined, document: OpenAPIObject, depth: number): boolean {
  if (!schema || depth > 20) return false;
  if (schema.example !== undefined || schema.enum !== undefined || schema.type === 'boolean') return true;
  if (schema.type === 'null') return true;
  if (schema.$ref) {
    const name = schema.$ref.split('/').at(-1) ?? '';
    return schemaHasExample(document.components?.schemas?.[name], document, depth + 1);
  }
  const variants = schema.allOf ?? schema.oneOf ?? schema.anyOf;
  if (variants) return variants.every((variant) => schemaHasExample(variant, document, depth + 1));
  if (schema.items) return schemaHasExample(schema.items, document, depth + 1);
  const properties = Object.values(schema.properties ?? {});
  return properties.length > 0 && properties.every((property) => schemaHasExample(property, document, depth + 1));
}
