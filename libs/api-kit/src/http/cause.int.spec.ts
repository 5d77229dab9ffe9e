import { Controller, Delete, Module, Param, Post } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { InProcessConfig } from '../../test/in-process-config.js';
import { Cause, createApp, loggerModule, Public } from '../index.js';

@Public()
@Controller('orders')
class OrdersController {
  @Post()
  open(@Cause() cause: string) {
    return { cause };
  }

  @Post(':orderId/cancel')
  cancel(@Param('orderId') orderId: string, @Cause() cause: string) {
    return { orderId, cause };
  }
}

@Public()
@Controller('orders/:orderId/items')
class ItemsController {
  @Delete(':productId')
  remove(@Cause() cause: string) {
    return { cause };
  }
}

class TestConfig extends InProcessConfig {
  override PORT = 0;
}

@Module({
  imports: [loggerModule({ LOG_LEVEL: 'fatal', LOG_FORMAT: 'json' }, 'orders')],
  controllers: [OrdersController, ItemsController],
})
class OrdersModule {}

let app: NestFastifyApplication;
beforeAll(async () => {
  app = await createApp(OrdersModule, new TestConfig());
  await app.listen(0, '127.0.0.1');
});
afterAll(() => app.close());

async function send(method: string, path: string): Promise<unknown> {
  const response = await fetch(`${await app.getUrl()}${path}`, { method });
  return response.json();
}

describe('the cause of a step', () => {
  it('is the method and the path of the controller', async () => {
    expect(await send('POST', '/orders')).toEqual({ cause: 'POST /orders' });
  });

  it('has the names of the parameters, not their values', async () => {
    expect(await send('POST', '/orders/17/cancel')).toEqual({ orderId: '17', cause: 'POST /orders/:orderId/cancel' });
    expect(await send('DELETE', '/orders/17/items/tea')).toEqual({
      cause: 'DELETE /orders/:orderId/items/:productId',
    });
  });
});
