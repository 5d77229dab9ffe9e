import { applyDecorators, type CanActivate, type ExecutionContext, Injectable, SetMetadata } from '@nestjs/common';
import { ROUTE_ARGS_METADATA } from '@nestjs/common/constants.js';
import { RouteParamtypes } from '@nestjs/common/enums/route-paramtypes.enum.js';
import { Reflector } from '@nestjs/core';
import { ApiExtension } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';
import { rejectExcess } from './request-limits.js';
import { validationProblem, type Violation } from './validation-problem.js';

const IGNORED = 'twinbox:query-ignored';
/** Marks a route that accepts any query, while the OpenAPI document is generated. It is not in the final document. */
export const QUERY_IGNORED_EXTENSION = 'x-query-ignored';

/** Ignores the query of a route, for probes and scrapers, which may add parameters. */
export const IgnoreQuery = (): MethodDecorator & ClassDecorator =>
  applyDecorators(SetMetadata(IGNORED, true), ApiExtension(QUERY_IGNORED_EXTENSION, true));

/**
 * Rejects queries for reasons that validation cannot see: escapes that are malformed or not UTF-8, which Fastify leaves as they are; any
 * parameter on a route that takes none; and more parameters than any route takes. If a handler has a class for its query, that class
 * defines the allowed parameters.
 */
@Injectable()
export class QueryGuard implements CanActivate {
  constructor(private readonly reflector: Reflector) {}

  canActivate(context: ExecutionContext): boolean {
    if (context.getType() !== 'http') return true;
    const request = context.switchToHttp().getRequest<FastifyRequest>();
    const start = request.url.indexOf('?');
    if (start < 0) return true;
    if (this.reflector.getAllAndOverride<boolean | undefined>(IGNORED, [context.getHandler(), context.getClass()]))
      return true;

    rejectExcess(request.query, 'query');
    const malformed = malformedIn(request.url.slice(start + 1));
    if (malformed.length > 0) throw validationProblem(malformed);
    const names = Object.keys(request.query as object);
    if (names.length > 0 && !takesQuery(context)) {
      throw validationProblem(names.map((name) => ({ parameter: name, detail: `property ${name} should not exist` })));
    }
    return true;
  }
}

function malformedIn(query: string): Violation[] {
  if (isEncoded(query)) return [];
  return query
    .split('&')
    .filter((pair) => !isEncoded(pair))
    .map((pair) => ({ parameter: pair.split('=', 1)[0] ?? '', detail: 'must be UTF-8 with each byte escaped as %XX' }));
}

/** Only escapes need a check, because Node has already rejected anything that is not ASCII. */
function isEncoded(text: string): boolean {
  if (!text.includes('%')) return true;
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

function takesQuery(context: ExecutionContext): boolean {
  const parameters = Reflect.getMetadata(ROUTE_ARGS_METADATA, context.getClass(), context.getHandler().name) as
    Readonly<Record<string, unknown>> | undefined;
  return Object.keys(parameters ?? {}).some((key) => key.startsWith(`${RouteParamtypes.QUERY}:`));
}
