import type { QueryText } from './fields.js';

/** The fields with which a request names a page of a list. */
export interface PageRequest {
  /** 0 for the default. */
  readonly pageSize: number;
  /** Empty for the first page. */
  readonly pageToken: string;
}

/** Returns the parameters of a page as text, for {@link QueryFields}. */
export function pageQuery({ pageSize, pageToken }: PageRequest): QueryText {
  return { limit: pageSize === 0 ? undefined : String(pageSize), cursor: pageToken === '' ? undefined : pageToken };
}

/** Returns a time as text, for {@link QueryFields}. A Timestamp that no Date can represent becomes an invalid text. */
export function timeText(time: Date | undefined): string | undefined {
  return time && Number.isNaN(time.getTime()) ? String(time) : time?.toISOString();
}
