import { type GrpcApi } from '@twinbox/api-kit';
import { until } from '@twinbox/messaging/testing';
import { AUTH_MODES, type Statuses, type TestCaller } from './callers.js';
import { type GrpcMethod, grpcStatusOf, GrpcTestClient, methodsOf } from './grpc.js';
import { type InProcessService } from './in-process.js';

/** The methods of a service and who may call them. */
export interface GrpcCallersTable<Service extends InProcessService, State> {
  readonly api: GrpcApi;
  /**
   * Like the table of the REST routes, with the HTTP statuses that the gRPC statuses stand for. The request is about a resource of ada's,
   * which is in this state before the call.
   */
  readonly methods: readonly (readonly [GrpcMethod<never, unknown>, Statuses, (id: string) => object, State])[];
  readonly start: (env: Record<string, string>) => Promise<Service>;
  /** Creates a resource of ada's and returns its id. */
  readonly prepare: (service: Service, ada: Record<string, string>, state: State) => Promise<string>;
}

/** Tests every method with every kind of caller, in both authentication modes. */
export function describeGrpcCallers<Service extends InProcessService, State>(table: GrpcCallersTable<Service, State>) {
  it('P10 the table of callers names every method that is served', () => {
    expect(table.methods.map(([{ path }]) => path).toSorted()).toEqual(methodsOf(table.api).toSorted());
  });

  describe.each(AUTH_MODES)('with AUTH_MODE=$authMode', ({ callers, start, stop }) => {
    let service: Service;
    let client: GrpcTestClient;
    const headersOf = async (kind: keyof Statuses) =>
      (await callers.find((each) => each.kind === kind)?.headers()) ?? {};
    beforeAll(async () => {
      service = await table.start({ ...(await start()), GRPC_PORT: '0' });
      client = GrpcTestClient.of(service);
      await until('the keys of tokens are loaded', async () => {
        return (await service.caller(await headersOf('admin')).get('/health')).status !== 401;
      });
    });
    afterAll(async () => {
      client.close();
      await service.stop();
      await stop();
    });

    describe.each(table.methods.map((entry) => [entry[0].path, ...entry] as const))(
      'P10 %s',
      (_, method, expected, requestFor, state) => {
        it.each(callers)('is open to exactly the callers of REST: $name', async ({ kind, headers }: TestCaller) => {
          const request = requestFor(await table.prepare(service, await headersOf('its customer'), state));

          expect(await statusOf(client, method, request, await headers())).toBe(grpcStatusOf(expected[kind]));
        });
      },
    );
  });
}

/** The status of a call, or of a stream that has begun. */
async function statusOf(
  client: GrpcTestClient,
  method: GrpcMethod<never, unknown>,
  request: object,
  headers: Record<string, string>,
): Promise<string> {
  if (!method.responseStream) return (await client.call(method, request as never, { headers })).status;
  const stream = client.open(method, request as never, { headers });
  const status = await until('the stream begins or ends', () =>
    stream.messages.length > 0 ? 'OK' : stream.end?.status,
  );
  stream.cancel();
  return status;
}
