/** The header of an answer that has a version, for the OpenAPI document. */
export const etagHeader = { ETag: { description: 'The version, for If-Match.', schema: { type: 'string' } } } as const;
