import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '../checkout.js';
import { buf, PROTO } from './buf.js';

const BREAKING = ['breaking', '--against', join(root, PROTO, 'released.binpb')];
const MONEY = 'twinbox/common/v1/money.proto';
const ORDERS = 'twinbox/orders/v1/order_service.proto';

/** In this file, this text is replaced. */
type Change = readonly [file: string, text: string, replacement: string];

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'grpc-'));
});
afterAll(() => rm(directory, { recursive: true }));

/** Runs a check of buf on the .proto files with these changes, and returns the rules that they violate. */
async function violated([command = '', ...flags]: readonly string[], changes: readonly Change[]): Promise<Set<string>> {
  const folder = await mkdtemp(join(directory, 'changed-'));
  await cp(join(root, PROTO), folder, { recursive: true });
  for (const [file, text, replacement] of changes) {
    const before = await readFile(join(folder, file), 'utf8');
    expect(before).toContain(text);
    await writeFile(join(folder, file), before.replace(text, replacement));
  }
  const found = await buf(command, folder, ...flags, '--error-format', 'json').catch(({ message }: Error) => message);
  return new Set([...(found ?? '').matchAll(/"type":"(\w+)"/g)].map(([, rule = '']) => rule));
}

/** By the rule that the change violates. */
const FORBIDDEN: Readonly<Record<string, Change>> = {
  FIELD_SAME_TYPE: [MONEY, 'int64 minor_units = 1', 'string minor_units = 1'],
  FIELD_NO_DELETE: [MONEY, '  string currency = 2;\n', ''],
  FIELD_SAME_NAME: [ORDERS, 'bool draft = 1', 'bool cart = 1'],
  FIELD_SAME_CARDINALITY: [ORDERS, 'repeated OrderLine items = 2', 'OrderLine items = 2'],
  RPC_NO_DELETE: [ORDERS, '  rpc GetOrderStatus(GetOrderStatusRequest) returns (GetOrderStatusResponse);\n', ''],
  RPC_SAME_REQUEST_TYPE: [ORDERS, 'rpc CancelOrder(CancelOrderRequest)', 'rpc CancelOrder(GetOrderRequest)'],
  RPC_SAME_RESPONSE_TYPE: [ORDERS, 'returns (AddItemResponse)', 'returns (GetOrderResponse)'],
  RPC_SAME_SERVER_STREAMING: [ORDERS, 'returns (GetTimelineResponse)', 'returns (stream GetTimelineResponse)'],
  ENUM_VALUE_NO_DELETE: [ORDERS, '  ORDER_SORT_TOTAL_DESC = 4;\n', ''],
  ENUM_VALUE_SAME_NAME: [ORDERS, 'ORDER_SORT_CREATED_ASC = 1', 'ORDER_SORT_OLDEST = 1'],
  MESSAGE_NO_DELETE: [ORDERS, 'message AddItemResponse', 'message AddedItemResponse'],
  SERVICE_NO_DELETE: ['twinbox/orders/v1/product_service.proto', 'service ProductService', 'service CatalogueService'],
  FILE_SAME_PACKAGE: [
    'twinbox/payments/v1/payment_request_service.proto',
    'package twinbox.payments.v1',
    'package payments.v1',
  ],
};

describe('the .proto files', () => {
  it('follow the rules for .proto files, and violate them with other names or without comments', async () => {
    await buf('lint');
    await buf('format', '--diff', '--exit-code', '--exclude-path', 'google', '--exclude-path', 'grpc');

    const found = await violated(
      ['lint'],
      [
        [ORDERS, 'bool draft = 1', 'bool isDraft = 1'],
        [ORDERS, 'rpc GetOrder(GetOrderRequest)', 'rpc GetOrder(GetOrderStatusRequest)'],
        [ORDERS, '  // The id of the cart.\n', ''],
      ],
    );

    expect(found).toContain('FIELD_LOWER_SNAKE_CASE');
    expect(found).toContain('RPC_REQUEST_RESPONSE_UNIQUE');
    expect(found).toContain('COMMENT_FIELD');
  });

  it('are compatible with the released ones', async () => {
    await buf(...BREAKING);
  });

  it('are no longer compatible with any of the forbidden changes', async () => {
    const found = await violated(BREAKING, Object.values(FORBIDDEN));

    expect(Object.keys(FORBIDDEN).filter((rule) => !found.has(rule))).toEqual([]);
  });

  it('are no longer compatible if a field has another number', async () => {
    expect(await violated(BREAKING, [[ORDERS, 'bool draft = 1', 'bool draft = 9']])).toContain('FIELD_NO_DELETE');
  });

  it('remain compatible with additions', async () => {
    const added = await violated(BREAKING, [
      [ORDERS, 'bool draft = 1;', 'bool draft = 1;\n  string note = 4;'],
      [ORDERS, 'ORDER_SORT_TOTAL_ASC = 3;', 'ORDER_SORT_TOTAL_ASC = 3;\n  ORDER_SORT_CUSTOMER = 9;'],
      [
        ORDERS,
        'service OrderService {',
        'service OrderService {\n  rpc Ping(GetOrderRequest) returns (GetOrderResponse);',
      ],
      [MONEY, '// An amount of money.', '// Some money.'],
    ]);

    expect(added).toEqual(new Set());
  });
});
