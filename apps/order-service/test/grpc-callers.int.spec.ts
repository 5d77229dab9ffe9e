import { OrderServiceService as Orders, ProductServiceService as Products } from '@twinbox/contracts/grpc/orders';
import {
  describeGrpcCallers,
  EVERYBODY,
  IDENTIFIED,
  ITS_CUSTOMER,
  OPERATORS,
  WHO_MAY_SEE_IT,
} from '@twinbox/test-support';
import { QUOTAS_FOR_LOAD } from '@twinbox/tools';
import { v7 as uuidv7 } from 'uuid';
import { orderGrpc } from '../src/service.js';
import { aCart, type OrderServiceHarness, startOrderService } from './order-service.harness.js';

type Order = 'cart' | 'placed' | 'paid';

describeGrpcCallers<OrderServiceHarness, Order>({
  api: orderGrpc,
  methods: [
    [Orders.createOrder, IDENTIFIED, () => ({ draft: true, items: [] }), 'cart'],
    [Orders.addItem, ITS_CUSTOMER, (orderId) => ({ orderId, productId: 'tea', quantity: 1 }), 'cart'],
    [Orders.changeItem, ITS_CUSTOMER, (orderId) => ({ orderId, productId: 'tea', quantity: 1 }), 'cart'],
    [Orders.removeItem, ITS_CUSTOMER, (orderId) => ({ orderId, productId: 'tea' }), 'cart'],
    [Orders.placeOrder, ITS_CUSTOMER, (orderId) => ({ orderId, items: [] }), 'cart'],
    [Orders.cancelOrder, WHO_MAY_SEE_IT, (orderId) => ({ orderId, reason: 'no more' }), 'placed'],
    [Orders.markOrderFinished, OPERATORS, (orderId) => ({ orderId }), 'paid'],
    [Orders.getOrder, WHO_MAY_SEE_IT, (orderId) => ({ orderId }), 'cart'],
    [Orders.getOrderStatus, WHO_MAY_SEE_IT, (orderId) => ({ orderId }), 'cart'],
    [
      Orders.getOrders,
      IDENTIFIED,
      () => ({ pageSize: 1, pageToken: '', sort: 'ORDER_SORT_UNSPECIFIED', statuses: [] }),
      'cart',
    ],
    [Orders.getTimeline, WHO_MAY_SEE_IT, (orderId) => ({ orderId, pageSize: 0, pageToken: '' }), 'cart'],
    [Orders.watchOrder, WHO_MAY_SEE_IT, (orderId) => ({ orderId }), 'cart'],
    [Orders.watchOrders, IDENTIFIED, () => ({}), 'cart'],
    [Products.listProducts, EVERYBODY, () => ({ pageSize: 1, pageToken: '' }), 'cart'],
    [Products.getProduct, EVERYBODY, () => ({ productId: 'tea' }), 'cart'],
    [
      Products.putProduct,
      OPERATORS,
      () => ({ productId: 'tea', name: 'Tea', price: { minorUnits: 450, currency: 'EUR' }, stock: 1_000_000 }),
      'cart',
    ],
  ],
  start: (env) => startOrderService({ ...env, ...QUOTAS_FOR_LOAD }),
  async prepare(service, ada, state) {
    const { body } = await service.caller(ada).post('/orders', { ...aCart(), draft: state === 'cart' });
    if (state === 'paid')
      await service.receives({ type: 'PaymentSucceeded', data: { orderId: body.id, paymentRequestId: uuidv7() } });
    return String(body.id);
  },
});
