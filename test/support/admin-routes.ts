import { type Statuses, statuses, type TestCaller } from './callers.js';
import { type InProcessService } from './in-process.js';

/** What operators and admins get where operators may look. */
const mayLook = (status: number) => statuses(401, 403, 403, status, status);
/** What admins get where only they may change something. */
const mayChange = (status: number) => statuses(401, 403, 403, 403, status);

const REASON = { reason: 'a test' };

interface Request {
  readonly query?: string;
  readonly body?: object;
}

/** Mirrors the table in docs/administration.md. What the requests name does not exist, so a 404 shows that the caller may ask for it. */
const ROUTES: readonly (readonly [string, Statuses, Request?])[] = [
  ['GET /admin/messaging', mayLook(200)],
  ['GET /admin/messaging/dead-letters', mayLook(200), { query: '?box=inbox' }],
  ['GET /admin/messaging/dead-letters/causes', mayLook(200), { query: '?box=outbox' }],
  ['GET /admin/messaging/dead-letters/{box}/{id}', mayLook(404)],
  ['POST /admin/messaging/dead-letters/{box}/{id}/retry', mayChange(404), { body: {} }],
  ['POST /admin/messaging/dead-letters/{box}/{id}/discard', mayChange(404), { body: REASON }],
  ['POST /admin/messaging/dead-letters/{box}/{id}/edit', mayChange(404), { body: { ...REASON, payload: '{}' } }],
  ['GET /admin/messaging/dead-jobs', mayLook(200)],
  ['GET /admin/messaging/dead-jobs/causes', mayLook(200)],
  ['GET /admin/messaging/dead-jobs/{id}', mayLook(404)],
  ['POST /admin/messaging/dead-jobs/{id}/retry', mayChange(404), { body: {} }],
  ['POST /admin/messaging/dead-jobs/{id}/discard', mayChange(404), { body: REASON }],
  ['POST /admin/messaging/dead-jobs/{id}/edit', mayChange(404), { body: { ...REASON, data: '{}' } }],
  ['GET /admin/messaging/parked', mayLook(200), { query: '?box=inbox' }],
  ['GET /admin/messaging/parked/{box}/{id}', mayLook(404)],
  ['GET /admin/messaging/aggregates/{id}', mayLook(200)],
  ['GET /admin/messaging/inbox-records', mayLook(200), { query: '?messageId=one&messageId=two' }],
  ['POST /admin/messaging/operations', mayChange(422), { body: { kind: 'retry-letters', filter: {} } }],
  ['GET /admin/messaging/operations', mayLook(200)],
  ['GET /admin/messaging/operations/{id}', mayLook(404)],
  ['POST /admin/messaging/operations/{id}/cancel', mayChange(404), { body: {} }],
  ['GET /admin/messaging/pauses', mayLook(200)],
  ['PUT /admin/messaging/pauses/{kind}/{name}', mayChange(404), { body: {} }],
  ['DELETE /admin/messaging/pauses/{kind}/{name}', mayChange(404)],
  ['GET /admin/messaging/incidents', mayLook(200)],
  ['POST /admin/messaging/incidents/{id}/acknowledge', mayChange(404), { body: REASON }],
  ['GET /admin/messaging/audit', mayLook(200)],
  ['GET /admin/messaging/audit/{id}', mayLook(404)],
];

/** The routes of the administration, with what each kind of caller gets. */
export const ADMIN_ROUTES = ROUTES.map(([route, expected]) => [route, expected] as const);

/** What a caller must get from each route of the administration. */
export function expectedOfAdminRoutes({ kind }: TestCaller): Record<string, number> {
  return Object.fromEntries(ROUTES.map(([route, expected]) => [route, expected[kind]]));
}

/** What a caller gets from each route of the administration. */
export async function answersOfAdminRoutes(
  service: InProcessService,
  { headers }: TestCaller,
): Promise<Record<string, number>> {
  const { send } = service.caller(await headers());
  const answers: Record<string, number> = {};
  for (const [route, , { query = '', body } = {}] of ROUTES) {
    const [method = '', template = ''] = route.split(' ');
    answers[route] = (await send(method, pathOf(template) + query, body)).status;
  }
  return answers;
}

function pathOf(template: string): string {
  const id = /\{box\}|incidents|audit/.test(template) ? '999999' : '01939d3c-0000-7000-8000-000000000000';
  return template.replace('{box}', 'inbox').replace('{id}', id).replace('{kind}/{name}', 'queue/none');
}
