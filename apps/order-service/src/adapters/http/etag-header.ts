/** The header of an answer that has a version, for the OpenAPI document. */
export const etagHeader = {
  ETag: { description: 'Begins with the version. For `If-Match` and `If-None-Match`.', schema: { type: 'string' } },
} as const;
