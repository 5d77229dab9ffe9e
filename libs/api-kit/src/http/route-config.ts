import { RouteConfig } from '@nestjs/platform-fastify';
import { FASTIFY_ROUTE_CONFIG_METADATA } from '@nestjs/platform-fastify/constants.js';

/** Adds to what Fastify knows about a route (`request.routeOptions.config`). `RouteConfig` alone replaces what other decorators have added. */
export const AddRouteConfig =
  (added: object): MethodDecorator =>
  (target, key, method) => {
    const known = Reflect.getMetadata(FASTIFY_ROUTE_CONFIG_METADATA, method.value as object) as object | undefined;
    RouteConfig({ ...known, ...added })(target, key, method);
  };
