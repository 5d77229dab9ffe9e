import { type ApiDocument } from './client-operations.js';

/** Returns the document with the chosen paths only, and without the schemas that only the other paths use. */
export function withPaths(document: ApiDocument, isChosen: (path: string) => boolean): ApiDocument {
  const all = Object.entries(document.paths);
  const chosen = Object.fromEntries(all.filter(([path]) => isChosen(path)));
  const others = Object.fromEntries(all.filter(([path]) => !isChosen(path)));
  const used = schemasUsedBy(chosen, document);
  const usedByOthers = schemasUsedBy(others, document);
  const schemas = Object.entries(document.components.schemas).filter(
    ([name]) => used.has(name) || !usedByOthers.has(name),
  );
  return { ...document, paths: chosen, components: { ...document.components, schemas: Object.fromEntries(schemas) } };
}

/** Returns the names of the schemas that a part of the document refers to, directly or through other schemas. */
function schemasUsedBy(part: unknown, { components }: ApiDocument): Set<string> {
  const names = new Set<string>();
  const visit = (value: unknown): void => {
    for (const [, name = ''] of JSON.stringify(value).matchAll(/"#\/components\/schemas\/(\w+)"/g))
      if (!names.has(name)) {
        names.add(name);
        visit(components.schemas[name] ?? {});
      }
  };
  visit(part);
  return names;
}
