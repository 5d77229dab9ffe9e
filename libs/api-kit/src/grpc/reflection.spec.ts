import { once } from 'node:events';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { FieldDescriptorProto_Label as Label, FieldDescriptorProto_Type as Type } from '@bufbuild/protobuf/wkt';
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { credentials, Server, ServerCredentials, status as codes } from '@grpc/grpc-js';
import { descriptors } from '@twinbox/contracts/grpc/descriptors';
import {
  ServerReflectionClient,
  ServerReflectionRequest,
  type ServerReflectionResponse,
} from '@twinbox/contracts/grpc/reflection';
import { addReflection } from './reflection.js';

const ORDERS = 'twinbox.orders.v1.OrderService';
const ORDERS_FILE = 'twinbox/orders/v1/order_service.proto';

/** A message that a second file extends, and a service. */
const extended = create(FileDescriptorSetSchema, {
  file: [
    {
      name: 'base.proto',
      syntax: 'proto2',
      messageType: [{ name: 'Base', extensionRange: [{ start: 100, end: 200 }] }, { name: 'Plain' }],
    },
    {
      name: 'extension.proto',
      syntax: 'proto2',
      dependency: ['base.proto'],
      extension: [{ name: 'note', number: 100, extendee: '.Base', type: Type.STRING, label: Label.OPTIONAL }],
    },
  ],
});

const servers: Server[] = [];
const clients: ServerReflectionClient[] = [];

async function reflectionOf(set: Uint8Array, names: readonly string[]): Promise<ServerReflectionClient> {
  const server = new Server();
  servers.push(server);
  addReflection(server, set, names);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  const client = new ServerReflectionClient(`127.0.0.1:${port}`, credentials.createInsecure());
  clients.push(client);
  return client;
}

/** Asks in one stream. */
async function ask(
  client: ServerReflectionClient,
  ...requests: readonly Partial<ServerReflectionRequest>[]
): Promise<ServerReflectionResponse[]> {
  const call = client.serverReflectionInfo();
  const answers: ServerReflectionResponse[] = [];
  call.on('data', (answer: ServerReflectionResponse) => answers.push(answer));
  for (const request of requests) call.write(ServerReflectionRequest.fromPartial(request));
  call.end();
  await once(call, 'end');
  return answers;
}

function filesIn({ fileDescriptorResponse }: ServerReflectionResponse): string[] | undefined {
  return fileDescriptorResponse?.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes).name);
}

let orders: ServerReflectionClient;
let extensions: ServerReflectionClient;

beforeAll(async () => {
  orders = await reflectionOf(descriptors, [ORDERS]);
  extensions = await reflectionOf(toBinary(FileDescriptorSetSchema, extended), []);
});
afterAll(() => {
  for (const client of clients) client.close();
  for (const server of servers) server.forceShutdown();
});

