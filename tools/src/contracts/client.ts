import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { createClient } from '@hey-api/openapi-ts';
import { SERVICES } from '@twinbox/migrations/services';
import { format, resolveConfig } from 'prettier';
import { root } from '../checkout.js';
import { type GeneratedFiles } from '../generated-files.js';
import { type ApiDocument, NOT_FOR_CALLERS, operationsFile } from './client-operations.js';
import { withPaths } from './document-paths.js';

const FOLDER = 'libs/client/src/generated';
/** Folders that the generator writes for each document although they do not depend on it. */
const SHARED = /^(?:client|core)\//;
/** The paths that every service has in common. Their client is an entry of its own, so that the others do not grow by it. */
const ADMIN = /^\/admin\//;

/** Generates the parts of `@twinbox/client` that follow from the committed OpenAPI documents. */
export async function typedClient(): Promise<GeneratedFiles> {
  const files = new Map<string, string>();
  for (const [name, document] of await clientDocuments()) {
    const generated = await generate(document);
    for (const [file, text] of generated) await add(files, SHARED.test(file) ? file : `${name}/${file}`, text);
    await add(files, `${name}/operations.gen.ts`, operationsFile(document, name));
  }
  return { files, folders: [FOLDER] };
}

/** Returns the documents of the client's entries by their names: one for each service, and one for what they have in common. */
async function clientDocuments(): Promise<Map<string, ApiDocument>> {
  const documents = new Map<string, ApiDocument>();
  let admin: ApiDocument | undefined;
  for (const { schema } of SERVICES) {
    const document = await documentOf(schema);
    documents.set(
      schema,
      withPaths(document, (path) => !ADMIN.test(path)),
    );
    const administration = withPaths(document, (path) => ADMIN.test(path));
    if (admin && !isDeepStrictEqual(administration.paths, admin.paths))
      throw new Error('The paths under /admin differ between the services, so their client cannot be the same.');
    admin = administration;
  }
  if (admin) documents.set('admin', admin);
  return documents;
}

async function documentOf(service: string): Promise<ApiDocument> {
  const text = await readFile(join(root, `libs/contracts/openapi/${service}.json`), 'utf8');
  const document = withoutConstraints(JSON.parse(text)) as ApiDocument;
  const paths = Object.entries(document.paths).filter(([path]) => !NOT_FOR_CALLERS.test(path));
  return { ...document, paths: Object.fromEntries(paths) };
}

async function add(files: Map<string, string>, name: string, text: string): Promise<void> {
  const filepath = join(FOLDER, name);
  const formatted = await format(text, { ...(await resolveConfig(join(root, filepath))), filepath });
  if (files.has(filepath) && files.get(filepath) !== formatted)
    throw new Error(`${filepath} differs between the documents, so the entries cannot share it.`);
  files.set(filepath, formatted);
}

/** Returns the generated files by their paths. */
async function generate(document: ApiDocument): Promise<Map<string, string>> {
  const path = await mkdtemp(join(tmpdir(), 'twinbox-client-'));
  try {
    await createClient({
      input: { ...document },
      logs: { level: 'silent', file: false },
      output: { path, module: { extension: '.js' }, postProcess: [], entryFile: false },
      plugins: [
        '@hey-api/client-fetch',
        { name: '@hey-api/typescript', definitions: (name) => name.replace(/Dto$/, '') },
        { name: '@hey-api/sdk', client: false, auth: false },
      ],
    });
    const names = (await readdir(path, { recursive: true })).filter((name) => name.endsWith('.ts'));
    const texts = names
      // It creates a client for all callers, while each of ours has options of its own.
      .filter((name) => name !== 'client.gen.ts')
      .map(async (name) => [name, shared(await readFile(join(path, name), 'utf8'), name)] as const);
    return new Map(await Promise.all(texts));
  } finally {
    await rm(path, { recursive: true });
  }
}

/** Makes a file of one document import the shared folders, and removes a type that only the removed client would use. */
function shared(text: string, name: string): string {
  // The generator's own files do not compile with exactOptionalPropertyTypes.
  if (SHARED.test(name)) return `// @ts-nocheck\n${text}`;
  return text.replaceAll(/'\.\/(client|core)\//g, "'../$1/").replace(/^export type ClientOptions = \{.*?^\};\n/ms, '');
}

/**
 * Removes what only constrains a value, and would make its type worse: branches without a type would become `unknown`, and a list of all
 * currencies would refuse the `string` in which an answer has one.
 */
function withoutConstraints(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutConstraints);
  if (typeof value !== 'object' || value === null) return value;
  const { description } = value as Enumeration;
  if (isLongEnum(value)) return { type: 'string', ...(description !== undefined && { description }) };
  const fields = Object.entries(value).filter(
    ([name, member]) => !['allOf', 'anyOf'].includes(name) || !isConstraint(value, member),
  );
  return Object.fromEntries(fields.map(([name, member]) => [name, withoutConstraints(member)]));
}

const LONGEST_UNION = 50;

interface Enumeration {
  readonly description?: string;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Enumeration[];
}

function isLongEnum(schema: Enumeration): boolean {
  return (schema.enum?.length ?? 0) > LONGEST_UNION || (schema.anyOf?.every(isLongEnum) ?? false);
}

function isConstraint(schema: object, branches: unknown): boolean {
  const isTyped = (branch: object) => ['$ref', 'type', 'properties', 'oneOf', 'anyOf'].some((name) => name in branch);
  return 'type' in schema && Array.isArray(branches) && !branches.some(isTyped);
}
