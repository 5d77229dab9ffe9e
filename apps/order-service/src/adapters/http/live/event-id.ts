import { MAX_OPEN_IN_SCAN, type ResumePoint, Snapshot } from '../../../application/live/resume-point.js';

/**
 * `<position>_<snapshot>`: the position makes the id unique, the snapshot says where to resume. During a scan it is
 * `<position>_<snapshot>_<snapshot at the end of the scan>_<c or o><order>`, with the position reached by the scan.
 */
export function idOf(position: number, { seen, scan }: ResumePoint): string {
  if (!scan) return `${position.toString(36)}_${seen.toString()}`;
  const [from, upTo] = [seen, scan.upTo].map((snapshot) => snapshot.toString(MAX_OPEN_IN_SCAN));
  return `${scan.position.toString(36)}_${from}_${upTo}_${scan.over === 'customer' ? 'c' : 'o'}${scan.orderId}`;
}

const ID = /^([\da-z]{1,11})_([\da-z.]+)(?:_([\da-z.]+)_([co])([\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}))?$/;

/** Parses the id of an event into the resume point of a client that has received it; undefined if the id is invalid. */
export function resumePointOf(eventId: string): ResumePoint | undefined {
  const [, position = '', from = '', to, over, orderId = ''] = ID.exec(eventId.toLowerCase()) ?? [];
  const seen = Snapshot.parse(from);
  const point = { orderId, position: Number.parseInt(position, 36) };
  if (!seen || to === undefined) return seen && { seen, position: point.position };
  const upTo = Snapshot.parse(to);
  if (!upTo || !Number.isSafeInteger(point.position)) return undefined;
  return { seen, scan: { over: over === 'c' ? 'customer' : 'order', upTo, ...point } };
}