describe('reflection', () => {
  it('lists the services of the server and itself', async () => {
    const [answer] = await ask(orders, { listServices: '' });

    expect(answer?.listServicesResponse?.service.map(({ name }) => name)).toEqual([
      'grpc.reflection.v1.ServerReflection',
      'grpc.reflection.v1alpha.ServerReflection',
      ORDERS,
    ]);
  });

  it.each([
    ['a service', ORDERS],
    ['a method', `${ORDERS}.GetOrder`],
    ['a message', 'twinbox.orders.v1.GetOrdersRequest'],
    ['a field', 'twinbox.orders.v1.GetOrdersRequest.created_from'],
    ['the group of an optional field', 'twinbox.orders.v1.GetOrdersRequest._late'],
    ['an enum', 'twinbox.orders.v1.OrderSort'],
    ['a value of an enum', 'twinbox.orders.v1.ORDER_SORT_TOTAL_ASC'],
  ])('finds the file of %s, with the files that it imports', async (_, fileContainingSymbol) => {
    const [answer] = await ask(orders, { fileContainingSymbol });

    const [file, ...imported] = filesIn(answer!) ?? [];
    expect(file).toBe(ORDERS_FILE);
    expect(imported.sort()).toEqual([
      'google/protobuf/struct.proto',
      'google/protobuf/timestamp.proto',
      'twinbox/common/v1/money.proto',
      'twinbox/orders/v1/order.proto',
    ]);
  });

  it.each([
    ['a nested message', 'google.rpc.BadRequest.FieldViolation', 'google/rpc/error_details.proto'],
    ['a value of a nested enum', 'google.protobuf.NULL_VALUE', 'google/protobuf/struct.proto'],
    ['the entry of a map', 'google.rpc.ErrorInfo.MetadataEntry', 'google/rpc/error_details.proto'],
    ['its own older version', 'grpc.reflection.v1alpha.ServerReflection', 'grpc/reflection/v1alpha/reflection.proto'],
  ])('finds the file of %s', async (_, fileContainingSymbol, file) => {
    const [answer] = await ask(orders, { fileContainingSymbol });

    expect(filesIn(answer!)).toContain(file);
  });

  it('sends imported files once in a stream', async () => {
    const file = { fileByFilename: ORDERS_FILE };

    const answers = await ask(orders, file, { fileByFilename: 'twinbox/orders/v1/order.proto' }, file);

    expect(answers.map((answer) => filesIn(answer)?.length)).toEqual([5, 1, 1]);
  });

  it.each([
    ['symbol', { fileContainingSymbol: 'twinbox.orders.v1.Nothing' }],
    ['field', { fileContainingSymbol: 'twinbox.orders.v1.Order.nothing' }],
    ['method', { fileContainingSymbol: `${ORDERS}.Nothing` }],
    ['name', { fileContainingSymbol: '' }],
    ['service of another server', { fileContainingSymbol: 'twinbox.payments.v1.PaymentRequestService' }],
    ['file', { fileByFilename: 'nothing.proto' }],
    ['file of another server', { fileByFilename: 'twinbox/orders/v1/product_service.proto' }],
    ['extension', { fileContainingExtension: { containingType: 'google.protobuf.Timestamp', extensionNumber: 1 } }],
    ['extended message', { allExtensionNumbersOfType: 'twinbox.orders.v1.Nothing' }],
  ])('answers NOT_FOUND for an unknown %s, and goes on', async (_, request) => {
    const [answer, next] = await ask(orders, request, { listServices: '*' });

    expect(answer?.errorResponse).toMatchObject({ errorCode: codes.NOT_FOUND });
    expect(answer?.originalRequest).toMatchObject(request);
    expect(next?.listServicesResponse).toBeDefined();
  });

  it('answers INVALID_ARGUMENT for an empty request', async () => {
    const [answer] = await ask(orders, {});

    expect(answer?.errorResponse).toMatchObject({ errorCode: codes.INVALID_ARGUMENT });
  });

  it('finds extensions by the message that they extend', async () => {
    const [file, numbers, none] = await ask(
      extensions,
      { fileContainingExtension: { containingType: 'Base', extensionNumber: 100 } },
      { allExtensionNumbersOfType: 'Base' },
      { allExtensionNumbersOfType: 'Plain' },
    );

    expect(filesIn(file!)).toEqual(['extension.proto', 'base.proto']);
    expect(numbers?.allExtensionNumbersResponse).toEqual({ baseTypeName: 'Base', extensionNumber: [100] });
    expect(none?.allExtensionNumbersResponse).toEqual({ baseTypeName: 'Plain', extensionNumber: [] });
  });

  it('answers every request of a client that reads late', async () => {
    const call = orders.serverReflectionInfo();

    for (let sent = 0; sent < 500; sent++)
      call.write(ServerReflectionRequest.fromPartial({ fileByFilename: ORDERS_FILE }));
    call.end();
    await ask(orders, { listServices: '' });
    let answers = 0;
    for await (const _ of call) answers++;

    expect(answers).toBe(500);
  });

  it('survives a client that goes away', async () => {
    const call = orders.serverReflectionInfo();
    call.write(ServerReflectionRequest.fromPartial({ fileByFilename: ORDERS_FILE }));
    await once(call, 'data');

    call.cancel();
    await expect(once(call, 'end')).rejects.toMatchObject({ code: codes.CANCELLED });

    expect(await ask(orders, { listServices: '' })).toHaveLength(1);
  });
});
