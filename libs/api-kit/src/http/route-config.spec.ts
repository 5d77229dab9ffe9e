import { Get } from '@nestjs/common';
import { FASTIFY_ROUTE_CONFIG_METADATA } from '@nestjs/platform-fastify/constants.js';
import { AddRouteConfig } from './route-config.js';

class Routes {
  @Get()
  @AddRouteConfig({ first: 1 })
  @AddRouteConfig({ second: 2 })
  both(): void {}

  @Get('other')
  @AddRouteConfig({ third: 3 })
  other(): void {}
}

const configOf = (name: 'both' | 'other'): unknown =>
  Reflect.getMetadata(FASTIFY_ROUTE_CONFIG_METADATA, Routes.prototype[name]);

it('the configuration of a route contains what each of its decorators adds, and nothing of other routes', () => {
  expect([configOf('both'), configOf('other')]).toEqual([{ first: 1, second: 2 }, { third: 3 }]);
});
